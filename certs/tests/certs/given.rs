//! A pair that someone else makes: followed, never touched.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use certs::{CertsError, Keeper, Lifetimes, Origin, Serving, Source, open};
use tempfile::{TempDir, tempdir};

use crate::{replace::Pair, wait::until};

const SECOND: Duration = Duration::from_secs(1);

async fn opened(folder: &TempDir) -> Result<(Serving, Keeper), CertsError> {
    let short = Lifetimes { authority: SECOND, leaf: SECOND, overlap: SECOND };
    open(Source::Folder(folder.path().to_owned()), ["other.name".parse().unwrap()], short).await
}

fn content(folder: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let content = fs::read(&path).unwrap_or_default();
        (path, (modified, content))
    };
    entries.map(read).collect()
}

fn chain(error: &dyn Error) -> String {
    std::iter::successors(Some(error), |error| (*error).source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[tokio::test]
async fn a_given_pair_is_served_and_its_folder_never_touched() {
    let folder = tempdir().unwrap();
    Pair::new().copy_to(folder.path());
    let before = content(folder.path());
    let (serving, keeper) = opened(&folder).await.unwrap();
    let keeping = tokio::spawn(keeper.run());
    // Taken into use by a keeper that, with these lives, would long have made its own.
    Pair::new().copy_to(folder.path());
    until(&serving, |status| status.reloads > 0).await;
    let status = serving.status().borrow().clone();
    assert_eq!((status.origin, status.renewals), (Origin::Given, 0));
    assert_eq!(content(folder.path()).len(), before.len());
    keeping.abort();
}

#[tokio::test]
async fn a_rename_of_the_data_link_is_picked_up() {
    let folder = tempdir().unwrap();
    let (first, second) = (Pair::new(), Pair::ending_in(2101));
    first.mount_in(folder.path(), "..2026_01");
    let (serving, keeper) = opened(&folder).await.unwrap();
    let (before, key) = (serving.not_after(), serving.derive_key("a"));
    let keeping = tokio::spawn(keeper.run());
    second.mount_in(folder.path(), "..2026_02");
    fs::remove_dir_all(folder.path().join("..2026_01")).unwrap();
    let status = until(&serving, |status| status.not_after != before).await;
    assert_eq!((status.reloads, status.failures), (1, 0));
    assert_eq!(*serving.trust_bundle().unwrap(), *second.ca_crt);
    assert_ne!(serving.derive_key("a"), key);
    keeping.abort();
}

#[tokio::test]
async fn keeps_the_old_pair_when_the_new_one_is_broken() {
    let folder = tempdir().unwrap();
    let (first, other, last) = (Pair::new(), Pair::new(), Pair::ending_in(2101));
    first.copy_to(folder.path());
    let (serving, keeper) = opened(&folder).await.unwrap();
    let key = serving.derive_key("a");
    let keeping = tokio::spawn(keeper.run());

    fs::write(folder.path().join("tls.crt"), "no certificate").unwrap();
    let before = until(&serving, |status| status.failures > 0).await;
    assert_eq!(serving.derive_key("a"), key);

    // A certificate that the key does not fit.
    fs::write(folder.path().join("tls.crt"), &other.tls_crt).unwrap();
    until(&serving, |status| status.failures > before.failures).await;
    assert_eq!(serving.derive_key("a"), key);

    last.copy_to(folder.path());
    until(&serving, |status| status.reloads == 1).await;
    assert_ne!(serving.derive_key("a"), key);
    keeping.abort();
}

#[tokio::test]
async fn given_files_that_are_gone_for_a_moment_are_not_made_by_us() {
    let folder = tempdir().unwrap();
    let pair = Pair::new();
    pair.copy_to(folder.path());
    let (serving, keeper) = opened(&folder).await.unwrap();
    let keeping = tokio::spawn(keeper.run());
    for (name, _) in pair.files() {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    until(&serving, |status| status.failures > 0).await;
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    Pair::ending_in(2101).copy_to(folder.path());
    let status = until(&serving, |status| status.reloads > 0).await;
    assert_eq!((status.origin, status.renewals), (Origin::Given, 0));
    keeping.abort();
}

#[tokio::test]
async fn a_pair_that_is_too_old_is_served_all_the_same() {
    let folder = tempdir().unwrap();
    Pair::ending_in(2001).copy_to(folder.path());
    let (serving, _keeper) = opened(&folder).await.unwrap();
    assert!(serving.not_after() < SystemTime::now());
    assert!(serving.remaining().is_zero());
}

#[tokio::test]
async fn a_pair_without_its_authority_is_served_with_no_bundle() {
    let folder = tempdir().unwrap();
    Pair::new().copy_to(folder.path());
    fs::remove_file(folder.path().join("ca.crt")).unwrap();
    let (serving, _keeper) = opened(&folder).await.unwrap();
    assert_eq!(serving.trust_bundle(), None);
    assert_eq!(serving.status().borrow().authority_not_after, None);
}

#[tokio::test]
async fn half_a_pair_is_an_error_that_names_the_other_half() {
    let folder = tempdir().unwrap();
    Pair::new().copy_to(folder.path());
    fs::remove_file(folder.path().join("tls.key")).unwrap();
    let error = opened(&folder).await.unwrap_err();
    assert_eq!(chain(&error), "cannot use the certificate that was given: tls.key is missing");
}

#[tokio::test]
async fn a_broken_pair_is_an_error_at_the_start_that_tells_nothing_of_the_key() {
    let folder = tempdir().unwrap();
    let pair = Pair::new();
    pair.copy_to(folder.path());
    let one_line = pair.tls_key.replace(['\r', '\n'], "");
    fs::write(folder.path().join("tls.key"), format!("{one_line}\n")).unwrap();
    let error = opened(&folder).await.unwrap_err();
    let expected = "cannot use the certificate that was given: cannot read tls.key: \
                    a section does not end";
    assert_eq!(chain(&error), expected);
    assert!(!format!("{error:?}").contains("77, 73, 71"), "quotes the key");

    Pair::new().copy_to(folder.path());
    fs::write(folder.path().join("tls.key"), &pair.tls_key).unwrap();
    let error = opened(&folder).await.unwrap_err();
    let expected = "cannot use the certificate that was given: \
                    the key in tls.key does not fit the certificate in tls.crt";
    assert_eq!(chain(&error), expected);
}
