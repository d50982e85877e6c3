//! The definitions as the chart has them.

#![expect(clippy::unwrap_used, reason = "in helpers of tests too")]

use std::{fs, path::Path};

use insta::{assert_snapshot, assert_yaml_snapshot};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use profile::crd;
use serde_json::Value;

fn schema(plural: &str) -> Value {
    let crd = crd::all().into_iter().find(|crd| crd.spec.names.plural == plural).unwrap();
    serde_json::to_value(&crd.spec.versions[0].schema).unwrap()["openAPIV3Schema"].take()
}

/// Every part of a schema, with where it stands.
fn parts<'a>(schema: &'a Value, place: &str, found: &mut Vec<(String, &'a Value)>) {
    found.push((place.to_owned(), schema));
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        parts(property, &format!("{place}.{name}"), found);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            parts(&schema[inner], &format!("{place}[]"), found);
        }
    }
}

fn every_part(mut check: impl FnMut(&str, &Value)) {
    for crd in crd::all() {
        let schema = schema(&crd.spec.names.plural);
        let mut found = Vec::new();
        parts(&schema, &crd.spec.names.kind, &mut found);
        for (place, part) in found {
            check(&place, part);
        }
    }
}

/// Plural, short names, scope; versions; columns.
fn outline(crd: &CustomResourceDefinition) -> String {
    let names = &crd.spec.names;
    let versions = crd.spec.versions.iter().map(|version| {
        let stored = if version.storage { " stored" } else { "" };
        let served = if version.served { "" } else { " not served" };
        format!("{}{stored}{served}", version.name)
    });
    let columns = crd.spec.versions[0].additional_printer_columns.iter().flatten().map(|column| {
        let wide = if column.priority == Some(1) { " wide" } else { "" };
        format!("{}={}{wide}", column.name, column.json_path)
    });
    format!(
        "{} {:?} {}\n  {}\n  {}",
        names.plural,
        names.short_names.as_deref().unwrap_or_default(),
        crd.spec.scope,
        versions.collect::<Vec<_>>().join(", "),
        columns.collect::<Vec<_>>().join(", "),
    )
}

#[test]
fn the_chart_has_what_the_types_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/cinch/crds");
    let mut expected = Vec::new();
    for crd in crd::all() {
        let (name, text) = crd::file(&crd).unwrap();
        let written = fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(written == text, "{name} is out of date: run `cargo run -p profile --bin crds`");
        expected.push(name);
    }
    let mut found: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_written_definition_reads_back_as_itself() {
    for crd in crd::all() {
        let (_, text) = crd::file(&crd).unwrap();
        let read: CustomResourceDefinition = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read, crd);
    }
}

