//! Who leads, by a Lease: what to do with it, and for how long what was done counts. Pure.
//!
//! Clocks of other machines are not trusted: a Lease has ended when nothing in it has changed here for as long as it says.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};

/// For how long others let a leader lead that says nothing.
pub const LEASE: Duration = Duration::from_secs(15);

/// For how long a leader leads after it has last been heard: less, so that a write that is under way then is over when
/// somebody else begins.
pub const TERM: Duration = Duration::from_secs(10);

/// How often a leader says that it leads, and others look whether somebody does.
pub(super) const RETRY: Duration = Duration::from_secs(2);

/// One who may lead.
#[derive(Debug)]
pub(super) struct Election {
    identity: String,
    /// What was last seen of the Lease, and when it was seen to be so.
    seen: Option<(Option<String>, LeaseSpec, Instant)>,
    /// When the request was sent by which we lead.
    renewed: Option<Instant>,
}

/// What has to be done with the Lease.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Deed {
    Create(Box<Lease>),
    /// It has the resource version that was looked at: of two who try, one succeeds.
    Replace(Box<Lease>),
    /// Somebody else leads.
    Wait,
}

impl Election {
    pub(super) fn new(identity: String) -> Self {
        Self { identity, seen: None, renewed: None }
    }

    /// What has to be done where this is the Lease.
    pub(super) fn look(
        &mut self,
        name: &str,
        lease: Option<&Lease>,
        now: Instant,
        wall: Timestamp,
    ) -> Deed {
        let Some(lease) = lease else {
            let mut new = Lease::default();
            new.metadata.name = Some(name.to_owned());
            new.spec = Some(self.spec(None, wall));
            return Deed::Create(Box::new(new));
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let version = &lease.metadata.resource_version;
        if self.seen.as_ref().is_none_or(|(seen, before, _)| seen != version || *before != spec) {
            self.seen = Some((version.clone(), spec.clone(), now));
        }
        if !self.is_free(&spec, now) {
            self.renewed = None;
            return Deed::Wait;
        }
        let mut next = lease.clone();
        next.spec = Some(self.spec(Some(spec), wall));
        Deed::Replace(Box::new(next))
    }

    /// What was to be done was done, by a request that was sent at this time.
    pub(super) fn won(&mut self, sent: Instant) {
        self.renewed = Some(sent);
    }

    /// Somebody else was faster.
    pub(super) fn lost(&mut self) {
        self.renewed = None;
    }

    /// Until when we lead.
    pub(super) fn leads_until(&self) -> Option<Instant> {
        Some(self.renewed? + TERM)
    }

    /// The Lease as it is given back.
    pub(super) fn release(&mut self, lease: &Lease, wall: Timestamp) -> Option<Box<Lease>> {
        self.renewed = None;
        let spec = lease.spec.as_ref()?;
        if spec.holder_identity.as_deref() != Some(&*self.identity) {
            return None;
        }
        let mut next = lease.clone();
        next.spec = Some(LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            renew_time: Some(MicroTime(wall)),
            ..spec.clone()
        });
        Some(Box::new(next))
    }

