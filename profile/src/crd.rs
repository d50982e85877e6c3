//! The custom resource definitions of every kind, as the API server and the chart get them. Pure.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt as _;

use crate::kinds::{
    AppArmorProfile, NodeSecurityProfiles, ProfileBinding, ProfileRecording, RawSelinuxProfile,
    SeccompProfile, SelinuxProfile,
};

/// What the first lines of every generated file say.
pub const HEADER: &str = "# Generated from the types in profile/src/kinds by `cargo run -p profile --bin crds`. \
     Do not edit.\n";

/// Every definition, in the order of the kinds' documentation.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![
        versioned(SeccompProfile::crd(), &["v1beta1"]),
        versioned(SelinuxProfile::crd(), &["v1alpha2"]),
        versioned(RawSelinuxProfile::crd(), &["v1alpha2"]),
        versioned(AppArmorProfile::crd(), &["v1alpha1"]),
        versioned(ProfileBinding::crd(), &["v1alpha1"]),
        versioned(ProfileRecording::crd(), &["v1alpha1"]),
        versioned(NodeSecurityProfiles::crd(), &[]),
    ]
}

/// The name of a definition's file and the file's text.
///
/// # Errors
/// When the definition cannot be written as YAML.
pub fn file(crd: &CustomResourceDefinition) -> Result<(String, String), serde_saphyr::ser::Error> {
    let yaml = serde_saphyr::to_string(crd)?;
    Ok((format!("{}.yaml", crd.spec.names.plural), format!("{HEADER}{yaml}")))
}

/// Serves the older versions too, under the same schema: a conversion changes the version's name alone.
fn versioned(mut crd: CustomResourceDefinition, older: &[&str]) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut());
        schema.into_iter().for_each(normalise);
    }
    let stored = crd.spec.versions[0].clone();
    crd.spec.versions.extend(older.iter().map(|&name| {
        let mut version = stored.clone();
        name.clone_into(&mut version.name);
        version.storage = false;
        version
    }));
    crd.spec.conversion =
        Some(CustomResourceConversion { strategy: "None".to_owned(), webhook: None });
    crd
}

/// Takes away what the derived schema has and the API server would warn of or act on wrongly.
fn normalise(schema: &mut JSONSchemaProps) {
    // Without it a null is dropped, and the default takes its place.
    schema.nullable = None;
    schema.title = None;
    if let Some(values) = &mut schema.enum_ {
        values.retain(|value| !value.0.is_null());
    }
    if schema.format.as_deref().is_some_and(|format| format.starts_with("uint")) {
        schema.format = None;
    }
    if let Some(description) = &mut schema.description {
        *description = description.replace('\n', " ");
    }
    schema.properties.iter_mut().flat_map(|p| p.values_mut()).for_each(normalise);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        normalise(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        normalise(values);
    }
}
