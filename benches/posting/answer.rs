//! Reads the parts of an answer that are checked, and steps over the rest. Decoding all of it would cost the
//! generator more than sending the entry did.

use prost::bytes::Buf as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::Failure;

/// An accepted entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Posted<'a> {
    pub(crate) entry_id: &'a [u8],
    pub(crate) revision: i64,
}

/// A `PostEntryResponse`: the entry in field 1, the revision in field 2.
pub(crate) fn posted(mut message: &[u8]) -> Result<Posted<'_>, Failure> {
    let mut found = Posted::default();
    while !message.is_empty() {
        match decode_key(&mut message)? {
            (1, WireType::LengthDelimited) => {
                let entry_id = bytes_of(bytes(&mut message)?, 1)?;
                // Parts of a message that is sent in pieces are merged.
                found.entry_id = entry_id.unwrap_or(found.entry_id);
            }
            (2, WireType::Varint) => found.revision = i64::try_from(decode_varint(&mut message)?)?,
            (number, kind) => skip_field(kind, number, &mut message, DecodeContext::default())?,
        }
    }
    Ok(found)
}

/// A `PostEntriesResponse`: accepted in field 1, refused in field 2, the id in field 3. Both ids must be the
/// same.
pub(crate) fn streamed(mut message: &[u8]) -> Result<Posted<'_>, Failure> {
    let (mut accepted, mut entry_id) = (None, None);
    while !message.is_empty() {
        match decode_key(&mut message)? {
            (1, WireType::LengthDelimited) => accepted = Some(posted(bytes(&mut message)?)?),
            (2, WireType::LengthDelimited) => {
                let status = bytes(&mut message)?;
                let told = bytes_of(status, 2)?.unwrap_or_default();
                return Err(format!("an entry was refused: {}", String::from_utf8_lossy(told)).into());
            }
            (3, WireType::LengthDelimited) => entry_id = Some(bytes(&mut message)?),
            (number, kind) => skip_field(kind, number, &mut message, DecodeContext::default())?,
        }
    }
    match accepted {
        Some(posted) if Some(posted.entry_id) == entry_id => Ok(posted),
        Some(_) => Err("an answer names two entries".into()),
        None => Err("an answer without an outcome".into()),
    }
}

/// The last field of that number that holds bytes.
fn bytes_of(mut message: &[u8], wanted: u32) -> Result<Option<&[u8]>, Failure> {
    let mut found = None;
    while !message.is_empty() {
        match decode_key(&mut message)? {
            (number, WireType::LengthDelimited) if number == wanted => found = Some(bytes(&mut message)?),
            (number, kind) => skip_field(kind, number, &mut message, DecodeContext::default())?,
        }
    }
    Ok(found)
}

fn bytes<'a>(message: &mut &'a [u8]) -> Result<&'a [u8], Failure> {
    let length = usize::try_from(decode_varint(message)?)?;
    let whole: &'a [u8] = message;
    let part = whole.get(..length).ok_or("an answer is cut off")?;
    message.advance(length);
    Ok(part)
}
