//! The directory of the Unix socket: the only door to the embedded PostgreSQL.
//!
//! Whoever can open the socket is the superuser, so the directory belongs to PostgreSQL's user alone.

use std::env;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::error::StartError;

use super::PORT;
use super::account::Account;

/// The kernel's limit for a socket's path: 107 bytes on Linux, 103 on macOS. The lower one suits both.
const PATH_MAX_BYTES: usize = 103;

/// A directory for the socket, of mode 0700.
#[derive(Debug)]
pub(super) struct SocketDir {
    path: PathBuf,
    /// Whether it lies outside of the data directory, where it should not stay behind.
    temporary: bool,
}

impl SocketDir {
    /// `socket` in the data directory, or a directory of a stable name in the temp directory when that
    /// path would be too long.
    pub(super) fn prepare(data_dir: &Path, account: &Account) -> Result<Self, StartError> {
        let (path, temporary) = place(data_dir, &env::temp_dir())?;
        make(&path, account).map_err(|error| {
            StartError::Refused(format!(
                "the socket directory {} cannot be used: {error}; remove it, or choose a shorter \
                 --data-dir",
                path.display()
            ))
        })?;
        Ok(Self { path, temporary })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what a killed server left here. Only for when none runs.
    ///
    /// Its lock file holds a pid too. After a reboot that pid may be anybody's, which would block a start.
    pub(super) fn sweep(&self) -> Result<(), StartError> {
        for end in ["", ".lock"] {
            let file = self.path.join(format!(".s.PGSQL.{PORT}{end}"));
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StartError::Refused(format!(
                        "the old socket file {} cannot be removed: {error}; remove it by hand",
                        file.display()
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        // Fails while a server still uses it, which is right. The next start reuses it then.
        if self.temporary && fs::remove_dir(&self.path).is_err() {
            tracing::debug!(path = %self.path.display(), "socket directory stays");
        }
    }
}

/// Chooses the directory, and tells whether it is a temporary one.
fn place(data_dir: &Path, temp_dir: &Path) -> Result<(PathBuf, bool), StartError> {
    let inside = data_dir.join("socket");
    if fits(&inside) {
        return Ok((inside, false));
    }
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, data_dir.as_os_str().as_bytes());
    let outside = temp_dir.join(format!("safelane-{}", id.simple()));
    if fits(&outside) {
        return Ok((outside, true));
    }
    Err(StartError::Refused(format!(
        "both {} and {} are too long for a Unix socket (at most {PATH_MAX_BYTES} bytes): choose a \
         shorter --data-dir, or set TMPDIR to a short one",
        data_dir.display(),
        temp_dir.display()
    )))
}

/// Whether a socket fits into a directory. PostgreSQL takes a comma for the end of the path, and sqlx knows
/// only UTF-8 paths.
fn fits(dir: &Path) -> bool {
    let socket = dir.join(format!(".s.PGSQL.{PORT}"));
    let bytes = socket.as_os_str().as_bytes();
    bytes.len() <= PATH_MAX_BYTES && dir.is_absolute() && dir.to_str().is_some_and(|text| !text.contains(','))
}

/// Makes the directory, or takes an existing one if nobody else can have put something there.
fn make(path: &Path, account: &Account) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(path)?;
    let ours = account.owns(&found) || found.uid() == rustix::process::geteuid().as_raw();
    if !found.is_dir() || !ours {
        return Err(io::Error::other("it is not a directory of PostgreSQL's user"));
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    account.own(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_data_dir_holds_its_own_socket() {
        let (path, temporary) = place(Path::new("/var/lib/safelane"), Path::new("/tmp")).unwrap();
        assert_eq!((path.as_path(), temporary), (Path::new("/var/lib/safelane/socket"), false));
    }

    #[test]
    fn a_long_data_dir_or_one_with_a_comma_gets_a_stable_short_one() {
        for dir in [format!("/{}", "x".repeat(90)), "/srv/a,b".to_owned()] {
            let (path, temporary) = place(Path::new(&dir), Path::new("/tmp")).unwrap();
            assert!(temporary && path.starts_with("/tmp"));
            assert_eq!(place(Path::new(&dir), Path::new("/tmp")).unwrap().0, path);
        }
    }

    #[test]
    fn too_long_everywhere_is_an_error_that_names_tmpdir() {
        let long = format!("/{}", "x".repeat(90));
        let error = place(Path::new(&long), Path::new(&long)).unwrap_err().to_string();
        assert!(error.contains("TMPDIR"), "{error}");
    }
}
