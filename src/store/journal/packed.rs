//! Payloads as they lie in the table: ids are text in the messages that clients receive, 37 bytes each with
//! their length, and a message names the same few ids again and again. Packed, an id is one byte when the row
//! holds it anyway or when it was named before, and 17 bytes otherwise. Unpacking gives the very bytes back:
//! what is hashed and streamed is the message.
//!
//! A packed payload is [`MARK`], and then, over and over: the length of a literal in one byte, the literal, and
//! the id that follows it. After a literal of [`LITERAL_MAX`] bytes comes another literal. A protobuf message
//! never begins with `MARK`, so plain payloads are told apart by their first byte.

use uuid::Uuid;

use crate::error::Error;

/// Field number 0 does not exist, so no message begins with this byte.
const MARK: u8 = 0;
/// The length of an id as text, as it stands before it in a message.
const TEXT_LEN: u8 = 36;
/// Length and text.
const FIELD_LEN: usize = 1 + TEXT_LEN as usize;
/// The longest literal.
const LITERAL_MAX: u8 = u8::MAX;
/// After a literal: the id of the row's scope.
const SCOPE: u8 = 0;
/// The id of the row's request.
const REQUEST: u8 = 1;
/// The 16 bytes that follow.
const NEW: u8 = 2;
/// The first, second, … of the new ids of this payload.
const EARLIER: u8 = 3;

/// The ids that the row holds in columns of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowIds {
    pub(super) scope: Uuid,
    pub(super) request: Uuid,
}

/// Packs a message.
pub(super) fn pack(message: &[u8], ids: RowIds) -> Vec<u8> {
    let mut packed = Vec::with_capacity(message.len());
    packed.push(MARK);
    let mut named: Vec<Uuid> = Vec::new();
    let (mut literal, mut at) = (0, 0);
    while let Some(found) = message[at..].iter().position(|byte| *byte == TEXT_LEN) {
        at += found;
        let Some(id) = id_at(&message[at..]) else {
            at += 1;
            continue;
        };
        push_literal(&mut packed, &message[literal..at]);
        push_id(&mut packed, &mut named, id, ids);
        at += FIELD_LEN;
        literal = at;
    }
    push_literal(&mut packed, &message[literal..]);
    packed
}

/// An id in the one spelling that unpacking writes, with its length before it.
fn id_at(message: &[u8]) -> Option<Uuid> {
    let text = message.get(1..FIELD_LEN)?;
    let id = Uuid::try_parse_ascii(text).ok()?;
    let mut again = Uuid::encode_buffer();
    (id.hyphenated().encode_lower(&mut again).as_bytes() == text).then_some(id)
}

fn push_literal(packed: &mut Vec<u8>, literal: &[u8]) {
    let mut full = literal.chunks_exact(usize::from(LITERAL_MAX));
    for part in full.by_ref() {
        packed.push(LITERAL_MAX);
        packed.extend_from_slice(part);
    }
    // Shorter than LITERAL_MAX, so it fits a byte.
    packed.push(u8::try_from(full.remainder().len()).unwrap_or_default());
    packed.extend_from_slice(full.remainder());
}

fn push_id(packed: &mut Vec<u8>, named: &mut Vec<Uuid>, id: Uuid, ids: RowIds) {
    let earlier = named
        .iter()
        .take(usize::from(u8::MAX - EARLIER) + 1)
        .position(|known| *known == id)
        .and_then(|place| u8::try_from(place).ok());
    match earlier.and_then(|place| place.checked_add(EARLIER)) {
        _ if id == ids.scope => packed.push(SCOPE),
        _ if id == ids.request => packed.push(REQUEST),
        Some(known) => packed.push(known),
        None => {
            packed.push(NEW);
            packed.extend_from_slice(id.as_bytes());
            named.push(id);
        }
    }
}

