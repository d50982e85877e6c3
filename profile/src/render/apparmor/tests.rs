//! AppArmor text, by what it is rendered from.

use insta::assert_snapshot;
use rstest::rstest;

use super::*;

fn spec(yaml: &str) -> AppArmorProfileSpec {
    serde_saphyr::from_str(yaml).unwrap()
}

/// The lines that the author's fields make, without those that are always there.
fn own(fields: &str) -> String {
    let text = render("p", &spec(&format!("abstract: {fields}"))).unwrap();
    let always = render("p", &spec("{}")).unwrap();
    let own = text.lines().filter(|line| !always.lines().any(|known| known == *line));
    own.map(str::trim_start).collect::<Vec<_>>().join("\n")
}

fn refused(yaml: &str) -> String {
    let error = render("p", &spec(yaml)).unwrap_err();
    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

#[test]
fn a_profile_has_what_programs_need_to_start_and_to_be_stopped() {
    assert_snapshot!(render("nginx-1.27", &spec("{}")).unwrap(), @r#"
    @{PROC}=/proc/
    @{pid}=[1-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]}}}}}}
    profile "nginx-1.27" flags=(attach_disconnected,mediate_deleted) {
      # The dynamic loader and libraries: without them nothing starts.
      "/{,usr/}lib{,32,64,x32}/**" r,
      "/{,usr/}lib{,32,64,x32}/**.so*" mr,
      "/etc/ld.so.cache" mr,
      "/etc/ld.so.{conf,preload}" r,
      "/etc/ld.so.conf.d/{,*.conf}" r,
      "/etc/ld-musl-*.path" r,
      # Language and time zone.
      "/etc/{localtime,locale.alias}" r,
      "/etc/locale/**" r,
      "/usr/share/{locale,zoneinfo}/{,**}" r,
      # Devices that a runtime puts into every container, and the terminal that it may give.
      "/dev/{null,zero,full,tty,console}" rw,
      "/dev/{random,urandom}" r,
      "/dev/pts/{ptmx,[0-9]*}" rw,
      # What C libraries and language runtimes ask about their process and the machine.
      "@{PROC}/{cpuinfo,filesystems,meminfo,stat}" r,
      "@{PROC}/sys/kernel/{cap_last_cap,ngroups_max,osrelease,version}" r,
      "@{PROC}/sys/crypto/*" r,
      "@{PROC}/sys/vm/overcommit_memory" r,
      "@{PROC}/@{pid}/{auxv,cgroup,maps,mountinfo,stat,status}" r,
      "@{PROC}/@{pid}/attr/{,apparmor/}current" r,
      "/sys/devices/system/cpu/{,online,possible}" r,
      "/sys/fs/cgroup/{,**}" r,
      "/sys/kernel/mm/transparent_hugepage/{enabled,hpage_pmd_size}" r,
      # The runtime stops the container: unconfined, or under the profile that a distribution has for it.
      signal (receive) peer="unconfined",
      signal (receive) peer="{runc,crun,crio,podman,containerd*,dockerd}",
      signal (receive) peer="/usr/{,local/}{,s}bin/{runc,crun,crio,conmon*,podman,containerd*,dockerd}",
      # Whether a process is there.
      signal (receive, send) set=(exists),
      # Whoever looks in or debugs needs the right to do so under a profile of its own.
      ptrace (readby, tracedby),
      # Sockets of its own; with whom it speaks is another matter.
      unix (create, getattr, getopt, setopt, shutdown),
      unix (receive, send) peer=(label="unconfined"),
      # Processes of the container among themselves.
      signal peer="nginx-1.27",
      ptrace (read) peer="nginx-1.27",
      unix peer=(label="nginx-1.27"),
      # Ways out of a container, whatever else is allowed.
      deny "@{PROC}/*" w,
      deny "@{PROC}/{acpi,asound,bus,driver,dynamic_debug,fs,irq,pressure,scsi,sysvipc,tty}/**" w,
      deny "@{PROC}/sys/[^k]**" w,
      deny "@{PROC}/sys/kernel/{[^s],s[^h],sh[^m]}**" w,
      deny "@{PROC}/{kcore,kmem,mem,sysrq-trigger}" rwklx,
      deny "/sys/{firmware/efi/efivars,kernel/security}/**" rwklx,
    }
    "#);
}

