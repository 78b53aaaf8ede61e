//! Assets: equipment and animals of an operator.

use safelane::rpc::pb;
use tonic::Code;

use crate::desk::reason;
use crate::gate::Gate;
use crate::ground::members::day;
use crate::ground::teams::organization;
use crate::harness::{World, fresh_id, in_world};

/// A detector that is calibrated until the end of 1998.
pub(super) fn detector(operator: &str, code: &str) -> pb::Asset {
    pb::Asset {
        asset_id: fresh_id(),
        organization_id: operator.to_owned(),
        kind: pb::AssetKind::Detector.into(),
        code: code.to_owned(),
        description: "Metal detector".to_owned(),
        valid_until: day("1998-12-31"),
        ..pb::Asset::default()
    }
}

/// An ambulance that so many tasks may share on one day.
pub(super) fn ambulance(operator: &str, code: &str, shared_tasks_max: i32) -> pb::Asset {
    pb::Asset {
        kind: pb::AssetKind::Ambulance.into(),
        description: "Ambulance".to_owned(),
        valid_until: None,
        shared_tasks_max,
        ..detector(operator, code)
    }
}

/// Records an asset.
pub(super) async fn registered(world: &World, asset: pb::Asset) -> pb::Asset {
    let request = pb::RegisterAssetRequest { asset: Some(asset) };
    world.teams().register_asset(request).await.expect("it is recorded").into_inner().asset.unwrap()
}

async fn refusal(world: &World, asset: pb::Asset) -> tonic::Status {
    let request = pb::RegisterAssetRequest { asset: Some(asset) };
    world.teams().register_asset(request).await.unwrap_err()
}

