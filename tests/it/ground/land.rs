//! The land ledger: the sites of Zimbabwe from the end of 2014 to the end of 2017, and the rules of surveys, releases
//! and splits.

use safelane::rpc::pb;
use tonic::Status;

use super::sites::{authority, created, refused, site};
use crate::bad_input::{day, names};
use crate::harness::{World, fresh_id, in_world};

/// Published figures: confirmed hazardous area by location at the end of 2014, 2016 and 2017.
const FIGURES: &str = include_str!("zimbabwe_cha.csv");

/// A row of the figures; an area that is not given is 0.
fn figures() -> Vec<(&'static str, [i64; 3])> {
    let rows = FIGURES.lines().filter(|line| !line.starts_with('#')).skip(1);
    let rows = rows.map(|line| {
        let mut fields = line.split(',');
        let place = fields.next().unwrap();
        let areas: Vec<i64> =
            fields.map(|field| if field.is_empty() { 0 } else { field.parse().unwrap() }).collect();
        (place, areas.try_into().unwrap())
    });
    rows.collect()
}

#[expect(clippy::unnecessary_wraps, reason = "message fields are optional")]
pub(super) fn cleared(decided_on: pb::Date) -> Option<pb::LandRelease> {
    Some(pb::LandRelease {
        r#type: pb::ReleaseType::Cleared.into(),
        decided_on: Some(decided_on),
        decided_by: "Mine Action Centre".to_owned(),
        depth_cm: 20,
        quality_control: "QC-2015-11".to_owned(),
        ..pb::LandRelease::default()
    })
}

/// A release by survey.
pub(super) fn by_survey(kind: pb::ReleaseType, survey_id: &str, decided_on: pb::Date) -> pb::LandRelease {
    let (depth_cm, quality_control) = (0, String::new());
    let survey_id = survey_id.to_owned();
    pb::LandRelease {
        r#type: kind.into(),
        survey_id,
        depth_cm,
        quality_control,
        ..cleared(decided_on).unwrap()
    }
}

pub(super) async fn close(
    world: &World,
    site: &pb::Site,
    release: Option<pb::LandRelease>,
) -> Result<pb::Site, Status> {
    let request = pb::CloseSiteRequest {
        request_id: fresh_id(),
        site_id: site.site_id.clone(),
        release,
        expected_revision: site.revision,
    };
    Ok(world.sites().close_site(request).await?.into_inner().site.unwrap())
}

pub(super) fn remeasurement(
    site: &pb::Site,
    area_m2: i64,
    measured_on: pb::Date,
) -> pb::RecordRemeasurementRequest {
    pb::RecordRemeasurementRequest {
        request_id: fresh_id(),
        site_id: site.site_id.clone(),
        area_m2,
        measured_on: Some(measured_on),
        reason: "measured anew".to_owned(),
        boundary_geojson: String::new(),
        expected_revision: site.revision,
    }
}

pub(super) fn part(code: &str, area_m2: i64) -> pb::SitePart {
    pb::SitePart {
        site_id: fresh_id(),
        code: code.to_owned(),
        name: code.to_lowercase(),
        area_m2,
        ..pb::SitePart::default()
    }
}

pub(super) fn splitting(
    site: &pb::Site,
    split_on: pb::Date,
    parts: Vec<pb::SitePart>,
) -> pb::SplitSiteRequest {
    pb::SplitSiteRequest {
        request_id: fresh_id(),
        site_id: site.site_id.clone(),
        split_on: Some(split_on),
        reason: "two sectors".to_owned(),
        parts,
        expected_revision: site.revision,
    }
}

fn ledger_of(authority: &str, first: pb::Date, last: pb::Date) -> pb::GetLandLedgerRequest {
    pb::GetLandLedgerRequest {
        authority_id: authority.to_owned(),
        first_day: Some(first),
        last_day: Some(last),
        ..pb::GetLandLedgerRequest::default()
    }
}

pub(super) async fn totals(world: &World, authority: &str, first: i32, last: i32) -> pb::LandSums {
    let request = ledger_of(authority, day(first, 1, 1), day(last, 12, 31));
    world.sites().get_land_ledger(request).await.unwrap().into_inner().totals.unwrap()
}

