//! Migrations: embedded in the binary, run by `safelane migrate`, and only verified by `safelane serve`.

use sqlx::migrate::{Migrate as _, Migrator};

use crate::error::{Error, StartError};
use crate::store::{Store, failed};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Brings the database to the schema of this binary. Safe to run from several places at once: a lock in
/// the database lets one go first.
///
/// # Errors
/// Tells in one line what went wrong.
pub async fn migrate(store: &Store) -> Result<(), StartError> {
    let told = |error: String| StartError::Refused(format!("cannot migrate the database: {error}"));
    if pending(store).await? == 0 {
        return Ok(());
    }
    // Without the time limits of a call: a migration takes as long as it takes, and waits for another one.
    let mut connection = store.connect_unbounded().await.map_err(|error| told(error.to_string()))?;
    MIGRATOR.run(&mut connection).await.map_err(|error| told(error.to_string()))?;
    // Fresh tables have no statistics; plans made without them would be poor until autovacuum comes.
    sqlx::query("-- migrate.analyze\nANALYZE")
        .execute(&mut connection)
        .await
        .map_err(|error| told(error.to_string()))?;
    Ok(())
}

/// How many migrations of this binary the database lacks.
///
/// # Errors
/// Fails when the database cannot be read, or has migrations that this binary does not know or that
/// were changed since they ran.
pub async fn pending(store: &Store) -> Result<usize, StartError> {
    let told = |error: String| StartError::Refused(format!("cannot read the database's schema: {error}"));
    let mut connection = store.pool().acquire().await.map_err(|error| told(error.to_string()))?;
    let table =
        sqlx::query_scalar::<_, bool>("-- migrate.table\nSELECT to_regclass('_sqlx_migrations') IS NOT NULL")
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| told(error.to_string()))?;
    if !table {
        return Ok(MIGRATOR.iter().count());
    }
    let applied = connection
        .list_applied_migrations(&MIGRATOR.table_name)
        .await
        .map_err(|error| told(error.to_string()))?;
    for done in &applied {
        match MIGRATOR.iter().find(|known| known.version == done.version) {
            None => {
                return Err(told(format!(
                    "migration {} is newer than this binary; upgrade it",
                    done.version
                )));
            }
            Some(known) if known.checksum != done.checksum => {
                return Err(told(format!("migration {} is not the one that ran", done.version)));
            }
            Some(_) => {}
        }
    }
    Ok(MIGRATOR.iter().count() - applied.len())
}

/// Gives the history a new epoch, after a backup was restored: tokens of the old one are refused from then
/// on. Running services must be restarted.
///
/// # Errors
/// Fails when the database cannot be written.
pub async fn renew_epoch(store: &Store) -> Result<(), Error> {
    // Objects that the lost future knew are not forgotten for what an old backup says of them.
    sqlx::query("-- migrate.renew_epoch\nWITH forgotten AS (DELETE FROM orphans) UPDATE feed SET epoch = gen_random_uuid()")
        .execute(store.pool())
        .await
        .map_err(failed)?;
    Ok(())
}
