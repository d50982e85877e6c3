//! Do replicas keep one certificate for all of them, and the API server's trust in it?

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tests::{
    load::Load,
    namespace::BINDING,
    object,
    registration::{ONE_PATH, Registration, Scope},
    service::Service,
    settled::registered,
    until::until,
    webhook::{Source, Webhook},
};

use crate::{
    questions,
    shared::{Shared, reader},
    write::{binding, context, create, pod, profile},
};

questions![no_review_fails_while_two_replicas_renew_a_certificate_in_a_secret];

const RIGHTS: &str = include_str!("../../fixtures/rights-certificates.yaml");
const KIND: &str = "SeccompProfile";
const IMAGE: &str = "nginx:1.19.1";
const SECRET: &str = "cinch-webhook-tls";
const LIMIT: Duration = Duration::from_mins(2);

/// Of the authority: all of it is seen, with several leaves, while the question is asked.
const CA_LIFETIME: &str = "--ca-lifetime=36s";
const CERT_LIFETIME: &str = "--cert-lifetime=12s";

async fn no_review_fails_while_two_replicas_renew_a_certificate_in_a_secret(
    shared: &Shared,
) -> Result<()> {
    let namespace = shared.own(&[(BINDING, "true")]).await?;
    let name = &namespace.name;
    create(&namespace, &[profile(KIND, name), binding("b", KIND, name, IMAGE, &json!({}))]).await?;
    let configuration = format!("cinch-{name}");
    let user = format!("cinch-webhook-{name}");
    let identity = reader(&shared.cluster, &user).await?;
    let rights = RIGHTS
        .replace("NAMESPACE", name)
        .replace("USER", &user)
        .replace("CONFIGURATION", &configuration);
    for object in object::parse(&rights)? {
        namespace.create_object(&object).await?.granted()?;
    }
    let kubeconfig = shared.cluster.kubeconfig(&user, &identity)?;

    // Whom to trust is left open: that is the replicas' work.
    let service = Service::start().await?;
    let mut registration = Registration {
        fixture: ONE_PATH,
        name: &configuration,
        address: service.address,
        ca: "",
        failure_policy: "Fail",
        scope: Scope::Only(name),
    }
    .object()?;
    for webhook in registration["webhooks"].as_array_mut().context("no webhooks")? {
        webhook["clientConfig"].as_object_mut().context("no clientConfig")?.remove("caBundle");
    }
    shared.cluster.create(&registration).await?;

    let secret = format!("--certs-secret={name}/{SECRET}");
    let bundle = format!("--webhook-configuration={configuration}");
    let flags = [&*secret, &*bundle, CA_LIFETIME, CERT_LIFETIME];
    let source = Source::Cluster(&kubeconfig);
    let (one, other) = (shared.cluster.new_folder()?, shared.cluster.new_folder()?);
    let (first, second) = tokio::join!(
        Webhook::start_with(&one, source, &flags),
        Webhook::start_with(&other, source, &flags)
    );
    let webhooks = [first?, second?];
    for webhook in &webhooks {
        service.add(webhook).await?;
    }
    registered(&namespace).await?;

    let bundle = async || -> Result<String> {
        let at = format!("/api/v1/namespaces/{name}/secrets/{SECRET}");
        let secret = shared.cluster.asker().ask("GET", &at, None).await?.granted()?;
        let ca = secret["data"]["ca.crt"].as_str().context("no ca.crt")?;
        Ok(String::from_utf8(BASE64_STANDARD.decode(ca)?)?)
    };
    let certificates = |bundle: &str| bundle.matches("BEGIN CERTIFICATE").count();
    let first_bundle = bundle().await?;
    assert_eq!(certificates(&first_bundle), 1, "two that start together make one authority");

    let unnamed = pod(
        &json!({ "generateName": "load-" }),
        &json!({ "containers": [{ "name": "main", "image": IMAGE }] }),
    );
    let load = Load::start(&namespace, &unnamed, 2);
    until("old and new authority are trusted side by side", LIMIT, async || {
        Ok((certificates(&bundle().await?) == 2).then_some(()))
    })
    .await?;
    until("the first authority is gone", LIMIT, async || {
        let known = bundle().await?;
        Ok((certificates(&known) == 1 && known != first_bundle).then_some(()))
    })
    .await?;
    let goal = load.granted() + 30;
    until("the load goes on", LIMIT, async || Ok((load.granted() >= goal).then_some(()))).await?;

    let bound = context(KIND, name);
    let answers = load.end().await?;
    ensure!(answers.len() > 100, "only {} reviews", answers.len());
    for answer in answers {
        let pod: Value = answer.granted()?;
        assert_eq!(pod.pointer("/spec/containers/0/securityContext"), Some(&bound));
    }
    for webhook in &webhooks {
        let taken = webhook.gauge("certificates_taken").await?;
        ensure!(taken >= 4.0, "a replica took only {taken} pairs into use");
    }
    Ok(())
}
