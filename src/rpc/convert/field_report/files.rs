//! Files that a report declares.

use crate::domain::field_report::Attachment;
use crate::domain::field_report::media::{FILE_BYTES_MAX, MEDIA_TYPES};
use crate::domain::text::{Text, quote};
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// The most attachments of a version.
const ATTACHMENTS_MAX: usize = 200;

pub(super) fn read_attachments(reader: &mut Reader, sent: &[pb::Attachment]) -> Option<Vec<Attachment>> {
    let field = "report.attachments";
    if ATTACHMENTS_MAX < sent.len() {
        reader.bad(field, format!("are {}; give at most {ATTACHMENTS_MAX}", sent.len()));
        return None;
    }
    let read: Vec<Option<Attachment>> = sent
        .iter()
        .enumerate()
        .map(|(index, sent)| read_attachment(reader, &format!("{field}[{index}]"), sent))
        .collect();
    let mut read: Vec<Attachment> = read.into_iter().collect::<Option<_>>()?;
    for (index, file) in read.iter().enumerate() {
        let other =
            read.iter().take(index).find(|other| other.sha256 == file.sha256 && other.size != file.size);
        if let Some(other) = other {
            let rule = format!("is {}, but the same file has {} bytes before it", file.size, other.size);
            reader.bad(format!("{field}[{index}].size"), rule);
        }
    }
    read.shrink_to_fit();
    Some(read)
}

fn read_attachment(reader: &mut Reader, field: &str, sent: &pb::Attachment) -> Option<Attachment> {
    let sha256 = read_sha256(reader, &format!("{field}.sha256"), &sent.sha256);
    let size = reader.within(&format!("{field}.size"), sent.size, 1, FILE_BYTES_MAX);
    let media_type = reader.parse(&format!("{field}.media_type"), read_media_type(&sent.media_type));
    let name = reader.parse(&format!("{field}.name"), read_name(&sent.name));
    Some(Attachment { sha256: sha256?, size: size?, media_type: media_type?, name: name? })
}

/// A SHA-256.
pub fn read_sha256(reader: &mut Reader, field: &str, sent: &[u8]) -> Option<[u8; 32]> {
    let digest = <[u8; 32]>::try_from(sent).ok();
    if digest.is_none() {
        reader.bad(field, format!("has {} bytes; a SHA-256 has 32", sent.len()));
    }
    digest
}

fn read_media_type(sent: &str) -> Result<String, String> {
    if MEDIA_TYPES.contains(&sent) {
        return Ok(sent.to_owned());
    }
    Err(format!("{} is not one of {}", quote(sent), MEDIA_TYPES.join(", ")))
}

/// A name for people. It is never a path, but others may take it for one, and what turns the direction of writing makes it
/// look like another.
fn read_name(sent: &str) -> Result<String, String> {
    let text = Text::<0, 200>::parse(sent)?;
    match text.as_str().chars().find(|c| matches!(c, '/' | '\\') || c.is_control() || turns_writing(*c)) {
        Some(found) => {
            Err(format!("holds {found:?}; give a name without a path and without invisible characters"))
        }
        None => Ok(sent.to_owned()),
    }
}

const fn turns_writing(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
