//! Who sees what of sites and whom their changes reach: lists, funders, history, suspension, operators at work.

use safelane::rpc::pb;
use sqlx::Connection as _;
use tonic::Code;

use super::land::{cleared, close};
use super::sites::{authority, created, refused, site};
use super::tasks::Works;
use crate::bad_input::{day, names};
use crate::desk::reason;
use crate::gate::Gate;
use crate::harness::{World, fresh_id, in_world};

fn renaming(site: &pb::Site, name: &str) -> pb::RenameSiteRequest {
    pb::RenameSiteRequest {
        request_id: fresh_id(),
        site_id: site.site_id.clone(),
        name: name.to_owned(),
        expected_revision: site.revision,
    }
}

async fn renamed(world: &World, site: &pb::Site, name: &str) -> pb::Site {
    world.sites().rename_site(renaming(site, name)).await.unwrap().into_inner().site.unwrap()
}

/// Codes of what a list finds, page by page.
async fn listed(world: &World, mut request: pb::ListSitesRequest) -> Vec<String> {
    let mut codes = Vec::new();
    request.page_size = 2;
    loop {
        let page = world.sites().list_sites(request.clone()).await.unwrap().into_inner();
        codes.extend(page.sites.into_iter().map(|site| site.code));
        if page.next_page_token.is_empty() {
            return codes;
        }
        request.page_token = page.next_page_token;
    }
}

fn of_box(south: f64, west: f64, north: f64, east: f64) -> pb::ListSitesRequest {
    let bounding_box = Some(pb::BoundingBox { south, west, north, east });
    pb::ListSitesRequest { bounding_box, ..pb::ListSitesRequest::default() }
}

#[tokio::test]
async fn sites_are_found_by_every_filter_and_by_the_names_that_places_had() {
    in_world(async |world| {
        let authority = authority(world).await;
        for (code, class, longitude) in [
            ("ZW-3", pb::HazardClass::Sha, 32.3),
            ("ZW-1", pb::HazardClass::Cha, 32.1),
            ("ZW-2", pb::HazardClass::Cha, 32.2),
        ] {
            let position = Some(pb::Position { latitude: -19.0, longitude, accuracy_m: 5 });
            let new = pb::Site { class: class.into(), position, ..site(&authority, code, 1_000) };
            created(world, new).await;
        }
        let all = pb::ListSitesRequest::default;
        assert_eq!(listed(world, all()).await, ["ZW-1", "ZW-2", "ZW-3"]);
        let class = pb::HazardClass::Cha.into();
        assert_eq!(listed(world, pb::ListSitesRequest { class, ..all() }).await, ["ZW-1", "ZW-2"]);
        let country_code = "MZ".to_owned();
        assert!(listed(world, pb::ListSitesRequest { country_code, ..all() }).await.is_empty());
        let status = pb::SiteStatus::Closed.into();
        assert!(listed(world, pb::ListSitesRequest { status, ..all() }).await.is_empty());
        // A point on the edge of the box is in it.
        assert_eq!(listed(world, of_box(-19.5, 32.2, -19.0, 32.3)).await, ["ZW-2", "ZW-3"]);
        assert_eq!(listed(world, of_box(-19.0, 32.1, -19.0, 32.1)).await, ["ZW-1"]);
        assert!(listed(world, of_box(-18.9, 32.0, -18.0, 33.0)).await.is_empty());
        names(
            world.sites().list_sites(of_box(1.0, 179.0, 0.0, -179.0)).await,
            &["bounding_box.north", "bounding_box.east"],
        );
        let text = |text: &str| pb::ListSitesRequest { text: text.to_owned(), ..all() };
        let found = world.sites().list_sites(text("zw-2")).await.unwrap().into_inner().sites.remove(0);
        let site = renamed(world, &found, "Mutasa Nord-É").await;
        assert_eq!(site.former_names, ["Burma Valley"]);
        assert_eq!(listed(world, text("NORD-é")).await, ["ZW-2"]);
        assert_eq!(listed(world, text("burma")).await, ["ZW-1", "ZW-2", "ZW-3"]);
        assert!(listed(world, text("100%")).await.is_empty());
        names(world.sites().rename_site(renaming(&site, "Mutasa Nord-É")).await, &["name"]);
        let stale = world.sites().rename_site(renaming(&found, "Elsewhere")).await.unwrap_err();
        assert_eq!((stale.code(), reason(&stale).0.as_str()), (Code::Aborted, "STALE_REVISION"));
        // A name that comes back is no former one.
        assert_eq!(renamed(world, &site, "Burma Valley").await.former_names, ["Mutasa Nord-É"]);
        let mut token = pb::ListSitesRequest { page_size: 1, ..all() };
        token.page_token =
            world.sites().list_sites(token.clone()).await.unwrap().into_inner().next_page_token;
        let other = pb::ListSitesRequest { class, ..token };
        assert_eq!(world.sites().list_sites(other).await.unwrap_err().code(), Code::InvalidArgument);
    })
    .await;
}

