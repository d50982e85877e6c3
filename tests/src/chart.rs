//! The chart: what of it is read as it stands, and all of it as `helm template` renders it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

use crate::{cluster::Cluster, node, object, programs::repository};

/// The namespace of the release.
pub const NAMESPACE: &str = "security-profiles-operator";

/// The capabilities that the recorder has with all features, which it has in tests too.
pub const RECORDER: [&str; 7] =
    ["AUDIT_READ", "BPF", "DAC_READ_SEARCH", "NET_ADMIN", "PERFMON", "SYSLOG", "SYS_PTRACE"];

/// What is written for the namespace in those templates that say nothing else of Helm's.
const RELEASE_NAMESPACE: &str = "{{ .Release.Namespace }}";

/// A template of the chart, for who has no helm: without lines that only say when it is there, and for our namespace.
/// Another template than one of the plain ones is an error.
pub fn plain(template: &str) -> Result<String> {
    let says_when = |line: &&str| line.starts_with("{{- ") && line.ends_with("}}");
    let lines: Vec<_> = template.lines().filter(|line| !says_when(line)).collect();
    let text = lines.join("\n").replace(RELEASE_NAMESPACE, NAMESPACE) + "\n";
    match text.lines().find(|line| line.contains("{{")) {
        Some(line) => bail!("this template takes helm: {line}"),
        None => Ok(text),
    }
}

/// Creates all objects of a plain template that are not there yet, in the release's namespace.
pub async fn apply(cluster: &Cluster, template: &str) -> Result<()> {
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    node::apply(cluster, &namespace.to_string()).await?;
    node::apply(cluster, template).await
}

/// What stands before a command of root's that shall have these capabilities, and no others.
pub fn with_capabilities(capabilities: &[&str]) -> [String; 3] {
    let added = capabilities.iter().map(|it| format!(",+{}", it.to_lowercase()));
    let bounding = format!("--bounding-set=-all{}", added.collect::<String>());
    ["setpriv".to_owned(), "--no-new-privs".to_owned(), bounding]
}

/// The real helm.
#[derive(Debug, Clone)]
pub struct Helm(PathBuf);

impl Helm {
    /// Looks where `tests/helm/build` puts it, then in `PATH`.
    pub fn find() -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders =
            std::iter::once(repository().join("build/tools/bin")).chain(env::split_paths(&path));
        let mut programs = folders.map(|folder| folder.join("helm"));
        programs.find(|program| program.is_file()).map(Self)
    }

    /// All objects that the chart makes with these values, CRDs and hooks included.
    pub fn template(&self, values: &Value) -> Result<Vec<Value>> {
        self.template_in(NAMESPACE, values)
    }

    /// The same of a release in another namespace.
    pub fn template_in(&self, namespace: &str, values: &Value) -> Result<Vec<Value>> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("values.json");
        fs::write(&file, values.to_string())?;
        let output = self
            .command()
            .args(["template", "cinch"])
            .arg(chart())
            .args(["--namespace", namespace, "--include-crds", "--values"])
            .arg(file)
            .output()
            .context("cannot run helm")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", complaint.trim());
        let text = String::from_utf8(output.stdout)?;
        object::parse(&text).map_err(|error| anyhow!("{error:#}: {text}"))
    }

    /// With nobody's settings.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("HELM_") {
                command.env_remove(name);
            }
        }
        command.env_remove("KUBECONFIG");
        command
    }
}

/// Where the chart is.
pub fn chart() -> PathBuf {
    repository().join("charts/cinch")
}

/// A file of the chart.
pub fn file(name: &str) -> Result<String> {
    let path: &Path = &chart().join(name);
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_template_is_read_without_helm() {
        let text = "{{- if include \"cinch.records\" . }}\nnamespace: {{ .Release.Namespace }}\n{{- end }}\n";
        assert_eq!(plain(text).unwrap(), format!("namespace: {NAMESPACE}\n"));
    }

    #[test]
    fn another_template_is_refused() {
        let error = plain("replicas: {{ .Values.webhook.replicas }}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "this template takes helm: replicas: {{ .Values.webhook.replicas }}"
        );
    }
}
