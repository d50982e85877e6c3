//! A namespace of its own for one test, and what a user does in it.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, Asker},
    object,
    until::until,
};

/// Switches binding on for a namespace.
pub const BINDING: &str = "spo.x-k8s.io/enable-binding";
/// Switches recording on for a namespace.
pub const RECORDING: &str = "spo.x-k8s.io/enable-recording";

const LIMIT: Duration = Duration::from_secs(20);

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A number that no other call returns.
pub fn unique() -> u32 {
    COUNT.fetch_add(1, Ordering::Relaxed)
}

#[derive(Debug, Clone)]
pub struct Namespace {
    pub name: String,
    labels: Value,
    asker: Asker,
}

impl Namespace {
    /// Makes a namespace with these labels, and the service account that pods run as.
    pub async fn new(asker: &Asker, labels: &[(&str, &str)]) -> Result<Self> {
        let labels: Value =
            labels.iter().map(|(key, value)| (key.to_string(), json!(value))).collect();
        let namespace = Self { name: format!("test-{}", unique()), labels, asker: asker.clone() };
        namespace
            .create_object(&json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": { "name": namespace.name, "labels": namespace.labels },
            }))
            .await?
            .granted()?;
        namespace.add_service_account().await?;
        Ok(namespace)
    }

    /// One that the API server makes itself, with these labels added.
    pub async fn adopt(asker: &Asker, name: &str, labels: &[(&str, &str)]) -> Result<Self> {
        let labels = labels.iter().map(|(key, value)| (key.to_string(), json!(value)));
        let namespace =
            Self { name: name.to_owned(), labels: labels.collect(), asker: asker.clone() };
        namespace.add_service_account().await?;
        let patch = json!({ "metadata": { "labels": namespace.labels } });
        let at = format!("/api/v1/namespaces/{name}");
        asker.ask("PATCH", &at, Some(&patch)).await?.granted()?;
        Ok(namespace)
    }

    /// Without it no pod is admitted, and not every cluster of ours has a controller that makes it.
    async fn add_service_account(&self) -> Result<()> {
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default" },
        });
        let answer = self.create_object(&account).await?;
        if answer.status != StatusCode::CONFLICT {
            answer.granted()?;
        }
        Ok(())
    }

    /// Whether the webhook is switched on by this label, as the namespace was made.
    pub fn switches_on(&self, label: &str) -> bool {
        self.labels.get(label).is_some_and(|value| value != "false")
    }

    /// Changes labels; `None` takes one away.
    pub async fn label(&self, label: &str, value: Option<&str>) -> Result<()> {
        let patch = json!({ "metadata": { "labels": { label: value } } });
        let at = format!("/api/v1/namespaces/{}", self.name);
        self.asker.ask("PATCH", &at, Some(&patch)).await?.granted()?;
        Ok(())
    }

    /// Creates the one object in a YAML text, and returns the answer as it is.
    pub async fn create(&self, yaml: &str) -> Result<Answer> {
        self.create_object(&object::parse_one(yaml)?).await
    }

    /// Creates all objects in a YAML text.
    pub async fn apply(&self, yaml: &str) -> Result<()> {
        for object in object::parse(yaml)? {
            self.create_object(&object)
                .await?
                .granted()
                .with_context(|| format!("cannot create {object}"))?;
        }
        Ok(())
    }

    /// Creates an object, and returns the answer as it is.
    pub async fn create_object(&self, object: &Value) -> Result<Answer> {
        let at = object::collection(object, &self.name)?;
        self.asker.ask("POST", &at, Some(object)).await
    }

    /// Has the API server do all but keep the object.
    pub async fn dry_run(&self, object: &Value) -> Result<Answer> {
        let at = object::collection(object, &self.name)?;
        self.asker.ask("POST", &format!("{at}?dryRun=All"), Some(object)).await
    }

    /// Reads an object of which version, kind and name are known.
    pub async fn get(&self, api_version: &str, kind: &str, name: &str) -> Result<Option<Value>> {
        let object = named(api_version, kind, name);
        let answer = self.asker.ask("GET", &object::location(&object, &self.name)?, None).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => answer.granted().map(Some),
        }
    }

    /// All objects of a kind.
    pub async fn list(&self, api_version: &str, kind: &str) -> Result<Vec<Value>> {
        let at = object::collection(&named(api_version, kind, ""), &self.name)?;
        let list = self.asker.ask("GET", &at, None).await?.granted()?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Changes an object by a merge patch.
    pub async fn patch(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Answer> {
        let at = object::location(&named(api_version, kind, name), &self.name)?;
        self.asker.ask("PATCH", &at, Some(patch)).await
    }

    /// Writes the status of an object, as its controller would.
    pub async fn set_status(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
        status: &Value,
    ) -> Result<()> {
        let at = object::location(&named(api_version, kind, name), &self.name)?;
        let patch = json!({ "status": status });
        self.asker.ask("PATCH", &format!("{at}/status"), Some(&patch)).await?.granted()?;
        Ok(())
    }

    /// Adds ephemeral containers to a pod, as `kubectl debug` does.
    pub async fn debug(&self, pod: &str, containers: &Value) -> Result<Answer> {
        let at = format!("/api/v1/namespaces/{}/pods/{pod}", self.name);
        let patch = json!({ "spec": { "ephemeralContainers": containers } });
        self.asker.ask("PATCH", &format!("{at}/ephemeralcontainers"), Some(&patch)).await
    }

    /// Deletes an object and waits until it is gone.
    pub async fn delete(&self, api_version: &str, kind: &str, name: &str) -> Result<()> {
        let object = named(api_version, kind, name);
        let at = format!("{}?gracePeriodSeconds=0", object::location(&object, &self.name)?);
        self.asker.ask("DELETE", &at, None).await?.granted()?;
        until(&format!("{kind} {name} is gone"), LIMIT, async || {
            Ok(self.get(api_version, kind, name).await?.is_none().then_some(()))
        })
        .await
    }
}

fn named(api_version: &str, kind: &str, name: &str) -> Value {
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name } })
}
