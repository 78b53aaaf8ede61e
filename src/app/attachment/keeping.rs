//! Keeping a file that is whole: first it is in the object store, then one transaction says so, and only then is it
//! present. The same transaction holds reports that say something else of the file.
//!
//! Collecting what nobody refers to cannot come in between: whoever keeps a file takes the mark of an orphan away before it
//! looks at the store, and no object is deleted until a new mark has stood for long. So neither a lock nor a connection is
//! held while the store is asked. See [`super::orphans`].

use crate::app::App;
use crate::domain::ids::OrganizationId;
use crate::error::{Away, Error};
use crate::files::Sha256Sum;
use crate::files::objects::io_away;
use crate::files::staged::Staged;
use crate::store::attachment::Present;
use crate::store::orphan::{is_deleted, unmark};

impl App {
    /// Keeps a file whose bytes are all there, verified and durable, and whose object is not being deleted. Nobody else writes
    /// it meanwhile: its lock is held.
    pub(super) async fn keep(
        &self,
        operator: OrganizationId,
        staged: Staged,
        file: Present,
        sent_by: String,
    ) -> Result<(), Error> {
        self.attachments.objects.put(&staged).await?;
        self.note(operator, file, sent_by).await?;
        self.block(move || staged.discard().map_err(|error| io_away(&error))).await
    }

    /// Sees to it that the object of a file is not being deleted, and will not be for long.
    pub(super) async fn expect_not_deleted(&self, file: Sha256Sum) -> Result<(), Error> {
        let pool = self.store.keyed();
        let safe = match is_deleted(pool, file).await? {
            None => true,
            Some(is_deleted) => !is_deleted && unmark(pool, file).await?,
        };
        if safe { Ok(()) } else { Err(Error::Unavailable(Away::Files)) }
    }
}
