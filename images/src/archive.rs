//! An image as one file, which containerd, Docker and podman can read. Pure.

use std::{fmt::Write as _, io};

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::{layer, tree::Tree};

/// What is to become an image.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// Its whole name, as `localhost/cinch-webhook:0.1.0`.
    pub name: &'a str,
    pub version: &'a str,
    /// As OCI names them: `amd64`, `arm64`.
    pub architecture: &'a str,
    pub user: u32,
    /// The program, as a path that begins with `/`.
    pub entrypoint: &'a str,
    pub files: &'a Tree,
}

/// One that is done.
#[derive(Debug)]
pub struct Packed {
    /// The file.
    pub bytes: Vec<u8>,
    /// The digest of the manifest, as `sha256:…`: what `NAME@DIGEST` would mean.
    pub digest: String,
}

/// Everything in an image is of this time.
const EPOCH: &str = "1970-01-01T00:00:00Z";
const PATH: &str = "PATH=/usr/sbin:/usr/bin";

/// Packs an image as an OCI layout. Docker before 25 reads `manifest.json`, which names the same parts.
pub fn pack(image: &Image<'_>) -> io::Result<Packed> {
    let mut layout = Tree::default();
    let mut blob = |kind: &str, bytes: Vec<u8>| {
        let hash = sha256(&bytes);
        let path = format!("blobs/sha256/{hash}");
        let digest = format!("sha256:{hash}");
        let descriptor = json!({ "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest, "size": bytes.len() });
        layout.file(&path, bytes);
        (path, digest, descriptor)
    };
    let tar = layer::archive(image.files)?;
    let uncompressed = format!("sha256:{}", sha256(&tar));
    let (layer_path, _, layer) = blob("layer.v1.tar+gzip", layer::compress(&tar)?);
    let (config_path, _, config) =
        blob("config.v1+json", text(&configuration(image, &uncompressed)));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [layer],
        "annotations": labels(image),
    });
    let (_, digest, mut manifest) = blob("manifest.v1+json", text(&manifest));
    manifest["annotations"] = json!({
        "io.containerd.image.name": image.name,
        "org.opencontainers.image.ref.name": image.name,
    });
    manifest["platform"] = json!({ "architecture": image.architecture, "os": "linux" });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [manifest],
    });
    let legacy =
        json!([{ "Config": config_path, "RepoTags": [image.name], "Layers": [layer_path] }]);
    layout.file("oci-layout", text(&json!({ "imageLayoutVersion": "1.0.0" })));
    layout.file("index.json", text(&index));
    layout.file("manifest.json", text(&legacy));
    Ok(Packed { bytes: layer::archive(&layout)?, digest })
}

fn configuration(image: &Image<'_>, uncompressed: &str) -> Value {
    json!({
        "architecture": image.architecture,
        "os": "linux",
        "created": EPOCH,
        "config": {
            "User": format!("{0}:{0}", image.user),
            "Env": [PATH],
            "Entrypoint": [image.entrypoint],
            "WorkingDir": "/",
            "Labels": labels(image),
        },
        "rootfs": { "type": "layers", "diff_ids": [uncompressed] },
        "history": [{ "created": EPOCH, "created_by": "cinch images" }],
    })
}

fn labels(image: &Image<'_>) -> Value {
    let title = image.entrypoint.rsplit('/').next();
    json!({
        "org.opencontainers.image.title": title,
        "org.opencontainers.image.version": image.version,
        "org.opencontainers.image.licenses": "Apache-2.0",
    })
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _never_fails = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read as _};

    use flate2::read::GzDecoder;

    use super::*;

    fn packed() -> Packed {
        let mut files = Tree::default();
        files.program("usr/bin/program", "code");
        pack(&Image {
            name: "localhost/program:1.2.3",
            version: "1.2.3",
            architecture: "amd64",
            user: 65532,
            entrypoint: "/usr/bin/program",
            files: &files,
        })
        .unwrap()
    }

    fn unpack(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(bytes).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(entry.path().unwrap().to_str().unwrap().to_owned(), bytes);
        }
        files
    }

    #[test]
    fn all_that_is_named_is_there_under_its_digest() {
        let packed = packed();
        let files = unpack(&packed.bytes);
        let read = |descriptor: &Value| {
            let hash = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            let bytes = &files[&format!("blobs/sha256/{hash}")];
            assert_eq!(sha256(bytes), hash);
            assert_eq!(descriptor["size"], bytes.len());
            bytes
        };
        let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let index = json(&files["index.json"]);
        let names = &index["manifests"][0]["annotations"];
        assert_eq!(names["io.containerd.image.name"], "localhost/program:1.2.3");
        assert_eq!(names["org.opencontainers.image.ref.name"], "localhost/program:1.2.3");
        assert_eq!(index["manifests"][0]["digest"], packed.digest);
        let manifest = json(read(&index["manifests"][0]));
        let config = json(read(&manifest["config"]));
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/program");
        let mut layer = Vec::new();
        GzDecoder::new(&**read(&manifest["layers"][0])).read_to_end(&mut layer).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256(&layer)));
        assert_eq!(unpack(&layer)["usr/bin/program"], b"code");
        let legacy = json(&files["manifest.json"]);
        assert!(files.contains_key(legacy[0]["Config"].as_str().unwrap()));
        assert!(files.contains_key(legacy[0]["Layers"][0].as_str().unwrap()));
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        assert!(packed().bytes == packed().bytes);
    }
}
