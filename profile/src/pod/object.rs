//! Objects that are objects: serde's derive takes a list of the fields' values as well. Pure.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

/// Makes types that derive `Deserialize` with `#[serde(remote = "Self")]` take objects alone.
#[macro_export]
macro_rules! objects {
    ($($type:ident $(<$($parameter:ident),+>)?),+ $(,)?) => {$(
        impl<'de: 'a, 'a $($(, $parameter: ::serde::Deserialize<'de>)+)?> ::serde::Deserialize<'de>
            for $type<'a $($(, $parameter)+)?>
        {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields<T>(::std::marker::PhantomData<T>);

                impl<'de: 'a, 'a $($(, $parameter: ::serde::Deserialize<'de>)+)?>
                    ::serde::de::Visitor<'de> for Fields<$type<'a $($(, $parameter)+)?>>
                {
                    type Value = $type<'a $($(, $parameter)+)?>;

                    fn expecting(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: ::serde::de::MapAccess<'de>>(
                        self,
                        map: A,
                    ) -> Result<Self::Value, A::Error> {
                        // What the derive made, not this function: it is found first.
                        Self::Value::deserialize(::serde::de::value::MapAccessDeserializer::new(map))
                    }
                }

                deserializer.deserialize_map(Fields(::std::marker::PhantomData))
            }
        }
    )+};
}

/// More than any pod has that can be stored: an object of etcd has 1.5 MiB at most.
pub const CONTAINERS_MAX: usize = 10_000;

/// A list of containers, or none; a longer one than there can be is refused before it takes up memory.
pub fn containers<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_option(ListVisitor(PhantomData))
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Option<Vec<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut containers = Vec::new();
        while let Some(container) = list.next_element()? {
            if containers.len() == CONTAINERS_MAX {
                let message = format_args!("more than {CONTAINERS_MAX} containers in one list");
                return Err(A::Error::custom(message));
            }
            containers.push(container);
        }
        Ok(Some(containers))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::pod::Pod;

    #[rstest]
    #[case(r#"{"metadata": [], "spec": {}}"#)]
    #[case(r#"{"metadata": {}, "spec": []}"#)]
    #[case("[{}, {}]")]
    #[case(r#"{"metadata": {}, "spec": {"containers": [["name", "image", null]]}}"#)]
    #[case(r#"{"metadata": {}, "spec": {"securityContext": [true, null, null, null]}}"#)]
    #[case(r#"{"metadata": {}, "spec": {"os": ["windows"]}}"#)]
    fn a_list_of_values_is_no_object(#[case] text: &str) {
        let error = serde_json::from_str::<Pod<'_>>(text).unwrap_err().to_string();
        assert!(error.starts_with("invalid type: sequence, expected an object at"), "{error}");
    }

    #[test]
    fn as_many_containers_as_can_be_stored_and_no_more() {
        let pod = |count: usize| {
            let containers = vec!["{}"; count].join(",");
            format!(r#"{{"metadata": {{}}, "spec": {{"initContainers": [{containers}]}}}}"#)
        };
        let most = pod(super::CONTAINERS_MAX);
        let parsed: Pod<'_> = serde_json::from_str(&most).unwrap();
        assert_eq!(parsed.containers().count(), super::CONTAINERS_MAX);
        let more = pod(super::CONTAINERS_MAX + 1);
        let error = serde_json::from_str::<Pod<'_>>(&more).unwrap_err().to_string();
        assert!(error.starts_with("more than 10000 containers in one list at"), "{error}");
    }
}
