use jiff::civil::date;

use super::*;
use crate::domain::ids::SurveyId;
use crate::domain::site::sample::{release, site, survey};

const DAY: Date = date(2024, 2, 29);

/// A site in a status, with what that status comes with.
fn in_status(status: SiteStatus) -> Site {
    let mut site = site();
    match status {
        SiteStatus::Open => {}
        SiteStatus::Suspended => suspend(&mut site, SuspensionCause::Season).unwrap(),
        SiteStatus::Closed => {
            close(&mut site, release(ReleaseType::Cleared, DAY), &Proof::default()).unwrap();
        }
        SiteStatus::HandedOver => {
            site = in_status(SiteStatus::Closed);
            hand_over(&mut site, DAY).unwrap();
        }
    }
    assert_eq!(site.status, status);
    site
}

#[test]
fn every_transition_is_allowed_or_refused_as_the_table_says() {
    type Step =
        (&'static str, fn(&mut Site) -> Result<(), Refusal>, &'static [SiteStatus], Option<SiteStatus>);
    let steps: [Step; 5] = [
        (
            "suspend",
            |site| suspend(site, SuspensionCause::Security),
            &[SiteStatus::Open],
            Some(SiteStatus::Suspended),
        ),
        ("resume", resume, &[SiteStatus::Suspended], Some(SiteStatus::Open)),
        (
            "close",
            |site| close(site, release(ReleaseType::Cleared, DAY), &Proof::default()).map(|_| ()),
            &[SiteStatus::Open],
            Some(SiteStatus::Closed),
        ),
        ("hand over", |site| hand_over(site, DAY), &[SiteStatus::Closed], Some(SiteStatus::HandedOver)),
        ("reopen", |site| reopen(site, DAY).map(|_| ()), &[SiteStatus::Closed, SiteStatus::HandedOver], None),
    ];
    for (name, step, allowed, reached) in steps {
        for status in SiteStatus::ALL.iter().copied() {
            let before = in_status(status);
            let mut site = before.clone();
            match step(&mut site) {
                Ok(()) => {
                    assert!(allowed.contains(&status), "{name} of {status}");
                    assert_eq!(site.status, reached.unwrap_or(status), "{name} of {status}");
                }
                Err(refused) => {
                    assert!(!allowed.contains(&status), "{name} of {status}: {refused}");
                    assert!(matches!(refused, Refusal::WrongState { .. }), "{refused}");
                    assert_eq!(site, before, "a refused {name} of {status} changed the site");
                }
            }
        }
    }
}

/// What is missing for a release on a site whose last evidence is of 2014.
fn missing(release: LandRelease, survey: Option<&Survey>) -> Vec<String> {
    let mut site = site();
    let lineage = [site.id];
    let proof = Proof { survey, lineage: &lineage, ..Proof::default() };
    match close(&mut site, release, &proof) {
        Ok(released) => {
            assert_eq!((released.area_m2, site.area_m2, site.status), (-1_000, 0, SiteStatus::Closed));
            Vec::new()
        }
        Err(Refusal::NotReady { missing, .. }) => missing,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_release_by_survey_needs_the_right_survey_without_evidence() {
    let site = site();
    for (kind, right, wrong) in [
        (ReleaseType::Cancelled, SurveyKind::Nts, SurveyKind::Ts),
        (ReleaseType::Reduced, SurveyKind::Ts, SurveyKind::Nts),
    ] {
        let clean = survey(&site, right, SurveyResult::NoEvidence, date(2016, 5, 1));
        assert_eq!(missing(release(kind, DAY), Some(&clean)), Vec::<String>::new());
        assert!(missing(release(kind, DAY), None)[0].contains("none is named"));
        let named =
            LandRelease { survey: Some(SurveyId::new(uuid::Uuid::from_u128(7))), ..release(kind, DAY) };
        assert!(missing(named, None)[0].contains("does not exist"));
        let other = Survey { site: SiteId::new(uuid::Uuid::from_u128(9)), ..clean.clone() };
        assert!(missing(release(kind, DAY), Some(&other))[0].contains("another site"));
        let bad = survey(&site, wrong, SurveyResult::IndirectEvidence, date(2013, 1, 1));
        let all = missing(release(kind, date(2012, 1, 1)), Some(&bad));
        assert_eq!(all.len(), 5, "{all:?}");
    }
}

#[test]
fn a_release_by_clearance_needs_depth_and_control_after_the_last_evidence() {
    let bare = LandRelease { depth_cm: None, quality_control: None, ..release(ReleaseType::Cleared, DAY) };
    assert_eq!(missing(bare, None).len(), 2);
    for day in [date(2014, 6, 29), date(2014, 6, 30)] {
        let early = release(ReleaseType::Cleared, day);
        assert!(missing(early, None)[0].contains("is not after the last evidence"), "{day}");
    }
}

#[test]
fn a_split_site_has_nothing_to_hand_over_or_reopen() {
    let mut split = Site { release: None, ..in_status(SiteStatus::Closed) };
    assert!(hand_over(&mut split, DAY).unwrap_err().to_string().contains("its parts"));
    assert!(reopen(&split, DAY).unwrap_err().to_string().contains("the part"));
    let mut closed = in_status(SiteStatus::Closed);
    assert!(hand_over(&mut closed, date(2024, 2, 28)).unwrap_err().to_string().contains("older"));
}

#[test]
fn danger_that_is_learned_of_late_reopens_a_site_and_is_booked_when_its_land_was_free() {
    let closed = in_status(SiteStatus::Closed);
    let late = reopen(&closed, date(2024, 2, 28)).unwrap();
    assert_eq!(late.booked_on, DAY);
    assert_eq!(late.conflict, "information of 2024-02-28 is older than the release of 2024-02-29");
    let after = reopen(&closed, date(2024, 3, 1)).unwrap();
    assert_eq!(after, Reopening { booked_on: date(2024, 3, 1), conflict: String::new() });
}

#[test]
fn a_survey_of_the_day_of_the_evidence_or_before_more_land_came_proves_nothing() {
    let site = site();
    let on = |day| survey(&site, SurveyKind::Nts, SurveyResult::NoEvidence, day);
    let same = missing(release(ReleaseType::Cancelled, DAY), Some(&on(date(2014, 6, 30))));
    assert!(same[0].contains("is not after the last evidence"), "{same:?}");
    let tried = |day| {
        let (clean, mut site) = (on(day), site.clone());
        let lineage = [site.id];
        let (survey, added_on) = (Some(&clean), Some(date(2016, 5, 2)));
        let proof = Proof { survey, lineage: &lineage, added_on, ..Proof::default() };
        close(&mut site, release(ReleaseType::Cancelled, DAY), &proof)
    };
    let unseen = tried(date(2016, 5, 1)).unwrap_err().to_string();
    assert!(unseen.contains("has not seen the land that was added on 2016-05-02"), "{unseen}");
    assert!(tried(date(2016, 5, 2)).is_ok());
}
