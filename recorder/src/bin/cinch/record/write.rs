//! Makes profiles of what was seen, and says what is not in them. Pure.

use anyhow::{Context as _, bail};
use profile::{
    kinds::{AppArmorProfile, SeccompProfile, SelinuxProfile, selinux::Permitted},
    render, syscall,
};
use recorder::{
    learned::{self, apparmor, seccomp, selinux},
    seen::{Permission, Seen},
};

use crate::args::{Format, KindFlag, RecordFlags};

/// The type that the profile for recording gives a container.
const RECORDING: &str = "selinuxrecording.process";

/// One profile.
enum Made {
    Seccomp(Box<SeccompProfile>),
    AppArmor(Box<AppArmorProfile>),
    Selinux(Box<SelinuxProfile>),
}

/// Profiles of one target, at most one of each kind.
pub(super) struct Recorded {
    name: String,
    made: Vec<Made>,
    /// What is in none of them, in lines for people.
    left: Vec<String>,
}

impl Recorded {
    /// Makes the profiles that were asked for. `selinux_type` is what the target ran under, where that is known.
    pub(super) fn of(
        flags: &RecordFlags,
        name: &str,
        seen: &Seen,
        selinux_type: Option<&str>,
    ) -> Self {
        let mut recorded = Self { name: name.to_owned(), made: Vec::new(), left: Vec::new() };
        for kind in flags.kind.kinds() {
            let left = match kind {
                KindFlag::Apparmor => {
                    let learned::Profile { profile, left } =
                        apparmor::profile(name, seen, &apparmor::Options::default());
                    recorded.made.push(Made::AppArmor(Box::new(profile)));
                    left
                }
                KindFlag::Selinux => {
                    let options = selinux::Options { recorded: source(seen, selinux_type) };
                    let learned::Profile { profile, left } = selinux::profile(name, seen, options);
                    recorded.made.push(Made::Selinux(Box::new(profile)));
                    left
                }
                KindFlag::Seccomp | KindFlag::All => {
                    let machine = learned::machine();
                    let options = seccomp::Options { machine, base: flags.base.into() };
                    let learned::Profile { profile, left } = seccomp::profile(name, seen, options);
                    recorded.made.push(Made::Seccomp(Box::new(profile)));
                    left
                }
            };
            recorded.left.extend(left);
        }
        recorded
    }

    /// The profiles, as a file holds them.
    pub(super) fn text(&self, format: Format) -> anyhow::Result<String> {
        if format == Format::Crd {
            let texts: Result<Vec<_>, _> = self.made.iter().map(Made::object).collect();
            return Ok(texts?.join("---\n"));
        }
        let [made] = &self.made[..] else {
            bail!("--format raw is for one kind of profile: say which by --kind");
        };
        made.raw(&self.name)
    }

    /// What was seen, in lines for people.
    pub(super) fn summary(&self, seen: &Seen) -> Vec<String> {
        let mut said: Vec<_> = self.made.iter().map(|made| made.count(seen)).collect();
        said.extend(self.left.iter().map(|left| format!("not in the profile: {left}")));
        let denied: Vec<_> = seen
            .denied()
            .map(|(arch, number)| {
                syscall::name(arch, number).map_or_else(|| number.to_string(), str::to_owned)
            })
            .collect();
        if !denied.is_empty() {
            said.push(format!(
                "refused by the filter that it runs under, and not in the profile: {}",
                denied.join(", ")
            ));
        }
        said
    }
}

impl Made {
    fn object(&self) -> anyhow::Result<String> {
        match self {
            Self::Seccomp(profile) => serde_saphyr::to_string(profile),
            Self::AppArmor(profile) => serde_saphyr::to_string(profile),
            Self::Selinux(profile) => serde_saphyr::to_string(profile),
        }
        .context("cannot write YAML")
    }

    /// As the node's own tools read it.
    fn raw(&self, name: &str) -> anyhow::Result<String> {
        Ok(match self {
            Self::Seccomp(profile) => {
                render::seccomp::render(name, &profile.spec, &|_| None)?.to_json()
            }
            Self::AppArmor(profile) => render::apparmor::render(name, &profile.spec)?,
            Self::Selinux(profile) => {
                render::selinux::render(name, &profile.spec, &Permitted::default())?
            }
        })
    }

    fn count(&self, seen: &Seen) -> String {
        match self {
            Self::Seccomp(_) => format!("{} system calls recorded", seen.called().count()),
            Self::AppArmor(_) => format!(
                "{} files and {} other accesses recorded",
                seen.files().len(),
                seen.others().count()
            ),
            Self::Selinux(_) => format!("{} permissions recorded", seen.permissions().count()),
        }
    }
}

/// Of which type permissions are taken in, as the runtime, too, asks for some in a container: of that for recording, or
/// of what the target was seen under, or of what the runtime was reported to start.
fn source<'a>(seen: &'a Seen, selinux_type: Option<&'a str>) -> Option<&'a str> {
    let recording = seen.permissions().map(Permission::source_type).find(|of| *of == RECORDING);
    let mut started = seen
        .permissions()
        .filter(|asked| asked.tclass == "process" && asked.permission == "transition");
    recording.or(selinux_type).or_else(|| started.next().map(Permission::target_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(source: &str, target: &str, tclass: &str, permission: &str) -> Permission {
        Permission {
            scontext: format!("u:r:{source}:s0"),
            tcontext: format!("u:r:{target}:s0"),
            tclass: tclass.to_owned(),
            permission: permission.to_owned(),
        }
    }

    #[test]
    fn the_type_that_was_recorded_is_told_from_the_runtimes() {
        let mut seen = Seen::default();
        seen.permission(asked("runtime_t", "etc_t", "file", "read"));
        assert_eq!(source(&seen, None), None);
        seen.permission(asked("runtime_t", "started_t", "process", "transition"));
        assert_eq!(source(&seen, None), Some("started_t"));
        assert_eq!(source(&seen, Some("mine.process")), Some("mine.process"));
        seen.permission(asked(RECORDING, "etc_t", "file", "read"));
        assert_eq!(source(&seen, Some("mine.process")), Some(RECORDING));
    }
}
