//! Takes recordings from a folder of manifests.

use std::collections::BTreeSet;

use daemon::manifests::{Header, Manifest, Manifests, checked};
use profile::kinds::{GROUP, ProfileRecording};
use serde_json::Value;
use tokio::sync::watch;

use super::{ToTracker, Told, tell};
use crate::{
    tracker::{Key, Recording},
    writer::Files,
};

/// A recording that a manifest tells of.
#[derive(Clone, Debug)]
pub(crate) struct Document(Recording);

impl Manifest for Document {
    type Key = String;

    fn key(&self) -> String {
        format!("ProfileRecording {}", self.0.key)
    }

    fn read(value: Value) -> Result<Option<Self>, String> {
        let Some(header) = Header::of(&value)? else { return Ok(None) };
        if header.group != GROUP || header.kind != "ProfileRecording" {
            return Ok(None);
        }
        let (namespace, name) = (header.namespace().to_owned(), header.name()?.to_owned());
        for (field, text) in [("name", &name), ("namespace", &namespace)] {
            let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            if text.starts_with(['.', '-']) || !text.chars().all(good) {
                return Err(format!(
                    "metadata.{field}: {text:?} must be of a-z, 0-9, '-' and '.', and begin with a letter or digit"
                ));
            }
        }
        let mut object: ProfileRecording = checked(value)?;
        // What it has come to is told by the file beside the profiles.
        object.status = None;
        object.metadata.uid.get_or_insert_with(|| format!("{namespace}/{name}"));
        object.metadata.namespace = Some(namespace);
        Ok(Some(Self(Recording::of(&object)?)))
    }
}

/// Tells the tracker for ever which recordings there are, and `recording` whether there is one.
pub(crate) async fn follow(
    folder: Manifests<Document>,
    files: Files,
    recording: watch::Sender<bool>,
    to: ToTracker,
) {
    let mut known = BTreeSet::<Key>::new();
    folder
        .follow(|documents, all_good| {
            let mut keys: BTreeSet<_> =
                documents.iter().map(|document| document.0.key.clone()).collect();
            if all_good {
                for gone in known.difference(&keys) {
                    files.forget(gone);
                }
            } else {
                // A document that cannot be read may be that of a recording which goes on.
                keys.extend(known.iter().cloned());
            }
            known.clone_from(&keys);
            let (to, files, recording) = (to.clone(), files.clone(), recording.clone());
            async move {
                for Document(mut recording) in documents {
                    recording.status = files.status(&recording.key).unwrap_or_default();
                    tell(&to, Told::Recording(Box::new(recording))).await;
                }
                recording.send_replace(!keys.is_empty());
                tell(&to, Told::Recordings(keys)).await;
            }
        })
        .await;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(name: &str, more: &Value) -> Result<Option<Document>, String> {
        let mut spec = json!({ "kind": "SeccompProfile", "podSelector": {} });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Document::read(json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "ProfileRecording",
            "metadata": { "name": name }, "spec": spec,
            "status": { "phase": "Complete" },
        }))
    }

    #[test]
    fn a_manifest_is_a_recording_as_in_a_cluster_without_a_status() {
        let Document(recording) = read("web", &json!({ "stopAfter": "1m" })).unwrap().unwrap();
        assert_eq!((&*recording.key.to_string(), &*recording.uid), ("default/web", "default/web"));
        assert!(recording.stop_after.is_some() && !recording.is_complete());
    }

    #[test]
    fn what_is_no_recording_is_passed_over_and_what_is_a_bad_one_is_named() {
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" } });
        assert!(Document::read(pod).unwrap().is_none());
        assert!(read("../web", &json!({})).unwrap_err().contains("metadata.name"));
        assert!(read("web", &json!({ "kind": "Nothing" })).unwrap_err().contains("spec.kind"));
    }
}
