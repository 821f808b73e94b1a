//! The owner, the group and the mode that an output inherits from the file that it replaces.
//!
//! Only root may give a file to another user, and other users may give it only to their own groups. So the owner and
//! the group are kept if the user may set them. If one of them changes, the mode is narrowed, so that no other user
//! gets rights to the new file that they did not have to the old one. Set-user-id, set-group-id and the sticky bit are
//! never inherited, because they were granted to other content.

use std::fs::{File, Metadata, OpenOptions};

/// Makes the file that these options create accessible to its user only, until it [inherits](inherit) a mode.
#[cfg(unix)]
pub(crate) fn keep_private(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
pub(crate) fn keep_private(_: &mut OpenOptions) {}

/// Gives `file` the owner, the group and the mode of the `old` one, if the user may set them.
#[cfg(unix)]
pub(crate) fn inherit(file: &File, old: &Metadata) {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    // Owner and group are set together. If that is not allowed, the group alone may be.
    if fchown(file, Some(old.uid()), Some(old.gid())).is_err() {
        let _ = fchown(file, None, Some(old.gid()));
    }
    let Ok(new) = file.metadata() else { return };
    let mode = mode_for(old.mode(), new.uid() == old.uid(), new.gid() == old.gid());
    // On a file system without modes, the file stays private.
    let _ = file.set_permissions(Permissions::from_mode(mode));
}

#[cfg(not(unix))]
pub(crate) fn inherit(_: &File, _: &Metadata) {}

/// Returns the mode of the new file, if the old one has `mode`, and the owner and the group are the same or not.
#[cfg(unix)]
fn mode_for(mode: u32, has_owner: bool, has_group: bool) -> u32 {
    let (mut group, mut others) = (mode & GROUP, mode & OTHERS);
    // If the group changes, members of the old one are now others, and the reverse. So both get only rights that both
    // had.
    if !has_group {
        (group, others) = (group & (others << 3), others & (group >> 3));
    }
    // The old owner is now in the group or among the others, so these get only rights that the owner had.
    if !has_owner {
        let owner = mode & OWNER;
        (group, others) = (group & (owner >> 3), others & (owner >> 6));
    }
    (mode & OWNER) | group | others
}

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
    fn nobody_gets_rights_by_another_owner_or_group() {
        for (mode, has_owner, has_group, expected) in [
            (0o640, true, true, 0o640),
            (0o604, true, true, 0o604),
            (0o7755, true, true, 0o755),
            (0o640, true, false, 0o600),
            (0o664, true, false, 0o644),
            (0o2775, true, false, 0o755),
            // Members of the old group were shut out, and are among the others now.
            (0o604, true, false, 0o600),
            (0o617, true, false, 0o611),
            // So was the old owner.
            (0o046, false, true, 0o000),
            (0o466, false, true, 0o444),
            (0o4755, false, true, 0o755),
            (0o640, false, true, 0o640),
            (0o600, false, false, 0o600),
            (0o666, false, false, 0o666),
        ] {
            assert_eq!(mode_for(mode, has_owner, has_group), expected, "{mode:o} {has_owner} {has_group}");
        }
    }
}
