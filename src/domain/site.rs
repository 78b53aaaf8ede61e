//! Hazardous areas: class and status are two axes, and area is a ledger. What may become of a site is in the files of
//! `site/`: [`evidence`] moves the class, [`release`] the status; [`control`] is what quality control says of a clearance.

pub mod control;
pub mod evidence;
pub mod release;
#[cfg(test)]
pub(crate) mod sample;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::ids::{OrganizationId, SiteId, SurveyId};
use crate::domain::text::{Code, CountryCode, Note, Source, Title};
use crate::domain::words::words;

words! {
    /// What the evidence says (IMAS 07.11). It rises by itself and never falls.
    HazardClass {
        /// Suspected hazardous area: indirect evidence.
        Sha = "SHA",
        /// Confirmed hazardous area: direct evidence.
        Cha = "CHA",
    }
}

words! {
    /// What is being done with a site.
    SiteStatus {
        /// Known and not yet released.
        Open = "OPEN",
        /// Open, but nobody works there now.
        Suspended = "SUSPENDED",
        /// Released, or split into other sites.
        Closed = "CLOSED",
        /// Released, and its users have it back.
        HandedOver = "HANDED_OVER",
    }
}

words! {
    /// Why work stands still.
    SuspensionCause {
        /// Fighting or crime.
        Security = "SECURITY",
        /// A way that cannot be used.
        Access = "ACCESS",
        /// Weather or farming.
        Season = "SEASON",
        /// Missing money.
        Funds = "FUNDS",
        /// An accident or incident.
        Accident = "ACCIDENT",
        /// A finding of quality management.
        CriticalNonconformity = "CRITICAL_NONCONFORMITY",
        /// Lost medical cover.
        MedicalCover = "MEDICAL_COVER",
        /// A safety stop.
        SafetyStop = "SAFETY_STOP",
        /// Anything else.
        Other = "OTHER",
    }
}

words! {
    /// How land was released.
    ReleaseType {
        /// By non-technical survey.
        Cancelled = "CANCELLED",
        /// By technical survey.
        Reduced = "REDUCED",
        /// By clearance to a depth, with quality control passed.
        Cleared = "CLEARED",
    }
}

words! {
    /// How evidence was gathered.
    SurveyKind {
        /// Non-technical survey.
        Nts = "NTS",
        /// Technical survey.
        Ts = "TS",
    }
}

words! {
    /// What a survey found.
    SurveyResult {
        /// No evidence of explosive ordnance.
        NoEvidence = "NO_EVIDENCE",
        /// A claim, unused land, past fighting.
        IndirectEvidence = "INDIRECT_EVIDENCE",
        /// A find, an accident, a record, a sighting.
        DirectEvidence = "DIRECT_EVIDENCE",
    }
}

/// A point on the ground: degrees of WGS 84 times ten million, about a centimetre.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Latitude, -900,000,000 to 900,000,000.
    pub latitude_e7: i32,
    /// Longitude, -1,800,000,000 to 1,800,000,000.
    pub longitude_e7: i32,
    /// Radius within which the true point is, in metres; 0 for unknown.
    pub accuracy_m: i32,
}

/// A rectangle of degrees of WGS 84 times ten million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundingBox {
    /// The least latitude.
    pub south_e7: i32,
    /// The least longitude.
    pub west_e7: i32,
    /// The greatest latitude.
    pub north_e7: i32,
    /// The greatest longitude.
    pub east_e7: i32,
}

impl BoundingBox {
    /// The box of a single point.
    #[must_use]
    pub const fn around(point: Position) -> Self {
        let Position { latitude_e7, longitude_e7, .. } = point;
        Self { south_e7: latitude_e7, west_e7: longitude_e7, north_e7: latitude_e7, east_e7: longitude_e7 }
    }
}

/// The outline of a site, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary {
    /// The GeoJSON Polygon, as it was sent.
    pub geojson: String,
    /// Its box.
    pub bounds: BoundingBox,
    /// Its geodesic area in square metres.
    pub computed_area_m2: i64,
}

/// The decision that land is safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandRelease {
    /// How it was released.
    pub kind: ReleaseType,
    /// The day of the decision.
    pub decided_on: Date,
    /// Who decided.
    pub decided_by: Title,
    /// The survey without evidence that allows it.
    pub survey: Option<SurveyId>,
    /// Depth to which it was cleared, in centimetres.
    pub depth_cm: Option<i32>,
    /// The report that passed quality control.
    pub quality_control: Option<Source>,
}

/// A hazardous area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// The national authority in whose journal it is.
    pub authority: OrganizationId,
    /// The authority's country.
    pub country: CountryCode,
    /// Its code, unique in the authority.
    pub code: Code,
    /// What people call the place.
    pub name: Title,
    /// What they called it before, the newest last.
    pub former_names: Vec<Title>,
    /// What the evidence says.
    pub class: HazardClass,
    /// What is being done with it.
    pub status: SiteStatus,
    /// What is left of it, in square metres: the sum of its movements.
    pub area_m2: i64,
    /// Its outline.
    pub boundary: Option<Boundary>,
    /// Its reference point.
    pub position: Option<Position>,
    /// Where it is: the box of the boundary, else the position, else where the site is that it was split from.
    pub bounds: Option<BoundingBox>,
    /// IANA name of the time zone whose days count there.
    pub time_zone: String,
    /// Date of the information that rules the present view.
    pub information_on: Date,
    /// Day of the last evidence of danger.
    pub evidence_on: Date,
    /// The evidence in words.
    pub evidence: Note,
    /// The site that it was split from or reopened from.
    pub came_from: Option<SiteId>,
    /// Why it is suspended.
    pub suspension: Option<SuspensionCause>,
    /// How it was released.
    pub release: Option<LandRelease>,
    /// Day of the handover certificate.
    pub handed_over_on: Option<Date>,
    /// Later information that was less safe than what is shown; empty when there is none.
    pub conflict: String,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Revision of the authority's journal at the last change.
    pub revision: i64,
}

/// Evidence about a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Its id.
    pub id: SurveyId,
    /// The site.
    pub site: SiteId,
    /// The site's authority.
    pub authority: OrganizationId,
    /// How evidence was gathered.
    pub kind: SurveyKind,
    /// Date of information.
    pub surveyed_on: Date,
    /// What was found.
    pub result: SurveyResult,
    /// Anything else.
    pub note: Note,
    /// Whether what is known was less safe, so that the survey changed nothing.
    pub kept_unsafe: bool,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Revision of the authority's journal.
    pub revision: i64,
}
