//! Pairs made by others, and the ways in which they are put into a folder.

use std::{fs, os::unix::fs::symlink, path::Path};

use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};

/// A pair as cert-manager would make it.
pub(crate) struct Pair {
    pub(crate) ca_crt: String,
    pub(crate) tls_crt: String,
    pub(crate) tls_key: String,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::ending_in(2100)
    }

    pub(crate) fn ending_in(year: i32) -> Self {
        let ca_key = KeyPair::generate().expect("a key is made");
        let mut ca = CertificateParams::default();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_crt = ca.self_signed(&ca_key).expect("it signs itself").pem();
        let key = KeyPair::generate().expect("a key is made");
        let names = vec!["localhost".to_owned()];
        let mut leaf = CertificateParams::new(names).expect("the name is good");
        leaf.not_after = date_time_ymd(year, 1, 1);
        let signed = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).expect("it is signed");
        Self { ca_crt, tls_crt: signed.pem(), tls_key: key.serialize_pem() }
    }

    pub(crate) fn files(&self) -> [(&'static str, &str); 3] {
        let Self { ca_crt, tls_crt, tls_key } = self;
        [("ca.crt", ca_crt), ("tls.crt", tls_crt), ("tls.key", tls_key)]
    }

    /// As plain files, one after the other.
    pub(crate) fn copy_to(&self, folder: &Path) {
        for (name, content) in self.files() {
            fs::write(folder.join(name), content).expect("the folder is writable");
        }
    }

    /// As the kubelet mounts a Secret: `state` is a new folder, then `..data` is renamed to it.
    pub(crate) fn mount_in(&self, folder: &Path, state: &str) {
        fs::create_dir(folder.join(state)).expect("the state is new");
        for (name, content) in self.files() {
            fs::write(folder.join(state).join(name), content).expect("the folder is writable");
        }
        symlink(state, folder.join("..data_tmp")).expect("a link is made");
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("it is renamed");
        for (name, _) in self.files() {
            let link = folder.join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(name), link).expect("a link is made");
            }
        }
    }
}