/// Adds up everything but the closing.
fn added(sums: &pb::LandSums) -> i64 {
    let released = sums.cancelled_m2 + sums.reduced_m2 + sums.cleared_m2;
    sums.opening_m2
        + sums.identified_m2
        + sums.remeasured_m2
        + released
        + sums.split_in_m2
        + sums.split_out_m2
}

#[tokio::test]
async fn the_published_figures_of_zimbabwe_come_out_to_the_square_metre() {
    in_world(async |world| {
        world.clock.set("2018-03-01T08:00:00Z");
        let authority = authority(world).await;
        let mut rows = figures();
        let (total, ends) = rows.pop().unwrap();
        assert_eq!(total, "TOTAL");
        for (place, [end_2014, end_2016, end_2017]) in rows {
            let code = format!("ZW-{}", place.split(['-', ' ']).next().unwrap().to_uppercase());
            let new = pb::Site {
                name: place.to_owned(),
                information_on: Some(day(2014, 12, 31)),
                ..site(&authority, &code, end_2014)
            };
            let site = created(world, new).await;
            if end_2016 == 0 {
                assert_eq!(place, "Burma Valley");
                close(world, &site, cleared(day(2015, 12, 10))).await.unwrap();
                continue;
            }
            let remeasured = remeasurement(&site, end_2016, day(2016, 12, 31));
            let site =
                world.sites().record_remeasurement(remeasured).await.unwrap().into_inner().site.unwrap();
            if end_2017 != end_2016 {
                let remeasured = remeasurement(&site, end_2017, day(2017, 6, 30));
                world.sites().record_remeasurement(remeasured).await.unwrap();
            }
        }
        split_of_2017(world, &authority).await;
        for (index, (first, last)) in [(1990, 2014), (2015, 2016), (2017, 2017)].into_iter().enumerate() {
            let sums = totals(world, &authority, first, last).await;
            assert_eq!(sums.closing_m2, ends[index], "{last}");
            assert_eq!((added(&sums), sums.split_in_m2 + sums.split_out_m2), (sums.closing_m2, 0));
        }
        let sums = totals(world, &authority, 2015, 2016).await;
        assert_eq!((sums.opening_m2, sums.cleared_m2), (62_991_706, -806_000));
        let sums = totals(world, &authority, 2017, 2017).await;
        assert_eq!((sums.opening_m2, sums.remeasured_m2), (66_230_103, -4_436_113));
        assert_eq!(sums.split_in_m2, 47_291_228);
        let rows = rows_by_page(world, &authority).await;
        let all: i64 = rows.iter().map(|row| row.sums.as_ref().unwrap().closing_m2).sum();
        assert_eq!((all, rows.len()), (61_793_990, 9));
    })
    .await;
}

/// Musengezi-Rwenya and Sango become two sites each, and Sango's border post gets another name.
async fn split_of_2017(world: &World, authority: &str) {
    for (text, parts) in [
        ("musengezi", [("ZW-MM", 11_784_543), ("ZW-MR", 11_802_059)]),
        ("SANGO", [("ZW-S3", 16_508_588), ("ZW-S4", 7_196_038)]),
    ] {
        let request = pb::ListSitesRequest {
            authority_id: authority.to_owned(),
            text: text.to_owned(),
            ..pb::ListSitesRequest::default()
        };
        let found = world.sites().list_sites(request).await.unwrap().into_inner().sites;
        assert_eq!(found.len(), 1, "{text}");
        let parts = parts.map(|(code, area)| part(code, area)).to_vec();
        let request = splitting(&found[0], day(2017, 12, 31), parts.clone());
        let done = world.sites().split_site(request.clone()).await.unwrap().into_inner();
        assert_eq!(world.sites().split_site(request).await.unwrap().into_inner(), done);
        let site = done.site.unwrap();
        assert_eq!((site.area_m2, site.status()), (0, pb::SiteStatus::Closed));
        for (sent, made) in parts.iter().zip(&done.parts) {
            assert_eq!((&made.site_id, made.area_m2), (&sent.site_id, sent.area_m2));
            assert_eq!((made.class, &made.came_from_id), (site.class, &site.site_id));
        }
    }
}

