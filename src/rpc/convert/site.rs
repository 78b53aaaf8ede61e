//! Sites and surveys on the wire.

use jiff::tz::TimeZone;

use crate::domain::caller::Role;
use crate::domain::geometry::{degrees, kept};
use crate::domain::ids::{OrganizationId, SiteId};
use crate::domain::site::{BoundingBox, LandRelease, Position, Site, SiteStatus, SuspensionCause};
use crate::domain::text::{Code, CountryCode, Note, Source, Title, quote};
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::convert::{UNSET, date, timestamp};
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// The largest site: 10,000 km².
pub const AREA_M2_MAX: i64 = 10_000_000_000;
/// The most that is said about the accuracy of a position, in metres.
const ACCURACY_M_MAX: i32 = 10_000;

/// Reads a site to create. Its country is set by the use case.
pub fn read_site(reader: &mut Reader, sent: &pb::Site) -> Option<Site> {
    let id = reader.id("site.site_id", &sent.site_id, SiteId::new);
    let authority = reader.id("site.authority_id", &sent.authority_id, OrganizationId::new);
    let code = reader.parse("site.code", Code::parse(&sent.code));
    let name = reader.parse("site.name", Title::parse(&sent.name));
    let class = reader.word("site.class", sent.class);
    let area_m2 = reader.within("site.area_m2", sent.area_m2, 1, AREA_M2_MAX);
    let position = read_position(reader, "site.position", sent.position.as_ref());
    let time_zone = reader.parse("site.time_zone", time_zone(&sent.time_zone));
    let information_on = reader.date("site.information_on", sent.information_on);
    let evidence = reader.parse("site.evidence", Note::parse(&sent.evidence));
    let position = position?;
    Some(Site {
        id: id?,
        authority: authority?,
        // The country of nowhere, until the use case knows the authority.
        country: CountryCode::parse("ZZ").ok()?,
        code: code?,
        name: name?,
        former_names: Vec::new(),
        class: class?,
        status: SiteStatus::Open,
        area_m2: area_m2?,
        boundary: None,
        position,
        bounds: position.map(BoundingBox::around),
        time_zone: time_zone?,
        information_on: information_on?,
        evidence_on: information_on?,
        evidence: evidence?,
        came_from: None,
        suspension: None,
        release: None,
        handed_over_on: None,
        conflict: String::new(),
        created_at: UNSET,
        revision: 0,
    })
}

/// Reads a time zone by its IANA name and answers it as the database of time zones spells it.
fn time_zone(name: &str) -> Result<String, String> {
    let found = TimeZone::get(name).ok();
    let spelled = found.and_then(|zone| zone.iana_name().map(str::to_owned));
    spelled.ok_or_else(|| format!("{} is not an IANA time zone, such as \"Africa/Harare\"", quote(name)))
}

/// Reads a point that may be absent: `Some(None)` is that, `None` is bad.
fn read_position(reader: &mut Reader, field: &str, sent: Option<&pb::Position>) -> Option<Option<Position>> {
    let Some(sent) = sent else { return Some(None) };
    let latitude_e7 = read_degrees(reader, &format!("{field}.latitude"), sent.latitude, 90);
    let longitude_e7 = read_degrees(reader, &format!("{field}.longitude"), sent.longitude, 180);
    let accuracy_m = reader.within(&format!("{field}.accuracy_m"), sent.accuracy_m, 0, ACCURACY_M_MAX);
    Some(Some(Position { latitude_e7: latitude_e7?, longitude_e7: longitude_e7?, accuracy_m: accuracy_m? }))
}

fn read_degrees(reader: &mut Reader, field: &str, sent: f64, limit: i32) -> Option<i32> {
    let read = kept(sent, limit);
    if read.is_none() {
        reader.bad(field, format!("is {sent}; give degrees from -{limit} to {limit}"));
    }
    read
}

/// A site for the wire, with everything: for the journal, and for those who may see it.
#[must_use]
pub fn site(of: &Site) -> pb::Site {
    pb::Site {
        site_id: of.id.to_string(),
        authority_id: of.authority.to_string(),
        country_code: of.country.as_str().to_owned(),
        code: of.code.to_string(),
        name: of.name.as_str().to_owned(),
        former_names: of.former_names.iter().map(|name| name.as_str().to_owned()).collect(),
        class: of.class.wire(),
        status: of.status.wire(),
        area_m2: of.area_m2,
        computed_area_m2: of.boundary.as_ref().map_or(0, |boundary| boundary.computed_area_m2),
        boundary_geojson: of.boundary.as_ref().map(|boundary| boundary.geojson.clone()).unwrap_or_default(),
        position: of.position.map(position),
        time_zone: of.time_zone.clone(),
        information_on: Some(date(of.information_on)),
        evidence: of.evidence.as_str().to_owned(),
        came_from_id: of.came_from.map(|id| id.to_string()).unwrap_or_default(),
        suspension_cause: of.suspension.map_or(0, SuspensionCause::wire),
        release: of.release.as_ref().map(release),
        handed_over_on: of.handed_over_on.map(date),
        conflict: of.conflict.clone(),
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
        evidence_on: Some(date(of.evidence_on)),
    }
}

fn position(of: Position) -> pb::Position {
    pb::Position {
        latitude: degrees(of.latitude_e7),
        longitude: degrees(of.longitude_e7),
        accuracy_m: of.accuracy_m,
    }
}

fn release(of: &LandRelease) -> pb::LandRelease {
    pb::LandRelease {
        r#type: of.kind.wire(),
        decided_on: Some(date(of.decided_on)),
        decided_by: of.decided_by.as_str().to_owned(),
        survey_id: of.survey.map(|id| id.to_string()).unwrap_or_default(),
        depth_cm: of.depth_cm.unwrap_or_default(),
        quality_control: of.quality_control.as_ref().map(Source::as_str).unwrap_or_default().to_owned(),
    }
}

/// A site as a role may see it: funders see neither where it is nor persons nor free text, which may tell both.
#[must_use]
pub fn shown_to(role: Role, mut site: pb::Site) -> pb::Site {
    if role != Role::Funder {
        return site;
    }
    site.boundary_geojson.clear();
    site.position = None;
    site.evidence.clear();
    site.conflict.clear();
    if let Some(release) = &mut site.release {
        release.decided_by.clear();
    }
    site
}
