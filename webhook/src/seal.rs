//! Seals the marks of recordings with a key that all replicas share.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use certs::Serving;
use profile::decide::{Seal, Subject};
use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};

/// How old a mark may be to count as made in the same admission: calling a webhook again takes seconds at most.
const FRESH_SECONDS: u64 = 60;
const RANDOM_BYTES: usize = 4;
const TAG_BYTES: usize = 8;

/// A nonce is random bytes and a keyed hash over them and the subject, in hex.
#[derive(Clone, Debug)]
pub struct HmacSeal {
    key: Key,
    random: SystemRandom,
}

#[derive(Clone, Debug)]
enum Key {
    /// Follows the pair that the replicas share, so that one may check what another made.
    Serving(Serving),
    Fixed(hmac::Key),
}

impl HmacSeal {
    /// With a key derived from the serving pair.
    pub fn shared(serving: Serving) -> Self {
        Self { key: Key::Serving(serving), random: SystemRandom::new() }
    }

    /// With a key of its own, for one process.
    pub fn alone() -> Self {
        let random = SystemRandom::new();
        let mut key = [0; 32];
        fill(&random, &mut key);
        Self { key: Key::Fixed(hmac::Key::new(hmac::HMAC_SHA256, &key)), random }
    }

    fn tag(&self, subject: &Subject<'_>, random: &str, seconds: u64) -> String {
        let derived;
        let key = match &self.key {
            Key::Fixed(key) => key,
            Key::Serving(serving) => {
                derived = hmac::Key::new(hmac::HMAC_SHA256, &serving.derive_key("recording mark"));
                &derived
            }
        };
        let mut context = hmac::Context::with_key(key);
        let Subject { namespace, pod, key, recording } = subject;
        for part in [namespace, pod, key, recording, random] {
            // No part holds a zero byte, so no two subjects read the same.
            context.update(part.as_bytes());
            context.update(&[0]);
        }
        context.update(&seconds.to_be_bytes());
        hex(&context.sign().as_ref()[..TAG_BYTES])
    }
}

impl Seal for HmacSeal {
    fn stamp(&self, subject: &Subject<'_>) -> (String, u64) {
        let mut random = [0; RANDOM_BYTES];
        fill(&self.random, &mut random);
        let (mut nonce, seconds) = (hex(&random), now());
        nonce += &self.tag(subject, &nonce, seconds);
        (nonce, seconds)
    }

    fn holds(&self, subject: &Subject<'_>, nonce: &str, unix_seconds: u64) -> bool {
        let Some((random, tag)) = nonce.split_at_checked(RANDOM_BYTES * 2) else { return false };
        now().abs_diff(unix_seconds) <= FRESH_SECONDS
            && ring_equal(tag.as_bytes(), self.tag(subject, random, unix_seconds).as_bytes())
    }
}

/// Compares in a time that does not depend on where the difference is.
fn ring_equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

fn fill(random: &SystemRandom, bytes: &mut [u8]) {
    random.fill(bytes).expect("the kernel has random bytes");
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("into memory");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject<'_> =
        Subject { namespace: "ns", pod: "web-", key: "io.containers.trace-bpf/c", recording: "r" };

    #[test]
    fn knows_what_it_made() {
        let seal = HmacSeal::alone();
        let (nonce, seconds) = seal.stamp(&SUBJECT);
        assert!(seal.holds(&SUBJECT, &nonce, seconds));
        assert_ne!(seal.stamp(&SUBJECT).0, nonce, "two pods never share a nonce");
    }

    #[test]
    fn refuses_what_another_made_or_what_was_made_for_something_else() {
        let seal = HmacSeal::alone();
        let (nonce, seconds) = seal.stamp(&SUBJECT);
        let other = Subject { pod: "db-", ..SUBJECT };
        assert!(!seal.holds(&other, &nonce, seconds));
        assert!(!seal.holds(&SUBJECT, &nonce, seconds + 1));
        assert!(!HmacSeal::alone().holds(&SUBJECT, &nonce, seconds));
        assert!(!seal.holds(&SUBJECT, "", seconds) && !seal.holds(&SUBJECT, "éééééééé", seconds));
    }

    #[test]
    fn refuses_an_old_one_though_it_is_genuine() {
        let seal = HmacSeal::alone();
        let seconds = now() - FRESH_SECONDS - 5;
        let nonce = ["00000000", &seal.tag(&SUBJECT, "00000000", seconds)].concat();
        assert!(!seal.holds(&SUBJECT, &nonce, seconds));
    }
}
