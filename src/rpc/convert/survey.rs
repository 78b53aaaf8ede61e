//! Surveys and the land ledger on the wire.

use crate::domain::caller::Role;
use crate::domain::ids::{OrganizationId, SiteId, SurveyId};
use crate::domain::land::LandSums;
use crate::domain::site::Survey;
use crate::domain::text::Note;
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::convert::{UNSET, date, timestamp};
use crate::rpc::pb;
use crate::rpc::read::Reader;
use crate::store::site::land::LedgerRow;

/// Reads a survey to record. Its authority is that of the site.
pub fn read_survey(reader: &mut Reader, sent: &pb::Survey) -> Option<Survey> {
    let id = reader.id("survey.survey_id", &sent.survey_id, SurveyId::new);
    let site = reader.id("survey.site_id", &sent.site_id, SiteId::new);
    let kind = reader.word("survey.kind", sent.kind);
    let surveyed_on = reader.date("survey.surveyed_on", sent.surveyed_on);
    let result = reader.word("survey.result", sent.result);
    let note = reader.parse("survey.note", Note::parse(&sent.note));
    let site = site?;
    Some(Survey {
        id: id?,
        site,
        // Set by the use case, which knows the site.
        authority: OrganizationId::new(site.uuid()),
        kind: kind?,
        surveyed_on: surveyed_on?,
        result: result?,
        note: note?,
        kept_unsafe: false,
        created_at: UNSET,
        revision: 0,
    })
}

/// A survey for the wire.
#[must_use]
pub fn survey(of: &Survey) -> pb::Survey {
    pb::Survey {
        survey_id: of.id.to_string(),
        site_id: of.site.to_string(),
        kind: of.kind.wire(),
        surveyed_on: Some(date(of.surveyed_on)),
        result: of.result.wire(),
        note: of.note.as_str().to_owned(),
        authority_id: of.authority.to_string(),
        kept_unsafe: of.kept_unsafe,
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
    }
}

/// A survey as a role may see it: funders see no free text.
#[must_use]
pub fn survey_shown_to(role: Role, of: &Survey) -> pb::Survey {
    let mut shown = survey(of);
    if role == Role::Funder {
        shown.note.clear();
    }
    shown
}

/// Sums of the ledger for the wire.
#[must_use]
pub const fn land_sums(of: &LandSums) -> pb::LandSums {
    pb::LandSums {
        opening_m2: of.opening,
        identified_m2: of.identified,
        remeasured_m2: of.remeasured,
        cancelled_m2: of.cancelled,
        reduced_m2: of.reduced,
        cleared_m2: of.cleared,
        split_in_m2: of.split_in,
        split_out_m2: of.split_out,
        closing_m2: of.closing(),
    }
}

/// A row of the ledger for the wire.
#[must_use]
pub fn ledger_row(of: &LedgerRow) -> pb::LandLedgerRow {
    pb::LandLedgerRow {
        site_id: of.site.to_string(),
        code: of.code.to_string(),
        name: of.name.as_str().to_owned(),
        sums: Some(land_sums(&of.sums)),
    }
}
