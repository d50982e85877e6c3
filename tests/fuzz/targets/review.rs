//! Any bytes as a review: never a panic, and an answer that an API server can use.
#![no_main]

use fuzz::{FixedSeal, check, compare, path_for, snapshot};
use libfuzzer_sys::fuzz_target;
use webhook::answer::answer;

fuzz_target!(|body: &[u8]| {
    compare(body);
    let (path, snapshot) = (path_for(body), snapshot());
    match answer(body, path, &snapshot, &FixedSeal) {
        Ok(answered) => check(body, path, &snapshot, &answered),
        Err(error) => assert!(error.to_string().len() < 512, "{error}"),
    }
});
