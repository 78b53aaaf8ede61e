//! Calls of `SiteService` that make sites out of sites.

use std::collections::HashSet;

use crate::app::App;
use crate::app::site::reopen::ReopenSite;
use crate::app::site::split::{NewPart, SplitSite};
use crate::domain::caller::Caller;
use crate::domain::geometry::Comparisons;
use crate::domain::geometry::parts::overlap_flaw;
use crate::domain::ids::SiteId;
use crate::domain::kind::Kind;
use crate::domain::land::PARTS_MAX;
use crate::domain::text::{Code, Note, Reason, Title};
use crate::error::Error;
use crate::rpc::change::{all_answered, request as asked};
use crate::rpc::convert::site as convert;
use crate::rpc::pb;
use crate::rpc::read::Reader;
use crate::rpc::site::sites::{pick_site, site_of};

pub(super) async fn split(
    app: &App,
    caller: &Caller,
    sent: &pb::SplitSiteRequest,
) -> Result<pb::SplitSiteResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("request_id", &sent.request_id, |id| id);
    let split = read_split(&mut reader, sent);
    let (id, split) = reader.finish(id.zip(split))?;
    let asked = asked(id, Kind::Request, "SiteService/SplitSite", sent);
    let changed = app.split_site(caller, asked, split).await?;
    let mut sites = all_answered(&changed, pick_site)?.into_iter();
    let site = sites.next();
    Ok(pb::SplitSiteResponse { site, parts: sites.collect(), revision: changed.revision })
}

fn read_split(reader: &mut Reader, sent: &pb::SplitSiteRequest) -> Option<SplitSite> {
    let site = reader.id("site_id", &sent.site_id, SiteId::new);
    let split_on = reader.date("split_on", sent.split_on);
    let reason = reader.parse("reason", Reason::parse(&sent.reason));
    let expected_revision = reader.revision("expected_revision", sent.expected_revision);
    let parts = read_parts(reader, &sent.parts);
    Some(SplitSite {
        site: site?,
        expected_revision: expected_revision?,
        split_on: split_on?,
        reason: reason?,
        parts: parts?,
    })
}

fn read_parts(reader: &mut Reader, sent: &[pb::SitePart]) -> Option<Vec<NewPart>> {
    if sent.len() < 2 || PARTS_MAX < sent.len() {
        reader.bad("parts", format!("has {} parts; give 2 to {PARTS_MAX}", sent.len()));
        return None;
    }
    let mut left = Comparisons::default();
    let read: Vec<Option<NewPart>> =
        sent.iter().enumerate().map(|(index, part)| read_part(reader, index, part, &mut left)).collect();
    let outlines: Vec<_> = read.iter().map(|part| part.as_ref()?.outline.as_ref()).collect();
    if let Some((index, rule)) = overlap_flaw(&outlines, |other| format!("parts[{other}]"), &mut left) {
        reader.bad(format!("parts[{index}].boundary_geojson"), rule);
    }
    let (mut ids, mut codes) = (HashSet::new(), HashSet::new());
    for (index, part) in sent.iter().enumerate() {
        if !ids.insert(&part.site_id) {
            reader.bad(format!("parts[{index}].site_id"), "is that of an earlier part; make a new id");
        }
        if !codes.insert(&part.code) {
            reader.bad(format!("parts[{index}].code"), "is that of an earlier part; choose another");
        }
    }
    read.into_iter().collect()
}

fn read_part(
    reader: &mut Reader,
    index: usize,
    sent: &pb::SitePart,
    left: &mut Comparisons,
) -> Option<NewPart> {
    let field = |name: &str| format!("parts[{index}].{name}");
    let id = reader.id(&field("site_id"), &sent.site_id, SiteId::new);
    let code = reader.parse(&field("code"), Code::parse(&sent.code));
    let name = reader.parse(&field("name"), Title::parse(&sent.name));
    let area_m2 = reader.within(&field("area_m2"), sent.area_m2, 1, convert::AREA_M2_MAX);
    let outline = convert::read_outline(reader, &field("boundary_geojson"), &sent.boundary_geojson, left);
    let release = match &sent.release {
        None => Some(None),
        Some(release) => convert::read_release(reader, &field("release"), Some(release)).map(Some),
    };
    Some(NewPart {
        id: id?,
        code: code?,
        name: name?,
        area_m2: area_m2?,
        outline: outline?,
        release: release?,
    })
}

pub(super) async fn reopen(
    app: &App,
    caller: &Caller,
    sent: &pb::ReopenSiteRequest,
) -> Result<pb::ReopenSiteResponse, Error> {
    let mut reader = Reader::default();
    let reopen = read_reopen(&mut reader, sent);
    let reopen = reader.finish(reopen)?;
    let asked = asked(reopen.id.uuid(), Kind::Site, "SiteService/ReopenSite", sent);
    let changed = app.reopen_site(caller, asked, reopen).await?;
    Ok(pb::ReopenSiteResponse { site: site_of(&changed)?, revision: changed.revision })
}

fn read_reopen(reader: &mut Reader, sent: &pb::ReopenSiteRequest) -> Option<ReopenSite> {
    let from = reader.id("site_id", &sent.site_id, SiteId::new);
    let id = reader.id("new_site_id", &sent.new_site_id, SiteId::new);
    let code = reader.parse("code", Code::parse(&sent.code));
    let area_m2 = reader.within("area_m2", sent.area_m2, 1, convert::AREA_M2_MAX);
    let class = reader.word("class", sent.class);
    let information_on = reader.date("information_on", sent.information_on);
    let evidence = reader.parse("evidence", Reason::parse(&sent.evidence));
    let evidence = evidence.and_then(|text| Note::parse(text.as_str()).ok());
    let outline = convert::read_outline(
        reader,
        "boundary_geojson",
        &sent.boundary_geojson,
        &mut Comparisons::default(),
    );
    let reason = reader.parse("reason", Reason::parse(&sent.reason));
    Some(ReopenSite {
        from: from?,
        id: id?,
        code: code?,
        area_m2: area_m2?,
        class: class?,
        information_on: information_on?,
        evidence: evidence?,
        outline: outline?,
        reason: reason?,
    })
}
