//! What is read of a folder, and when.

use std::cell::Cell;

use super::*;

thread_local! {
    static READ: Cell<usize> = const { Cell::new(0) };
}

/// Any document that has a name.
#[derive(Clone, Debug)]
struct Named(String);

impl Manifest for Named {
    type Key = String;

    fn read(value: Value) -> Result<Option<Self>, String> {
        READ.set(READ.get() + 1);
        let header = Header::of(&value)?;
        header.map(|header| Ok(Self(header.name()?.to_owned()))).transpose()
    }

    fn key(&self) -> String {
        self.0.clone()
    }
}

fn names(folder: &mut Manifests<Named>) -> Vec<String> {
    folder.read().0.into_iter().map(|Named(name)| name).collect()
}

fn document(name: &str) -> String {
    format!("kind: A\nmetadata: {{name: {name}}}\n")
}

#[test]
fn a_file_that_has_not_changed_is_not_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.yaml");
    std::fs::write(&file, document("one")).unwrap();
    let mut folder = Manifests::<Named>::new(dir.path().to_owned());
    assert_eq!(names(&mut folder), ["one"]);
    assert_eq!(names(&mut folder), ["one"]);
    assert_eq!(READ.get(), 2, "it has changed so lately that it may change again unseen");
    while Stamp::of(&file).is_none() {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert_eq!((names(&mut folder).len(), READ.get()), (1, 3));
    assert_eq!(names(&mut folder), ["one"]);
    assert_eq!(READ.get(), 3, "and now not any more");
    std::fs::write(&file, document("two")).unwrap();
    assert_eq!(names(&mut folder), ["two"]);
    std::fs::remove_file(&file).unwrap();
    assert!(names(&mut folder).is_empty());
}
