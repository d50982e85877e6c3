//! Records of containers whose names are not known yet: they are counted when they are. Pure.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use recorder::{
    cgroup::Container,
    logs::{metrics::Sort, names::Name},
};

/// After this they are counted without a name.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many containers, and sorts of records of each, are remembered.
const CONTAINERS: usize = 256;
const SORTS: usize = 64;

/// Records that wait, by container.
#[derive(Debug, Default)]
pub(super) struct Unnamed(BTreeMap<Container, Waiting>);

#[derive(Debug)]
struct Waiting {
    since: Duration,
    counts: HashMap<Sort, u64>,
}

impl Unnamed {
    /// Remembers one. It is given back where there is no room.
    pub(super) fn keep(&mut self, whose: &Container, sort: Sort, now: Duration) -> Option<Sort> {
        let Self(all) = self;
        if !all.contains_key(whose) && all.len() >= CONTAINERS {
            return Some(sort);
        }
        let new = || Waiting { since: now, counts: HashMap::new() };
        let Waiting { counts, .. } = all.entry(whose.clone()).or_insert_with(new);
        if counts.len() >= SORTS && !counts.contains_key(&sort) {
            return Some(sort);
        }
        *counts.entry(sort).or_default() += 1;
        None
    }

    /// Gives those whose container has a name now, and those that have waited long enough.
    pub(super) fn settle(
        &mut self,
        now: Duration,
        name: impl Fn(&Container) -> Option<Name>,
        mut count: impl FnMut(&Sort, Option<&Name>, u64),
    ) {
        self.0.retain(|whose, Waiting { since, counts }| {
            let name = name(whose);
            let waits = name.is_none() && now.saturating_sub(*since) < PATIENCE;
            if !waits {
                for (sort, times) in counts {
                    count(sort, name.as_ref(), *times);
                }
            }
            waits
        });
    }
}

#[cfg(test)]
mod tests {
    use recorder::audit::parse;

    use super::*;

    fn container(id: &str) -> Container {
        Container { pod: None, id: id.to_owned() }
    }

    fn sort(number: usize) -> Sort {
        let line = format!("1326 audit(1.1:1): pid=1 arch=c000003e syscall={number} code=0x50001");
        Sort::of(&parse(&line).unwrap()).unwrap()
    }

    fn settled(
        unnamed: &mut Unnamed,
        seconds: u64,
        known: &str,
    ) -> Vec<(Sort, Option<String>, u64)> {
        let name = |whose: &Container| {
            let name =
                Name { namespace: "shop".into(), pod: "cart-0".into(), container: "web".into() };
            (whose.id == known).then_some(name)
        };
        let mut settled = Vec::new();
        unnamed.settle(Duration::from_secs(seconds), name, |sort, name, times| {
            settled.push((sort.clone(), name.map(|name| name.container.clone()), times));
        });
        settled
    }

    #[test]
    fn they_are_counted_once_there_is_a_name_and_without_one_in_the_end() {
        let mut unnamed = Unnamed::default();
        for _ in 0..3 {
            assert!(unnamed.keep(&container("a"), sort(1), Duration::ZERO).is_none());
        }
        assert!(unnamed.keep(&container("b"), sort(1), Duration::from_secs(5)).is_none());
        assert!(settled(&mut unnamed, 9, "").is_empty());
        assert_eq!(settled(&mut unnamed, 9, "a"), [(sort(1), Some("web".into()), 3)]);
        assert!(settled(&mut unnamed, 14, "").is_empty());
        assert_eq!(settled(&mut unnamed, 15, ""), [(sort(1), None, 1)]);
        assert!(settled(&mut unnamed, 99, "b").is_empty(), "none is counted twice");
    }

    #[test]
    fn what_there_is_no_room_for_is_given_back() {
        let mut unnamed = Unnamed::default();
        for number in 0..SORTS {
            assert!(unnamed.keep(&container("0"), sort(number), Duration::ZERO).is_none());
        }
        assert_eq!(unnamed.keep(&container("0"), sort(SORTS), Duration::ZERO), Some(sort(SORTS)));
        assert!(unnamed.keep(&container("0"), sort(0), Duration::ZERO).is_none());
        for number in 1..CONTAINERS {
            let whose = container(&number.to_string());
            assert!(unnamed.keep(&whose, sort(0), Duration::ZERO).is_none());
        }
        assert!(unnamed.keep(&container("more"), sort(0), Duration::ZERO).is_some());
    }
}
