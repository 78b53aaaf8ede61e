//! Opening an upload: where it was left, as it is on the disk, or as a new one, if there is room.

use crate::error::Error;
use crate::files::UploadKey;
use crate::files::content::Content;
use crate::files::objects::io_away;
use crate::files::resting::Resting;
use crate::files::staged::Staged;
use crate::files::staging::Staging;

/// The most bytes that one operator's unfinished uploads may have when they are finished: 8 GiB.
pub(super) const UNFINISHED_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// The most unfinished uploads of one operator.
pub(super) const UNFINISHED_MAX: u64 = 2_000;

/// Opens an upload, with what its bytes so far come to. This blocks.
///
/// # Errors
/// A quota when a new one is one too many; what was begun may be ended. `Files` when the folder fails or is nearly full: then
/// nothing more is written, and what nobody goes on with is collected; `Contended` when another process writes it.
pub(super) fn open(
    staging: &Staging,
    resting: &Resting,
    key: &UploadKey,
) -> Result<(Staged, Content), Error> {
    let told = |error| io_away(&error);
    let (staged, content) = match resting.wake(key).map_err(told)? {
        Some(rested) => rested,
        None => staging.open(key).map_err(told)?,
    };
    if staged.offset() == 0 {
        expect_room(staging, key)?;
    }
    if !staged.is_whole() {
        staging.expect_space().map_err(told)?;
    }
    Ok((staged, content))
}

fn expect_room(staging: &Staging, key: &UploadKey) -> Result<(), Error> {
    let unfinished = staging.unfinished(key.operator).map_err(|error| io_away(&error))?;
    if UNFINISHED_MAX <= unfinished.count {
        return Err(Error::Quota { what: "unfinished uploads of an operator", max: UNFINISHED_MAX });
    }
    if UNFINISHED_BYTES_MAX < unfinished.bytes.saturating_add(key.size.unsigned_abs()) {
        let what = "bytes of an operator's unfinished uploads";
        return Err(Error::Quota { what, max: UNFINISHED_BYTES_MAX });
    }
    Ok(())
}
