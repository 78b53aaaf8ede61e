//! A whole upload gets its place in a folder by a link, so that it is written once. Everything here blocks.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Links an upload, whose bytes are durable, to its place, and makes that durable. A file of this size that is there
/// already is the same; one of another size is not, and is replaced.
pub(super) fn link(from: &Path, to: &Path, size: u64) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if fs::metadata(to)?.len() != size {
                replace(from, to)?;
            }
        }
        linked => linked?,
    }
    // Also for a link of somebody else, who may not have come so far.
    to.parent().map_or(Ok(()), |shelf| File::open(shelf)?.sync_all())
}

fn replace(from: &Path, to: &Path) -> io::Result<()> {
    let owner = from.parent().and_then(Path::file_name).unwrap_or_default();
    let beside = to.with_extension(owner);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => fs::hard_link(from, &beside)?,
    }
    fs::rename(beside, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_size_is_replaced_and_one_of_the_same_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, b"right").unwrap();
        link(&from, &to, 5).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"right");
        fs::remove_file(&to).unwrap();
        for (before, after) in [(&b"there"[..], &b"there"[..]), (b"", b"right"), (b"too long", b"right")] {
            fs::remove_file(&to).ok();
            fs::write(&to, before).unwrap();
            link(&from, &to, 5).unwrap();
            assert_eq!(fs::read(&to).unwrap(), after);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside");
        }
        fs::remove_file(&from).unwrap();
        link(&from, &folder.path().join("other"), 5).unwrap_err();
    }
}