#[test]
fn a_complain_profile_enforces_nothing() {
    for yaml in ["{ mode: Complain }", "{ complainMode: true }"] {
        let text = render("p", &spec(yaml)).unwrap();
        assert!(text.contains("flags=(attach_disconnected,mediate_deleted,complain)"), "{text}");
        assert!(!text.contains("deny"), "{text}");
    }
}

#[test]
fn files_get_the_rights_of_their_list() {
    let fields = "
        executable: { allowedExecutables: [/bin/b, /bin/a, /bin/a], allowedLibraries: ['/opt/lib/*.so'] }
        filesystem:
          readOnlyPaths: ['/etc/my conf/**']
          writeOnlyPaths: [/var/log/a.log]
          readWritePaths: ['@{PROC}/@{pid}/oom_score_adj', '/run/{a,b}']
          deniedPaths: [/etc/shadow]";
    assert_snapshot!(own(fields), @r#"
    "/bin/a" mrix,
    "/bin/b" mrix,
    "/opt/lib/*.so" mr,
    "/etc/my conf/**" r,
    "/var/log/a.log" wlk,
    "/run/{a,b}" rwlk,
    "@{PROC}/@{pid}/oom_score_adj" rwlk,
    audit deny "/etc/shadow" mrwlkx,
    "#);
}

#[test]
fn networks_are_named_protocol_by_protocol() {
    assert_snapshot!(own("{ network: { allowedProtocols: { allowTcp: true } } }"), @r"
    network inet stream,
    network inet6 stream,
    network netlink raw,
    ");
    assert_snapshot!(own("{ network: { allowRaw: true, allowedProtocols: { allowUdp: true } } }"), @r"
    network raw,
    network inet dgram,
    network inet6 dgram,
    network netlink raw,
    ");
    assert_eq!(own("{ network: { allowRaw: false, allowedProtocols: { allowTcp: false } } }"), "");
}

#[test]
fn capabilities_are_written_in_one_way() {
    let fields = "{ capability: { allowedCapabilities: [CAP_NET_RAW, net_raw, Chown] } }";
    assert_snapshot!(own(fields), @r"
    capability chown,
    capability net_raw,
    ");
}

#[test]
fn processes_are_those_of_the_profile_unless_another_is_named() {
    let fields = "
        ptrace: [{ access: [Trace, Read] }, { access: [TracedBy], peer: 'a//b' }]
        signal:
        - { access: [Send], signals: [SIGTERM, tstp, poll, rtmin+1] }
        - { access: [Receive, Send], peer: 'my {a,b}' }";
    assert_snapshot!(own(fields), @r#"
    ptrace (read, trace) peer="p",
    ptrace (tracedby) peer="a//b",
    signal (receive, send) peer="my {a,b}",
    signal (send) set=(io, rtmin+1, stp, term) peer="p",
    "#);
}

#[test]
fn a_mounted_folder_is_matched_with_and_without_a_slash() {
    let fields = "
        mount:
        - { operation: Mount, source: /a, target: '/b/**', fsType: tmpfs, options: [ro, nosuid] }
        - { operation: Mount, target: /b/ }
        - { operation: Remount, target: /b/, options: [ro] }
        - { operation: Umount, target: /b }
        - { operation: PivotRoot, source: /new/old, target: /new }
        - { operation: Umount }";
    assert_snapshot!(own(fields), @r#"
    mount -> "/b/",
    mount fstype="tmpfs" options in (nosuid, ro, silent) "/a{,/}" -> "/b/**",
    pivot_root oldroot="/new/old{,/}" "/new{,/}",
    remount "/b/",
    remount options in (ro) "/b/",
    remount options in (ro, silent) "/b/",
    remount options in (silent) "/b/",
    umount "/b{,/}",
    umount,
    "#);
}

#[test]
fn a_unix_socket_is_named_by_its_owner_and_by_whoever_connects() {
    assert_snapshot!(own("{ unix: [{ type: Stream, address: '@a b', peer: '@self' }] }"), @r#"
    unix (accept, connect, receive, send) type=stream addr="@a b" peer=(label="p"),
    unix (bind, create, getattr, getopt, listen, setattr, setopt, shutdown) type=stream addr="@a b",
    unix (connect, receive, send) type=stream peer=(addr="@a b", label="p"),
    "#);
    assert_snapshot!(own(r"{ unix: [{ address: '@a\000b\[\000' }] }"), @r#"
    unix (accept, connect, receive, send) addr="@a\000b\[\000",
    unix (bind, create, getattr, getopt, listen, setattr, setopt, shutdown) addr="@a\000b\[\000",
    unix (connect, receive, send) peer=(addr="@a\000b\[\000"),
    "#);
    assert_snapshot!(own("{ unix: [{}] }"), @r"
    unix (accept, connect, receive, send),
    unix (bind, create, getattr, getopt, listen, setattr, setopt, shutdown),
    ");
    assert_snapshot!(own("{ unix: [{ type: Dgram, peer: other }] }"), @r#"
    unix (accept, connect, receive, send) type=dgram peer=(label="other"),
    unix (bind, create, getattr, getopt, listen, setattr, setopt, shutdown) type=dgram,
    "#);
}

#[rstest]
#[case("{ filesystem: { readOnlyPaths: ['/a\\\\'] } }", "may have \\ only before")]
#[case("{ filesystem: { readOnlyPaths: [\"/a\\n/b\"] } }", "a path must begin with /")]
#[case("{ filesystem: { readOnlyPaths: ['/a@{etc_ro}'] } }", "the variable @{etc_ro}")]
#[case("{ filesystem: { readOnlyPaths: ['/a{b'] } }", "not closed")]
#[case("{ executable: { allowedExecutables: ['/a', '/b]'] } }", "allowedExecutables[1]")]
#[case("{ capability: { allowedCapabilities: ['kill, file'] } }", "must be a capability")]
#[case("{ ptrace: [{ access: [Read], peer: '\"' }] }", "no quotation mark")]
#[case("{ ptrace: [{ access: [Read], peer: '{a' }] }", "spec.abstract.ptrace[0]")]
#[case("{ signal: [{ access: [Send], signals: [bogus] }] }", "must be a signal")]
#[case("{ mount: [{ operation: Mount, options: [bogus] }] }", "bogus is no mount option")]
#[case("{ mount: [{ operation: Umount, source: /a }] }", "Umount has a target alone")]
#[case("{ mount: [{ operation: Umount, options: [ro] }] }", "Umount has a target alone")]
#[case("{ mount: [{ operation: Remount, target: /a }] }", "Remount needs the options")]
#[case("{ mount: [{ operation: Remount, fsType: a, options: [ro] }] }", "Remount has target and")]
#[case("{ mount: [{ operation: PivotRoot, fsType: tmpfs }] }", "PivotRoot has target")]
#[case("{ mount: [{ operation: Mount, fsType: 'a b' }] }", "must be letters")]
#[case("{ unix: [{ address: /run/x.sock }] }", "goes into filesystem.readWritePaths")]
#[case("{ unix: [{ address: '@a\\001' }] }", "may have \\ only before")]
#[case("{ unix: [{ address: '@a\\\\000' }] }", "may have \\ only before")]
fn what_could_mean_more_than_it_says_is_refused(#[case] fields: &str, #[case] message: &str) {
    let error = refused(&format!("abstract: {fields}"));
    assert!(error.contains(message), "{error}");
}

#[test]
fn a_policy_is_the_whole_body() {
    assert_snapshot!(render("p", &spec("policy: 'file, # all of them'")).unwrap(), @r#"
    profile "p" flags=(attach_disconnected,mediate_deleted) {
    file, # all of them
    }
    "#);
    assert_snapshot!(render("p", &spec("policy: '@{PROC}/@{pid}/maps r,'")).unwrap(), @r#"
    @{PROC}=/proc/
    @{pid}=[1-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]}}}}}}
    profile "p" flags=(attach_disconnected,mediate_deleted) {
    @{PROC}/@{pid}/maps r,
    }
    "#);
}

#[test]
fn a_policy_that_includes_abstractions_gets_their_variables() {
    let text = render("p", &spec("policy: '  #include <abstractions/base>'")).unwrap();
    assert!(text.starts_with("include <tunables/global>\nprofile \"p\""), "{text}");
}

#[test]
fn a_policy_that_could_leave_its_profile_is_refused() {
    assert_snapshot!(refused("policy: \"/a r,\\n}\\nprofile evil {\\n\""), @"the policy of the AppArmor profile p cannot be put into a profile: line 2: this } has no { before it: a policy must not end the profile that it is put into");
}

#[test]
fn a_name_that_no_profile_can_have_is_refused() {
    let name = |name: &str| render(name, &spec("{}")).unwrap_err().to_string();
    assert_snapshot!(name("unconfined"), @"an AppArmor profile cannot be called unconfined, which means that a process has none");
    assert!(name("a\" {").contains("metadata.name"));
}
