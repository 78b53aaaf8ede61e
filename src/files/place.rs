//! Where files are kept: a folder of this machine, or a bucket of an S3-compatible store.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{ClientConfigKey, ObjectStore};

use crate::error::StartError;
use crate::files::objects::Objects;
use crate::files::staging::Staging;

/// The flag and its variable, for errors.
const SETTING: &str = "--attachments (SAFELANE_ATTACHMENTS)";

/// How long a bucket may take for one request: a part of five mebibytes over a slow line.
const REQUEST_MAX: &str = "180s";

/// Where files are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket; uploads in a folder until they are whole.
    S3 {
        /// The bucket.
        bucket: String,
        /// What every key begins with; may be empty.
        prefix: String,
        /// Where uploads are.
        uploads: PathBuf,
    },
}

impl Place {
    /// Reads the setting. Uploads to a bucket wait in `data_dir`.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn parse(text: &str, data_dir: &Path) -> Result<Self, StartError> {
        let wrong = |allowed: &str| StartError::Setting {
            setting: SETTING,
            value: text.to_owned(),
            allowed: allowed.to_owned(),
        };
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
            if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(fits) {
                return Err(wrong("give a bucket and a prefix, such as s3://safelane/attachments"));
            }
            let (bucket, prefix) = (bucket.to_owned(), prefix.trim_matches('/').to_owned());
            return Ok(Self::S3 { bucket, prefix, uploads: data_dir.join("uploads") });
        }
        if text.is_empty() || text.contains("://") {
            return Err(wrong("give a folder such as /srv/attachments, or s3://bucket/prefix"));
        }
        Ok(Self::Folder(PathBuf::from(text)))
    }

    /// Opens the place: makes its folders, and reads the credentials of a bucket from `AWS_` variables.
    ///
    /// # Errors
    /// Says what is wrong with the setting, the folder or the variables.
    pub fn open(&self) -> Result<(Objects, Staging), StartError> {
        let wrong = |value: String, allowed: String| StartError::Setting { setting: SETTING, value, allowed };
        let make = |folder: &Path| {
            make_folder(folder).map_err(|error| {
                let told = format!("cannot be written to: {error}; choose another, or mend its permissions");
                wrong(folder.display().to_string(), told)
            })
        };
        match self {
            Self::Folder(folder) => {
                let uploads = folder.join("uploads");
                make(&uploads)?;
                make(&folder.join("objects"))?;
                make_shelves(&folder.join("objects"))
                    .map_err(|error| wrong(folder.display().to_string(), format!("has no room: {error}")))?;
                let store = LocalFileSystem::new_with_prefix(folder)
                    .map_err(|error| wrong(folder.display().to_string(), error.to_string()))?
                    .with_fsync(true);
                Ok((Objects::new(Arc::new(store), Some(folder.clone())), Staging::new(uploads)))
            }
            Self::S3 { bucket, prefix, uploads } => {
                make(uploads)?;
                let store = open_bucket(bucket).map_err(|error| {
                    let told = format!("cannot be used with the AWS_ variables: {error}");
                    wrong(format!("s3://{bucket}/{prefix}"), told)
                })?;
                let store: Arc<dyn ObjectStore> = match prefix.as_str() {
                    "" => Arc::new(store),
                    prefix => Arc::new(PrefixStore::new(store, prefix)),
                };
                Ok((Objects::new(store, None), Staging::new(uploads.clone())))
            }
        }
    }
}

fn open_bucket(bucket: &str) -> object_store::Result<object_store::aws::AmazonS3> {
    // Another part of the process may have chosen one, which is as good.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let mut bucket = AmazonS3Builder::from_env().with_bucket_name(bucket).with_disable_bulk_delete(true);
    if std::env::var_os("AWS_TIMEOUT").is_none() {
        bucket = bucket.with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), REQUEST_MAX);
    }
    bucket.build()
}

/// Makes a folder that only this user may enter, and tries to write in it and to lock a file.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    let locked = fs::File::create(&probe)?.lock();
    fs::remove_file(probe)?;
    locked
}

/// Makes the folders by the first two digits. To make one costs several flushes of the disk, so nobody's upload should.
fn make_shelves(folder: &Path) -> std::io::Result<()> {
    (0..=u8::MAX).try_for_each(|first| {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.join(format!("{first:02x}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_or_a_bucket() {
        let parse = |text| Place::parse(text, Path::new("/data"));
        assert_eq!(parse("/srv/files").unwrap(), Place::Folder("/srv/files".into()));
        let uploads = PathBuf::from("/data/uploads");
        let (bucket, prefix) = ("safelane".to_owned(), "a/b".to_owned());
        assert_eq!(parse("s3://safelane/a/b/").unwrap(), Place::S3 { bucket, prefix, uploads });
        for bad in ["", "s3://", "s3://A_B/c", "gs://bucket", "https://example.org/x"] {
            let told = parse(bad).unwrap_err().to_string();
            assert!(told.contains("--attachments (SAFELANE_ATTACHMENTS)"), "{told}");
        }
    }
}
