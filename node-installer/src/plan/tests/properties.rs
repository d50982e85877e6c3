//! What holds in whatever situation.

use proptest::{prelude::*, sample::select};

use super::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const TEXTS: [&str; 3] = ["one", "two", "three"];

fn name() -> impl Strategy<Value = Box<str>> {
    select(&NAMES[..]).prop_map(Into::into)
}

fn any_key() -> impl Strategy<Value = Key> {
    (select(vec![SelinuxProfile, RawSelinuxProfile]), name())
        .prop_map(|(kind, name)| Key { kind, name })
}

fn any_digest() -> impl Strategy<Value = Digest> {
    select(&TEXTS[..]).prop_map(digest)
}

prop_compose! {
    fn any_wanted()(
        created in select(vec![None, Some("2026-01".to_owned()), Some("2026-02".to_owned())]),
        disabled in prop::bool::weighted(0.2),
        artifact in prop_oneof![5 => any_digest().prop_map(Ok), 1 => Just(Err("bad".to_owned()))],
        needs in prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(name(), 1..3)],
    ) -> Wanted {
        let state = if disabled { ProfileState::Disabled } else { ProfileState::Enabled };
        Wanted { generation: Some(2), created, state, artifact, needs }
    }
}

fn any_found() -> impl Strategy<Value = Found> {
    let file = prop_oneof![
        Just(File::Absent),
        any_digest().prop_map(File::Content),
        Just(File::Other("a link"))
    ];
    let kernel = select(vec![Kernel::NotAsked, Kernel::Absent, LOADED]);
    let taken = prop_oneof![9 => Just(None), 1 => Just(Some("they have it".to_owned()))];
    (file, kernel, taken, any::<bool>()).prop_map(|(file, kernel, taken, adoptable)| Found {
        file,
        kernel,
        taken,
        adoptable,
    })
}

prop_compose! {
    fn any_world()(
        wanted in prop::collection::btree_map(any_key(), any_wanted(), 0..6),
        complete in prop::bool::weighted(0.7),
        found in prop::collection::btree_map(name(), any_found(), 0..5),
        entries in prop::collection::btree_map(name(), (any_key(), any_digest()), 0..5),
        users in prop::collection::btree_map(
            name(),
            prop_oneof![Just(Use::Unknown), Just(Use::By(vec!["x".into()])), Just(Use::By(vec![]))],
            0..4,
        ),
        held in prop::collection::btree_map(name(), (any_digest(), Just("no room".to_owned())), 0..2),
    ) -> World {
        // An entry is of a profile of its own name.
        let entry = |(name, (key, digest)): (Box<str>, (Key, Digest))| {
            let key = Key { name: name.clone(), ..key };
            (name, Entry { key, digest, generation: Some(1), fingerprint: None })
        };
        World { wanted, complete, found, ledger: entries.into_iter().map(entry).collect(), users, held }
    }
}

/// The world after the plan was carried out, and all of it went well.
fn carried_out(mut world: World) -> World {
    let Plan { install, remove, .. } = world.plan();
    for (name, Install { key, digest, .. }) in install {
        let generation = world.wanted[&key].generation;
        let entry = Entry { key, digest, generation, fingerprint: None };
        world.ledger.insert(name.clone(), entry);
        world.found.insert(name, Found::new(File::Content(digest), LOADED));
    }
    for name in remove.keys() {
        world.ledger.remove(name);
        world.found.remove(name);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn nothing_is_left_to_do_when_all_went_well(world in any_world()) {
        let (before, after) = (world.plan(), carried_out(world).plan());
        prop_assert_eq!(&after.install, &BTreeMap::new());
        prop_assert_eq!(&after.remove, &BTreeMap::new());
        for (name, Install { key, .. }) in &before.install {
            prop_assert_eq!(after.verdicts[key].state, NodeProfileState::Installed, "{}", name);
        }
    }

    #[test]
    fn nothing_of_another_owner_is_replaced_or_removed(world in any_world()) {
        let plan = world.plan();
        for name in plan.remove.keys() {
            prop_assert!(world.ledger.contains_key(name));
        }
        for name in plan.install.keys() {
            let free = world.found.get(name).is_none_or(|found| {
                let empty = found.file == File::Absent && found.kernel != LOADED;
                found.taken.is_none() && (empty || found.adoptable || world.ledger.contains_key(name))
            });
            prop_assert!(free, "{}", name);
        }
    }

    #[test]
    fn nothing_is_removed_that_may_be_wanted_or_used(world in any_world()) {
        let plan = world.plan();
        for name in plan.remove.keys() {
            prop_assert!(world.complete);
            prop_assert_eq!(world.users(name), Use::By(vec![]));
            let there = world.found.get(name).is_some_and(|f| matches!(f.file, File::Content(_)));
            let wanted = |(key, wanted): (&Key, &Wanted)| {
                let stays = plan.verdicts.get(key).is_some_and(|verdict| {
                    matches!(verdict.state, NodeProfileState::Installed | NodeProfileState::Pending)
                });
                let enabled = wanted.state == ProfileState::Enabled;
                let inherits = there && stays && wanted.needs.contains(name);
                enabled && (key.name == *name || inherits)
            };
            prop_assert!(!world.wanted.iter().any(wanted), "{} is wanted", name);
        }
    }

    #[test]
    fn every_profile_is_spoken_of_and_what_is_said_is_so(world in any_world()) {
        let plan = world.plan();
        for (key, wanted) in &world.wanted {
            let verdict = plan.verdicts.get(key);
            prop_assert!(verdict.is_some() || wanted.state == ProfileState::Disabled, "{}", key);
        }
        for (key, verdict) in &plan.verdicts {
            let is = |state| verdict.state == state;
            if is(NodeProfileState::Installed) {
                let digest = world.wanted[key].artifact.clone().unwrap();
                prop_assert_eq!(&world.found[&key.name].file, &File::Content(digest));
                prop_assert_eq!(&world.ledger[&key.name].key, key);
            }
            let pending = plan.install.get(&key.name).is_some_and(|install| install.key == *key);
            prop_assert_eq!(pending, is(NodeProfileState::Pending), "{}", key);
            let why = is(NodeProfileState::Failed) || is(NodeProfileState::Terminating);
            prop_assert_eq!(verdict.message.is_some(), why, "{}", key);
        }
    }

    #[test]
    fn what_is_installed_has_all_that_it_inherits(world in any_world()) {
        let after = carried_out(world.clone());
        for (name, Install { key, .. }) in world.plan().install {
            for need in &world.wanted[&key].needs {
                prop_assert!(after.ledger.contains_key(need), "{} inherits {}", name, need);
                prop_assert!(matches!(after.found[need].file, File::Content(_)));
            }
        }
    }
}