    fn is_free(&self, spec: &LeaseSpec, now: Instant) -> bool {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            return true;
        }
        let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = lasts.map_or(LEASE, Duration::from_secs);
        self.seen
            .as_ref()
            .is_some_and(|(_, _, since)| now.saturating_duration_since(*since) >= lasts)
    }

    fn spec(&self, before: Option<LeaseSpec>, wall: Timestamp) -> LeaseSpec {
        let before = before.unwrap_or_default();
        let goes_on = before.holder_identity.as_deref() == Some(&*self.identity);
        let acquired = before.acquire_time.clone().filter(|_| goes_on);
        let transitions = before.lease_transitions.unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            acquire_time: acquired.or(Some(MicroTime(wall))),
            renew_time: Some(MicroTime(wall)),
            lease_transitions: Some(if goes_on {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..before
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The API server: it takes a Lease only from who has seen the newest one.
    #[derive(Default)]
    struct Server {
        lease: Option<Lease>,
        version: u32,
    }

    impl Server {
        fn take(&mut self, deed: &Deed) -> bool {
            let new = match deed {
                Deed::Create(new) if self.lease.is_none() => new,
                Deed::Replace(new)
                    if self.lease.as_ref().map(|it| &it.metadata.resource_version)
                        == Some(&new.metadata.resource_version) =>
                {
                    new
                }
                _ => return false,
            };
            self.version += 1;
            let mut new = Lease::clone(new);
            new.metadata.resource_version = Some(self.version.to_string());
            self.lease = Some(new);
            true
        }

        fn holder(&self) -> Option<&str> {
            self.lease.as_ref()?.spec.as_ref()?.holder_identity.as_deref()
        }
    }

    fn turn(one: &mut Election, server: &mut Server, now: Instant, wall: Timestamp) -> bool {
        let deed = one.look("l", server.lease.as_ref(), now, wall);
        if deed == Deed::Wait {
            return false;
        }
        let done = server.take(&deed);
        if done {
            one.won(now);
        } else {
            one.lost();
        }
        done
    }

    fn leads(one: &Election, now: Instant) -> bool {
        one.leads_until().is_some_and(|until| now < until)
    }

    #[test]
    fn one_leads_until_it_has_said_nothing_for_as_long_as_the_lease_lasts() {
        let (mut a, mut b) = (Election::new("a".into()), Election::new("b".into()));
        let (mut server, start) = (Server::default(), Instant::now());
        // The clock of the one is an hour before the other's.
        let (wall, wrong) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(3600).unwrap());
        assert!(turn(&mut a, &mut server, start, wall));
        assert!(!turn(&mut b, &mut server, start, wrong));
        assert!(turn(&mut a, &mut server, start + SECOND * 5, wall));
        assert!(!turn(&mut b, &mut server, start + SECOND * 6, wrong));
        // From here on a is gone.
        assert!(!turn(&mut b, &mut server, start + SECOND * 20, wrong));
        assert!(!leads(&a, start + SECOND * 15), "it knows by itself that its time is over");
        assert!(turn(&mut b, &mut server, start + SECOND * 21, wrong));
        assert!(leads(&b, start + SECOND * 21) && server.holder() == Some("b"));
        let spec = server.lease.as_ref().unwrap().spec.clone().unwrap();
        assert_eq!(spec.lease_transitions, Some(2));
        // It comes back, and sees that it does not lead.
        assert!(!turn(&mut a, &mut server, start + SECOND * 22, wall));
        assert_eq!(a.leads_until(), None);
    }

    #[test]
    fn of_two_who_try_at_once_one_leads() {
        let (mut a, mut b) = (Election::new("a".into()), Election::new("b".into()));
        let (mut server, now, wall) = (Server::default(), Instant::now(), Timestamp::UNIX_EPOCH);
        let (of_a, of_b) = (a.look("l", None, now, wall), b.look("l", None, now, wall));
        assert!(server.take(&of_a) && !server.take(&of_b));
        let lease = server.lease.clone();
        let late = now + LEASE * 2;
        // Both have seen it for long enough.
        let mut c = Election::new("c".into());
        for one in [&mut b, &mut c] {
            assert_eq!(one.look("l", lease.as_ref(), now, wall), Deed::Wait);
        }
        let of_b = b.look("l", lease.as_ref(), late, wall);
        let of_c = c.look("l", lease.as_ref(), late, wall);
        assert!(server.take(&of_c) && !server.take(&of_b));
    }

    #[test]
    fn what_is_given_back_is_taken_at_once() {
        let (mut a, mut b) = (Election::new("a".into()), Election::new("b".into()));
        let (mut server, now, wall) = (Server::default(), Instant::now(), Timestamp::UNIX_EPOCH);
        assert!(turn(&mut a, &mut server, now, wall));
        assert!(!turn(&mut b, &mut server, now, wall));
        let lease = server.lease.clone().unwrap();
        assert_eq!(b.release(&lease, wall), None, "it is not b's to give");
        let released = a.release(&lease, wall).unwrap();
        assert!(server.take(&Deed::Replace(released)) && a.leads_until().is_none());
        assert!(turn(&mut b, &mut server, now + SECOND, wall));
    }
}
