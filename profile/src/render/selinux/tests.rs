//! CIL text, by what it is rendered from.

use insta::assert_snapshot;
use rstest::rstest;

use super::*;

fn spec(yaml: &str) -> SelinuxProfileSpec {
    serde_saphyr::from_str(yaml).unwrap()
}

fn rendered(yaml: &str) -> String {
    render("p", &spec(yaml), &Permitted::default()).unwrap()
}

fn refused(name: &str, yaml: &str) -> String {
    render(name, &spec(yaml), &Permitted::default()).unwrap_err().to_string()
}

#[test]
fn permissions_are_sorted_and_given_once() {
    let yaml = "
        inherit: [{ name: net_container }, { name: container }, { name: container }]
        allow:
          var_log_t: { file: [read, open, read], dir: [search] }
          '@self': { tcp_socket: [listen] }
          process: { tcp_socket: [accept] }
          etc_t: { file: [] }";
    assert_snapshot!(rendered(yaml), @r"
    (block p
        (blockinherit container)
        (blockinherit net_container)
        (allow process process (tcp_socket (accept listen)))
        (allow process var_log_t (dir (search)))
        (allow process var_log_t (file (open read)))
    )
    ");
}

#[test]
fn a_profile_inherits_the_template_container_unless_it_says_otherwise() {
    assert_snapshot!(rendered("{}"), @r"
    (block p
        (blockinherit container)
    )
    ");
    let none = refused("p", "inherit: []");
    assert_snapshot!(none, @"the SELinux profile p inherits nothing, so it has no process type: let it inherit container");
}

#[rstest]
#[case("{ mode: Permissive }")]
#[case("{ permissive: true }")]
fn a_permissive_profile_makes_its_own_type_permissive_and_no_heirs(#[case] yaml: &str) {
    assert_eq!(
        rendered(yaml),
        "(block p\n    (blockinherit container)\n)\n(typepermissive p.process)\n"
    );
}

#[test]
fn what_undoes_the_policy_is_refused_unless_permitted() {
    let yaml = "allow: { shadow_t: { file: [read] }, etc_t: { file: [relabelto] } }";
    assert_snapshot!(refused("p", yaml), @"the SELinux profile p is refused: spec.allow.etc_t.file[0]: the permission relabelto is refused unless the operator's configuration permits it; spec.allow.shadow_t: the type shadow_t is refused unless the operator's configuration permits it");
    let permitted = Permitted {
        types: ["shadow_t".to_owned()].into(),
        permissions: ["relabelto".to_owned()].into(),
        ..Permitted::default()
    };
    assert!(
        render("p", &spec(yaml), &permitted)
            .unwrap()
            .contains("(allow process shadow_t (file (read)))")
    );
}

#[rstest]
#[case("allow: { .shadow_t: { file: [read] } }", "the type .shadow_t must begin with a letter")]
#[case("allow: { shadow_t.: { file: [read] } }", "the type shadow_t. must begin with a letter")]
#[case("allow: { notself: { file: [read] } }", "notself is a word of CIL")]
#[case("allow: { etc_t: { .capability: [read] } }", "the class .capability must begin")]
#[case("allow: { etc_t: { file: [all] } }", "all is a word of CIL")]
#[case("allow: { etc_t: { file: [not, read] } }", "not is a word of CIL")]
#[case("inherit: [{ name: .container }]", "the template .container must begin")]
#[case("allow: { 'etc_t) (allow process shadow_t': { file: [read] } }", "spec.allow: a type must")]
#[case("allow: { etc_t: { 'file (read)) (': [read] } }", "a class must be")]
#[case("allow: { etc_t: { file: ['read)))'] } }", "must match")]
#[case("inherit: [{ name: 'container) (type x' }]", "an SELinux name must be")]
fn what_would_mean_more_than_it_says_is_refused(#[case] yaml: &str, #[case] message: &str) {
    let error = refused("p", yaml);
    assert!(error.contains(message), "{error}");
}

#[rstest]
#[case("nginx-1.27")]
#[case("1password")]
#[case("-a")]
#[case("a b")]
#[case("a)")]
#[case("")]
fn a_name_that_no_module_can_have_is_refused(#[case] name: &str) {
    let error = render(name, &spec("{}"), &Permitted::default()).unwrap_err();
    assert_eq!(error, SelinuxError::Name(NameError::Characters(name.to_owned())));
}

#[test]
fn a_name_is_as_long_as_that_of_a_file() {
    let longest = "a".repeat(251);
    assert!(render(&longest, &spec("{}"), &Permitted::default()).is_ok());
    let error = render(&format!("{longest}a"), &spec("{}"), &Permitted::default()).unwrap_err();
    assert!(matches!(error, SelinuxError::Name(NameError::Long(_))), "{error}");
}

fn based(name: &str, profiles: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let find = |name: &str| {
        let (_, inherit) = profiles.iter().find(|(known, _)| *known == name)?;
        Some(Arc::new(spec(&format!("inherit: [{inherit}]"))))
    };
    bases(name, &find(name).unwrap(), &find).map_err(|error| error.to_string())
}

const CONTAINER: &str = "{ name: container }";
const A: &str = "{ kind: SelinuxProfile, name: a }";
const B: &str = "{ kind: SelinuxProfile, name: b }";

#[test]
fn what_a_profile_stands_on_comes_before_it() {
    let b = format!("{A}, {{ name: net_container }}");
    let all = [("a", CONTAINER), ("b", &b), ("c", B)];
    assert_eq!(based("c", &all).unwrap(), ["a", "b"]);
    assert_eq!(needs(&spec(&format!("inherit: [{CONTAINER}, {B}]"))).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_circle_and_a_missing_profile_are_named() {
    assert_snapshot!(based("a", &[("a", B), ("b", A)]).unwrap_err(), @"SELinux profiles inherit from one another in a circle: a -> b -> a");
    assert_snapshot!(refused("a", "inherit: [{ kind: SelinuxProfile, name: a }]"), @"SELinux profiles inherit from one another in a circle: a -> a");
    assert_snapshot!(based("a", &[("a", B)]).unwrap_err(), @"the SELinux profile a inherits b, which does not exist");
}

#[test]
fn a_template_that_comes_twice_is_named_with_both_ways() {
    let b = format!("{A}, {CONTAINER}");
    assert_snapshot!(based("b", &[("a", CONTAINER), ("b", &b)]).unwrap_err(), @"the SELinux profile b inherits container twice, by b -> a and by b: SELinux refuses that; leave one out");
}

#[test]
fn a_template_without_a_type_may_come_twice() {
    let net = "{ name: net_container }";
    let (a, b) = (format!("{CONTAINER}, {net}"), format!("{A}, {net}"));
    assert_eq!(based("b", &[("a", &a), ("b", &b)]).unwrap(), ["a"]);
}

#[test]
fn profiles_inherit_through_fifteen_others_at_most() {
    let chain = |length: usize| {
        let find = move |name: &str| {
            let n: usize = name.strip_prefix('p')?.parse().ok()?;
            let below = match n {
                0 => CONTAINER.to_owned(),
                n => format!("{{ kind: SelinuxProfile, name: p{} }}", n - 1),
            };
            Some(Arc::new(spec(&format!("inherit: [{below}]"))))
        };
        let name = format!("p{length}");
        bases(&name, &find(&name).unwrap(), &find)
    };
    assert_eq!(chain(15).unwrap().len(), 15);
    assert_eq!(chain(16), Err(SelinuxError::Deep("p16".to_owned())));
}
