//! The webhook as the API server knows it: `fixtures/registration.yaml`, filled in.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::object;

/// One path for binding and recording.
pub const ONE_PATH: &str = include_str!("../fixtures/registration.yaml");
/// A path each, as manifests of the Security Profiles Operator have them.
pub const TWO_PATHS: &str = include_str!("../fixtures/registration-two-paths.yaml");

/// Namespaces with this label are left to registrations of their own.
pub const OWN_REGISTRATION: &str = "tests/own-registration";

/// Which namespaces a registration is for.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// All that have no registration of their own.
    Shared,
    /// This one.
    Only(&'a str),
}

/// A `MutatingWebhookConfiguration` to be.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    pub fixture: &'a str,
    pub name: &'a str,
    pub address: SocketAddr,
    /// The authority of the replicas behind the address, as PEM.
    pub ca: &'a str,
    pub failure_policy: &'a str,
    pub scope: Scope<'a>,
}

impl Registration<'_> {
    /// What to send to the API server.
    pub fn object(&self) -> Result<Value> {
        let Self { fixture, name, address, ca, failure_policy, scope } = *self;
        let mut object =
            object::parse_one(&fixture.replace("127.0.0.1:PORT", &address.to_string()))?;
        object["metadata"]["name"] = json!(name);
        for webhook in object["webhooks"].as_array_mut().context("no webhooks")? {
            webhook["clientConfig"]["caBundle"] = json!(BASE64_STANDARD.encode(ca));
            webhook["failurePolicy"] = json!(failure_policy);
            let selector = &mut webhook["namespaceSelector"]["matchExpressions"];
            selector.as_array_mut().context("no namespaceSelector")?.push(match scope {
                Scope::Shared => json!({ "key": OWN_REGISTRATION, "operator": "DoesNotExist" }),
                Scope::Only(namespace) => json!({
                    "key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace],
                }),
            });
        }
        Ok(object)
    }
}