#[tokio::test]
async fn a_place_has_fifty_former_names_and_may_go_back_to_one_of_them() {
    in_world(async |world| {
        let authority = authority(world).await;
        let mut site = created(world, site(&authority, "ZW-1", 1_000)).await;
        for number in 0..50 {
            site = renamed(world, &site, &format!("Name {number}")).await;
        }
        assert_eq!(site.former_names.len(), 50);
        let full = world.sites().rename_site(renaming(&site, "Another")).await;
        refused(full, "LIMIT_REACHED", &[("max", "50")]);
        assert_eq!(renamed(world, &site, "Name 7").await.former_names.len(), 50);
    })
    .await;
}

#[tokio::test]
async fn funders_see_what_there_is_and_not_where() {
    in_world(async |world| {
        let authority = authority(world).await;
        let site = created(world, site(&authority, "ZW-1", 1_000)).await;
        let site = close(world, &site, cleared(day(1998, 6, 1))).await.unwrap();
        let gate = Gate::open(world).await;
        let of_funder = |message| gate.sent("funder", &authority, message);
        let get = pb::GetSiteRequest { site_id: site.site_id.clone(), min_revision: 0 };
        let seen =
            gate.server.sites().get_site(of_funder(get.clone())).await.unwrap().into_inner().site.unwrap();
        let release = pb::LandRelease { decided_by: String::new(), ..site.release.clone().unwrap() };
        let hidden = pb::Site {
            position: None,
            boundary_geojson: String::new(),
            evidence: String::new(),
            release: Some(release),
            ..site.clone()
        };
        assert_eq!(seen, hidden);
        let list = gate.sent("funder", &authority, pb::ListSitesRequest::default());
        assert_eq!(
            gate.server.sites().list_sites(list).await.unwrap().into_inner().sites,
            std::slice::from_ref(&hidden)
        );
        let boxed = gate.sent("funder", &authority, of_box(-20.0, 30.0, -18.0, 33.0));
        names(gate.server.sites().list_sites(boxed).await, &["bounding_box"]);
        let history = pb::GetSiteHistoryRequest { site_id: site.site_id.clone(), ..Default::default() };
        let seen = gate.sent("funder", &authority, history.clone());
        let seen = gate.server.sites().get_site_history(seen).await.unwrap().into_inner().changes;
        assert_eq!((seen[1].site.as_ref(), seen[1].recorded_by.as_str()), (Some(&hidden), ""));
        assert_eq!(seen[1].reason, "");
        // Whoever may walk there sees all of it; only the authority changes it.
        for role in ["field", "coordinator", "auditor"] {
            let get = gate.sent(role, &fresh_id(), get.clone());
            assert_eq!(
                gate.server.sites().get_site(get).await.unwrap().into_inner().site.as_ref(),
                Some(&site)
            );
        }
        let strange = gate.sent("coordinator", &fresh_id(), renaming(&site, "Elsewhere"));
        let denied = gate.server.sites().rename_site(strange).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied);
        let own = gate.sent("coordinator", &authority, renaming(&site, "Elsewhere"));
        gate.server.sites().rename_site(own).await.unwrap();
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_site_stands_still_and_goes_on_unless_a_safety_stop_holds_it() {
    in_world(async |world| {
        let authority = authority(world).await;
        let site = created(world, site(&authority, "ZW-1", 1_000)).await;
        let suspending = |site: &pb::Site, cause: pb::SuspensionCause| pb::SuspendSiteRequest {
            request_id: fresh_id(),
            site_id: site.site_id.clone(),
            cause: cause.into(),
            reason: "rains".to_owned(),
            expected_revision: site.revision,
        };
        let by_hand = suspending(&site, pb::SuspensionCause::SafetyStop);
        names(world.sites().suspend_site(by_hand).await, &["cause"]);
        let season = suspending(&site, pb::SuspensionCause::Season);
        let still = world.sites().suspend_site(season).await.unwrap().into_inner().site.unwrap();
        assert_eq!(still.suspension_cause(), pb::SuspensionCause::Season);
        refused(
            close(world, &still, cleared(day(1998, 6, 1))).await,
            "WRONG_STATE",
            &[("state", "SUSPENDED")],
        );
        let resuming = pb::ResumeSiteRequest {
            request_id: fresh_id(),
            site_id: site.site_id.clone(),
            reason: "dry again".to_owned(),
            expected_revision: still.revision,
        };
        let stop = fresh_id();
        let of_stop = |set: String| async move { Works::run(world, set).await };
        of_stop(format!(
            "INSERT INTO safety_stops (safety_stop_id, scope_id, target, target_id, cause, reason, issued_by,
                 issued_at, suspended_task_ids, revision)
             VALUES ('{stop}', '{authority}', 'SITE', '{}', 'ACCIDENT', 'r', 's', now(), '{{}}', 3)",
            site.site_id
        ))
        .await;
        let held = world.sites().resume_site(resuming.clone()).await;
        refused(held, "SAFETY_STOPPED", &[("safety_stop_id", &stop)]);
        of_stop("UPDATE safety_stops SET lifted_by = 's', lifted_at = now(), lift_reason = 'r'".to_owned())
            .await;
        let open = world.sites().resume_site(resuming).await.unwrap().into_inner().site.unwrap();
        assert_eq!((open.status(), open.suspension_cause), (pb::SiteStatus::Open, 0));
        let history =
            pb::GetSiteHistoryRequest { site_id: site.site_id.clone(), page_size: 2, ..Default::default() };
        let first = world.sites().get_site_history(history.clone()).await.unwrap().into_inner();
        let rest = pb::GetSiteHistoryRequest { page_token: first.next_page_token, ..history };
        let rest = world.sites().get_site_history(rest).await.unwrap().into_inner();
        assert_eq!(rest.next_page_token, "");
        let changes = [first.changes, rest.changes].concat();
        let told: Vec<_> = changes.iter().map(|change| (change.revision, change.method.as_str())).collect();
        assert_eq!(
            told,
            [(2, "SiteService/CreateSite"), (3, "SiteService/SuspendSite"), (4, "SiteService/ResumeSite")]
        );
        let after: Vec<_> = changes.into_iter().map(|change| change.site.unwrap()).collect();
        assert_eq!(after, [site, still, open]);
    })
    .await;
}

#[tokio::test]
async fn a_change_reaches_the_operators_that_are_ordered_to_the_site() {
    in_world(async |world| {
        let works = Works::open(world).await;
        let get = |at: usize| pb::GetSiteRequest { site_id: works.site_ids[at].clone(), min_revision: 0 };
        let current = async |at| world.sites().get_site(get(at)).await.unwrap().into_inner().site.unwrap();
        renamed(world, &current(0).await, "Before the order").await;
        assert_eq!(told(world, &works, 0).await, 0);
        let planned = works.plan(&works.create(works.task("T-1")).await.unwrap()).await.unwrap();
        works.issue(&planned).await.unwrap();
        renamed(world, &current(0).await, "After the order").await;
        assert_eq!(told(world, &works, 0).await, 1);
        renamed(world, &current(1).await, "The other site").await;
        assert_eq!((told(world, &works, 0).await, told(world, &works, 1).await), (1, 1));
        let parts = vec![super::land::part("A", 5_000), super::land::part("B", 5_000)];
        let split = super::land::splitting(&current(0).await, day(1998, 6, 1), parts);
        let done = world.sites().split_site(split).await.unwrap().into_inner();
        assert_eq!(told(world, &works, 0).await, 2);
        assert_eq!(done.site.unwrap().revision, done.revision);
    })
    .await;
}

/// How many events of the operator's journal are about a site.
async fn told(world: &World, works: &Works, at: usize) -> i64 {
    let mut conn = world.database.connect().await;
    let counted = "SELECT count(*) FROM change_subjects WHERE scope_id = $1::uuid AND subject_id = $2::uuid";
    let counted = sqlx::query_scalar(counted).bind(&works.desk.operator_id).bind(&works.site_ids[at]);
    let counted = counted.fetch_one(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    counted
}
