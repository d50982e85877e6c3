//! What a container violates: the rule that a record tells of. Pure.

use crate::{
    audit::{Record, Verdict},
    seen::path,
};

/// The longest part of a rule that is taken over: a path may have thousands of letters.
const LONGEST: usize = 256;

/// What was violated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// seccomp, apparmor or selinux.
    pub mechanism: &'static str,
    /// In the words of the mechanism: `mount`, `open r /etc/shadow`, `read file shadow_t`.
    pub what: String,
}

impl Rule {
    /// The rule that a record violates; none where nothing was denied.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        let (mechanism, words) = match record {
            Record::Seccomp(record) => {
                let name = record.syscall.map_or_else(|| record.number.to_string(), str::to_owned);
                ("seccomp", record.action.denies().then(|| vec![name])?)
            }
            Record::AppArmor(record) if record.verdict == Verdict::Denied => {
                let fields = [&record.requested, &record.capability, &record.family, &record.name];
                let operation = std::iter::once(record.operation.to_string());
                let fields = fields.into_iter().flatten().map(ToString::to_string);
                // The kernel chooses another one each time, where nobody else does.
                let addresses = [&record.addr, &record.peer_addr].into_iter().flatten();
                let addresses = addresses.map(|address| path::address(address));
                ("apparmor", operation.chain(fields).chain(addresses).collect())
            }
            Record::Selinux(record) if record.verdict == Verdict::Denied => {
                let permissions = record.permissions.join(",");
                let target = if record.is_self() { "self" } else { record.ttype() };
                ("selinux", vec![permissions, record.tclass.to_owned(), target.to_owned()])
            }
            _ => return None,
        };
        let what: String = words.join(" ").chars().take(LONGEST).collect();
        Some(Self { mechanism, what })
    }

    /// The type of its condition: letters and digits, as Kubernetes wants it, and another one for each rule.
    pub(super) fn kind(&self) -> String {
        let readable = self.what.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
        let mut readable: String = readable.take(40).collect();
        while readable.contains("--") {
            readable = readable.replace("--", "-");
        }
        let hash = digest(&[&self.what]);
        let (mechanism, readable) = (self.mechanism, readable.trim_matches('-'));
        format!("{mechanism}-{readable}-{:08x}", hash >> 32)
    }
}

/// A number for texts that is the same in every version of this program: FNV-1a, with an end after each but the last.
pub fn digest(texts: &[&str]) -> u64 {
    let bytes = texts.iter().enumerate().flat_map(|(place, text)| {
        let end = (place > 0).then_some(0xff);
        end.into_iter().chain(text.bytes())
    });
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::parse;

    fn rule(line: &str) -> Option<Rule> {
        Rule::of(&parse(line).unwrap())
    }

    #[test]
    fn only_what_was_denied_violates_a_rule() {
        let call = "1326 audit(1.1:1): pid=1 arch=c000003e syscall=165 code=";
        let what = |line: &str| rule(line).map(|rule| (rule.mechanism, rule.what));
        assert_eq!(what(&format!("{call}0x50001")), Some(("seccomp", "mount".into())));
        assert_eq!(what(&format!("{call}0x7ffc0000")), None, "it was let through");
        let access = |verdict: &str| {
            format!(
                r#"1400 audit(1.1:1): apparmor="{verdict}" operation="open" profile="p" name="/etc/shadow" requested_mask="r""#
            )
        };
        assert_eq!(what(&access("DENIED")), Some(("apparmor", "open r /etc/shadow".into())));
        assert_eq!(what(&access("ALLOWED")), None);
        let connect = r#"1400 audit(1.1:1): apparmor="DENIED" operation="connect" class="net" profile="p" family="unix" sock_type="stream" protocol=0 requested="send connect" denied="send connect" addr="@00a3f" peer_addr="@b" peer="q""#;
        let expected = "connect send connect unix @[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f] @b";
        assert_eq!(what(connect), Some(("apparmor", expected.into())));
        let avc = |permissive: u8| {
            format!(
                "1400 audit(1.1:1): avc:  denied  {{ read open }} for  pid=1 scontext=u:r:a_t:s0:c1,c2 \
                 tcontext=u:r:shadow_t:s0 tclass=file permissive={permissive}"
            )
        };
        assert_eq!(what(&avc(0)), Some(("selinux", "read,open file shadow_t".into())));
        assert_eq!(what(&avc(1)), None);
    }

    #[test]
    fn every_condition_has_a_type_of_its_own_that_kubernetes_takes() {
        let rules = ["/a/b", "/a-b", "/a//b", "ä", "", &"x".repeat(1000)];
        let kinds: std::collections::BTreeSet<_> = rules
            .iter()
            .map(|what| Rule { mechanism: "apparmor", what: (*what).to_owned() }.kind())
            .collect();
        assert_eq!(kinds.len(), rules.len());
        for kind in kinds {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
            assert!(kind.len() <= 63 && kind.chars().all(good), "{kind}");
        }
    }
}
