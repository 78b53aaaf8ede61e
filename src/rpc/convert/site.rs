//! Sites and surveys on the wire.

use jiff::tz::TimeZone;

use crate::app::site::CreateSite;
use crate::domain::caller::Role;
use crate::domain::geometry::{Comparisons, Outline, degrees, kept};
use crate::domain::ids::{OrganizationId, SiteId, SurveyId};
use crate::domain::site::{
    BoundingBox, LandRelease, Position, ReleaseType, Site, SiteStatus, SuspensionCause,
};
use crate::domain::text::{Code, CountryCode, Note, Source, Title, quote};
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::convert::{UNSET, date, timestamp};
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// The largest site: 10,000 km².
pub const AREA_M2_MAX: i64 = 10_000_000_000;
/// The most that is said about the accuracy of a position, in metres.
const ACCURACY_M_MAX: i32 = 10_000;
/// The deepest clearance, in centimetres.
pub const DEPTH_CM_MAX: i32 = 2_000;

/// Reads a site to create, with its outline. Its country is set by the use case.
pub fn read_site(reader: &mut Reader, sent: &pb::Site) -> Option<CreateSite> {
    let id = reader.id("site.site_id", &sent.site_id, SiteId::new);
    let authority = reader.id("site.authority_id", &sent.authority_id, OrganizationId::new);
    let code = reader.parse("site.code", Code::parse(&sent.code));
    let name = reader.parse("site.name", Title::parse(&sent.name));
    let class = reader.word("site.class", sent.class);
    let area_m2 = reader.within("site.area_m2", sent.area_m2, 1, AREA_M2_MAX);
    let outline =
        read_outline(reader, "site.boundary_geojson", &sent.boundary_geojson, &mut Comparisons::default());
    let position = read_position(reader, "site.position", sent.position.as_ref());
    let time_zone = reader.parse("site.time_zone", time_zone(&sent.time_zone));
    let information_on = reader.date("site.information_on", sent.information_on);
    let evidence = reader.parse("site.evidence", Note::parse(&sent.evidence));
    let (position, outline) = (position?, outline?);
    let boundary = outline.as_ref().map(|outline| outline.boundary.clone());
    let site = Site {
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
        bounds: boundary.as_ref().map(|of| of.bounds).or_else(|| position.map(BoundingBox::around)),
        boundary,
        position,
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
    };
    Some(CreateSite { site, outline })
}

/// Reads an outline that may be absent: `Some(None)` is that, `None` is bad. Whether it fits the country and the
/// measured area is judged by the use case. `left` is what the request may still compare.
pub fn read_outline(
    reader: &mut Reader,
    field: &str,
    text: &str,
    left: &mut Comparisons,
) -> Option<Option<Outline>> {
    if text.is_empty() {
        return Some(None);
    }
    match Outline::read(text, left) {
        Ok(outline) => Some(Some(outline)),
        Err(flaw) => {
            reader.bad(format!("{field}{}", flaw.path), flaw.rule);
            None
        }
    }
}

/// Reads a rectangle that may be absent: `Some(None)` is that, `None` is bad.
pub fn read_box(
    reader: &mut Reader,
    field: &str,
    sent: Option<&pb::BoundingBox>,
) -> Option<Option<BoundingBox>> {
    let Some(sent) = sent else { return Some(None) };
    let south_e7 = read_degrees(reader, &format!("{field}.south"), sent.south, 90);
    let west_e7 = read_degrees(reader, &format!("{field}.west"), sent.west, 180);
    let north_e7 = read_degrees(reader, &format!("{field}.north"), sent.north, 90);
    let east_e7 = read_degrees(reader, &format!("{field}.east"), sent.east, 180);
    let (south_e7, west_e7, north_e7, east_e7) = (south_e7?, west_e7?, north_e7?, east_e7?);
    if north_e7 < south_e7 {
        reader.bad(format!("{field}.north"), format!("is {}, south of {}", sent.north, sent.south));
    }
    if east_e7 < west_e7 {
        let rule = format!(
            "is {}, west of {}; for both sides of the 180th meridian ask twice",
            sent.east, sent.west
        );
        reader.bad(format!("{field}.east"), rule);
    }
    Some(Some(BoundingBox { south_e7, west_e7, north_e7, east_e7 }))
}

/// Reads the decision that land is safe. What a type of release does not have is refused beside it.
pub fn read_release(reader: &mut Reader, field: &str, sent: Option<&pb::LandRelease>) -> Option<LandRelease> {
    let sent = reader.need(field, sent)?;
    let at = |name: &str| format!("{field}.{name}");
    let kind: Option<ReleaseType> = reader.word(&at("type"), sent.r#type);
    let decided_on = reader.date(&at("decided_on"), sent.decided_on);
    let decided_by = reader.parse(&at("decided_by"), Title::parse(&sent.decided_by));
    let cleared = kind == Some(ReleaseType::Cleared);
    let depth_cm = if cleared {
        reader.within(&at("depth_cm"), sent.depth_cm, 1, DEPTH_CM_MAX).map(Some)
    } else {
        absent(reader, &at("depth_cm"), sent.depth_cm == 0, "only CLEARED has a depth")
    };
    let quality_control = if cleared {
        reader.parse(&at("quality_control"), Source::parse(&sent.quality_control)).map(Some)
    } else {
        let none = sent.quality_control.is_empty();
        absent(reader, &at("quality_control"), none, "only CLEARED has quality control")
    };
    let survey = if cleared {
        absent(reader, &at("survey_id"), sent.survey_id.is_empty(), "CLEARED is not proven by a survey")
    } else {
        reader.id(&at("survey_id"), &sent.survey_id, SurveyId::new).map(Some)
    };
    Some(LandRelease {
        kind: kind?,
        decided_on: decided_on?,
        decided_by: decided_by?,
        survey: survey?,
        depth_cm: depth_cm?,
        quality_control: quality_control?,
    })
}

/// A field that must not be given: `Some(None)` when it is not.
#[expect(clippy::option_option, reason = "bad, absent and given are three things")]
fn absent<T>(reader: &mut Reader, field: &str, is_absent: bool, rule: &str) -> Option<Option<T>> {
    if !is_absent {
        reader.bad(field, format!("is given, but {rule}"));
    }
    is_absent.then_some(None)
}

/// Reads a time zone by its IANA name and answers it as the database of time zones spells it.
fn time_zone(name: &str) -> Result<String, String> {
    let found = TimeZone::get(name).ok();
    let spelled = found.and_then(|zone| zone.iana_name().map(str::to_owned));
    spelled.ok_or_else(|| format!("{} is not an IANA time zone, such as \"Africa/Harare\"", quote(name)))
}

/// Reads a point that may be absent: `Some(None)` is that, `None` is bad.
pub fn read_position(
    reader: &mut Reader,
    field: &str,
    sent: Option<&pb::Position>,
) -> Option<Option<Position>> {
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
