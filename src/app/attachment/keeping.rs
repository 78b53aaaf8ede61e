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

/// The mark of an object that nobody referred to when somebody looked.
pub(super) struct Mark {
    /// None where there is none.
    is_deleted: Option<bool>,
}

impl App {
    /// Keeps a file whose bytes are all there, verified and durable, after its mark is taken away. Nobody else writes it
    /// meanwhile: its lock is held.
    pub(super) async fn keep(
        &self,
        operator: OrganizationId,
        (staged, mark): (Staged, Mark),
        file: Present,
        sent_by: String,
    ) -> Result<(), Error> {
        self.take_away(mark, file.sha256).await?;
        self.attachments.objects.put(&staged).await?;
        self.note(operator, file, sent_by).await?;
        self.block(move || staged.discard().map_err(|error| io_away(&error))).await
    }

    /// The mark of a file's object as an orphan, if it has one.
    pub(super) async fn mark_of(&self, file: Sha256Sum) -> Result<Mark, Error> {
        Ok(Mark { is_deleted: is_deleted(self.store.keyed(), file).await? })
    }

    /// Sees to it that the object of a file is not being deleted, and will not be for long.
    async fn take_away(&self, mark: Mark, file: Sha256Sum) -> Result<(), Error> {
        let safe = match mark.is_deleted {
            None => true,
            Some(is_deleted) => !is_deleted && unmark(self.store.keyed(), file).await?,
        };
        if safe { Ok(()) } else { Err(Error::Unavailable(Away::Files)) }
    }
}
