//! Assets on the wire.

use crate::app::asset::AssetPatch;
use crate::domain::ids::{AssetId, OrganizationId};
use crate::domain::team::{Asset, AssetKind, AssetState};
use crate::domain::text::{Code, Title};
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::convert::{UNSET, date, timestamp};
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// Reads an asset to register.
pub fn read_asset(reader: &mut Reader, sent: &pb::Asset) -> Option<Asset> {
    let id = reader.id("asset.asset_id", &sent.asset_id, AssetId::new);
    let organization = reader.id("asset.organization_id", &sent.organization_id, OrganizationId::new);
    let kind: Option<AssetKind> = reader.word("asset.kind", sent.kind);
    let code = reader.parse("asset.code", Code::parse(&sent.code));
    let description = reader.parse("asset.description", Title::parse(&sent.description));
    let valid_until = reader.optional_date("asset.valid_until", sent.valid_until);
    if let Some(kind) = kind {
        // An unreadable day was told already; a missing one is told here.
        let given = sent.valid_until.is_some();
        for (field, rule) in kind.faults(given, sent.shared_tasks_max) {
            reader.bad(format!("asset.{field}"), rule);
        }
    }
    Some(Asset {
        id: id?,
        organization: organization?,
        kind: kind?,
        code: code?,
        description: description?,
        valid_until: valid_until?,
        shared_tasks_max: sent.shared_tasks_max,
        state: AssetState::InUse,
        created_at: UNSET,
        revision: 0,
    })
}

/// Reads the new values of an asset.
pub fn read_patch(reader: &mut Reader, sent: &pb::Asset, paths: &[String]) -> Option<(AssetId, AssetPatch)> {
    let id = reader.id("asset.asset_id", &sent.asset_id, AssetId::new);
    let (mut patch, mut good) = (AssetPatch::default(), true);
    for path in paths {
        match path.as_str() {
            "description" => {
                patch.description = reader.parse("asset.description", Title::parse(&sent.description));
            }
            "valid_until" => patch.valid_until = reader.optional_date("asset.valid_until", sent.valid_until),
            "state" => patch.state = reader.word("asset.state", sent.state),
            // Whether it fits is told where the kind is known.
            "shared_tasks_max" => patch.shared_tasks_max = Some(sent.shared_tasks_max),
            // The mask was checked.
            _ => good = false,
        }
    }
    id.filter(|_| good).map(|id| (id, patch))
}

/// An asset for the wire.
#[must_use]
pub fn asset(of: &Asset) -> pb::Asset {
    pb::Asset {
        asset_id: of.id.to_string(),
        organization_id: of.organization.to_string(),
        kind: of.kind.wire(),
        code: of.code.to_string(),
        description: of.description.as_str().to_owned(),
        valid_until: of.valid_until.map(date),
        shared_tasks_max: of.shared_tasks_max,
        state: of.state.wire(),
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
    }
}
