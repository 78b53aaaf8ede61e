//! Which history this is, and the key of its tokens.

use sqlx::FromRow;
use uuid::Uuid;

use crate::error::Error;
use crate::store::{Store, failed};

/// The one row of `feed`.
#[derive(Clone, FromRow)]
pub struct Feed {
    /// Names this history; renewed after a backup is restored.
    pub epoch: Uuid,
    /// Authenticates page and resume tokens: 32 bytes.
    pub token_key: Vec<u8>,
}

/// Reads it.
///
/// # Errors
/// Fails when the database does.
pub async fn get_feed(store: &Store) -> Result<Feed, Error> {
    sqlx::query_as("-- feed.get\nSELECT epoch, token_key FROM feed")
        .fetch_one(store.pool())
        .await
        .map_err(failed)
}
