//! What recipes of `tests/` have built.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The folder that `tests/prepare programs` makes by a recipe, or why it is not there; `file` is in it when it is.
pub(crate) fn built(recipe: &str, file: &str) -> Result<PathBuf, String> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let build = repository.join("tests").join(recipe).join("build");
    let key = Command::new(build).arg("--key").output().ok();
    let key = key.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let built = repository.join("build").join(recipe).join(key.trim());
    if !built.join(file).is_file() {
        return Err(format!("needs build/{recipe}: tests/prepare programs"));
    }
    built.canonicalize().map_err(|error| error.to_string())
}