/// The ledger of 2017 by pages of two.
async fn rows_by_page(world: &World, authority: &str) -> Vec<pb::LandLedgerRow> {
    let mut rows = Vec::new();
    let mut request = ledger_of(authority, day(2017, 1, 1), day(2017, 12, 31));
    request.page_size = 2;
    loop {
        let page = world.sites().get_land_ledger(request.clone()).await.unwrap().into_inner();
        assert_eq!(page.totals.unwrap().closing_m2, 61_793_990);
        rows.extend(page.rows);
        if page.next_page_token.is_empty() {
            return rows;
        }
        request.page_token = page.next_page_token;
    }
}

pub(super) fn survey(
    site: &pb::Site,
    kind: pb::SurveyKind,
    result: pb::SurveyResult,
    surveyed_on: pb::Date,
) -> pb::Survey {
    pb::Survey {
        survey_id: fresh_id(),
        site_id: site.site_id.clone(),
        kind: kind.into(),
        surveyed_on: Some(surveyed_on),
        result: result.into(),
        note: "walked with the village head".to_owned(),
        ..pb::Survey::default()
    }
}

pub(super) async fn surveyed(world: &World, survey: pb::Survey) -> Result<pb::RecordSurveyResponse, Status> {
    let request = pb::RecordSurveyRequest { survey: Some(survey) };
    Ok(world.sites().record_survey(request).await?.into_inner())
}

#[tokio::test]
async fn the_unsafe_value_wins_and_the_conflict_is_shown_until_somebody_decides() {
    in_world(async |world| {
        let authority = authority(world).await;
        let sha = pb::Site { class: pb::HazardClass::Sha.into(), ..site(&authority, "ZW-1", 5_000) };
        let site = created(world, sha).await;
        let direct = survey(&site, pb::SurveyKind::Nts, pb::SurveyResult::DirectEvidence, day(1998, 2, 1));
        let answer = surveyed(world, direct.clone()).await.unwrap();
        assert_eq!(surveyed(world, direct).await.unwrap(), answer);
        let raised = answer.site.unwrap();
        assert_eq!((raised.class(), raised.information_on), (pb::HazardClass::Cha, Some(day(1998, 3, 1))));
        assert!(raised.conflict.contains("1998-02-01"), "{}", raised.conflict);
        let clean = survey(&site, pb::SurveyKind::Ts, pb::SurveyResult::NoEvidence, day(1998, 5, 1));
        let answer = surveyed(world, clean.clone()).await.unwrap();
        assert!(answer.survey.unwrap().kept_unsafe);
        let site = answer.site.unwrap();
        assert_eq!(site.class(), pb::HazardClass::Cha);
        assert!(site.conflict.contains("NO_EVIDENCE"), "{}", site.conflict);
        let ahead = survey(&site, pb::SurveyKind::Ts, pb::SurveyResult::NoEvidence, day(1998, 6, 16));
        names(surveyed(world, ahead).await, &["survey.surveyed_on"]);
        // The authority decides for the technical survey: a release that names the wrong kind is refused.
        let wrong = by_survey(pb::ReleaseType::Cancelled, &clean.survey_id, day(1998, 6, 1));
        refused(close(world, &site, Some(wrong)).await, "NOT_READY", &[("action", "be closed")]);
        let release = by_survey(pb::ReleaseType::Reduced, &clean.survey_id, day(1998, 6, 1));
        let closed = close(world, &site, Some(release)).await.unwrap();
        assert_eq!((closed.area_m2, closed.conflict.as_str()), (0, ""));
        let late = survey(&site, pb::SurveyKind::Nts, pb::SurveyResult::DirectEvidence, day(1998, 6, 14));
        refused(surveyed(world, late).await, "WRONG_STATE", &[("state", "CLOSED")]);
        let list = pb::ListSurveysRequest { site_id: site.site_id, ..pb::ListSurveysRequest::default() };
        let found = world.sites().list_surveys(list).await.unwrap().into_inner().surveys;
        let days: Vec<_> = found.iter().map(|survey| survey.surveyed_on.unwrap()).collect();
        assert_eq!(days, [day(1998, 5, 1), day(1998, 2, 1)]);
    })
    .await;
}

