//! Folders of manifests with as many bindings as one asks for.

use std::{
    fmt::{self, Write as _},
    fs,
    path::Path,
};

use anyhow::Result;

/// The namespace and the image of the pods that are reviewed.
const NAMESPACE: &str = "shop";
const IMAGE: &str = "registry.example.com/shop/web:1.27.3";

/// How many a file has: a reader may take a file with very many documents for an attack.
const FILE: usize = 1_000;

/// What sort of bindings a namespace has besides the one that matches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mix {
    /// Exact tags of other images, and a glob in every ten.
    Usual,
    /// Globs of other images.
    Globs,
    /// `*` for pods with other labels: each must be tried.
    Wildcards,
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usual => "webhook",
            Self::Globs => "webhook, all globs",
            Self::Wildcards => "webhook, all * with podSelector",
        })
    }
}

/// Fills a folder.
pub(crate) fn write(folder: &Path, mix: Mix, count: usize) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut text = "apiVersion: security-profiles-operator.x-k8s.io/v1\n\
        kind: SeccompProfile\n\
        metadata: {name: web}\n\
        spec: {defaultAction: SCMP_ACT_ERRNO}\n"
        .to_owned();
    let (matching, more) = match mix {
        Mix::Usual => (IMAGE, ""),
        Mix::Globs => ("registry.example.com/shop/*", ""),
        Mix::Wildcards => ("*", "\n  override: Always"),
    };
    binding(&mut text, "matching", "SeccompProfile", "web", matching, more)?;
    for n in 1..count {
        let kind = ["SeccompProfile", "SelinuxProfile", "AppArmorProfile"][n % 3];
        let team = n % 97;
        let (image, selector) = match mix {
            Mix::Usual if n % 10 != 0 => {
                (format!("registry.example.com/team-{team}/app-{n}:1.{n}"), String::new())
            }
            Mix::Usual | Mix::Globs if n % 4 < 2 => {
                (format!("registry.example.com/team-{n}/*"), String::new())
            }
            Mix::Usual | Mix::Globs => (format!("*/app-{n}:1.*"), String::new()),
            Mix::Wildcards => {
                let selector = format!("\n  podSelector: {{matchLabels: {{app: other-{n}}}}}");
                ("*".to_owned(), selector)
            }
        };
        binding(&mut text, &format!("binding-{n}"), kind, &format!("p-{team}"), &image, &selector)?;
        if n % FILE == 0 {
            fs::write(folder.join(format!("{n}.yaml")), std::mem::take(&mut text))?;
        }
    }
    Ok(fs::write(folder.join("last.yaml"), text)?)
}

fn binding(
    text: &mut String,
    name: &str,
    kind: &str,
    profile: &str,
    image: &str,
    more: &str,
) -> fmt::Result {
    write!(
        text,
        "---\n\
        apiVersion: security-profiles-operator.x-k8s.io/v1\n\
        kind: ProfileBinding\n\
        metadata: {{name: {name}, namespace: {NAMESPACE}}}\n\
        spec:\n  profileRef: {{kind: {kind}, name: {profile}}}\n  image: \"{image}\"{more}\n"
    )
}
