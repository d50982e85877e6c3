//! An API server of a few lines: objects with resource versions, optimistic concurrency, watches.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, channel::mpsc, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::sync::Barrier;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Api(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    version: u64,
    /// By path.
    objects: BTreeMap<String, Value>,
    /// Version, path of the collection, event.
    events: Vec<(u64, String, Value)>,
    watches: Vec<mpsc::UnboundedSender<(String, Value)>>,
    refuse_watches: bool,
    /// Writes, by method, and how they went.
    writes: Vec<(Method, StatusCode)>,
    /// Readers of an object wait for each other.
    meeting: Option<Arc<Barrier>>,
    /// What someone else does just after the next read.
    meddling: Option<(String, Value)>,
}

impl Api {
    pub(crate) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        Client::new(service, "default")
    }

    pub(crate) fn put(&self, path: &str, object: Value) {
        self.with(|state| state.store(path, object));
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.with(|state| state.objects.get(path).cloned())
    }

    pub(crate) fn writes(&self) -> Vec<(Method, StatusCode)> {
        self.with(|state| state.writes.clone())
    }

    /// The next `readers` reads of an object are answered together.
    pub(crate) fn meet(&self, readers: usize) {
        self.with(|state| state.meeting = Some(Arc::new(Barrier::new(readers))));
    }

    pub(crate) fn meddle_after_next_read(&self, path: &str, object: Value) {
        self.with(|state| state.meddling = Some((path.to_owned(), object)));
    }

    /// Ends all watches, and refuses new ones until told otherwise.
    pub(crate) fn refuse_watches(&self, refuse: bool) {
        self.with(|state| {
            state.refuse_watches = refuse;
            state.watches.clear();
        });
    }

    pub(crate) fn watched(&self) -> usize {
        self.with(|state| {
            state.watches.retain(|watch| !watch.is_closed());
            state.watches.len()
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("the body is in memory").to_bytes();
        let path = head.uri.path().to_owned();
        let query = head.uri.query().unwrap_or_default().to_owned();
        let collection = path.ends_with("/secrets") || path.ends_with("configurations");
        if head.method == Method::GET && collection && query.contains("watch=true") {
            return self.with(|state| state.watch(&path, &query));
        }
        if head.method == Method::GET && !collection {
            let found = self.get(&path);
            if let Some(meeting) = self.with(|state| state.meeting.clone()) {
                meeting.wait().await;
                self.with(|state| state.meeting = None);
            }
            if let Some((path, object)) = self.with(|state| state.meddling.take()) {
                self.put(&path, object);
            }
            return found
                .as_ref()
                .map_or_else(|| refusal(StatusCode::NOT_FOUND, "NotFound"), answer);
        }
        if head.method == Method::GET {
            return self.with(|state| answer(&state.list(&path, &query)));
        }
        let kind = head.headers.get("content-type").and_then(|kind| kind.to_str().ok());
        let answer = self.with(|state| match head.method {
            Method::POST => state.create(&path, &body),
            _ => state.patch(&path, kind.unwrap_or_default(), &body),
        });
        self.with(|state| state.writes.push((head.method, answer.status())));
        answer
    }
}

impl State {
    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let kind = if self.objects.contains_key(path) { "MODIFIED" } else { "ADDED" };
        let (collection, name) = path.rsplit_once('/').expect("a path has parts");
        object["metadata"]["name"] = json!(name);
        self.objects.insert(path.to_owned(), object.clone());
        let event = json!({ "type": kind, "object": object });
        self.events.push((self.version, collection.to_owned(), event.clone()));
        self.watches
            .retain(|watch| watch.unbounded_send((collection.to_owned(), event.clone())).is_ok());
        object
    }

    fn create(&mut self, path: &str, body: &[u8]) -> Answer {
        let object: Value = serde_json::from_slice(body).expect("kube sends JSON");
        let name = object["metadata"]["name"].as_str().expect("the object has a name");
        let path = format!("{path}/{name}");
        if self.objects.contains_key(&path) {
            return refusal(StatusCode::CONFLICT, "AlreadyExists");
        }
        answer(&self.store(&path, object))
    }

    fn patch(&mut self, path: &str, kind: &str, body: &[u8]) -> Answer {
        let Some(mut object) = self.objects.get(path).cloned() else {
            return refusal(StatusCode::NOT_FOUND, "NotFound");
        };
        if kind == "application/json-patch+json" {
            let changes: json_patch::Patch = serde_json::from_slice(body).expect("a patch");
            if json_patch::patch(&mut object, &changes).is_err() {
                return refusal(StatusCode::UNPROCESSABLE_ENTITY, "Invalid");
            }
        } else {
            let merge: Value = serde_json::from_slice(body).expect("kube sends JSON");
            let from = &merge["metadata"]["resourceVersion"];
            if !from.is_null() && *from != object["metadata"]["resourceVersion"] {
                return refusal(StatusCode::CONFLICT, "Conflict");
            }
            json_patch::merge(&mut object, &merge);
        }
        answer(&self.store(path, object))
    }

    fn list(&self, path: &str, query: &str) -> Value {
        let items = self.objects.iter().filter(|(at, object)| {
            at.rsplit_once('/').is_some_and(|(collection, _)| collection == path)
                && selected(object, query)
        });
        let items: Vec<_> = items.map(|(_, object)| object).collect();
        let version = self.version.to_string();
        json!({ "metadata": { "resourceVersion": version }, "items": items })
    }

    fn watch(&mut self, path: &str, query: &str) -> Answer {
        if self.refuse_watches {
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
        }
        let from: u64 =
            parameter(query, "resourceVersion").and_then(|from| from.parse().ok()).unwrap_or(0);
        let past: Vec<_> = self
            .events
            .iter()
            .filter(|(version, ..)| *version > from)
            .map(|(_, collection, event)| (collection.clone(), event.clone()))
            .collect();
        let (sender, live) = mpsc::unbounded();
        self.watches.push(sender);
        let (path, query) = (path.to_owned(), query.to_owned());
        let events = stream::iter(past).chain(live).filter_map(move |(collection, event)| {
            let wanted = collection == path && selected(&event["object"], &query);
            std::future::ready(wanted.then(|| format!("{event}\n").into()))
        });
        Response::new(body(events))
    }
}

fn selected(object: &Value, query: &str) -> bool {
    let selector = parameter(query, "fieldSelector").unwrap_or_default();
    let name = selector.strip_prefix("metadata.name%3D");
    name.is_none_or(|name| object["metadata"]["name"] == name)
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn answer(object: &Value) -> Answer {
    Response::new(body(stream::iter([object.to_string().into()])))
}

fn refusal(code: StatusCode, reason: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": code.as_u16(),
    });
    let mut refusal = answer(&status);
    *refusal.status_mut() = code;
    refusal
}

fn body(parts: impl Stream<Item = Bytes> + Send + 'static) -> UnsyncBoxBody<Bytes, Infallible> {
    StreamBody::new(parts.map(|part| Ok(Frame::data(part)))).boxed_unsync()
}