#[tokio::test]
async fn an_asset_is_recorded_once_and_found() {
    in_world(async |world| {
        let operator = organization(world, pb::OrganizationKind::Operator, "OP-1", "ZW").await;
        let mut teams = world.teams();
        let request = pb::RegisterAssetRequest { asset: Some(detector(&operator, "MD-001")) };
        let first = teams.register_asset(request.clone()).await.unwrap().into_inner();
        assert_eq!(teams.register_asset(request.clone()).await.unwrap().into_inner(), first);
        let asset = first.asset.clone().unwrap();
        assert_eq!(asset.state(), pb::AssetState::InUse);
        let mut other = request;
        other.asset.as_mut().unwrap().valid_until = day("1999-12-31");
        let taken = teams.register_asset(other).await.unwrap_err();
        assert_eq!(taken.code(), Code::AlreadyExists);
        assert!(reason(&taken).1["differs"].starts_with("asset.valid_until"), "{taken}");
        assert_eq!(reason(&refusal(world, detector(&operator, "MD-001")).await).0, "CODE_TAKEN");
        let get = pb::GetAssetRequest { asset_id: asset.asset_id.clone(), min_revision: first.revision };
        assert_eq!(teams.get_asset(get).await.unwrap().into_inner().asset, Some(asset.clone()));
        let unknown = pb::GetAssetRequest { asset_id: fresh_id(), min_revision: 0 };
        assert_eq!(teams.get_asset(unknown).await.unwrap_err().code(), Code::NotFound);
        let vehicle = registered(world, ambulance(&operator, "AMB-1", 3)).await;
        let list = pb::ListAssetsRequest { organization_id: operator, page_size: 1, ..Default::default() };
        let page = teams.list_assets(list.clone()).await.unwrap().into_inner();
        assert_eq!(page.assets, [vehicle]);
        let next = pb::ListAssetsRequest { page_token: page.next_page_token, ..list.clone() };
        assert_eq!(teams.list_assets(next).await.unwrap().into_inner().assets, std::slice::from_ref(&asset));
        let kind = pb::AssetKind::Detector.into();
        let detectors = pb::ListAssetsRequest { kind, page_size: 0, ..list };
        assert_eq!(teams.list_assets(detectors).await.unwrap().into_inner().assets, [asset]);
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_the_kind_is_told_by_field() {
    in_world(async |world| {
        let operator = organization(world, pb::OrganizationKind::Operator, "OP-1", "ZW").await;
        for kind in [pb::AssetKind::Detector, pb::AssetKind::Dog, pb::AssetKind::ExplosivesStore] {
            let asset = pb::Asset {
                kind: kind.into(),
                valid_until: None,
                shared_tasks_max: 1,
                ..detector(&operator, "A-1")
            };
            let told = refusal(world, asset).await;
            assert_eq!(told.code(), Code::InvalidArgument);
            for field in ["asset.valid_until: is missing", "asset.shared_tasks_max: is 1"] {
                assert!(told.message().contains(field), "{told}");
            }
        }
        for shared in [-1, 0, 21] {
            let told = refusal(world, ambulance(&operator, "AMB-1", shared)).await;
            assert!(told.message().contains(&format!("asset.shared_tasks_max: is {shared}")), "{told}");
        }
        let radio = pb::Asset { kind: pb::AssetKind::Radio.into(), ..ambulance(&operator, "R-1", 0) };
        registered(world, radio).await;
        let empty = pb::Asset { organization_id: operator.clone(), kind: 77, ..Default::default() };
        let told = refusal(world, empty).await;
        for field in ["asset_id", "kind", "code", "description"] {
            assert!(told.message().contains(&format!("asset.{field}: ")), "{told}");
        }
        let office = organization(world, pb::OrganizationKind::Office, "OFF-1", "US").await;
        let told = refusal(world, detector(&office, "MD-1")).await;
        assert_eq!(reason(&told).0, "WRONG_ORGANIZATION_KIND");
    })
    .await;
}

#[tokio::test]
async fn an_asset_is_changed_by_who_knows_its_state() {
    in_world(async |world| {
        let operator = organization(world, pb::OrganizationKind::Operator, "OP-1", "ZW").await;
        let asset = registered(world, detector(&operator, "MD-001")).await;
        let mut teams = world.teams();
        let update = |paths: &[&str], asset: pb::Asset| pb::UpdateAssetRequest {
            request_id: fresh_id(),
            expected_revision: asset.revision,
            asset: Some(asset),
            update_mask: Some(prost_types::FieldMask {
                paths: paths.iter().map(ToString::to_string).collect(),
            }),
        };
        let bare = pb::Asset { valid_until: None, shared_tasks_max: 2, ..asset.clone() };
        let told = teams.update_asset(update(&["valid_until", "shared_tasks_max"], bare)).await.unwrap_err();
        assert_eq!(told.code(), Code::InvalidArgument);
        assert!(told.message().contains("asset.valid_until: is missing"), "{told}");
        assert!(told.message().contains("asset.shared_tasks_max: is 2"), "{told}");
        let told = teams.update_asset(update(&["kind"], asset.clone())).await.unwrap_err();
        assert!(told.message().contains("\"kind\" cannot be changed"), "{told}");
        let new = pb::Asset {
            valid_until: day("1999-12-31"),
            state: pb::AssetState::Withdrawn.into(),
            ..asset.clone()
        };
        let request = update(&["valid_until", "state"], new);
        let changed = teams.update_asset(request.clone()).await.unwrap().into_inner();
        let now = changed.asset.clone().unwrap();
        assert_eq!((now.valid_until, now.state()), (day("1999-12-31"), pb::AssetState::Withdrawn));
        assert_eq!(teams.update_asset(request.clone()).await.unwrap().into_inner(), changed);
        let stale = pb::UpdateAssetRequest { request_id: fresh_id(), ..request };
        assert_eq!(teams.update_asset(stale).await.unwrap_err().code(), Code::Aborted);
    })
    .await;
}

#[tokio::test]
async fn assets_are_kept_by_their_operator() {
    in_world(async |world| {
        let own = organization(world, pb::OrganizationKind::Operator, "OP-1", "ZW").await;
        let foreign = organization(world, pb::OrganizationKind::Operator, "OP-2", "ZW").await;
        let gate = Gate::open(world).await;
        let mut teams = gate.server.teams();
        let new = || pb::RegisterAssetRequest { asset: Some(detector(&own, "MD-001")) };
        for (role, organization) in [("field", &own), ("coordinator", &foreign), ("funder", &own)] {
            let refused = teams.register_asset(gate.sent(role, organization, new())).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{role}");
        }
        let asset = teams.register_asset(gate.sent("coordinator", &own, new())).await.unwrap();
        let asset_id = asset.into_inner().asset.unwrap().asset_id;
        let get = || pb::GetAssetRequest { asset_id: asset_id.clone(), min_revision: 0 };
        teams.get_asset(gate.sent("field", &own, get())).await.unwrap();
        for role in ["field", "coordinator"] {
            let hidden = teams.get_asset(gate.sent(role, &foreign, get())).await.unwrap_err();
            assert_eq!(hidden.code(), Code::NotFound, "{role}");
        }
        gate.server.finish().await;
    })
    .await;
}
