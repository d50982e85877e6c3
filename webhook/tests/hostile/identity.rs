//! Who may send reviews: a bearer token, a client certificate.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rstest::rstest;

use crate::{
    client::{Client, JSON, PATH, head, post},
    reviews::SMALL,
    server::{Identity, Server, Setup},
};

#[rstest]
#[case::missing(None)]
#[case::wrong(Some("Bearer secret2"))]
#[case::longer(Some("Bearer secret, secret"))]
#[case::empty(Some("Bearer "))]
#[case::other_scheme(Some("Basic secret"))]
#[case::bare(Some("secret"))]
#[tokio::test]
async fn without_the_token_a_review_is_refused_unread(#[case] shown: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let server = with_token(&folder).await;
    let mut client = server.connect().await;
    // Of the body nothing is sent: nothing of it may be waited for.
    let mut headers = vec![JSON, ("Content-Length", "100000")];
    headers.extend(shown.map(|shown| ("Authorization", shown)));
    client.send(head("POST", PATH, &headers)).await.unwrap();
    client.response().await.says(401, "a bearer token of the API server is needed");
    good_with_token(&server).await;
}

async fn with_token(folder: &tempfile::TempDir) -> Server {
    let token = folder.path().join("token");
    std::fs::write(&token, "secret\n").unwrap();
    Setup { token: Some(token), ..Setup::default() }.start().await
}

async fn good_with_token(server: &Server) {
    let mut client = server.connect().await;
    let request = post(PATH, &[JSON, ("Authorization", "Bearer secret")], SMALL);
    client.send(request).await.unwrap();
    assert!(client.response().await.verdict().patch.is_some());
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn identity(authority: &CertifiedIssuer<'static, KeyPair>) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, authority).unwrap().pem();
    Identity { certificate, key: key.serialize_pem() }
}

#[tokio::test]
async fn without_a_client_certificate_of_the_authority_there_is_no_connection() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("client-ca.crt");
    let (ours, theirs) = (authority(), authority());
    std::fs::write(&ca, ours.pem()).unwrap();
    let server = Setup { client_ca: Some(ca), ..Setup::default() }.start().await;
    let good = identity(&ours);
    for bad in [None, Some(identity(&theirs))] {
        let config = server.client_config(bad.as_ref());
        // In TLS 1.3 the client is done before the server has looked at its certificate.
        if let Ok(mut client) = Client::new(server.tcp().await, config).await {
            drop(client.send(post(PATH, &[JSON], SMALL)).await);
            client.try_response().await.unwrap_err();
        }
        let mut client = server.connect_as(Some(&good)).await;
        assert!(client.review(SMALL).await.verdict().patch.is_some());
    }
}
