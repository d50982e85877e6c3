//! Decides the next change of the certificates and when it is due, from what is there; pure.
//!
//! A new authority is first only trusted, beside the old one. After an overlap the leaf is signed
//! by it; after another overlap, in which slow replicas may still serve the old leaf, the old
//! authority is no longer trusted.

use std::{collections::BTreeSet, time::SystemTime};

use crate::{
    lifetimes::{Life, Lifetimes},
    name::Name,
};

/// Tells one authority from another: the digest of its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub [u8; 32]);

/// An authority that clients are told to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    pub id: Id,
    pub life: Life,
    /// Whether its key is there.
    pub signs: bool,
}

/// The certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    pub issuer: Option<Id>,
    pub names: BTreeSet<Name>,
    pub life: Life,
}

/// All there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    pub authorities: Vec<Authority>,
    pub leaf: Option<Leaf>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    MakeAuthority,
    IssueLeaf { issuer: Id, names: BTreeSet<Name> },
    DropAuthority(Id),
}

/// Why a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no authority that can sign.
    NoAuthority,
    /// There is no leaf that anyone would accept.
    NoLeaf,
    /// The server goes by a name that the leaf lacks.
    NewName,
    /// Two thirds of the leaf's life are over.
    LeafAge,
    /// Two thirds of the authority's life are over.
    AuthorityAge,
    /// The newer authority has been trusted for long enough.
    OverlapOver,
    /// Nothing that the authority signed is in use.
    Unused,
}

/// A change and when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub at: SystemTime,
    pub step: Step,
    pub reason: Reason,
}

/// The change to be made next. One that is overdue has its time in the past.
///
/// There always is one: an authority that nothing else happens to gets old.
pub fn next(
    current: &Current,
    wanted: &BTreeSet<Name>,
    lifetimes: &Lifetimes,
    now: SystemTime,
) -> Due {
    let view = View { current, wanted, lifetimes, now };
    let authority = view.authority();
    let others = [view.leaf(), view.switch()].into_iter().flatten().chain(view.unused());
    others.fold(authority, |first, other| if other.at < first.at { other } else { first })
}

struct View<'a> {
    current: &'a Current,
    wanted: &'a BTreeSet<Name>,
    lifetimes: &'a Lifetimes,
    now: SystemTime,
}

impl<'a> View<'a> {
    fn signers(&self) -> impl Iterator<Item = &'a Authority> {
        let now = self.now;
        self.current.authorities.iter().filter(move |a| a.signs && a.life.end > now)
    }

    fn newest(&self) -> Option<&'a Authority> {
        self.signers().max_by_key(|authority| authority.life.made)
    }

    /// The leaf that is served and who signed it, when clients accept it.
    fn in_use(&self) -> Option<(&'a Leaf, &'a Authority)> {
        let leaf = self.current.leaf.as_ref().filter(|leaf| leaf.life.end > self.now)?;
        let issuer = self.current.authorities.iter().find(|a| Some(a.id) == leaf.issuer)?;
        (issuer.life.end > self.now).then_some((leaf, issuer))
    }

    fn authority(&self) -> Due {
        let (at, reason) = match self.newest() {
            Some(newest) => (newest.life.two_thirds(), Reason::AuthorityAge),
            None => (self.now, Reason::NoAuthority),
        };
        Due { at, step: Step::MakeAuthority, reason }
    }

    /// A leaf by the authority that signed the present one, or by any when there is none.
    fn leaf(&self) -> Option<Due> {
        let Some((leaf, issuer)) = self.in_use() else {
            let issuer = self.known_to_clients()?.id;
            let step = Step::IssueLeaf { issuer, names: self.wanted.clone() };
            return Some(Due { at: self.now, step, reason: Reason::NoLeaf });
        };
        if !issuer.signs {
            return None;
        }
        if !self.wanted.is_subset(&leaf.names) {
            // The names it has are kept: a replica of another version may want those, and the two
            // would take turns for ever.
            let names = self.wanted | &leaf.names;
            let step = Step::IssueLeaf { issuer: issuer.id, names };
            return Some(Due { at: self.now, step, reason: Reason::NewName });
        }
        // A leaf that ends with its issuer cannot be prolonged by it: its successor comes with
        // the next authority.
        (leaf.life.end < issuer.life.end).then(|| Due {
            at: leaf.life.two_thirds(),
            step: Step::IssueLeaf { issuer: issuer.id, names: self.wanted.clone() },
            reason: Reason::LeafAge,
        })
    }

    /// A leaf by the newest authority, once every client has heard of it.
    fn switch(&self) -> Option<Due> {
        let newest = self.newest()?;
        let (leaf, issuer) = self.in_use()?;
        if issuer.id == newest.id {
            return None;
        }
        let end = if issuer.signs { issuer.life.end } else { leaf.life.end };
        let left = end.duration_since(newest.life.made).unwrap_or_default();
        Some(Due {
            at: newest.life.made + self.lifetimes.overlap().min(left / 2),
            step: Step::IssueLeaf { issuer: newest.id, names: self.wanted.clone() },
            reason: Reason::OverlapOver,
        })
    }

    fn unused(&self) -> impl Iterator<Item = Due> {
        let in_use = self.in_use();
        let newest = self.newest().map(|newest| newest.id);
        self.current.authorities.iter().filter_map(move |authority| {
            let at = if authority.life.end <= self.now {
                authority.life.end
            } else {
                let (leaf, issuer) = in_use?;
                if authority.id == issuer.id || Some(authority.id) == newest {
                    return None;
                }
                leaf.life.made + self.lifetimes.overlap()
            };
            Some(Due { at, step: Step::DropAuthority(authority.id), reason: Reason::Unused })
        })
    }

    /// Of those that can sign, the newest that has been trusted for an overlap, else the oldest.
    fn known_to_clients(&self) -> Option<&'a Authority> {
        let overlap = self.lifetimes.overlap();
        self.signers()
            .filter(|authority| authority.life.made + overlap <= self.now)
            .max_by_key(|authority| authority.life.made)
            .or_else(|| self.signers().min_by_key(|authority| authority.life.made))
    }
}

#[cfg(test)]
mod tests;
