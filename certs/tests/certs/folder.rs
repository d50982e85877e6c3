//! Our own certificates in a folder: made once, changed whole, found again.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use certs::{Keeper, Lifetimes, Name, Origin, Serving, Source, open};
use futures::future::join_all;
use tempfile::tempdir;

use crate::{
    replace::Pair,
    wait::{seen, until},
};

fn names() -> Vec<Name> {
    ["localhost", "127.0.0.1"].iter().map(|name| name.parse().expect("a good name")).collect()
}

async fn opened(folder: &Path, names: Vec<Name>) -> (Serving, Keeper) {
    let opened = open(Source::Folder(folder.to_owned()), names, Lifetimes::default()).await;
    opened.expect("the folder is good")
}

#[tokio::test]
async fn makes_a_pair_in_an_empty_folder_and_finds_it_again() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("not/there/yet");
    let (made, _keeper) = opened(&path, names()).await;
    let (found, _keeper) = opened(&path, names()).await;
    assert_eq!(made.status().borrow().origin, Origin::Own);
    assert_eq!(made.status().borrow().renewals, 2);
    assert_eq!(found.status().borrow().renewals, 0);
    assert_eq!(made.trust_bundle(), found.trust_bundle());
    assert_eq!(*made.trust_bundle().unwrap(), fs::read_to_string(path.join("ca.crt")).unwrap());
    assert_eq!(made.certificate(), found.certificate());
    assert_eq!(made.derive_key("a"), found.derive_key("a"));
    assert_ne!(made.derive_key("a"), found.derive_key("b"));
}

#[tokio::test]
async fn only_the_owner_can_read_keys() {
    let folder = tempdir().unwrap();
    let (_serving, _keeper) = opened(folder.path(), names()).await;
    let mode = |name| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("ca.key"), mode("tls.key")], [0o600; 2]);
    assert_eq!([mode("ca.crt"), mode("tls.crt")], [0o644; 2]);
}

#[tokio::test]
async fn debug_shows_no_key() {
    let folder = tempdir().unwrap();
    let (serving, keeper) = opened(folder.path(), names()).await;
    let key = fs::read_to_string(folder.path().join("tls.key")).unwrap();
    let line = key.lines().nth(1).unwrap();
    let shown = format!("{serving:?} {keeper:?} {:?}", serving.resolver());
    assert!(shown.contains("not_after") && !shown.contains(line) && !shown.contains("PRIVATE"));
    assert!(shown.len() < 6000, "keys as numbers make it long: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_start_at_once_in_one_folder_end_with_one_pair() {
    let folder = tempdir().unwrap();
    let all = (0..12).map(|_| {
        let path = folder.path().to_owned();
        tokio::spawn(async move { opened(&path, names()).await })
    });
    let all: Vec<_> = join_all(all).await.into_iter().map(|one| one.unwrap().0).collect();
    for one in &all {
        assert_eq!(one.certificate(), all[0].certificate());
        assert_eq!(one.trust_bundle(), all[0].trust_bundle());
    }
    assert_eq!(all.iter().map(|one| one.status().borrow().renewals).sum::<u64>(), 2);
}

#[tokio::test]
async fn a_change_by_another_process_is_taken_over() {
    let folder = tempdir().unwrap();
    let (serving, keeper) = opened(folder.path(), names()).await;
    let keeping = tokio::spawn(keeper.run());
    let more = [names(), vec!["another.name".parse().unwrap()]].concat();
    let (other, _keeper) = opened(folder.path(), more).await;
    until(&serving, |status| status.reloads == 1).await;
    assert_eq!(serving.certificate(), other.certificate());
    assert_eq!(other.status().borrow().renewals, 1);
    keeping.abort();
}

#[tokio::test]
async fn a_broken_pair_of_ours_is_made_again_by_the_same_authority() {
    let folder = tempdir().unwrap();
    let (first, _keeper) = opened(folder.path(), names()).await;
    fs::write(folder.path().join("tls.crt"), Pair::new().tls_crt).unwrap();
    let (second, _keeper) = opened(folder.path(), names()).await;
    assert_eq!(first.trust_bundle(), second.trust_bundle());
    assert_eq!(second.status().borrow().renewals, 1);
    assert_ne!(first.certificate(), second.certificate());
}

#[tokio::test]
async fn a_derived_key_outlives_the_leaf() {
    let folder = tempdir().unwrap();
    let (first, _keeper) = opened(folder.path(), names()).await;
    let (second, _keeper) = opened(folder.path(), vec!["another.name".parse().unwrap()]).await;
    assert_ne!(first.certificate(), second.certificate());
    assert_eq!(first.derive_key("a"), second.derive_key("a"));
    let (elsewhere, _keeper) = opened(tempdir().unwrap().path(), names()).await;
    assert_ne!(first.derive_key("a"), elsewhere.derive_key("a"));
}

#[tokio::test]
async fn a_broken_authority_is_an_error_and_not_replaced() {
    let folder = tempdir().unwrap();
    let (_serving, _keeper) = opened(folder.path(), names()).await;
    fs::write(folder.path().join("ca.crt"), Pair::new().ca_crt).unwrap();
    let source = Source::Folder(folder.path().to_owned());
    let error = open(source, names(), Lifetimes::default()).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "ca.key has no key for any certificate of ca.crt");
}

#[tokio::test]
async fn plain_files_of_ours_are_taken_over() {
    let (folder, plain) = (tempdir().unwrap(), tempdir().unwrap());
    let (first, _keeper) = opened(folder.path(), names()).await;
    for name in ["ca.crt", "ca.key", "tls.crt", "tls.key"] {
        fs::copy(folder.path().join(name), plain.path().join(name)).unwrap();
    }
    let more = [names(), vec!["another.name".parse().unwrap()]].concat();
    let (second, _keeper) = opened(plain.path(), more.clone()).await;
    assert_eq!(first.trust_bundle(), second.trust_bundle());
    let (third, _keeper) = opened(plain.path(), more).await;
    assert_eq!(second.certificate(), third.certificate());
}

/// Starts `renew.rs`.
fn child(folder: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certs-renew"));
    command.arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("cargo has built the program")
}

#[tokio::test]
async fn processes_killed_at_any_moment_leave_a_good_pair() {
    let folder = tempdir().unwrap();
    let (first, _keeper) = opened(folder.path(), names()).await;
    let changed = |data: &mut PathBuf| {
        let now = fs::read_link(folder.path().join("..data")).unwrap();
        std::mem::replace(data, now.clone()) != now
    };
    let mut data = PathBuf::new();
    for round in 0..30_u32 {
        let mut children = [child(folder.path()), child(folder.path())];
        changed(&mut data);
        // Both killed at their n-th change, some way into the next.
        for _ in 0..=round % 4 {
            seen(|| changed(&mut data)).await;
        }
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let removed = !folder.path().join("tls.crt").exists();
        let (left, _keeper) = opened(folder.path(), vec![]).await;
        assert_eq!(left.trust_bundle(), first.trust_bundle());
        assert_eq!(left.status().borrow().renewals, u64::from(removed));
    }
    let entries = fs::read_dir(folder.path()).unwrap().count();
    assert!(entries < 15, "{entries} entries: states of the dead are left");
}
