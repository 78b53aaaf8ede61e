//! Opening the database that the settings name: an external one, or the private one of the data directory.

use std::path::PathBuf;
use std::time::Duration;

use crate::app::writer::SHARDS;
use crate::config::DatabaseArgs;
use crate::error::StartError;
use crate::store::embedded::{Embedded, Options};
use crate::store::{Store, migrate};

/// Name of the data directory of a service, below the system's or the user's folder for such.
pub(super) const SERVICE: &str = "safelane";
/// The same for the demo.
pub(super) const DEMO: &str = "safelane-demo";
/// How long work in progress may keep the connections open. The server has waited for it before; what is
/// cut is rolled back.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// An open database, and the private PostgreSQL behind it if there is one.
pub(super) struct Database {
    pub(super) store: Store,
    pub(super) embedded: Option<Embedded>,
    /// The folder of the private PostgreSQL.
    pub(super) data_dir: Option<PathBuf>,
}

/// Connections beside those for reads, and as many for what is found by its key: each writer's, and that of the readiness
/// check.
const OWN_CONNECTIONS: u16 = SHARDS + 1;

impl Database {
    /// Opens the database. A private one is started and brought up to date; an external one is left as is.
    ///
    /// The demo has a default folder of its own, so that it never writes where a service keeps its rows.
    pub(super) async fn open(args: &DatabaseArgs, folder: &str) -> Result<Self, StartError> {
        let connections = args.connections()?;
        if let Some(url) = args.url() {
            let options = Store::parse_url(url.reveal()).map_err(|allowed| StartError::Setting {
                setting: "--database-url (DATABASE_URL)",
                // The URL holds a password.
                value: "(hidden)".to_owned(),
                allowed,
            })?;
            return Ok(Self {
                store: Store::new(options, connections.into()),
                embedded: None,
                data_dir: None,
            });
        }
        let data_dir = data_dir(args, folder)?;
        let embedded = Embedded::start(Options {
            data_dir: data_dir.clone(),
            bin_dir: args.pg_bin_dir.clone(),
            durable: true,
            max_connections: connections.saturating_mul(2).saturating_add(OWN_CONNECTIONS),
        })
        .await?;
        let store = Store::new(embedded.connect_options(), connections.into());
        migrate::migrate(&store).await?;
        Ok(Self { store, embedded: Some(embedded), data_dir: Some(data_dir) })
    }

    /// Opens a database that must be there already: nothing is made, so that a mistyped folder is noticed.
    pub(super) async fn open_existing(args: &DatabaseArgs, folder: &str) -> Result<Self, StartError> {
        if args.url().is_none() {
            let data_dir = data_dir(args, folder)?;
            if !data_dir.join("postgres").exists() {
                return Err(StartError::Refused(format!(
                    "{} holds no database; choose the right one with --data-dir, or set DATABASE_URL",
                    data_dir.display()
                )));
            }
        }
        Self::open(args, folder).await
    }

    /// Closes the connections and stops the private PostgreSQL.
    pub(super) async fn close(self) {
        if tokio::time::timeout(CLOSE_MAX, self.store.close()).await.is_err() {
            tracing::warn!("cut work that was still waiting for the database");
        }
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// The folder of what the service keeps by itself.
pub(super) fn data_dir(args: &DatabaseArgs, folder: &str) -> Result<PathBuf, StartError> {
    match &args.data_dir {
        Some(chosen) => Ok(chosen.clone()),
        None => default_data_dir(folder),
    }
}

fn default_data_dir(folder: &str) -> Result<PathBuf, StartError> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib").join(folder));
    }
    let base = match (std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME")) {
        (Some(data), _) if !data.is_empty() => PathBuf::from(data),
        (_, Some(home)) if !home.is_empty() => PathBuf::from(home).join(".local/share"),
        _ => {
            let way_out = "no home directory is known: set --data-dir (SAFELANE_DATA_DIR)";
            return Err(StartError::Refused(way_out.to_owned()));
        }
    };
    Ok(base.join(folder))
}
