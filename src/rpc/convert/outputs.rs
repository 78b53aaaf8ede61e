//! Outputs for the wire.

use crate::domain::field_report::outputs::{Outputs, People};
use crate::domain::site::ReleaseType;
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::pb;

/// What work brought about.
#[must_use]
pub fn outputs(of: &Outputs) -> pb::Outputs {
    let destroyed = |(category, quantity): (crate::domain::field_report::outputs::OrdnanceCategory, i64)| {
        pb::DestroyedOrdnance { category: category.wire(), quantity }
    };
    pb::Outputs {
        cancelled_m2: of.released_m2(ReleaseType::Cancelled),
        reduced_m2: of.released_m2(ReleaseType::Reduced),
        cleared_m2: of.released_m2(ReleaseType::Cleared),
        destroyed: of.destroyed().map(destroyed).collect(),
        direct: people(of.direct()),
        indirect: people(of.indirect()),
    }
}

fn people(of: People) -> Option<pb::Reached> {
    let People { girls, boys, women, men } = of;
    (of != People::default()).then_some(pb::Reached { girls, boys, women, men })
}
