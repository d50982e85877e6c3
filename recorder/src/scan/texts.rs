//! Texts in a file by which it may load other files, or look for functions in them. Pure.

use std::collections::{BTreeSet, HashMap};

use super::elf::Image;

/// How many of them are kept of one file.
const MANY: usize = 200_000;

/// Functions that load a file by its name.
pub(crate) const LOADERS: [&str; 3] = ["dlopen", "dlmopen", "__libc_dlopen_mode"];

/// Functions that find a function by its name.
pub(crate) const FINDERS: [&str; 3] = ["dlsym", "dlvsym", "__libc_dlsym"];

/// Names of libraries and folders, and of functions, where the file loads or looks for any.
pub(crate) fn texts(
    image: &Image<'_>,
    exports: &HashMap<String, Vec<u32>>,
    names: &[String],
) -> Vec<String> {
    let uses = |functions: &[&str]| {
        let own = functions.iter().any(|function| exports.contains_key(*function));
        own || names.iter().any(|name| functions.contains(&&**name))
    };
    let (loads, finds) = (uses(&LOADERS), uses(&FINDERS));
    if !loads && !finds {
        return Vec::new();
    }
    let mut found = BTreeSet::new();
    for part in image.data.iter().filter(|part| !part.writable) {
        for text in part.bytes.split(|byte| *byte == 0) {
            let Ok(text) = std::str::from_utf8(text) else { continue };
            if (loads && is_file(text)) || (finds && is_function(text)) {
                found.insert(text);
            }
            if found.len() >= MANY {
                break;
            }
        }
    }
    found.into_iter().map(str::to_owned).collect()
}

/// Whether it can be the name of a library, or the path of a folder.
pub(crate) fn is_file(text: &str) -> bool {
    (3..4096).contains(&text.len())
        && (is_library(text) || text.starts_with('/'))
        && !text.contains(|c: char| c.is_control() || c == '%')
}

/// Whether it can be the name of a library.
pub(crate) fn is_library(text: &str) -> bool {
    text.strip_suffix(".so").is_some() || text.contains(".so.")
}

fn is_function(text: &str) -> bool {
    (3..128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_libraries_and_folders_are_told_from_other_texts() {
        for text in ["libgcc_s.so.1", "/usr/lib/x.so", "/usr/lib/postgresql/15/lib"] {
            assert!(is_file(text), "{text}");
        }
        for text in ["so", "cannot open %s.so", "/proc/%d/fd", "a\n.so", "hello"] {
            assert!(!is_file(text), "{text}");
        }
        assert!(is_function("_nss_files_getpwnam_r") && !is_function("1st") && !is_function("a b"));
    }
}
