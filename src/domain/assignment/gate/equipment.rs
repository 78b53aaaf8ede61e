//! What the team takes along: is it free, in use and valid.

use crate::domain::assignment::facts::{Gear, GearItem};
use crate::domain::assignment::gate::{finding, first_common};
use crate::domain::assignment::{Finding, FindingReason};
use crate::domain::days::{DaySet, Days};
use crate::domain::team::AssetState;

pub(super) fn findings(gear: &Gear, days: Days) -> Vec<Finding> {
    let mut found = Vec::new();
    for asset in &gear.assets {
        found.extend(busy(asset, days));
        if asset.state == AssetState::Withdrawn {
            let text = format!("{} {} is withdrawn; take another", asset.kind, asset.code);
            found.push(finding(FindingReason::AssetWithdrawn, asset.id.uuid(), text));
        }
        found.extend(invalid(asset, days));
    }
    found
}

fn busy(asset: &GearItem, days: Days) -> Option<Finding> {
    let busy = asset.busy?;
    let (first, assignment) = (first_common(days, busy.days), busy.assignment);
    let text = format!(
        "{} {} is with assignment {assignment} from {first}; take another or choose other days",
        asset.kind, asset.code
    );
    Some(finding(FindingReason::AssetBusy, asset.id.uuid(), text).on(first).blocked_by(assignment))
}

/// An asset whose calibration, test or licence does not last.
pub(super) fn invalid(asset: &GearItem, days: Days) -> Option<Finding> {
    let valid_until = asset.valid_until?;
    let valid = Days::new(days.first().min(valid_until), Some(valid_until)).ok()?;
    let day = DaySet::of([valid]).first_missing(days)?;
    let text = format!(
        "{} {} is valid until {valid_until}, not on {day}; renew it and tell it with UpdateAsset",
        asset.kind, asset.code
    );
    Some(finding(FindingReason::AssetInvalid, asset.id.uuid(), text).on(day))
}
