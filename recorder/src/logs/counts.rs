//! How many records there were, whose they are, and what was lost: counted where they are read, looked at from anywhere.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    loss::Loss,
    origin::{Origin, Unknown},
};
use crate::audit::Record;

/// Counts that go on; a clone is the same ones.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    seccomp: AtomicU64,
    apparmor: AtomicU64,
    selinux: AtomicU64,
    in_containers: AtomicU64,
    on_host: AtomicU64,
    unknown: [AtomicU64; Unknown::ALL.len()],
    lost: [AtomicU64; Loss::NAMES.len()],
}

/// Counts as they were at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Records by what has written them.
    pub seccomp: u64,
    pub apparmor: u64,
    pub selinux: u64,
    /// Records by whose they are.
    pub in_containers: u64,
    pub on_host: u64,
    pub unknown: Vec<(Unknown, u64)>,
    /// Lines that are missing, at least so many, by [`Loss::name`]; what is zero is left out.
    pub lost: Vec<(&'static str, u64)>,
}

impl Counts {
    /// Counts a record by what has written it and by whose it is.
    pub fn take(&self, record: &Record<'_>, origin: &Origin) {
        let of = match record {
            Record::Seccomp(_) => &self.0.seccomp,
            Record::AppArmor(_) => &self.0.apparmor,
            Record::Selinux(_) => &self.0.selinux,
            Record::Lost(_) | Record::LostInAll(_) => return,
        };
        of.fetch_add(1, Relaxed);
        let whose = match origin {
            Origin::Known(place) if place.container.is_some() => &self.0.in_containers,
            Origin::Known(_) => &self.0.on_host,
            Origin::Unknown(why) => &self.0.unknown[*why as usize],
        };
        whose.fetch_add(1, Relaxed);
    }

    /// Counts what is missing.
    pub fn lose(&self, loss: Loss) {
        let places = Loss::NAMES.iter().zip(&self.0.lost);
        for (_, lost) in places.filter(|(name, _)| **name == loss.name()) {
            lost.fetch_add(loss.lines(), Relaxed);
        }
    }

    /// The counts of now.
    pub fn now(&self) -> Counted {
        let Shared { seccomp, apparmor, selinux, in_containers, on_host, unknown, lost } = &*self.0;
        let some = |count: &AtomicU64| Some(count.load(Relaxed)).filter(|count| *count > 0);
        Counted {
            seccomp: seccomp.load(Relaxed),
            apparmor: apparmor.load(Relaxed),
            selinux: selinux.load(Relaxed),
            in_containers: in_containers.load(Relaxed),
            on_host: on_host.load(Relaxed),
            unknown: Unknown::ALL
                .into_iter()
                .zip(unknown)
                .filter_map(|(why, count)| Some((why, some(count)?)))
                .collect(),
            lost: Loss::NAMES
                .into_iter()
                .zip(lost)
                .filter_map(|(name, count)| Some((name, some(count)?)))
                .collect(),
        }
    }
}

impl Counted {
    /// All records.
    pub fn records(&self) -> u64 {
        self.seccomp + self.apparmor + self.selinux
    }

    /// Lines that are missing, at least so many.
    pub fn lost_in_all(&self) -> u64 {
        self.lost.iter().map(|(_, lines)| lines).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::parse;

    #[test]
    fn every_record_is_counted_once_by_kind_and_once_by_origin() {
        let counts = Counts::default();
        let line = "1326 audit(1.1:1): pid=1 arch=c000003e syscall=0 code=0x7ffc0000";
        let record = parse(line).unwrap();
        for why in Unknown::ALL {
            counts.take(&record, &Origin::Unknown(why));
        }
        counts.take(&record, &Origin::Known(Arc::default()));
        for loss in [Loss::Overrun, Loss::Dropped(10), Loss::Long, Loss::Cut] {
            counts.lose(loss);
        }
        let counted = counts.now();
        assert_eq!(counted.unknown, Unknown::ALL.map(|why| (why, 1)));
        assert_eq!((counted.on_host, counted.in_containers), (1, 0));
        assert_eq!(counted.records(), 6);
        assert_eq!(counted.lost, [("overrun", 1), ("dropped", 10), ("long", 1), ("cut", 1)]);
        assert_eq!(counted.lost_in_all(), 13);
    }
}
