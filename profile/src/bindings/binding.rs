//! One binding, compiled from its object. Pure.

use std::cmp::Ordering;

use super::{Outcome, Target, rank_reason};
use crate::{
    glob::Glob,
    image::{Class, ImageError, Pattern},
    kinds::{Override, ProfileBinding, ProfileKind, WhenMissing, WhenNotReady},
    mechanism::Mechanism,
    selector::{Labels, Selector, SelectorError},
};

/// A valid binding, ready to be matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub name: Box<str>,
    pub kind: ProfileKind,
    pub profile: Box<str>,
    pub image: Pattern,
    /// None also for a selector without requirements: it narrows nothing.
    pub selector: Option<Selector>,
    /// Empty for all containers.
    pub containers: Box<[Glob]>,
    pub overriding: Override,
    pub when_missing: WhenMissing,
    pub when_not_ready: WhenNotReady,
}

/// Why a binding cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    #[error("spec.image {image:?}: {error}")]
    Image { image: String, error: ImageError },
    #[error("spec.podSelector: {0}")]
    Selector(SelectorError),
    #[error("spec.profileRef.name must not be empty")]
    NoProfile,
}

impl Binding {
    /// Compiles a binding's spec.
    ///
    /// # Errors
    /// When its image is no pattern, its selector means nothing or it names no profile.
    pub fn new(object: &ProfileBinding) -> Result<Self, BindingError> {
        let spec = &object.spec;
        let image = Pattern::parse(&spec.image)
            .map_err(|error| BindingError::Image { image: spec.image.clone(), error })?;
        let selector = spec.pod_selector.as_ref().map(Selector::new).transpose();
        let selector = selector.map_err(BindingError::Selector)?.filter(|s| !s.is_empty());
        if spec.profile_ref.name.is_empty() {
            return Err(BindingError::NoProfile);
        }
        let overriding = spec.override_.unwrap_or_else(|| match image.class() {
            Class::Wildcard => Override::IfUnset,
            Class::Digest | Class::Tag | Class::Glob => Override::Always,
        });
        Ok(Self {
            name: object.metadata.name.as_deref().unwrap_or_default().into(),
            kind: spec.profile_ref.kind,
            profile: (*spec.profile_ref.name).into(),
            image,
            selector,
            containers: spec.containers.iter().flatten().map(|name| Glob::new(name)).collect(),
            overriding,
            when_missing: spec.when_missing,
            when_not_ready: spec.when_not_ready,
        })
    }

    /// What it confines a container with.
    pub fn mechanism(&self) -> Mechanism {
        Mechanism::of(self.kind)
    }

    /// Whether it matches a container, leaving others aside.
    pub fn matches<L: Labels>(&self, target: &Target<'_, L>) -> bool {
        self.image.matches(target.image) && self.selects(target) && self.lists(target.container)
    }

    /// The order of rank: what wins comes first.
    pub fn compare_rank(&self, other: &Self) -> Ordering {
        let image = self.image.compare_rank(&other.image);
        // false comes before true.
        let selector = self.selector.is_none().cmp(&other.selector.is_none());
        image.then(selector).then_with(|| self.name.cmp(&other.name))
    }

    pub(super) fn outcome<'a, L: Labels>(
        &self,
        target: &Target<'_, L>,
        winner: Option<&'a Self>,
    ) -> Outcome<'a> {
        match winner {
            _ if !self.image.matches(target.image) => Outcome::OtherImage,
            _ if !self.selects(target) => Outcome::OtherPod,
            _ if !self.lists(target.container) => Outcome::OtherContainer,
            Some(winner) if winner.name != self.name => {
                Outcome::Outranked(winner, rank_reason(winner, self))
            }
            _ => Outcome::Wins,
        }
    }

    fn selects<L: Labels>(&self, target: &Target<'_, L>) -> bool {
        self.selector.as_ref().is_none_or(|selector| selector.matches(target.labels))
    }

    fn lists(&self, container: &str) -> bool {
        self.containers.is_empty() || self.containers.iter().any(|glob| glob.matches(container))
    }
}
