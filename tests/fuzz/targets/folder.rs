//! Any text as a file of manifests: never a panic, each problem named, and what is good can be answered from.
#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

use fuzz::FixedSeal;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use webhook::{
    answer::{Path, answer},
    source::folder::Folder,
};

const REVIEW: &[u8] = include_bytes!("../../../webhook/tests/fixtures/review-5k.json");

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let shared = PathBuf::from("/dev/shm");
    let parent = if shared.is_dir() { shared } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("fuzz-folder-").tempdir_in(parent).expect("a folder")
});

fuzz_target!(|text: &[u8]| {
    fs::write(FOLDER.path().join("a.yaml"), text).expect("a file");
    let mut folder = Folder::new(FOLDER.path().to_owned());
    let (mut world, problems) = folder.read();
    for problem in &problems {
        assert!(problem.to_string().contains("a.yaml"), "{problem}");
    }
    let (mut again, problems_again) = folder.read();
    assert_eq!(problems, problems_again);
    let snapshot = world.snapshot();
    let first = answer(REVIEW, Path::Both, &snapshot, &FixedSeal).expect("a review");
    let second = answer(REVIEW, Path::Both, &again.snapshot(), &FixedSeal).expect("a review");
    assert_eq!(first.body, second.body, "read twice, answered twice");
    fuzz::check(REVIEW, Path::Both, &snapshot, &first);
});
