//! The store's files: which users can reach them, and whether there is room.

use std::path::Path;

use super::{
    super::files::{beside, folder, free_bytes, shell_word},
    Check,
};

/// Less free space than this many bytes deserves a look …
const LOW_BYTES: u64 = 512 * 1024 * 1024;
/// … and with less than this, writes fail soon.
const FULL_BYTES: u64 = 16 * 1024 * 1024;

/// Whether only their owner can reach the database and its folder. The key file has a check of its own.
#[cfg(unix)]
pub(super) fn permissions(database: &Path) -> Check {
    use std::os::unix::fs::PermissionsExt;

    let mode = |path: &Path| path.metadata().ok().map(|file| file.permissions().mode() & 0o777);
    for path in ["", "-wal", "-shm"].map(|suffix| beside(database, suffix)) {
        if let Some(mode) = mode(&path).filter(|mode| mode & 0o077 != 0) {
            let detail = format!("others can reach {} (mode {mode:o})", path.display());
            return Check::fail(
                "permissions",
                detail,
                format!("chmod 600 {}", shell_word(&path.display().to_string())),
            );
        }
    }
    let folder = folder(database);
    match mode(folder) {
        Some(mode) if mode & 0o022 != 0 => {
            let detail = format!("others can replace files in {} (mode {mode:o})", folder.display());
            Check::fail("permissions", detail, format!("chmod 700 {}", shell_word(&folder.display().to_string())))
        }
        Some(mode) if mode & 0o077 != 0 => {
            let detail = format!("others can look into {} (mode {mode:o})", folder.display());
            Check::warn("permissions", detail, format!("chmod 700 {}", shell_word(&folder.display().to_string())))
        }
        _ => Check::ok("permissions", "files 600, folder 700: their owner's alone"),
    }
}

/// Files have no modes here, so the check cannot be made.
#[cfg(not(unix))]
pub(super) fn permissions(_: &Path) -> Check {
    Check::warn("permissions", "not checked on this platform", "let only haldir's user reach the store's folder")
}

/// Whether a file's group can read or write it.
#[cfg(unix)]
pub(super) fn is_for_group(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    path.metadata().is_ok_and(|file| file.permissions().mode() & 0o070 != 0)
}

#[cfg(not(unix))]
pub(super) fn is_for_group(_: &Path) -> bool {
    false
}

/// The free space of the store's disk; `None` where the system does not tell.
pub(super) fn free_space(database: &Path) -> Option<Check> {
    let free = free_bytes(database)?;
    let detail = format!("{} MiB free", free / (1024 * 1024));
    Some(match free {
        0..FULL_BYTES => Check::fail("disk", detail, "make room: writes fail when it is full"),
        FULL_BYTES..LOW_BYTES => Check::warn("disk", detail, "make room: writes fail when it is full"),
        _ => Check::ok("disk", detail),
    })
}
