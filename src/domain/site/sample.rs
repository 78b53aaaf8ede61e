//! A site for the tests of the rules.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, SiteId, SurveyId};
use crate::domain::site::{
    HazardClass, LandRelease, ReleaseType, Site, SiteStatus, Survey, SurveyKind, SurveyResult,
};
use crate::domain::text::{Code, CountryCode, Note, Source, Title};

/// An open CHA of 1,000 m², known since 30 June 2014.
pub(crate) fn site() -> Site {
    Site {
        id: SiteId::new(Uuid::from_u128(1)),
        authority: OrganizationId::new(Uuid::from_u128(2)),
        country: CountryCode::parse("ZW").unwrap(),
        code: Code::parse("ZW-1").unwrap(),
        name: Title::parse("Lusulu").unwrap(),
        former_names: Vec::new(),
        class: HazardClass::Cha,
        status: SiteStatus::Open,
        area_m2: 1_000,
        boundary: None,
        position: None,
        bounds: None,
        time_zone: "Africa/Harare".to_owned(),
        information_on: date(2014, 6, 30),
        evidence_on: date(2014, 6, 30),
        evidence: Note::default(),
        came_from: None,
        suspension: None,
        release: None,
        handed_over_on: None,
        conflict: String::new(),
        created_at: Timestamp::UNIX_EPOCH,
        revision: 2,
    }
}

/// A survey of a site.
pub(crate) fn survey(site: &Site, kind: SurveyKind, result: SurveyResult, surveyed_on: Date) -> Survey {
    Survey {
        id: SurveyId::new(Uuid::from_u128(3)),
        site: site.id,
        authority: site.authority,
        kind,
        surveyed_on,
        result,
        note: Note::parse("surveyed").unwrap(),
        kept_unsafe: false,
        created_at: Timestamp::UNIX_EPOCH,
        revision: 0,
    }
}

/// A release that lacks at most its survey.
pub(crate) fn release(kind: ReleaseType, decided_on: Date) -> LandRelease {
    let cleared = kind == ReleaseType::Cleared;
    LandRelease {
        kind,
        decided_on,
        decided_by: Title::parse("the authority").unwrap(),
        survey: None,
        depth_cm: cleared.then_some(20),
        quality_control: cleared.then(|| Source::parse("QC-7").unwrap()),
    }
}