#[tokio::test]
async fn a_released_site_is_handed_over_and_reopened_as_another() {
    in_world(async |world| {
        let authority = authority(world).await;
        let site = created(world, site(&authority, "ZW-1", 5_000)).await;
        let handing = |site: &pb::Site, on| pb::HandOverSiteRequest {
            request_id: fresh_id(),
            site_id: site.site_id.clone(),
            handed_over_on: Some(on),
            expected_revision: site.revision,
        };
        let early = world.sites().hand_over_site(handing(&site, day(1998, 6, 1))).await;
        refused(early, "WRONG_STATE", &[("state", "OPEN"), ("allowed", "CLOSED")]);
        let site = close(world, &site, cleared(day(1998, 5, 31))).await.unwrap();
        let before = world.sites().hand_over_site(handing(&site, day(1998, 5, 30))).await;
        refused(before, "NOT_READY", &[("action", "be handed over")]);
        let done = world.sites().hand_over_site(handing(&site, day(1998, 6, 1))).await.unwrap().into_inner();
        let site = done.site.unwrap();
        assert_eq!((site.status(), site.handed_over_on), (pb::SiteStatus::HandedOver, Some(day(1998, 6, 1))));
        let reopening = pb::ReopenSiteRequest {
            site_id: site.site_id.clone(),
            new_site_id: fresh_id(),
            code: "ZW-1-R".to_owned(),
            area_m2: 400,
            class: pb::HazardClass::Cha.into(),
            information_on: Some(day(1998, 6, 10)),
            evidence: "a mine was found while ploughing".to_owned(),
            boundary_geojson: String::new(),
            reason: "missed ordnance".to_owned(),
        };
        let cycle = pb::ReopenSiteRequest { new_site_id: site.site_id.clone(), ..reopening.clone() };
        names(world.sites().reopen_site(cycle).await, &["new_site_id"]);
        let made = world.sites().reopen_site(reopening.clone()).await.unwrap().into_inner();
        assert_eq!(world.sites().reopen_site(reopening).await.unwrap().into_inner(), made);
        let made = made.site.unwrap();
        assert_eq!((made.status(), &made.came_from_id), (pb::SiteStatus::Open, &site.site_id));
        assert_eq!((made.position, made.area_m2), (site.position, 400));
        let get = pb::GetSiteRequest { site_id: site.site_id.clone(), min_revision: 0 };
        assert_eq!(world.sites().get_site(get).await.unwrap().into_inner().site, Some(site));
        let sums = totals(world, &authority, 1998, 1998).await;
        assert_eq!((sums.identified_m2, sums.cleared_m2, sums.closing_m2), (5_400, -5_000, 400));
    })
    .await;
}

