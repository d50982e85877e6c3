//! Since when the API server has not been heard, by kind.
//!
//! A watch that resumes says nothing until something changes, so the responses themselves are looked at.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::time::Instant;
use tower::{Layer, Service};

/// What a source of objects has to say of itself.
pub trait Health: Send + Sync + std::fmt::Debug {
    /// For each kind of object or folder: for how many seconds nothing has been heard, zero while all is well.
    fn ages(&self) -> Vec<(&'static str, u64)>;
}

/// For each kind, since when its watch is lost.
#[derive(Debug)]
pub struct Contact {
    started: Instant,
    state: Mutex<BTreeMap<&'static str, State>>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Never,
    Good,
    LostAt(Instant),
}

impl Contact {
    /// Nothing heard yet of any of these kinds, named as in the API (`SeccompProfile`).
    pub fn new(kinds: impl IntoIterator<Item = &'static str>) -> Self {
        let state = kinds.into_iter().map(|kind| (kind, State::Never)).collect();
        Self { started: Instant::now(), state: Mutex::new(state) }
    }

    /// A watch has failed.
    pub fn lost(&self, kind: &'static str) {
        let mut states = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state @ State::Good) = states.get_mut(kind) {
            *state = State::LostAt(Instant::now());
        }
    }

    /// A list or watch was answered.
    fn heard(&self, path: &str) {
        let plural = path.rsplit('/').next().unwrap_or_default();
        let singular = plural.strip_suffix('s').unwrap_or_default();
        let mut states = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, state) in states.iter_mut() {
            // There are kinds whose names are plural already.
            if kind.eq_ignore_ascii_case(singular) || kind.eq_ignore_ascii_case(plural) {
                *state = State::Good;
            }
        }
    }
}

impl Health for Contact {
    fn ages(&self) -> Vec<(&'static str, u64)> {
        let states = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |state: &State| match state {
            State::Good => 0,
            State::Never => self.started.elapsed().as_secs(),
            // Lost is lost, also within the first second.
            State::LostAt(at) => at.elapsed().as_secs().max(1),
        };
        states.iter().map(|(kind, state)| (*kind, age(state))).collect()
    }
}

/// Tells a [`Contact`] of every good response.
#[derive(Clone, Debug)]
pub struct ContactLayer(pub Arc<Contact>);

impl<S> Layer<S> for ContactLayer {
    type Service = Heard<S>;

    fn layer(&self, inner: S) -> Heard<S> {
        Heard { inner, contact: Arc::clone(&self.0) }
    }
}

/// A client that tells a [`Contact`].
#[derive(Clone, Debug)]
pub struct Heard<S> {
    inner: S,
    contact: Arc<Contact>,
}

impl<S, B, R> Service<Request<B>> for Heard<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let contact = Arc::clone(&self.contact);
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            if response.status().is_success() {
                contact.heard(&path);
            }
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn age_counts_from_the_loss_until_the_next_answer() {
        let contact = Contact::new(["SeccompProfile", "Namespace", "ProfileBinding"]);
        let age = |kind: &str| contact.ages().into_iter().find(|(k, _)| *k == kind).unwrap().1;
        contact.heard("/apis/security-profiles-operator.x-k8s.io/v1/seccompprofiles");
        contact.heard("/api/v1/namespaces");
        assert_eq!((age("SeccompProfile"), age("Namespace")), (0, 0));
        contact.lost("SeccompProfile");
        tokio::time::advance(std::time::Duration::from_secs(7)).await;
        contact.lost("SeccompProfile");
        assert_eq!((age("SeccompProfile"), age("Namespace")), (7, 0));
        assert_eq!(age("ProfileBinding"), 7, "never heard since the start");
        contact.heard("/apis/security-profiles-operator.x-k8s.io/v1/seccompprofiles");
        assert_eq!(age("SeccompProfile"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_whose_name_is_plural_is_heard_as_well() {
        let contact = Contact::new(["NodeSecurityProfiles"]);
        tokio::time::advance(std::time::Duration::from_secs(3)).await;
        assert_eq!(contact.ages(), [("NodeSecurityProfiles", 3)]);
        contact.heard("/apis/security-profiles-operator.x-k8s.io/v1/nodesecurityprofiles");
        assert_eq!(contact.ages(), [("NodeSecurityProfiles", 0)]);
    }
}
