//! Assets of `TeamService`.

use crate::app::App;
use crate::app::asset::{RegisterAsset, UpdateAsset};
use crate::app::change::Changed;
use crate::domain::caller::Caller;
use crate::domain::ids::{AssetId, OrganizationId};
use crate::domain::kind::Kind;
use crate::domain::text::Code;
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::asset as convert;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::read::Reader;
use crate::store::asset::AssetFilter;

fn asset_of(changed: &Changed) -> Result<Option<pb::Asset>, Error> {
    let pick = |record| if let Record::Asset(asset) = record { Some(asset) } else { None };
    answered(changed, pick).map(Some)
}

pub(super) async fn register(
    app: &App,
    caller: &Caller,
    sent: pb::RegisterAssetRequest,
) -> Result<pb::RegisterAssetResponse, Error> {
    let mut reader = Reader::default();
    let asset = reader.need("asset", sent.asset.as_ref());
    let new = asset.and_then(|asset| convert::read_asset(&mut reader, asset));
    let new = reader.finish(new)?;
    let asked = asked(new.id.uuid(), Kind::Asset, "TeamService/RegisterAsset", &sent);
    let changed = app.register_asset(caller, asked, RegisterAsset(new)).await?;
    Ok(pb::RegisterAssetResponse { asset: asset_of(&changed)?, revision: changed.revision })
}

pub(super) async fn update(
    app: &App,
    caller: &Caller,
    sent: pb::UpdateAssetRequest,
) -> Result<pb::UpdateAssetResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("request_id", &sent.request_id, |id| id);
    let expected_revision = reader.revision("expected_revision", sent.expected_revision);
    let allowed = ["description", "valid_until", "state", "shared_tasks_max"];
    let paths = reader.mask(sent.update_mask.as_ref(), &allowed);
    let asset = reader.need("asset", sent.asset.as_ref()).zip(paths);
    let patch = asset.and_then(|(asset, paths)| convert::read_patch(&mut reader, asset, &paths));
    let ((id, expected_revision), (asset, patch)) = reader.finish(id.zip(expected_revision).zip(patch))?;
    let asked = asked(id, Kind::Request, "TeamService/UpdateAsset", &sent);
    let changed = app.update_asset(caller, asked, UpdateAsset { asset, patch, expected_revision }).await?;
    Ok(pb::UpdateAssetResponse { asset: asset_of(&changed)?, revision: changed.revision })
}

pub(super) async fn get(
    app: &App,
    caller: &Caller,
    sent: pb::GetAssetRequest,
) -> Result<pb::GetAssetResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("asset_id", &sent.asset_id, AssetId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let (id, min_revision) = reader.finish(id.zip(min_revision))?;
    let asset = app.get_asset(caller, id, min_revision).await?;
    Ok(pb::GetAssetResponse { asset: Some(convert::asset(&asset)) })
}

pub(super) async fn list(
    app: &App,
    caller: &Caller,
    sent: pb::ListAssetsRequest,
) -> Result<pb::ListAssetsResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let operator = reader.id("organization_id", &sent.organization_id, OrganizationId::new);
    let kind = reader.optional_word("kind", sent.kind);
    let state = reader.optional_word("state", sent.state);
    let prefix = reader.optional("code_prefix", &sent.code_prefix, Code::parse);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let all = page.zip(operator).zip(kind.zip(state)).zip(prefix.zip(min_revision));
    let (((page, operator), (kind, state)), (_prefix, min_revision)) = reader.finish(all)?;
    let (code_prefix, after_code) = (sent.code_prefix, String::new());
    let filter = AssetFilter { operator, kind, state, code_prefix, after_code };
    let found = app.list_assets(caller, filter, min_revision, page).await?;
    Ok(pb::ListAssetsResponse {
        assets: found.rows.iter().map(convert::asset).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}