#[tokio::test]
async fn a_split_that_does_not_add_up_or_goes_in_a_circle_changes_nothing() {
    in_world(async |world| {
        let authority = authority(world).await;
        let site = created(world, site(&authority, "ZW-1", 10_000)).await;
        let try_split = async |site: &pb::Site, parts| {
            world.sites().split_site(splitting(site, day(1998, 6, 1), parts)).await
        };
        let short = try_split(&site, vec![part("A", 5_000), part("B", 4_899)]).await;
        refused(
            short,
            "AREA_MISMATCH",
            &[("area_m2", "10000"), ("parts_m2", "9899"), ("tolerance_m2", "100")],
        );
        let own = pb::SitePart { site_id: site.site_id.clone(), ..part("B", 5_000) };
        names(try_split(&site, vec![part("A", 5_000), own]).await, &["parts[1].site_id"]);
        names(try_split(&site, vec![part("A", 10_000)]).await, &["parts"]);
        names(try_split(&site, (0..101).map(|at| part(&at.to_string(), 99)).collect()).await, &["parts"]);
        let twice = part("A", 5_000);
        names(try_split(&site, vec![twice.clone(), twice]).await, &["parts[1].site_id", "parts[1].code"]);
        let wrong = pb::LandRelease { depth_cm: 0, ..cleared(day(1998, 6, 1)).unwrap() };
        let wrong = pb::SitePart { release: Some(wrong), ..part("B", 5_000) };
        names(try_split(&site, vec![part("A", 5_000), wrong]).await, &["parts[1].release.depth_cm"]);
        refused(try_split(&site, vec![part("A", 5_000), part("ZW-1", 5_000)]).await, "CODE_TAKEN", &[]);
        let get = pb::GetSiteRequest { site_id: site.site_id.clone(), min_revision: 0 };
        assert_eq!(world.sites().get_site(get).await.unwrap().into_inner().site.as_ref(), Some(&site));
        // A part of the land is released, and what the parts have more is booked as measured anew.
        let clean = survey(&site, pb::SurveyKind::Nts, pb::SurveyResult::NoEvidence, day(1998, 5, 1));
        let site = surveyed(world, clean.clone()).await.unwrap().site.unwrap();
        let release = by_survey(pb::ReleaseType::Cancelled, &clean.survey_id, day(1998, 6, 2));
        let released = pb::SitePart { release: Some(release), ..part("B", 4_060) };
        let done = try_split(&site, vec![part("A", 6_000), released]).await.unwrap().into_inner();
        assert_eq!(done.parts[1].status(), pb::SiteStatus::Closed);
        let sums = totals(world, &authority, 1998, 1998).await;
        assert_eq!((sums.remeasured_m2, sums.cancelled_m2, sums.closing_m2), (60, -4_060, 6_000));
        // The part cannot become what it came from.
        let back = pb::SitePart { site_id: site.site_id.clone(), ..part("D", 3_000) };
        names(try_split(&done.parts[0], vec![part("C", 3_000), back]).await, &["parts[1].site_id"]);
        let whole = done.site.unwrap();
        let request = pb::HandOverSiteRequest {
            request_id: fresh_id(),
            site_id: whole.site_id,
            handed_over_on: Some(day(1998, 6, 10)),
            expected_revision: whole.revision,
        };
        refused(world.sites().hand_over_site(request).await, "NOT_READY", &[]);
    })
    .await;
}

#[tokio::test]
async fn empty_and_impossible_ledgers_are_told_apart() {
    in_world(async |world| {
        let authority = authority(world).await;
        let site = created(world, site(&authority, "ZW-1", 10_000)).await;
        let ask = async |request| world.sites().get_land_ledger(request).await;
        names(ask(ledger_of(&authority, day(1998, 2, 1), day(1998, 1, 31))).await, &["last_day"]);
        names(ask(ledger_of("", day(1998, 1, 1), day(1998, 1, 1))).await, &["authority_id"]);
        let both = pb::GetLandLedgerRequest {
            country_code: "ZW".to_owned(),
            min_revision: 1,
            ..ledger_of(&authority, day(1998, 1, 1), day(1998, 1, 1))
        };
        names(ask(both).await, &["authority_id"]);
        let before =
            ask(ledger_of(&authority, day(1998, 2, 28), day(1998, 2, 28))).await.unwrap().into_inner();
        assert_eq!((before.rows.len(), before.totals.unwrap()), (0, pb::LandSums::default()));
        let country = pb::GetLandLedgerRequest {
            country_code: "ZW".to_owned(),
            site_id: site.site_id.clone(),
            ..ledger_of("", day(1998, 3, 1), day(1998, 3, 1))
        };
        let on = ask(country).await.unwrap().into_inner();
        assert_eq!((on.rows.len(), on.totals.unwrap().identified_m2), (1, 10_000));
        // A measurement is not older than the site, and releases stay covered on every day.
        let early = remeasurement(&site, 9_000, day(1998, 2, 28));
        names(world.sites().record_remeasurement(early).await, &["measured_on"]);
        let same = remeasurement(&site, 10_000, day(1998, 3, 2));
        names(world.sites().record_remeasurement(same).await, &["area_m2"]);
    })
    .await;
}
