//! The user that a command is to run as, by name or number.

use std::{
    ffi::{CStr, CString, c_char},
    mem::MaybeUninit,
    ptr,
};

use anyhow::{Context as _, bail};
use recorder::apart::Identity;

/// Room for a user's texts: a line of `/etc/passwd` has some hundred bytes.
const ROOM: usize = 64 << 10;

/// Groups of one user (`NGROUPS_MAX` in the kernel's `linux/limits.h`).
const GROUPS: usize = 65_536;

/// Finds a user, by name or number.
#[expect(unsafe_code, reason = "only libc knows where a machine has its users")]
pub(super) fn identity(user: &str) -> anyhow::Result<Identity> {
    let name = CString::new(user).with_context(|| format!("{user:?} is no user"))?;
    let mut entry = MaybeUninit::<libc::passwd>::zeroed();
    let mut texts = vec![0 as c_char; ROOM];
    let mut found = ptr::null_mut();
    let (to, room) = (texts.as_mut_ptr(), texts.len());
    let failed = match user.parse::<u32>() {
        // SAFETY: all that is written has room, and is as long as is said.
        Ok(number) => unsafe {
            libc::getpwuid_r(number, entry.as_mut_ptr(), to, room, &raw mut found)
        },
        // SAFETY: likewise; the name ends with its NUL.
        Err(_) => unsafe {
            libc::getpwnam_r(name.as_ptr(), entry.as_mut_ptr(), to, room, &raw mut found)
        },
    };
    if found.is_null() {
        let why = if failed == 0 { String::new() } else { format!(" (error {failed})") };
        bail!("there is no user {user} on this machine{why}");
    }
    // SAFETY: it was found, and so has been written.
    let entry = unsafe { entry.assume_init() };
    // SAFETY: it points into the texts, which are still there, and ends with its NUL.
    let name = unsafe { CStr::from_ptr(entry.pw_name) };
    Ok(Identity { user: entry.pw_uid, group: entry.pw_gid, groups: groups(name, entry.pw_gid) })
}

/// The groups of a user, with the one that is always among them.
#[expect(unsafe_code, reason = "only libc knows where a machine has its groups")]
fn groups(name: &CStr, own: u32) -> Vec<u32> {
    let mut groups = vec![0; GROUPS];
    let mut count = i32::try_from(groups.len()).unwrap_or(i32::MAX);
    // SAFETY: there is room for as many as is said, and the name ends with its NUL.
    let all =
        unsafe { libc::getgrouplist(name.as_ptr(), own, groups.as_mut_ptr(), &raw mut count) };
    groups.truncate(usize::try_from(all.max(0)).unwrap_or_default());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let root = identity("root").unwrap();
        assert_eq!((root.user, root.group), (0, 0));
        assert!(root.groups.contains(&0));
        assert_eq!(identity("0").unwrap(), root);
        let error = identity("nobody-has-this-name").unwrap_err().to_string();
        assert!(error.contains("there is no user nobody-has-this-name"), "{error}");
    }
}
