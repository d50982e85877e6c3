//! Filters, by what they are rendered from.

use insta::assert_snapshot;

use super::*;

fn spec(yaml: &str) -> SeccompProfileSpec {
    serde_saphyr::from_str(yaml).unwrap()
}

fn alone(yaml: &str) -> Result<Filter, SeccompError> {
    render("p", &spec(yaml), &|_| None)
}

#[test]
fn a_profile_is_rendered_as_runtimes_read_it() {
    let yaml = "{ defaultAction: SCMP_ACT_ERRNO, syscalls: [ { names: [write, read], action: SCMP_ACT_ALLOW } ] }";
    assert_snapshot!(alone(yaml).unwrap().to_json(), @r#"
    {
      "defaultAction": "SCMP_ACT_ERRNO",
      "syscalls": [
        {
          "names": [
            "read",
            "write"
          ],
          "action": "SCMP_ACT_ALLOW"
        }
      ]
    }
    "#);
}
