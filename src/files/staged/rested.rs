//! An upload between two calls: nobody has its lock, and whoever comes next learns whether somebody else has written.

use std::io;
use std::time::SystemTime;

use crate::files::UploadKey;
use crate::files::content::Content;
use crate::files::staged::Staged;

impl Staged {
    /// Lets others write. None when nothing is there, or it is not durable, or not what `content` is of.
    pub(in crate::files) fn rest(self, content: Content) -> Option<Rested> {
        let is_durable = self.broken.is_none() && self.named && self.unsynced == 0;
        let file = self.file.as_ref().filter(|_| is_durable && content.length() == self.offset)?;
        let written_at = file.metadata().and_then(|found| found.modified()).ok()?;
        file.unlock().ok()?;
        Some(Rested { staged: self, content, written_at })
    }
}

/// An upload that nobody writes now, with what its bytes came to.
#[derive(Debug)]
pub(in crate::files) struct Rested {
    staged: Staged,
    content: Content,
    written_at: SystemTime,
}

impl Rested {
    /// Goes on with it. None when somebody else has written meanwhile.
    pub(in crate::files) fn wake(self) -> io::Result<Option<(Staged, Content)>> {
        let Some(file) = &self.staged.file else { return Ok(None) };
        file.try_lock()?;
        Ok(self.is_as_it_was().then_some((self.staged, self.content)))
    }

    /// Whether what is there, all of which is durable, is what was left.
    pub(in crate::files) fn is_as_it_was(&self) -> bool {
        let Some(file) = &self.staged.file else { return false };
        let same = file.metadata().is_ok_and(|found| {
            found.len() == self.staged.offset && found.modified().is_ok_and(|at| at == self.written_at)
        });
        same && self.staged.is_in_place(file).unwrap_or(false)
    }

    pub(in crate::files) const fn key(&self) -> &UploadKey {
        &self.staged.key
    }

    pub(in crate::files) const fn offset(&self) -> u64 {
        self.staged.offset
    }
}
