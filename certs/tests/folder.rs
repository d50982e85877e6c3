//! The certificates in a folder: made, kept, reloaded, never half.

use std::{fs, os::unix::fs::PermissionsExt as _};

use certs::{Lifetimes, Name, Origin, Source, open};

fn names() -> Vec<Name> {
    vec!["localhost".parse().unwrap(), "127.0.0.1".parse().unwrap()]
}

#[tokio::test]
async fn makes_a_pair_in_an_empty_folder_and_finds_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let source = || Source::Folder(folder.path().join("made"));
    let (made, _keeper) = open(source(), names(), Lifetimes::default()).await.unwrap();
    let (found, _keeper) = open(source(), names(), Lifetimes::default()).await.unwrap();
    assert_eq!(made.status().borrow().origin, Origin::Own);
    assert_eq!(made.status().borrow().renewals, 2);
    assert_eq!(found.status().borrow().renewals, 0);
    assert_eq!(made.trust_bundle(), found.trust_bundle());
    assert_eq!(made.derive_key("a"), found.derive_key("a"));
    assert_ne!(made.derive_key("a"), found.derive_key("b"));
}

#[tokio::test]
async fn only_the_owner_can_read_keys() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::Folder(folder.path().to_owned());
    let (_serving, _keeper) = open(source, names(), Lifetimes::default()).await.unwrap();
    let mode = |name| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("ca.key"), mode("tls.key")], [0o600; 2]);
    assert_eq!([mode("ca.crt"), mode("tls.crt")], [0o644; 2]);
}
