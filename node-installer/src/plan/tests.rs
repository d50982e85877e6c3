//! Situations and what is to be done about them.

use profile::kinds::ProfileKind::{self, RawSelinuxProfile, SelinuxProfile};
use rstest::rstest;

use super::*;

mod properties;

/// A situation that a test makes up.
#[derive(Clone, Debug)]
struct World {
    wanted: BTreeMap<Key, Wanted>,
    complete: bool,
    found: BTreeMap<Box<str>, Found>,
    ledger: Entries,
    users: BTreeMap<Box<str>, Use>,
    held: BTreeMap<Box<str>, (Digest, String)>,
}

impl World {
    /// Nothing is wanted and nothing is there; all objects and pods are known.
    fn empty() -> Self {
        Self {
            wanted: BTreeMap::new(),
            complete: true,
            found: BTreeMap::new(),
            ledger: Entries::new(),
            users: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    /// One profile is wanted, and nothing is there.
    fn wanting(text: &str) -> Self {
        let mut world = Self::empty();
        world.wanted.insert(a(), wanted(text));
        world
    }

    /// One profile is wanted, and what was written down and is there is this.
    fn having(text: &str, entry: &str, file: File, kernel: Kernel) -> Self {
        let mut world = Self::wanting(text);
        world.ledger.insert("a".into(), written(a(), entry));
        world.found.insert("a".into(), Found::new(file, kernel));
        world
    }

    fn users(&self, name: &str) -> Use {
        self.users.get(name).cloned().unwrap_or(Use::By(Vec::new()))
    }

    fn plan(&self) -> Plan {
        plan(&Situation {
            wanted: &self.wanted,
            complete: self.complete,
            found: &self.found,
            ledger: &self.ledger,
            users: &|name| self.users(name),
            held: &self.held,
        })
    }

    /// Why each profile is to be put on the node.
    fn installs(&self) -> Vec<(String, Cause)> {
        let install = self.plan().install;
        install.iter().map(|(name, install)| (name.to_string(), install.cause)).collect()
    }

    fn removes(&self) -> Vec<String> {
        self.plan().remove.keys().map(ToString::to_string).collect()
    }

    /// What is said of a profile.
    fn says(&self, key: &Key) -> (NodeProfileState, String) {
        let verdict = self.plan().verdicts.remove(key).unwrap();
        (verdict.state, verdict.message.unwrap_or_default())
    }
}

fn key(kind: ProfileKind, name: &str) -> Key {
    Key::new(kind, name).unwrap()
}

fn a() -> Key {
    key(SelinuxProfile, "a")
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn wanted(text: &str) -> Wanted {
    Wanted {
        generation: Some(2),
        created: None,
        state: ProfileState::Enabled,
        artifact: Ok(digest(text)),
        needs: Vec::new(),
    }
}

fn needing(text: &str, needs: &[&str]) -> Wanted {
    Wanted { needs: needs.iter().map(|&need| need.into()).collect(), ..wanted(text) }
}

fn written(key: Key, text: &str) -> Entry {
    Entry { key, digest: digest(text), generation: Some(1), fingerprint: None }
}

fn content(text: &str) -> File {
    File::Content(digest(text))
}

fn there(text: &str) -> Found {
    Found::new(content(text), Kernel::NotAsked)
}

const LOADED: Kernel = Kernel::Loaded(None);

#[rstest]
#[case::as_it_should_be("new", content("new"), Kernel::NotAsked, None)]
#[case::as_it_should_be_in_the_kernel_too("new", content("new"), LOADED, None)]
#[case::another_version("old", content("old"), LOADED, Some(Cause::Changed))]
#[case::another_version_that_was_edited("old", content("x"), LOADED, Some(Cause::Changed))]
#[case::killed_before_the_file_was_written("new", content("old"), LOADED, Some(Cause::Drift))]
#[case::edited("new", content("x"), LOADED, Some(Cause::Drift))]
#[case::deleted("new", File::Absent, LOADED, Some(Cause::Drift))]
#[case::replaced_by_a_link("new", File::Other("a link"), LOADED, Some(Cause::Drift))]
#[case::unloaded("new", content("new"), Kernel::Absent, Some(Cause::Drift))]
#[case::loaded_by_somebody_else("new", content("new"), Kernel::Loaded(Some("x".into())), Some(Cause::Drift))]
fn what_is_ours_is_put_right(
    #[case] entry: &str,
    #[case] file: File,
    #[case] kernel: Kernel,
    #[case] cause: Option<Cause>,
) {
    let world = World::having("new", entry, file, kernel);
    let installs = cause.map(|cause| ("a".to_owned(), cause)).into_iter().collect::<Vec<_>>();
    assert_eq!(world.installs(), installs);
    assert!(world.removes().is_empty());
    let state =
        if cause.is_some() { NodeProfileState::Pending } else { NodeProfileState::Installed };
    assert_eq!(world.says(&a()), (state, String::new()));
    let generation = world.plan().verdicts[&a()].generation;
    assert_eq!(generation, Some(if cause.is_some() { 1 } else { 2 }), "what the node has");
}

#[rstest]
#[case::free(File::Absent, Kernel::Absent, false, true)]
#[case::a_file(content("x"), Kernel::Absent, false, false)]
#[case::the_very_same_text(content("new"), Kernel::NotAsked, false, false)]
#[case::a_link(File::Other("a link"), Kernel::Absent, false, false)]
#[case::a_folder(File::Other("a folder"), Kernel::Absent, false, false)]
#[case::loaded_without_a_file(File::Absent, LOADED, false, false)]
#[case::known_to_be_ours(content("x"), LOADED, true, true)]
fn what_is_not_ours_is_left_alone(
    #[case] file: File,
    #[case] kernel: Kernel,
    #[case] adoptable: bool,
    #[case] installs: bool,
) {
    let mut world = World::wanting("new");
    world.found.insert("a".into(), Found { adoptable, ..Found::new(file, kernel) });
    let new = [("a".to_owned(), Cause::New)];
    assert_eq!(world.installs(), if installs { &new[..] } else { &[] });
    if !installs {
        let (state, message) = world.says(&a());
        assert_eq!(state, NodeProfileState::Failed);
        assert!(message.contains("was not put on the node by Cinch"), "{message}");
    }
    world.wanted.clear();
    assert_eq!(world.plan(), Plan::default(), "and it is not removed either");
}

#[test]
fn a_name_that_somebody_else_has_is_left_to_them() {
    let mut world = World::having("new", "old", content("old"), LOADED);
    world.found.get_mut("a").unwrap().taken = Some("they have it".into());
    assert_eq!(world.installs(), []);
    let said = "they have it; generation 1 stays".to_owned();
    assert_eq!(world.says(&a()), (NodeProfileState::Failed, said));
}

#[rstest]
#[case::nobody(Use::By(vec![]), None)]
#[case::one(Use::By(vec!["the pod n/a".into()]), Some("stays as long as the pod n/a uses it"))]
#[case::three(Use::By(vec!["x".into(), "y".into(), "z".into()]), Some("stays as long as x and 2 more use it"))]
#[case::not_known_yet(Use::Unknown, Some("stays until it is known which pods use it"))]
fn what_nobody_asks_for_goes_when_nobody_uses_it(
    #[case] users: Use,
    #[case] said: Option<&str>,
    #[values(true, false)] disabled: bool,
) {
    let mut world = World::having("new", "new", content("new"), LOADED);
    if disabled {
        world.wanted.get_mut(&a()).unwrap().state = ProfileState::Disabled;
    } else {
        world.wanted.clear();
    }
    world.users.insert("a".into(), users);
    match said {
        None => {
            assert_eq!(world.removes(), ["a"]);
            assert_eq!(world.plan().verdicts, BTreeMap::new());
        }
        Some(said) => {
            assert_eq!(world.removes(), [""; 0]);
            assert_eq!(world.says(&a()), (NodeProfileState::Terminating, said.to_owned()));
        }
    }
    world.complete = false;
    assert_eq!(world.plan(), Plan::default(), "its object may not have been heard of yet");
}

#[test]
fn a_profile_that_cannot_be_made_leaves_what_is_there() {
    let mut world = World::having("new", "old", content("old"), LOADED);
    world.wanted.get_mut(&a()).unwrap().artifact = Err("no such call".into());
    assert_eq!((world.installs(), world.removes()), (vec![], vec![]));
    let said = "no such call; generation 1 stays".to_owned();
    assert_eq!(world.says(&a()), (NodeProfileState::Failed, said));
    world.found.clear();
    assert_eq!(world.says(&a()), (NodeProfileState::Failed, "no such call".to_owned()));
}

#[test]
fn what_has_failed_is_not_tried_again_before_its_time_or_with_another_text() {
    let mut world = World::wanting("new");
    world.held.insert("a".into(), (digest("new"), "no room".into()));
    assert_eq!(world.installs(), []);
    assert_eq!(world.says(&a()), (NodeProfileState::Failed, "no room".to_owned()));
    world.held.insert("a".into(), (digest("old"), "no room".into()));
    assert_eq!(world.installs(), [("a".to_owned(), Cause::New)]);
}

#[test]
fn the_profile_that_has_a_name_keeps_it() {
    let raw = key(RawSelinuxProfile, "a");
    let mut world = World::empty();
    world.wanted.insert(a(), Wanted { created: Some("2026-02".into()), ..wanted("one") });
    world.wanted.insert(raw.clone(), Wanted { created: Some("2026-01".into()), ..wanted("two") });
    // Nobody has it: the older.
    assert_eq!(world.plan().install["a"].key, raw);
    let said = "the name a is taken by RawSelinuxProfile a: give one of them another".to_owned();
    assert_eq!(world.says(&a()), (NodeProfileState::Failed, said));
    // The younger has it.
    world.ledger.insert("a".into(), written(a(), "one"));
    world.found.insert("a".into(), there("one"));
    assert_eq!(world.installs(), []);
    assert_eq!(world.says(&a()).0, NodeProfileState::Installed);
    assert_eq!(world.says(&raw).0, NodeProfileState::Failed);
    // It goes, and the other takes its place at once.
    world.wanted.remove(&a());
    world.users.insert("a".into(), Use::By(vec!["the pod n/a".into()]));
    assert_eq!(world.installs(), [("a".to_owned(), Cause::Changed)]);
    assert_eq!(world.removes(), [""; 0]);
}

#[test]
fn what_is_inherited_comes_with_it_and_is_waited_for() {
    let (b, c) = (key(SelinuxProfile, "b"), key(SelinuxProfile, "c"));
    let mut world = World::empty();
    world.wanted.insert(a(), needing("a", &["b"]));
    world.wanted.insert(b.clone(), needing("b", &["c"]));
    assert_eq!(world.installs(), []);
    let lacks = |name: &str| format!("it inherits {name}, and there is no such profile");
    assert_eq!(world.says(&b), (NodeProfileState::Failed, lacks("c")));
    let said = "it inherits b, which is not on the node itself".to_owned();
    assert_eq!(world.says(&a()), (NodeProfileState::Failed, said));
    world.wanted.insert(c.clone(), wanted("c"));
    assert_eq!(world.plan().install.len(), 3);
    // What is inherited is there, although its newest version is refused.
    world.wanted.get_mut(&c).unwrap().artifact = Err("bad".into());
    assert_eq!(world.installs(), []);
    world.ledger.insert("c".into(), written(c, "c"));
    world.found.insert("c".into(), there("c"));
    assert_eq!(world.plan().install.len(), 2);
}

#[rstest]
#[case(&["a"], "it inherits a, which is not on the node itself")]
#[case(&["b"], "it inherits b, which is not on the node itself")]
fn profiles_that_inherit_one_another_in_a_circle_are_not_installed(
    #[case] needs: &[&str],
    #[case] said: &str,
) {
    let mut world = World::empty();
    world.wanted.insert(a(), needing("a", needs));
    world.wanted.insert(key(SelinuxProfile, "b"), needing("b", &["a"]));
    world.wanted.insert(key(SelinuxProfile, "c"), wanted("c"));
    assert_eq!(world.installs(), [("c".to_owned(), Cause::New)]);
    assert_eq!(world.says(&a()), (NodeProfileState::Failed, said.to_owned()));
}

#[test]
fn what_is_inherited_stays_although_nobody_asks_for_it() {
    let b = key(SelinuxProfile, "b");
    let mut world = World::having("a", "a", content("a"), LOADED);
    world.wanted.insert(a(), needing("a", &["b"]));
    world.ledger.insert("b".into(), written(b.clone(), "b"));
    world.found.insert("b".into(), there("b"));
    assert_eq!((world.installs(), world.removes()), (vec![], vec![]));
    let said = "stays as long as SelinuxProfile a inherits it".to_owned();
    assert_eq!(world.says(&b), (NodeProfileState::Terminating, said));
    world.wanted.clear();
    assert_eq!(world.removes(), ["a", "b"]);
}

#[test]
fn what_is_inherited_stays_also_while_another_one_is_lacking() {
    let mut world = World::having("a", "a", content("a"), LOADED);
    world.wanted.insert(a(), needing("a", &["b", "c"]));
    world.ledger.insert("b".into(), written(key(SelinuxProfile, "b"), "b"));
    world.found.insert("b".into(), there("b"));
    assert_eq!(world.says(&a()).0, NodeProfileState::Installed, "it is as it should be");
    assert_eq!(world.removes(), [""; 0], "and would be lost with what it inherits");
}
