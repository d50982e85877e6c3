//! Looks through the CIL of a RawSelinuxProfile: it must stay in its block and change nothing outside of it. Pure.

/// The statements that speak of the block's own types and of what they may do. Every other one changes the policy as a
/// whole: classes, users, roles, levels, booleans, labels of files and ports, other blocks.
const STATEMENTS: [&str; 26] = [
    "allow",
    "allowx",
    "auditallow",
    "auditallowx",
    "block",
    "blockabstract",
    "blockinherit",
    "call",
    "classmap",
    "classmapping",
    "classpermission",
    "classpermissionset",
    "dontaudit",
    "dontauditx",
    "expandtypeattribute",
    "optional",
    "permissionx",
    "type",
    "typealias",
    "typealiasactual",
    "typeattribute",
    "typeattributeset",
    "typebounds",
    "typechange",
    "typemember",
    "typetransition",
];

/// Statements that have statements in them.
const CONTAINERS: [&str; 2] = ["block", "optional"];

/// Why a policy is refused; the numbers are those of lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CilError {
    #[error(
        "line {0}: this ) has no ( before it: a policy must not end the block that it is put into"
    )]
    Closed(usize),
    #[error("line {0}: this ( is never closed")]
    Open(usize),
    #[error("line {0}: this quotation mark is never closed")]
    Quote(usize),
    #[error(
        "line {0}: every statement must be in parentheses and begin with its name, such as (blockinherit container)"
    )]
    NoStatement(usize),
    #[error(
        "line {line}: the statement {name} changes more than the profile's own block and is refused"
    )]
    Statement { line: usize, name: String },
}

/// Finds the first thing for which a policy is refused.
pub(crate) fn check(policy: &str) -> Result<(), CilError> {
    let mut open = Vec::new();
    let mut outermost = List { line: 0, part: Part::Statements };
    let mut rest = policy;
    let mut line = 1;
    while let Some(token) = next(&mut rest, &mut line)? {
        let list = open.last_mut().unwrap_or(&mut outermost);
        match token {
            "(" => {
                let part = match list.part {
                    Part::Name => return Err(CilError::NoStatement(line)),
                    Part::Statements => Part::Name,
                    Part::Rest => Part::Rest,
                };
                open.push(List { line, part });
            }
            ")" => {
                let closed = open.pop().ok_or(CilError::Closed(line))?;
                if matches!(closed.part, Part::Name) {
                    return Err(CilError::NoStatement(line));
                }
            }
            name => match list.part {
                Part::Name => list.part = after_name(name, line)?,
                Part::Statements if list.line == 0 => return Err(CilError::NoStatement(line)),
                Part::Statements | Part::Rest => (),
            },
        }
    }
    open.last().map_or(Ok(()), |list| Err(CilError::Open(list.line)))
}

/// A list that is not closed yet.
struct List {
    /// Where it was opened; 0 is the policy itself.
    line: usize,
    part: Part,
}

/// What comes next in a list.
enum Part {
    Name,
    Statements,
    Rest,
}

fn after_name(name: &str, line: usize) -> Result<Part, CilError> {
    if !STATEMENTS.contains(&name) {
        return Err(CilError::Statement { line, name: name.to_owned() });
    }
    Ok(if CONTAINERS.contains(&name) { Part::Statements } else { Part::Rest })
}

/// A parenthesis, a quoted text or a word; comments and spaces are passed over.
fn next<'a>(rest: &mut &'a str, line: &mut usize) -> Result<Option<&'a str>, CilError> {
    loop {
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let size = match first {
            '\n' => {
                *line += 1;
                1
            }
            // The newline is left, so that it is counted.
            ';' => rest.find('\n').unwrap_or(rest.len()),
            c if c.is_ascii_whitespace() => 1,
            '(' | ')' => return Ok(Some(take(rest, 1))),
            '"' => {
                let end =
                    rest[1..].find(['"', '\n']).filter(|&end| rest[1 + end..].starts_with('"'));
                let end = end.ok_or(CilError::Quote(*line))?;
                return Ok(Some(take(rest, end + 2)));
            }
            _ => {
                let end = |c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | '"' | ';');
                let size = rest.find(end).unwrap_or(rest.len());
                return Ok(Some(take(rest, size)));
            }
        };
        take(rest, size);
    }
}

fn take<'a>(rest: &mut &'a str, size: usize) -> &'a str {
    let (token, after) = rest.split_at(size);
    *rest = after;
    token
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("")]
    #[case("; nothing ) at all")]
    #[case("(blockinherit container)\n(allow process var_log_t (dir (open read)))")]
    #[case("(optional o (block b (type t) (allow t self (process (fork)))))")]
    #[case("(typetransition process etc_t file \"name ) with\" own_t)")]
    fn what_stays_in_its_block_is_accepted(#[case] policy: &str) {
        assert_eq!(check(policy), Ok(()));
    }

    #[rstest]
    #[case("(type t))\n(mls true)", CilError::Closed(1))]
    #[case("\n(type t", CilError::Open(2))]
    #[case("(type t) ; )\n)", CilError::Closed(2))]
    #[case("(typetransition a b file \"x)\n)", CilError::Quote(1))]
    #[case("allow", CilError::NoStatement(1))]
    #[case("()", CilError::NoStatement(1))]
    #[case("((type t))", CilError::NoStatement(1))]
    fn what_could_leave_its_block_is_refused(#[case] policy: &str, #[case] error: CilError) {
        assert_eq!(check(policy), Err(error));
    }

    #[rstest]
    #[case("(mls true)", "mls")]
    #[case("(sid kernel)", "sid")]
    #[case("(class file (read))", "class")]
    #[case("(user u)", "user")]
    #[case("(role r)", "role")]
    #[case("(typepermissive process)", "typepermissive")]
    #[case("(booleanif b (true (allow a b (file (read)))))", "booleanif")]
    #[case("(in container (allow a b (file (read))))", "in")]
    #[case("(optional o (typepermissive process))", "typepermissive")]
    #[case("(block b (user u))", "user")]
    #[case("(blockinherit container)(filecon \"/etc\" any ())", "filecon")]
    #[case("(TYPE t)", "TYPE")]
    #[case("(\"type\" t)", "\"type\"")]
    fn what_changes_the_policy_as_a_whole_is_refused(#[case] policy: &str, #[case] name: &str) {
        assert_eq!(check(policy), Err(CilError::Statement { line: 1, name: name.to_owned() }));
    }

    proptest! {
        #[test]
        fn an_accepted_policy_has_as_many_of_each_parenthesis(text in "[()a \n]{0,12}") {
            let policy = text.replace('a', "allow ");
            if check(&policy).is_ok() {
                let mut depth = 0_i32;
                for c in policy.chars() {
                    depth += match c { '(' => 1, ')' => -1, _ => 0 };
                    prop_assert!(depth >= 0);
                }
                prop_assert_eq!(depth, 0);
            }
        }

        #[test]
        fn no_text_panics(text in "[()\";a\u{e9} \n]{0,20}") {
            drop(check(&text));
        }
    }
}
