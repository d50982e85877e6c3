//! Paths and names in an AppArmor profile: nothing that could end the rule it is written into. Pure.

use super::{Rule, groups};

const CAPABILITIES: &str = "audit_control|audit_read|audit_write|block_suspend|bpf|checkpoint_restore|chown|dac_override|\
    dac_read_search|fowner|fsetid|ipc_lock|ipc_owner|kill|lease|linux_immutable|mac_admin|mac_override|mknod|net_admin|\
    net_bind_service|net_broadcast|net_raw|perfmon|setfcap|setgid|setpcap|setuid|sys_admin|sys_boot|sys_chroot|\
    sys_module|sys_nice|sys_pacct|sys_ptrace|sys_rawio|sys_resource|sys_time|sys_tty_config|syslog|wake_alarm";

const SIGNALS: &str = "hup|int|quit|ill|trap|abrt|bus|fpe|kill|usr1|segv|usr2|pipe|alrm|term|stkflt|chld|cont|stop|stp|\
    tstp|ttin|ttou|urg|xcpu|xfsz|vtalrm|prof|winch|io|poll|pwr|sys|emt|exists|rtmin\\+([0-9]|[12][0-9]|3[0-2])";

const PATH: &str = r#"^(/|@\{)([^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*$"#;

const PATH_MESSAGE: &str = "a path must begin with / (or a variable such as @{PROC}) and have no quotation mark, line break \
    or lone backslash, such as /var/log/**";

groups! {
    path(attach) = vec![Rule::pattern(PATH, PATH_MESSAGE)];
    paths(attach_to_items) = vec![Rule::pattern(PATH, PATH_MESSAGE)];
    capabilities(attach_to_items) = vec![Rule::pattern(
        &format!("(?i)^(cap_)?({CAPABILITIES})$"),
        "must be a capability of Linux, such as NET_ADMIN, CAP_NET_ADMIN or net_admin",
    )];
    signals(attach_to_items) = vec![Rule::pattern(
        &format!("(?i)^(sig)?({SIGNALS})$"),
        "must be a signal, such as term, SIGTERM or rtmin+1",
    )];
    words(attach_to_items) = vec![Rule::pattern(WORD, WORD_MESSAGE)];
    word(attach) = vec![Rule::pattern(WORD, WORD_MESSAGE)];
    /// The name of a profile or the address of a socket.
    text(attach) = vec![Rule::pattern(
        r#"^([^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])+$"#,
        "must not be empty and have no quotation mark, line break or lone backslash",
    )];
    /// The spec.
    source(attach) = vec![Rule::new(
        "!(has(self.policy) && has(self.abstract))",
        "policy and abstract cannot be given together: policy is the whole body of the profile",
        |value| value.get("policy").is_none() || value.get("abstract").is_none(),
    )];
}

const WORD: &str = "^[a-zA-Z0-9_.=-]+$";

const WORD_MESSAGE: &str =
    "must be letters, digits, '_', '.', '=' and '-' only, such as tmpfs or nosuid";
