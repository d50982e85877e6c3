//! What must hold of the parser: it takes what `serde_json` takes, and makes the same of it.

use profile::pod::Text;
use serde::Deserialize;
use webhook::review::{Request, ReviewError};

/// The same fields as the webhook reads, as `serde_json` reads them.
#[derive(Deserialize)]
struct Review<'a> {
    #[serde(borrow, default, rename = "apiVersion")]
    _api_version: Text<'a>,
    #[serde(borrow, default, rename = "kind")]
    _kind: Text<'a>,
    #[serde(borrow)]
    request: Option<Request<'a>>,
}

/// Panics when the two differ.
pub fn compare(body: &[u8]) {
    let Ok(text) = std::str::from_utf8(body) else { return };
    let expected = serde_json::from_str::<Review<'_>>(text);
    match (Request::parse(body), expected) {
        (Ok(request), Ok(Review { request: Some(expected), .. })) => {
            let request: Request<'_> = request;
            assert_eq!(format!("{request:?}"), format!("{expected:?}"));
        }
        (Ok(_), Ok(_)) => panic!("a request out of nothing"),
        (Ok(_), Err(error)) => panic!("serde_json refuses this: {error}"),
        (Err(ReviewError::NotJson(error)), Ok(_)) => panic!("serde_json takes this: {error}"),
        (Err(_), _) => {}
    }
}
