//! Keeping a file that is whole: first it is in the object store, then one transaction says so, and only then is it
//! present. The same transaction holds reports that say something else of the file.
//!
//! Collecting what nobody refers to cannot come in between: whoever keeps a file takes the mark of an orphan away before it
//! looks at the store, and no object is deleted until a new mark has stood for long. So neither a lock nor a connection is
//! held while the store is asked, and that there was no mark when the upload began is enough. See [`super::orphans`].

use std::time::{Duration, Instant};

use crate::app::App;
use crate::app::attachment::orphans::DELETION_MAX;
use crate::app::attachment::writers::Writing;
use crate::domain::ids::OrganizationId;
use crate::error::{Away, Error};
use crate::files::Sha256Sum;
use crate::files::staged::Staged;
use crate::store::attachment::Present;
use crate::store::orphan::{is_deleted, unmark};

/// How long it counts that an object had no mark: for far less than a new one must stand before the object is deleted, and
/// for less than a deletion lasts, since a database that fails over may have forgotten how one ended.
const CLEAR_FOR: Duration = Duration::from_mins(10);
const _: () =
    assert!(CLEAR_FOR.as_secs() < DELETION_MAX.as_secs().unsigned_abs(), "less than a deletion lasts");

/// Whether an object had the mark of an orphan when somebody asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) is_marked: bool,
    pub(super) asked_at: Instant,
}

impl Mark {
    /// Whether the object is not being deleted, and will not be for long.
    pub(super) fn is_clear(&self) -> bool {
        !self.is_marked && self.asked_at.elapsed() < CLEAR_FOR
    }
}

/// A file whose bytes are all there, verified and durable. Nobody else writes it meanwhile: its lock is held.
pub(super) struct Verified {
    pub(super) file: Present,
    pub(super) staged: Staged,
    /// Whether it is in the store already.
    pub(super) is_put: bool,
}

impl App {
    /// Keeps a file. If it is not in the store yet, a mark that it has is taken away first.
    pub(super) async fn keep(
        &self,
        operator: OrganizationId,
        verified: &Verified,
        mark: Mark,
        sent_by: String,
    ) -> Result<(), Error> {
        if !verified.is_put {
            if !mark.is_clear() {
                self.take_away(verified.file.sha256).await?;
            }
            self.attachments.objects.put(&verified.staged).await?;
        }
        self.note(operator, verified.file.clone(), sent_by).await
    }

    /// Sees to it that the object of a file is not being deleted, and will not be for long.
    async fn take_away(&self, file: Sha256Sum) -> Result<(), Error> {
        let safe = match is_deleted(self.store.keyed(), file).await? {
            None => true,
            Some(is_deleted) => !is_deleted && unmark(self.store.keyed(), file).await?,
        };
        if safe { Ok(()) } else { Err(Error::Unavailable(Away::Files)) }
    }

    /// Takes away what an upload was written to that is kept. Nobody waits for that but who would write the same file; where
    /// it fails it is collected some day, as what nobody goes on with.
    pub(super) fn discard(&self, staged: Staged, writer: Writing) {
        self.store.spawn_blocking(move || {
            if let Err(error) = staged.discard() {
                tracing::warn!(%error, "what is left of a finished upload could not be deleted");
            }
            drop(writer);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_look_for_a_mark_does_not_count() {
        let ago = |age| Instant::now().checked_sub(age).unwrap();
        assert!(Mark { is_marked: false, asked_at: ago(CLEAR_FOR / 2) }.is_clear());
        assert!(!Mark { is_marked: false, asked_at: ago(CLEAR_FOR) }.is_clear());
        assert!(!Mark { is_marked: true, asked_at: Instant::now() }.is_clear());
    }
}
