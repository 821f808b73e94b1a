//! What an output takes over from the file that it replaces: who owns it, and who may do what with it.
//!
//! Only root may give a file away, and others may give it only to their own groups. So the owner is kept as far as the
//! user may, and the mode follows: rights that were given to a group are not passed on to another one.

use std::fs::{File, Metadata, OpenOptions};

/// Lets nobody but the user open the file that these options create, until it has [inherited](inherit) a mode.
#[cfg(unix)]
pub(crate) fn keep_private(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
pub(crate) fn keep_private(_: &mut OpenOptions) {}

/// Gives `file` the owner and the mode of the `old` one, as far as the user may.
#[cfg(unix)]
pub(crate) fn inherit(file: &File, old: &Metadata) {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    // An owner comes with the group or not at all; the group alone is the next best.
    if fchown(file, Some(old.uid()), Some(old.gid())).is_err() {
        let _ = fchown(file, None, Some(old.gid()));
    }
    let Ok(new) = file.metadata() else { return };
    let mode = mode_for(old.mode() & MODE, new.uid() == old.uid(), new.gid() == old.gid());
    // Where a file system has no modes, the file stays as private as it was made.
    let _ = file.set_permissions(Permissions::from_mode(mode));
}

#[cfg(not(unix))]
pub(crate) fn inherit(_: &File, _: &Metadata) {}

/// The mode that stands in for `mode` where the owner or the group is another one.
#[cfg(unix)]
fn mode_for(mode: u32, has_owner: bool, has_group: bool) -> u32 {
    // Rights of others are everybody's, so another group has those at least.
    let group = if has_group { mode & GROUP } else { mode & GROUP & ((mode & OTHERS) << 3) };
    let special = if has_owner && has_group { mode & SPECIAL } else { 0 };
    special | (mode & OWNER) | group | (mode & OTHERS)
}

#[cfg(unix)]
const MODE: u32 = SPECIAL | OWNER | GROUP | OTHERS;
/// Set-user-id, set-group-id and sticky.
#[cfg(unix)]
const SPECIAL: u32 = 0o7000;
#[cfg(unix)]
const OWNER: u32 = 0o700;
#[cfg(unix)]
const GROUP: u32 = 0o070;
#[cfg(unix)]
const OTHERS: u32 = 0o007;

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn rights_of_a_group_are_not_passed_on_to_another() {
        for (mode, has_owner, has_group, expected) in [
            (0o640, true, true, 0o640),
            (0o4755, true, true, 0o4755),
            (0o640, true, false, 0o600),
            (0o664, true, false, 0o644),
            (0o2775, true, false, 0o755),
            (0o4755, false, true, 0o755),
            (0o600, false, false, 0o600),
        ] {
            assert_eq!(mode_for(mode, has_owner, has_group), expected, "{mode:o} {has_owner} {has_group}");
        }
    }
}
