//! A row of `sites` and its way into the domain.

use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::ids::{OrganizationId, SiteId, SurveyId};
use crate::domain::site::{
    Boundary, BoundingBox, HazardClass, LandRelease, Position, ReleaseType, Site, SiteStatus, SuspensionCause,
};
use crate::domain::text::{Code, CountryCode, Note, Source, Title};
use crate::error::Error;
use crate::store::rows::{corrupt, word};

#[derive(FromRow)]
pub(super) struct SiteRow {
    authority_id: Uuid,
    site_id: Uuid,
    country_code: String,
    code: String,
    name: String,
    former_names: Vec<String>,
    class: String,
    status: String,
    area_m2: i64,
    computed_area_m2: Option<i64>,
    boundary_geojson: Option<String>,
    time_zone: String,
    information_on: jiff_sqlx::Date,
    evidence_on: jiff_sqlx::Date,
    evidence: String,
    came_from_id: Option<Uuid>,
    suspension_cause: Option<String>,
    handed_over_on: Option<jiff_sqlx::Date>,
    conflict: String,
    created_at: jiff_sqlx::Timestamp,
    revision: i64,
    #[sqlx(flatten)]
    place: PlaceRow,
    #[sqlx(flatten)]
    release: ReleaseRow,
}

#[derive(FromRow)]
struct PlaceRow {
    latitude_e7: Option<i32>,
    longitude_e7: Option<i32>,
    accuracy_m: Option<i32>,
    south_e7: Option<i32>,
    west_e7: Option<i32>,
    north_e7: Option<i32>,
    east_e7: Option<i32>,
}

#[derive(FromRow)]
struct ReleaseRow {
    release_type: Option<String>,
    released_on: Option<jiff_sqlx::Date>,
    released_by: Option<String>,
    release_survey_id: Option<Uuid>,
    release_depth_cm: Option<i32>,
    release_control: Option<String>,
}

impl PlaceRow {
    fn position(&self) -> Option<Position> {
        let (latitude_e7, longitude_e7) = (self.latitude_e7?, self.longitude_e7?);
        Some(Position { latitude_e7, longitude_e7, accuracy_m: self.accuracy_m? })
    }

    fn bounds(&self) -> Option<BoundingBox> {
        let (south_e7, west_e7) = (self.south_e7?, self.west_e7?);
        Some(BoundingBox { south_e7, west_e7, north_e7: self.north_e7?, east_e7: self.east_e7? })
    }
}

impl ReleaseRow {
    fn release(self) -> Result<Option<LandRelease>, Error> {
        let (Some(kind), Some(decided_on), Some(decided_by)) =
            (self.release_type, self.released_on, self.released_by)
        else {
            return Ok(None);
        };
        let control = self.release_control.as_deref().map(Source::parse).transpose();
        Ok(Some(LandRelease {
            kind: word("release_type", &kind, ReleaseType::from_word)?,
            decided_on: decided_on.to_jiff(),
            decided_by: Title::parse(&decided_by).map_err(corrupt("released_by"))?,
            survey: self.release_survey_id.map(SurveyId::new),
            depth_cm: self.release_depth_cm,
            quality_control: control.map_err(corrupt("release_control"))?,
        }))
    }
}

/// The outline. Without a box of the site there is none.
fn boundary(row: &SiteRow) -> Option<Boundary> {
    Some(Boundary {
        geojson: row.boundary_geojson.clone()?,
        bounds: row.place.bounds()?,
        computed_area_m2: row.computed_area_m2?,
    })
}

impl TryFrom<SiteRow> for Site {
    type Error = Error;

    fn try_from(row: SiteRow) -> Result<Self, Error> {
        let former: Result<Vec<Title>, String> =
            row.former_names.iter().map(|name| Title::parse(name)).collect();
        let cause = row.suspension_cause.as_deref();
        let cause = cause.map(|cause| word("suspension_cause", cause, SuspensionCause::from_word));
        Ok(Self {
            id: SiteId::new(row.site_id),
            authority: OrganizationId::new(row.authority_id),
            country: CountryCode::parse(&row.country_code).map_err(corrupt("country_code"))?,
            code: Code::parse(&row.code).map_err(corrupt("code"))?,
            name: Title::parse(&row.name).map_err(corrupt("name"))?,
            former_names: former.map_err(corrupt("former_names"))?,
            class: word("class", &row.class, HazardClass::from_word)?,
            status: word("status", &row.status, SiteStatus::from_word)?,
            area_m2: row.area_m2,
            boundary: boundary(&row),
            position: row.place.position(),
            bounds: row.place.bounds(),
            time_zone: row.time_zone,
            information_on: row.information_on.to_jiff(),
            evidence_on: row.evidence_on.to_jiff(),
            evidence: Note::parse(&row.evidence).map_err(corrupt("evidence"))?,
            came_from: row.came_from_id.map(SiteId::new),
            suspension: cause.transpose()?,
            release: row.release.release()?,
            handed_over_on: row.handed_over_on.map(jiff_sqlx::Date::to_jiff),
            conflict: row.conflict,
            created_at: row.created_at.to_jiff(),
            revision: row.revision,
        })
    }
}
