//! The snapshot that reviews are answered from, and a seal without chance in it.

use std::{path::Path, sync::LazyLock};

use profile::{
    decide::{Seal, Subject},
    kinds::ProfileKind,
    snapshot::{Readiness, Snapshot},
};
use webhook::{
    source::{Published, folder::Folder},
    world::{Item, Kind},
};

/// Makes the same mark for the same subject always, and knows it again.
#[derive(Debug)]
pub struct FixedSeal;

impl Seal for FixedSeal {
    fn stamp(&self, _subject: &Subject<'_>) -> (String, u64) {
        ("0011223344556677".to_owned(), 1_700_000_000)
    }

    fn holds(&self, subject: &Subject<'_>, nonce: &str, unix_seconds: u64) -> bool {
        self.stamp(subject) == (nonce.to_owned(), unix_seconds)
    }
}

static PUBLISHED: LazyLock<Published> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let (mut world, problems) = Folder::new(folder).read();
    assert_eq!(problems, []);
    // Nobody says of a profile in a folder that it is not on the nodes yet.
    let (kind, key) = (Kind::Profile(ProfileKind::SeccompProfile), ("".into(), "late".into()));
    world.apply(kind, key, Item::Profile(Readiness::NotYet("Pending")));
    let published = Published::default();
    published.publish(&mut world);
    published
});

/// Bindings of every class and mechanism, and a recording of every kind: see `manifests/`.
pub fn snapshot() -> impl std::ops::Deref<Target = impl std::ops::Deref<Target = Snapshot>> {
    PUBLISHED.load()
}
