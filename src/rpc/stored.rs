//! `EntryPosted` as stored bytes.
//!
//! An entry is encoded once, when it is booked. Streams and reads send those very bytes, so that every
//! reader gets what was hashed. The generated code uses this type for the message (see `build.rs`): it holds
//! the bytes and adds only `previous_revision`, which depends on the stream.

use bytes::{Buf, BufMut, Bytes};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, encode_key, encode_varint, int64};

use crate::rpc::pb;

/// Field number of `previous_revision`.
const PREVIOUS_REVISION: u32 = 4;

/// The message `safelane.v1.EntryPosted`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct EntryPosted {
    /// The stored fields: entry, revision, allocations.
    pub stored: Bytes,
    /// Revision of the entry that the stream sent before; 0 outside streams.
    pub previous_revision: i64,
}

impl EntryPosted {
    /// The fields of the stored bytes. `PostEntryResponse` has the same ones.
    ///
    /// # Errors
    /// Fails when the bytes are not such a message.
    pub fn read(&self) -> Result<pb::PostEntryResponse, DecodeError> {
        prost::Message::decode(self.stored.clone())
    }
}

impl prost::Message for EntryPosted {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.stored);
        if self.previous_revision != 0 {
            int64::encode(PREVIOUS_REVISION, &self.previous_revision, buf);
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        if tag == PREVIOUS_REVISION {
            return int64::merge(wire_type, &mut self.previous_revision, buf, ctx);
        }
        // Other fields are kept as the bytes that they came as, unknown ones included.
        let mut kept = Vec::with_capacity(self.stored.len() + buf.remaining());
        kept.extend_from_slice(&self.stored);
        encode_key(tag, wire_type, &mut kept);
        match wire_type {
            WireType::Varint => encode_varint(prost::encoding::decode_varint(buf)?, &mut kept),
            WireType::LengthDelimited => {
                let mut content = Bytes::new();
                prost::encoding::bytes::merge(wire_type, &mut content, buf, ctx)?;
                encode_varint(content.len() as u64, &mut kept);
                kept.extend_from_slice(&content);
            }
            // The message has no fields of other types; what a newer server adds is not kept.
            WireType::ThirtyTwoBit | WireType::SixtyFourBit | WireType::StartGroup | WireType::EndGroup => {
                return prost::encoding::skip_field(wire_type, tag, buf, ctx);
            }
        }
        self.stored = kept.into();
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        let previous = self.previous_revision;
        let added = if previous == 0 { 0 } else { int64::encoded_len(PREVIOUS_REVISION, &previous) };
        self.stored.len() + added
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    #[test]
    fn stored_bytes_survive_the_way_to_a_client_unchanged() {
        let entry = pb::Entry { entry_id: "e".into(), note: "fuel".into(), ..pb::Entry::default() };
        let told = pb::PostEntryResponse { entry: Some(entry), revision: 7, allocations: Vec::new() };
        let stored: Bytes = told.encode_to_vec().into();
        let sent = EntryPosted { stored: stored.clone(), previous_revision: 6 };
        let received = EntryPosted::decode(sent.encode_to_vec().as_slice()).unwrap();
        assert_eq!(received, sent);
        assert_eq!(received.stored, stored);
        assert_eq!(received.read().unwrap(), told);
    }
}
