//! Where the keys of personal data come from: the file of the settings, or for the private PostgreSQL one that is made
//! beside it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::app::personal_key::{KEY_LEN, PersonalKeys, hex};
use crate::cli::database::Database;
use crate::config::ServeArgs;
use crate::error::StartError;
use crate::store::Store;
use crate::store::personal::list_key_ids;

/// Name of the file in the data directory.
const FILE: &str = "personal.key";
/// Nobody else reads the keys.
const MODE: u32 = 0o600;
/// Bits of a mode that let everybody in.
const OTHERS: u32 = 0o007;
/// The setting.
const SETTING: &str = "--personal-key-file (SAFELANE_PERSONAL_KEY_FILE)";

/// The keys of a service. None with an external database and no file: then reports are stored without details of victims,
/// and names of members are kept in plain.
///
/// # Errors
/// Says what is wrong with the file, without what is in it.
pub(super) fn load(args: &ServeArgs, database: &Database) -> Result<Option<PersonalKeys>, StartError> {
    match (&args.personal_key_file, &database.data_dir) {
        (Some(file), _) => read(file).map(Some),
        (None, Some(dir)) => read_or_make(&dir.join(FILE)).map(Some),
        (None, None) => Ok(None),
    }
}

/// Says what cannot be done without keys. Not before the service has started: one that does not says only why.
pub(super) async fn tell_of_missing(keys: Option<&PersonalKeys>, store: &Store) {
    if keys.is_none() {
        tracing::info!(
            "no {SETTING}: reports are stored without details of victims, and names of members are kept in plain"
        );
    }
    let opens = |id: &String| keys.is_some_and(|keys| keys.ids().any(|known| known == id));
    match list_key_ids(store.pool()).await {
        Ok(used) => {
            let missing: Vec<String> = used.into_iter().filter(|id| !opens(id)).collect();
            if !missing.is_empty() {
                let key_ids = missing.join(", ");
                tracing::error!(
                    key_ids,
                    "personal data is sealed with keys that are not in the file of {SETTING}"
                );
            }
        }
        Err(error) => tracing::warn!(%error, "cannot tell with which keys personal data is sealed"),
    }
}

fn read(path: &Path) -> Result<PersonalKeys, StartError> {
    let refused = |allowed: String| StartError::Setting {
        setting: SETTING,
        value: path.display().to_string(),
        allowed,
    };
    let unreadable = |error: std::io::Error| refused(format!("cannot be read: {error}"));
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & OTHERS != 0 {
        tracing::warn!(path = %path.display(), "everybody on this machine may use the key file: chmod it to 600");
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    PersonalKeys::parse(&text).map_err(refused)
}

fn read_or_make(path: &Path) -> Result<PersonalKeys, StartError> {
    if !path.exists() {
        let told = |error| StartError::Refused(format!("{} cannot be made: {error}", path.display()));
        make(path).map_err(told)?;
        tracing::info!(
            path = %path.display(),
            "made a key for personal data: keep a copy of it apart from the backups of the database"
        );
    }
    read(path)
}

/// Writes a new key. It appears under its name whole or not at all.
fn make(path: &Path) -> Result<(), std::io::Error> {
    let mut key = [0; KEY_LEN];
    getrandom::fill(&mut key)?;
    let half = path.with_extension("key.new");
    match std::fs::remove_file(&half) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&half)?;
    file.write_all(format!("{}\n", hex(&key)).as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&half, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}