#[test]
fn names_versions_and_columns_are_those_of_the_contract() {
    let outlines: Vec<_> = crd::all().iter().map(outline).collect();
    assert_snapshot!(outlines.join("\n"), @r#"
    seccompprofiles ["sp"] Cluster
      v1 stored, v1beta1
      Status=.status.status, Age=.metadata.creationTimestamp, LocalhostProfile=.status.localhostProfile wide
    selinuxprofiles ["selp"] Cluster
      v1 stored, v1alpha2
      Usage=.status.usage, State=.status.status
    rawselinuxprofiles [] Cluster
      v1 stored, v1alpha2
      Usage=.status.usage, State=.status.status
    apparmorprofiles ["aa"] Cluster
      v1 stored, v1alpha1
      Status=.status.status
    profilebindings ["pb"] Namespaced
      v1 stored, v1alpha1
      Kind=.spec.profileRef.kind, Profile=.spec.profileRef.name, Image=.spec.image, Workloads=.status.workloadCount
    profilerecordings ["pr"] Namespaced
      v1 stored, v1alpha1
      Kind=.spec.kind, Recorder=.spec.recorder, Phase=.status.phase
    nodesecurityprofiles ["nsp"] Cluster
      v1 stored
      Installed=.status.installed, Pending=.status.pending, Failed=.status.failed, Age=.metadata.creationTimestamp
    "#);
}

#[test]
fn every_version_has_the_same_schema_a_status_and_no_conversion() {
    for crd in crd::all() {
        assert_eq!(crd.spec.group, profile::kinds::GROUP);
        assert_eq!(crd.spec.conversion.unwrap().strategy, "None");
        let (first, others) = crd.spec.versions.split_first().unwrap();
        assert!(first.subresources.as_ref().is_some_and(|s| s.status.is_some()));
        for other in others {
            assert_eq!(other.schema, first.schema);
            assert_eq!(other.subresources, first.subresources);
            assert_eq!(other.additional_printer_columns, first.additional_printer_columns);
        }
    }
}

#[test]
fn every_text_list_and_map_has_a_maximum() {
    every_part(|place, part| {
        let bounded = match part["type"].as_str() {
            Some("string") => {
                part["maxLength"].is_u64()
                    || part["enum"].is_array()
                    || part["format"] == "date-time"
            }
            Some("array") => part["maxItems"].is_u64(),
            Some("object") if part["additionalProperties"].is_object() => {
                part["maxProperties"].is_u64()
            }
            None => part["maxLength"].is_u64(),
            _ => true,
        };
        assert!(bounded, "{place} has no maximum");
    });
}

#[test]
fn every_field_is_described_and_what_is_not_a_field_is_pruned() {
    every_part(|place, part| {
        let text = part["description"].as_str().unwrap_or_default();
        assert!(place.ends_with("[]") || !text.is_empty(), "{place} has no description");
        assert!(
            part.get("x-kubernetes-preserve-unknown-fields").is_none(),
            "{place} keeps anything"
        );
        assert!(part.get("nullable").is_none(), "{place}: a null would keep the default away");
    });
}

#[test]
fn a_binding_needs_profile_and_image_alone() {
    let spec = &schema("profilebindings")["properties"]["spec"];
    let fields = spec["properties"].as_object().unwrap().iter();
    let defaults: Vec<_> = fields.filter_map(|(name, f)| Some((name, f.get("default")?))).collect();
    assert_yaml_snapshot!((&spec["required"], defaults), @r"
    - - image
      - profileRef
    - - - whenMissing
        - Admit
      - - whenNotReady
        - Bind
    ");
}

#[test]
fn a_recording_takes_both_spellings() {
    let spec = &schema("profilerecordings")["properties"]["spec"]["properties"];
    assert_yaml_snapshot!((&spec["recorder"], &spec["mergeStrategy"]), @r#"
    - default: Bpf
      description: "Where to learn from: Bpf (programs in the kernel) or Logs (the audit log). Default: Bpf."
      enum:
        - Bpf
        - Logs
        - bpf
        - logs
      type: string
    - default: None
      description: "How many profiles to make: None (one for each container of each pod) or Containers (one for each container name, from all pods together). Default: None."
      enum:
        - None
        - Containers
        - none
        - containers
      type: string
    "#);
}

#[test]
fn an_argument_is_a_number_or_a_string() {
    let spec = &schema("seccompprofiles")["properties"]["spec"]["properties"];
    assert_yaml_snapshot!(spec["syscalls"]["items"]["properties"]["args"], @r#"
    description: "Conditions on the arguments, each on another one: all of them must hold. For one value or another, or for a range, write a rule of its own for each condition, with the same names and action."
    items:
      description: One condition on an argument of a system call.
      properties:
        index:
          description: "Which argument, counted from 0: 0 to 5."
          maximum: 5
          minimum: 0
          type: integer
        op:
          description: "How the argument is compared with value: SCMP_CMP_NE, _LT, _LE, _EQ, _GE, _GT, or _MASKED_EQ (the argument and value, bit by bit, equal valueTwo)."
          enum:
            - SCMP_CMP_NE
            - SCMP_CMP_LT
            - SCMP_CMP_LE
            - SCMP_CMP_EQ
            - SCMP_CMP_GE
            - SCMP_CMP_GT
            - SCMP_CMP_MASKED_EQ
          type: string
        value:
          description: "What the argument is compared with; the mask for SCMP_CMP_MASKED_EQ. A 64-bit unsigned value: a number up to 9223372036854775807, or a string such as \"0xffffffffffffffff\" or \"18446744073709551615\" (a greater number would lose its last digits on the way). Default: 0."
          maxLength: 20
          x-kubernetes-int-or-string: true
          x-kubernetes-validations:
            - message: "must be a 64-bit unsigned value: a number up to 9223372036854775807, or a string such as '0xffffffffffffffff' or '18446744073709551615'"
              rule: "type(self) == int ? self >= 0 : type(self) == string && (self.matches(r'^0[xX][0-9a-fA-F]{1,16}$') || self.matches(r'^[0-9]{1,19}$') || (self.matches(r'^[0-9]{20}$') && self <= '18446744073709551615'))"
        valueTwo:
          description: "For SCMP_CMP_MASKED_EQ only: what the masked argument must equal. Written as value is. Default: 0."
          maxLength: 20
          x-kubernetes-int-or-string: true
          x-kubernetes-validations:
            - message: "must be a 64-bit unsigned value: a number up to 9223372036854775807, or a string such as '0xffffffffffffffff' or '18446744073709551615'"
              rule: "type(self) == int ? self >= 0 : type(self) == string && (self.matches(r'^0[xX][0-9a-fA-F]{1,16}$') || self.matches(r'^[0-9]{1,19}$') || (self.matches(r'^[0-9]{20}$') && self <= '18446744073709551615'))"
      required:
        - index
        - op
      type: object
      x-kubernetes-validations:
        - message: "valueTwo is for op SCMP_CMP_MASKED_EQ alone, which compares (argument AND value) with it: leave it out"
          rule: "!has(self.valueTwo) || self.op == 'SCMP_CMP_MASKED_EQ' || string(self.valueTwo) == '0'"
    maxItems: 6
    type: array
    x-kubernetes-validations:
      - message: "two conditions of one rule contradict each other: they are on the same argument, and runtimes let either suffice then; write a rule for each, with the same names and action"
        rule: "self.all(a, self.exists_one(b, b.index == a.index))"
    "#);
}
