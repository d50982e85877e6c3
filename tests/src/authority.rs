//! A certificate authority for one cluster, and the identities that it vouches for.

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};

use crate::answer::Asker;

/// Signs the certificates of servers and clients.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// Somebody whom the API server knows: where it is, whom to trust, who is asking.
#[derive(Debug, Clone)]
pub struct Identity {
    url: String,
    authority: String,
    proof: Proof,
}

/// How somebody shows who they are.
#[derive(Debug, Clone)]
enum Proof {
    Certificate(Pair),
    Token(String),
}

impl Authority {
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)
            .context("cannot make a certificate authority")?;
        Ok(Self { issuer })
    }

    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// A pair for a server with these names and addresses.
    pub fn server(&self, names: &[&str]) -> Result<Pair> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// Somebody who asks the API server at `url`.
    pub fn identity(&self, url: &str, user: &str, groups: &[&str]) -> Result<Identity> {
        let proof = Proof::Certificate(self.client(user, groups)?);
        Ok(Identity { url: url.to_owned(), authority: self.certificate(), proof })
    }

    /// A pair for somebody who asks.
    pub fn client(&self, user: &str, groups: &[&str]) -> Result<Pair> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        for &group in groups {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer).context("cannot sign")?;
        Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

impl Identity {
    /// The same identity, which asks at another address.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// Whoever has this token, at the same address.
    #[must_use]
    pub fn with_token(&self, token: String) -> Self {
        Self { proof: Proof::Token(token), ..self.clone() }
    }

    /// What a kubeconfig file for it holds; JSON is YAML.
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig_value().to_string()
    }

    /// Never asks twice by itself: tests want to see each answer.
    pub async fn asker(&self) -> Result<Asker> {
        let kubeconfig = Kubeconfig::from_yaml(&self.kubeconfig())?;
        let mut config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        Ok(Asker::new(Client::try_from(config)?))
    }

    fn kubeconfig_value(&self) -> Value {
        let user = match &self.proof {
            Proof::Certificate(Pair { certificate, key }) => json!({
                "client-certificate-data": BASE64_STANDARD.encode(certificate),
                "client-key-data": BASE64_STANDARD.encode(key),
            }),
            Proof::Token(token) => json!({ "token": token }),
        };
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "tests", "cluster": {
                "server": self.url,
                "certificate-authority-data": BASE64_STANDARD.encode(&self.authority),
            }}],
            "users": [{ "name": "user", "user": user }],
            "contexts": [{ "name": "tests", "context": { "cluster": "tests", "user": "user" }}],
            "current-context": "tests",
        })
    }
}
