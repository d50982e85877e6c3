//! Compares the Containerfile, which not every machine can build, with what `make images` makes.

use std::path::Path;

use images::recipe::{RECIPES, Recipe};

const TEXT: &str = include_str!("../../Containerfile");
const PATH: &str = "ENV PATH=/usr/sbin:/usr/bin";

/// The instructions of each stage.
fn stages() -> Vec<Vec<&'static str>> {
    let lines = TEXT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.fold(Vec::new(), |mut stages, line| {
        if line.starts_with("FROM ") {
            stages.push(Vec::new());
        }
        stages.last_mut().expect("FROM comes first").push(line);
        stages
    })
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a member of a workspace")
}

#[test]
fn each_image_is_built_from_its_own_root_for_the_same_user_and_program() {
    let stage = |Recipe { program, user, .. }: Recipe| {
        let from = format!("FROM scratch AS {program}");
        let copy = format!("COPY --from=build /roots/{program}/ /");
        let user = format!("USER {user}:{user}");
        let start = format!("ENTRYPOINT [\"/usr/bin/{program}\"]");
        vec![from, copy, PATH.to_owned(), user, start]
    };
    assert_eq!(stages()[1..], RECIPES.map(stage));
}

#[test]
fn cargo_builds_the_programs_that_are_copied_with_the_compiler_that_is_pinned() {
    let build = &stages()[0];
    let bins: String = RECIPES.map(|recipe| format!(" --bin {}", recipe.program)).concat();
    assert!(build.contains(&&*format!("RUN cargo build --release --locked{bins}")), "{build:?}");
    let toolchain = std::fs::read_to_string(repository().join("rust-toolchain.toml")).unwrap();
    let version = toolchain.split('"').nth(1).unwrap().rsplit_once('.').unwrap().0;
    assert_eq!(build[0], format!("FROM docker.io/library/rust:{version}-bookworm AS build"));
    for recipe in RECIPES {
        let manifest = repository().join(recipe.package).join("Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).unwrap();
        assert!(manifest.contains(&format!("name = \"{}\"", recipe.program)), "{manifest}");
    }
}

#[test]
fn the_packages_of_all_tools_are_installed() {
    let build = &stages()[0];
    let line = build.iter().find(|line| line.contains("apt-get install")).unwrap();
    for tool in RECIPES.iter().flat_map(|recipe| recipe.tools) {
        assert!(line.split(' ').any(|word| word == tool.package), "{line}");
    }
}
