//! Lists in pages and rights that are missing, of an API server that says what it is told to.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use k8s_openapi::api::core::v1::Pod;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

/// An API server that answers each path and query so, and what it was asked.
pub(crate) fn answering(
    answer: impl Fn(&str) -> (u16, Value) + Clone + Send + Sync + 'static,
) -> (Cluster, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let keep = Arc::clone(&asked);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (answer, keep) = (answer.clone(), Arc::clone(&keep));
        async move {
            let at = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
            let (status, body) = answer(&at);
            keep.lock().unwrap().push(at);
            let body = Body::from(body.to_string().into_bytes());
            Response::builder().status(status).body(body)
        }
    });
    let client = Client::new(service, "default");
    (Cluster { client, url: "https://cluster.example".to_owned() }, asked)
}

/// A list of a kind, and where it goes on.
pub(crate) fn listed(api_version: &str, kind: &str, items: &[Value], next: &str) -> Value {
    json!({
        "apiVersion": api_version, "kind": format!("{kind}List"),
        "metadata": { "continue": next, "resourceVersion": "1" }, "items": items,
    })
}

/// The error of an API server.
pub(crate) fn refused(code: u16, next: Option<&str>) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": "No", "code": code,
        "metadata": { "continue": next },
    })
}

fn right(resource: Resource, namespace: Option<&str>) -> Right {
    Right { verb: "list", resource, namespace: namespace.map(str::to_owned) }
}

#[test]
fn all_missing_rights_are_named_together_with_the_rules_that_give_them() {
    let mut lacking = Lacking::default();
    for resource in
        [Resource::core("pods"), Resource::core("namespaces"), Resource::own("profilebindings")]
    {
        lacking.note(Err(ListError::Forbidden(right(resource, None)))).unwrap();
    }
    assert_eq!(
        lacking.settle().unwrap_err().to_string(),
        "not allowed to list namespaces, list pods, list profilebindings.security-profiles-operator.x-k8s.io; rules of a ClusterRole \
         that allow it:\n  - {apiGroups: [\"\"], resources: [namespaces, pods], verbs: [list]}\n  - {apiGroups: \
         [\"security-profiles-operator.x-k8s.io\"], resources: [profilebindings], verbs: [list]}"
    );
}

#[test]
fn of_one_namespace_a_role_is_enough() {
    let error = ListError::Forbidden(right(Resource::core("pods"), Some("shop")));
    assert_eq!(
        error.to_string(),
        "not allowed to list pods in namespace shop; rules of a Role that allow it:\n  - {apiGroups: [\"\"], resources: [pods], verbs: \
         [list]}"
    );
}

#[test]
fn what_is_no_right_is_an_error_at_once() {
    let mut lacking = Lacking::default();
    let listed = Err(ListError::NotServed(Resource::own("profilebindings")));
    assert!(lacking.note(listed).is_err());
    lacking.settle().unwrap();
}

fn pods(from: usize, to: usize) -> Vec<Value> {
    (from..to).map(|at| json!({ "metadata": { "name": format!("p{at}") } })).collect()
}

async fn names(cluster: &Cluster) -> Result<Vec<String>, ListError> {
    let mut names = Vec::new();
    let api: Api<Pod> = cluster.api(None);
    let resource = Resource::core("pods");
    each(&api, resource, None, ListParams::default(), |pod| names.push(pod.name_any())).await?;
    Ok(names)
}

#[tokio::test]
async fn a_list_comes_in_pages_and_goes_on_when_the_first_were_too_long_ago() {
    let (cluster, asked) = answering(|at| match at {
        "/api/v1/pods?&limit=500" => (200, listed("v1", "Pod", &pods(0, 2), "second")),
        "/api/v1/pods?&limit=500&continue=second" => (410, refused(410, Some("anew"))),
        "/api/v1/pods?&limit=500&continue=anew" => (200, listed("v1", "Pod", &pods(2, 3), "")),
        at => panic!("{at}"),
    });
    assert_eq!(names(&cluster).await.unwrap(), ["p0", "p1", "p2"]);
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn what_the_api_server_refuses_is_told_apart() {
    let error = async |code| {
        let (cluster, _) = answering(move |_| (code, refused(code, None)));
        names(&cluster).await.unwrap_err()
    };
    assert!(matches!(error(403).await, ListError::Forbidden(right) if right.verb == "list"));
    assert!(matches!(error(404).await, ListError::NotServed(_)));
    assert!(matches!(error(410).await, ListError::Failed { .. }));
    let text = error(404).await.to_string();
    assert_eq!(
        text,
        "the API server does not know pods: are the custom resource definitions of the chart installed?"
    );
}
