//! Places in the stream, as tokens keep them.

use uuid::Uuid;

use crate::store::field_report::changed::Position;

/// A place in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The revision that the snapshot is of, until it was sent.
    pub(super) snapshot: Option<i64>,
    /// Every report up to here was sent.
    pub(super) after: Position,
}

impl Place {
    /// Before a snapshot of a revision.
    pub(super) const fn snapshot(head: i64) -> Self {
        Self { snapshot: Some(head), after: (0, Uuid::nil()) }
    }

    /// After everything of a revision.
    pub(super) const fn whole(revision: i64) -> Self {
        Self { snapshot: None, after: (revision, Uuid::max()) }
    }

    /// The greatest revision that it speaks of.
    pub(super) fn furthest(self) -> i64 {
        self.snapshot.unwrap_or_default().max(self.after.0)
    }

    /// Everything up to this revision was sent; 0 in the middle of a snapshot.
    pub(super) fn revision(self) -> i64 {
        match self {
            Self { snapshot: Some(_), .. } => 0,
            Self { after: (revision, id), .. } if id == Uuid::max() => revision,
            Self { after: (revision, _), .. } => revision - 1,
        }
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        let mut bytes = self.snapshot.map(i64::to_be_bytes).map(Vec::from).unwrap_or_default();
        bytes.extend_from_slice(&self.after.0.to_be_bytes());
        bytes.extend_from_slice(self.after.1.as_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (rest, id) = bytes.split_last_chunk::<16>()?;
        let (rest, revision) = rest.split_last_chunk::<8>()?;
        let snapshot = match rest {
            [] => None,
            rest => Some(i64::from_be_bytes(rest.try_into().ok()?)),
        };
        Some(Self { snapshot, after: (i64::from_be_bytes(*revision), Uuid::from_bytes(*id)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_token() {
        let within = Place { snapshot: None, after: (7, Uuid::from_u128(3)) };
        for place in [Place::snapshot(9), Place::whole(7), within, Place { snapshot: Some(9), ..within }] {
            assert_eq!(Place::read(&place.bytes()), Some(place));
        }
        for bytes in [&[][..], &[0; 23], &[0; 25], &[0; 33]] {
            assert_eq!(Place::read(bytes), None);
        }
    }

    #[test]
    fn a_revision_of_which_something_is_unsent_is_not_told_as_sent() {
        let within = Place { snapshot: None, after: (7, Uuid::from_u128(3)) };
        assert_eq!((within.revision(), Place::whole(7).revision()), (6, 7));
        assert_eq!((Place::snapshot(9).revision(), Place::snapshot(9).furthest()), (0, 9));
    }
}
