//! What several bodies of a report have: land, ordnance, hours.

use crate::domain::field_report::ClaimedArea;
use crate::domain::field_report::outputs::{OrdnanceCategory, Outputs};
use crate::domain::geometry::Comparisons;
use crate::domain::ids::SiteId;
use crate::domain::site::{ReleaseType, SuspensionCause};
use crate::domain::team::MemberRole;
use crate::domain::text::{Note, Text};
use crate::rpc::convert::site::{AREA_M2_MAX, DEPTH_CM_MAX, read_outline, read_position};
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// The most areas of a report.
const AREAS_MAX: usize = 100;
/// The most kinds of ordnance of a report.
const ITEMS_MAX: usize = 500;
/// The most roles, and stand-downs, of a day.
const ROWS_MAX: usize = 20;
/// Minutes of a day.
pub(super) const DAY_MINUTES: i32 = 1_440;

/// Reads a list, each element under its own path. None when it is too long or an element is bad.
pub(super) fn read_all<S, T>(
    reader: &mut Reader,
    field: &str,
    (sent, max): (&[S], usize),
    mut read: impl FnMut(&mut Reader, &str, &S) -> Option<T>,
) -> Option<Vec<T>> {
    if max < sent.len() {
        reader.bad(field, format!("are {}; give at most {max}", sent.len()));
        return None;
    }
    let each = sent.iter().enumerate();
    let all: Vec<Option<T>> =
        each.map(|(index, sent)| read(reader, &format!("{field}[{index}]"), sent)).collect();
    all.into_iter().collect()
}

pub(super) fn read_areas(
    reader: &mut Reader,
    field: &str,
    sent: &[pb::ReleasedArea],
    left: &mut Comparisons,
) -> Option<Vec<ClaimedArea>> {
    read_all(reader, field, (sent, AREAS_MAX), |reader, field, sent| read_area(reader, field, sent, left))
}

fn read_area(
    reader: &mut Reader,
    field: &str,
    sent: &pb::ReleasedArea,
    left: &mut Comparisons,
) -> Option<ClaimedArea> {
    let at = |name: &str| format!("{field}.{name}");
    let site = reader.id(&at("site_id"), &sent.site_id, SiteId::new);
    let release: Option<ReleaseType> = reader.word(&at("type"), sent.r#type);
    let area_m2 = reader.within(&at("area_m2"), sent.area_m2, 1, AREA_M2_MAX);
    let depth = match release {
        Some(ReleaseType::Cleared) => reader.within(&at("depth_cm"), sent.depth_cm, 1, DEPTH_CM_MAX),
        _ if sent.depth_cm == 0 => Some(0),
        _ => {
            reader.bad(at("depth_cm"), format!("is {}, but only CLEARED has a depth", sent.depth_cm));
            None
        }
    };
    let outline = read_outline(reader, &at("boundary_geojson"), &sent.boundary_geojson, left);
    Some(ClaimedArea {
        site: site?,
        release: release?,
        area_m2: area_m2?,
        depth_cm: depth?,
        outline: outline?,
    })
}

/// Reads hours. Answers how many people search, and the minutes of all of them.
pub(super) fn read_worked(reader: &mut Reader, field: &str, sent: &[pb::WorkedHours]) -> Option<(i64, i64)> {
    let rows = read_all(reader, field, (sent, ROWS_MAX), read_hours)?;
    Some(rows.into_iter().fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1)))
}

fn read_hours(reader: &mut Reader, field: &str, sent: &pb::WorkedHours) -> Option<(i64, i64)> {
    let role: Option<MemberRole> = reader.word(&format!("{field}.role"), sent.role);
    let people = reader.within(&format!("{field}.people"), sent.people, 1, 1_000);
    // Without a number of people the minutes cannot be judged.
    let people = people?;
    let most = people.saturating_mul(DAY_MINUTES);
    let minutes = reader.within(&format!("{field}.minutes"), sent.minutes, 1, most)?;
    Some(if role?.searches_ground() { (i64::from(people), i64::from(minutes)) } else { (0, 0) })
}

pub(super) fn read_stand_downs(reader: &mut Reader, field: &str, sent: &[pb::StandDown]) -> Option<()> {
    read_all(reader, field, (sent, ROWS_MAX), |reader, field, sent| {
        let cause: Option<SuspensionCause> = reader.word(&format!("{field}.cause"), sent.cause);
        let minutes = reader.within(&format!("{field}.minutes"), sent.minutes, 1, DAY_MINUTES);
        let note = reader.parse(&format!("{field}.note"), Note::parse(&sent.note));
        cause.and(minutes).and(note).map(|_| ())
    })
    .map(|_| ())
}

/// What areas count for.
pub(super) fn released(areas: &[ClaimedArea]) -> Outputs {
    let mut outputs = Outputs::default();
    for area in areas {
        outputs.release(area.release, area.area_m2);
    }
    outputs
}

/// Reads ordnance. Answers what was destroyed of it.
pub(super) fn read_items(reader: &mut Reader, field: &str, sent: &[pb::OrdnanceItem]) -> Option<Outputs> {
    let mut outputs = Outputs::default();
    for (category, quantity) in read_all(reader, field, (sent, ITEMS_MAX), read_item)?.into_iter().flatten() {
        outputs.destroy(category, quantity);
    }
    Some(outputs)
}

/// Reads ordnance of one kind: its category and quantity if it was destroyed, else nothing.
#[expect(clippy::option_option, reason = "bad and not destroyed are different things")]
fn read_item(
    reader: &mut Reader,
    field: &str,
    sent: &pb::OrdnanceItem,
) -> Option<Option<(OrdnanceCategory, i64)>> {
    let at = |name: &str| format!("{field}.{name}");
    let category: Option<OrdnanceCategory> = reader.word(&at("category"), sent.category);
    let condition: Option<pb::OrdnanceCondition> = reader.specified(&at("condition"), sent.condition);
    let disposal: Option<pb::OrdnanceDisposal> = reader.specified(&at("disposal"), sent.disposal);
    let model = reader.parse(&at("model"), Text::<0, 100>::parse(&sent.model));
    if category == Some(OrdnanceCategory::Other) && sent.model.trim().is_empty() {
        reader.bad(at("model"), "is empty; say what it is when the category is OTHER");
    }
    let is_other =
        condition == Some(pb::OrdnanceCondition::Other) || disposal == Some(pb::OrdnanceDisposal::Other);
    if is_other && sent.note.trim().is_empty() {
        reader.bad(at("note"), "is empty; say what it is when condition or disposal is OTHER");
    }
    let note = reader.parse(&at("note"), Note::parse(&sent.note));
    let quantity = reader.within(&at("quantity"), sent.quantity, 1, 1_000_000);
    let depth = reader.within(&at("depth_cm"), sent.depth_cm, 0, DEPTH_CM_MAX);
    let position = read_position(reader, &at("position"), sent.position.as_ref());
    condition.and(model).and(depth).and(position).and(note)?;
    let (category, quantity) = (category?, i64::from(quantity?));
    Some(is_destroyed(disposal?).then_some((category, quantity)))
}

/// Whether ordnance is no more (Article 7 counts what was destroyed).
const fn is_destroyed(disposal: pb::OrdnanceDisposal) -> bool {
    use pb::OrdnanceDisposal::{Burned, DemolishedElsewhere, DemolishedInPlace};
    matches!(disposal, DemolishedInPlace | DemolishedElsewhere | Burned)
}