/// The message of a stored payload.
///
/// # Errors
/// Fails when the payload is neither plain nor packed, which is a corrupt row.
pub(super) fn unpack(stored: Vec<u8>, ids: RowIds) -> Result<Vec<u8>, Error> {
    if stored.first() != Some(&MARK) {
        return Ok(stored);
    }
    let mut message = Vec::with_capacity(stored.len() * 2);
    let mut named = Vec::new();
    let mut rest = &stored[1..];
    loop {
        let (len, after) = rest.split_first().ok_or_else(corrupt)?;
        let (literal, after) = after.split_at_checked(usize::from(*len)).ok_or_else(corrupt)?;
        message.extend_from_slice(literal);
        rest = after;
        if *len == LITERAL_MAX {
            continue;
        }
        let Some((what, after)) = rest.split_first() else { return Ok(message) };
        rest = after;
        let id = match *what {
            SCOPE => ids.scope,
            REQUEST => ids.request,
            NEW => {
                let (bytes, after) = rest.split_first_chunk().ok_or_else(corrupt)?;
                rest = after;
                named.push(Uuid::from_bytes(*bytes));
                Uuid::from_bytes(*bytes)
            }
            place => *named.get(usize::from(place - EARLIER)).ok_or_else(corrupt)?,
        };
        message.push(TEXT_LEN);
        message.extend_from_slice(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
    }
}

fn corrupt() -> Error {
    Error::bug("a stored payload is cut short or names an id that it does not hold")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDS: RowIds = RowIds { scope: Uuid::from_u128(7), request: Uuid::from_u128(8) };

    fn field(id: Uuid) -> Vec<u8> {
        [&[10, TEXT_LEN], id.to_string().as_bytes()].concat()
    }

    #[test]
    fn an_id_of_the_row_costs_one_byte_and_another_one_17_once() {
        let other = Uuid::from_u128(9);
        let message = [IDS.request, IDS.scope, other, other].map(field).concat();
        let packed = pack(&message, IDS);
        // The mark, four literals of the tag with their lengths, the ids, and the empty literal at the end.
        assert_eq!(packed.len(), 1 + 4 * 2 + 1 + 1 + 17 + 1 + 1);
        assert_eq!(unpack(packed, IDS).unwrap(), message);
    }

    #[test]
    fn a_plain_payload_stays_as_it_is() {
        let plain = field(IDS.scope);
        assert_eq!(unpack(plain.clone(), IDS).unwrap(), plain);
    }

    #[test]
    fn a_damaged_payload_is_refused() {
        let packed = pack(&[IDS.scope, Uuid::from_u128(9)].map(field).concat(), IDS);
        assert!(unpack(vec![MARK], IDS).is_err(), "no literal");
        assert!(unpack(packed[..packed.len() - 10].to_vec(), IDS).is_err(), "a cut id");
        assert!(unpack(vec![MARK, 0, EARLIER], IDS).is_err(), "an id that was not named");
        assert!(unpack(vec![MARK, 200, 1, 1], IDS).is_err(), "a literal beyond the end");
    }

    /// Pieces of which messages are made, and some that look like an id and are none.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let id = prop_oneof![Just(7_u128), Just(8), 9..12_u128, any::<u128>()];
        prop_oneof![
            id.prop_map(|id| field(Uuid::from_u128(id))),
            any::<u128>().prop_map(|id| field(Uuid::from_u128(id)).to_ascii_uppercase()),
            any::<u128>().prop_map(|id| field(Uuid::from_u128(id))[..30].to_vec()),
            prop::collection::vec(prop_oneof![Just(TEXT_LEN), Just(MARK), any::<u8>()], 0..700),
        ]
    }

    proptest! {
        #[test]
        fn every_message_comes_back_byte_for_byte(pieces in prop::collection::vec(piece(), 0..40)) {
            let message = pieces.concat();
            prop_assert_eq!(unpack(pack(&message, IDS), IDS).unwrap(), message);
        }

        #[test]
        fn unpacking_never_panics(stored in prop::collection::vec(any::<u8>(), 0..80)) {
            // Whatever it answers: a corrupt row must not take the service down.
            let _answered = unpack([vec![MARK], stored].concat(), IDS);
        }
    }
}
