//! The system user that PostgreSQL runs as. PostgreSQL refuses to run as root.

use std::env;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::StartError;

/// What PostgreSQL programs see of our environment. Secrets and `PG*` settings stay out of it.
const KEPT_VARIABLES: [&str; 2] = ["PATH", "LD_LIBRARY_PATH"];

/// The user of the PostgreSQL programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    name: String,
    uid: u32,
    gid: u32,
    /// Whether this is another user than ours, which only root may switch to.
    switch: bool,
}

impl Account {
    /// Our own user; as root, the owner of the cluster, else `postgres`, else `nobody`.
    pub(super) fn choose(cluster: &Path) -> Result<Self, StartError> {
        let uid = rustix::process::geteuid();
        let owner = fs::metadata(cluster).ok();
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        if uid.is_root() {
            return Self::unprivileged(cluster, owner.as_ref(), &passwd);
        }
        let gid = rustix::process::getegid().as_raw();
        let account = Self { name: name(&passwd, uid.as_raw()), uid: uid.as_raw(), gid, switch: false };
        match owner {
            Some(owner) if owner.uid() != account.uid => Err(StartError::Refused(format!(
                "the database in {} belongs to user {}, but this is user {}: start the service as its \
                 owner, or choose another directory with --data-dir",
                cluster.display(),
                name(&passwd, owner.uid()),
                account.name
            ))),
            _ => Ok(account),
        }
    }

    fn unprivileged(cluster: &Path, owner: Option<&Metadata>, passwd: &str) -> Result<Self, StartError> {
        match owner {
            Some(owner) if owner.uid() == 0 => Err(StartError::Refused(format!(
                "the database in {} belongs to root, as whom PostgreSQL refuses to run: give it to \
                 another user with chown -R",
                cluster.display()
            ))),
            Some(owner) => {
                Ok(Self { name: name(passwd, owner.uid()), uid: owner.uid(), gid: owner.gid(), switch: true })
            }
            None => find(passwd, "postgres").or_else(|| find(passwd, "nobody")).ok_or_else(|| {
                StartError::Refused(
                    "PostgreSQL refuses to run as root, and there is neither a user postgres nor \
                     nobody: create one with useradd --system postgres, or set DATABASE_URL"
                        .to_owned(),
                )
            }),
        }
    }

    /// A PostgreSQL program, to be run as this user from `folder`.
    ///
    /// It must not inherit our working directory, which this user may not be allowed to enter.
    pub(super) fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC");
        command.envs(KEPT_VARIABLES.iter().filter_map(|name| Some((name, env::var_os(name)?))));
        command.current_dir(folder).stdin(Stdio::null());
        if self.switch {
            // With a uid and no groups, std also drops root's supplementary groups.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives a file or directory to this user, never following a link.
    pub(super) fn own(&self, path: &Path) -> io::Result<()> {
        if self.switch { lchown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }

    /// Whether a file is this user's.
    pub(super) fn owns(&self, metadata: &Metadata) -> bool {
        metadata.uid() == self.uid
    }

    /// Why a program could not be started.
    pub(super) fn cannot_run(&self, program: &Path, folder: &Path, error: &io::Error) -> StartError {
        let blocked = [folder, program].into_iter().find_map(|path| self.blocked_at(path));
        match blocked {
            Some(barrier) if error.kind() == io::ErrorKind::PermissionDenied => StartError::Refused(format!(
                "PostgreSQL runs as user {}, who may not enter {}: choose a --data-dir that \
                     every user can reach, such as /var/lib/safelane, or chmod o+x {0}, or set \
                     DATABASE_URL",
                self.name,
                barrier.display()
            )),
            _ => StartError::Refused(format!(
                "cannot run {} as user {}: {error}; mend the installation, choose another with \
                 --pg-bin-dir, or set DATABASE_URL",
                program.display(),
                self.name
            )),
        }
    }

    /// The topmost part of a path that this user may not pass, going by the mode bits.
    fn blocked_at<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let mut blocked = None;
        for part in path.ancestors() {
            if fs::metadata(part).is_ok_and(|metadata| !self.may_pass(&metadata)) {
                blocked = Some(part);
            }
        }
        blocked
    }

    fn may_pass(&self, metadata: &Metadata) -> bool {
        let bit = if metadata.uid() == self.uid {
            0o100
        } else if metadata.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        metadata.mode() & bit != 0
    }
}

/// Finds a user by name in the text of `/etc/passwd`.
fn find(passwd: &str, wanted: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let (name, uid, gid) = entry(line)?;
        (name == wanted && uid != 0).then(|| Account { name: name.to_owned(), uid, gid, switch: true })
    })
}

/// The name of a user, or its number when it has none.
fn name(passwd: &str, wanted: u32) -> String {
    passwd
        .lines()
        .filter_map(entry)
        .find(|(_, uid, _)| *uid == wanted)
        .map_or_else(|| wanted.to_string(), |(name, ..)| name.to_owned())
}

/// One line of `/etc/passwd`: name, password, uid, gid and more, with colons between.
fn entry(line: &str) -> Option<(&str, u32, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some((name, uid, gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
                          broken line\n\
                          nobody:*:-2:-2::/:/bin/false\n\
                          postgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn a_user_is_found_by_name() {
        let found = find(PASSWD, "postgres").unwrap();
        assert_eq!((found.uid, found.gid, found.switch), (101, 104, true));
    }

    #[test]
    fn root_and_unreadable_entries_are_never_chosen() {
        assert_eq!(find(PASSWD, "root"), None);
        assert_eq!(find(PASSWD, "nobody"), None);
        assert_eq!(find(PASSWD, "missing"), None);
    }

    #[test]
    fn a_user_without_a_name_is_shown_by_number() {
        assert_eq!(name(PASSWD, 101), "postgres");
        assert_eq!(name(PASSWD, 4242), "4242");
    }
}
