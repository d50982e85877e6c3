//! A pod's scheduling gates, of which only matters whether there is a list, and whether our gate is in it. Pure.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

use super::Text;

/// The scheduling gate that holds a pod until its profiles are on the nodes that it may go to.
pub const PROFILE_NOT_READY: &str = "spo.x-k8s.io/profile-not-ready";

/// What a pod waits for. The list may be as long as its author likes: nothing of it is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gates {
    /// There is no list.
    #[default]
    Absent,
    /// There is a list, be it an empty one, and our gate is not in it.
    Others,
    /// Our gate is among them.
    Ours,
}

#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
struct Gate<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
}

crate::objects!(Gate);

impl<'de> Deserialize<'de> for Gates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(GatesVisitor)
    }
}

struct GatesVisitor;

impl<'de> Visitor<'de> for GatesVisitor {
    type Value = Gates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: Error>(self) -> Result<Gates, E> {
        Ok(Gates::Absent)
    }

    fn visit_none<E: Error>(self) -> Result<Gates, E> {
        Ok(Gates::Absent)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Gates, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Gates, A::Error> {
        let mut gates = Gates::Others;
        while let Some(Gate { name }) = list.next_element()? {
            if *name == *PROFILE_NOT_READY {
                gates = Gates::Ours;
            }
        }
        Ok(gates)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::pod::Pod;

    #[rstest]
    #[case("", Gates::Absent)]
    #[case(r#""schedulingGates": null"#, Gates::Absent)]
    #[case(r#""schedulingGates": []"#, Gates::Others)]
    #[case(r#""schedulingGates": [{"name": "example.com/wait"}, {}]"#, Gates::Others)]
    #[case(
        r#""schedulingGates": [{"name": "a"}, {"name": "spo.x-k8s.io\u002fprofile-not-ready"}, {"name": "b"}]"#,
        Gates::Ours
    )]
    fn our_gate_is_found_among_others(#[case] gates: &str, #[case] expected: Gates) {
        let text = format!(r#"{{"metadata": {{}}, "spec": {{{gates}}}}}"#);
        let pod: Pod<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(pod.spec.scheduling_gates, expected);
    }
}
