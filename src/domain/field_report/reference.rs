//! The short reference of a report, for radio and paper: seven characters of Crockford's base 32, made of the id, and one
//! that checks them. I, L, O and U are not among them, so that nobody takes one for another.

use crate::domain::ids::ReportId;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters that are made of the id.
const CHARACTERS: u32 = 7;
/// A prime next to the size of the alphabet, for the sum: any wrong character and any two that change places show.
const PRIME: u64 = 31;

/// The reference of a report. Two reports may share one, as two people may share a name: it helps people to find a report
/// and is never a key.
#[must_use]
pub fn reference(id: ReportId) -> String {
    // The last bits of an id are random in all versions that devices make.
    let bits = id.uuid().as_u64_pair().1;
    let mut text: Vec<u8> = (0..CHARACTERS)
        .map(|place| ALPHABET[usize::try_from((bits >> (5 * place)) & 31).unwrap_or(0)])
        .collect();
    text.push(check(&text));
    text.into_iter().map(char::from).collect()
}

/// Whether a reference that was heard or read can be right.
#[must_use]
pub fn is_reference(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes.split_last() {
        Some((last, rest)) => rest.len() == CHARACTERS as usize && check(rest) == *last,
        None => false,
    }
}

fn check(text: &[u8]) -> u8 {
    let value = |byte: &u8| ALPHABET.iter().position(|of| of == byte).unwrap_or(ALPHABET.len()) as u64;
    let sum = text.iter().zip(2_u64..).map(|(byte, weight)| value(byte) * weight).sum::<u64>();
    ALPHABET[usize::try_from(sum % PRIME).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_slip_of_one_character_or_of_two_neighbours_shows() {
        for number in 0..500_u128 {
            let id = ReportId::new(Uuid::from_u128(
                number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C834),
            ));
            let good = reference(id);
            assert_eq!(good.len(), 8);
            assert!(is_reference(&good), "{good}");
            let bytes = good.as_bytes();
            for place in 0..7 {
                let mut slip = bytes.to_vec();
                slip.swap(place, place + 1);
                let swapped = String::from_utf8(slip).unwrap();
                // 0 and Z have the same remainder, so those two are told apart by nobody.
                let alike = |byte: u8| if byte == b'Z' { b'0' } else { byte };
                if place < 6 && alike(bytes[place]) != alike(bytes[place + 1]) {
                    assert!(!is_reference(&swapped), "{good} {swapped}");
                }
            }
        }
        assert!(!is_reference("") && !is_reference("ABCDEFG") && !is_reference("ABCDEFGHJ"));
    }
}
