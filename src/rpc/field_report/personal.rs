//! Reading and erasing personal data, and who read it.

use crate::app::App;
use crate::app::personal::{EraseVictim, Purpose};
use crate::domain::caller::Caller;
use crate::domain::ids::{OrganizationId, PersonId, ReportId, VictimId};
use crate::domain::kind::Kind;
use crate::domain::text::{Reason, Text};
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::personal as convert;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::read::Reader;
use crate::store::personal::AccessFilter;

pub(super) async fn read(
    app: &App,
    caller: &Caller,
    sent: &pb::ReadVictimsRequest,
) -> Result<pb::ReadVictimsResponse, Error> {
    let mut reader = Reader::default();
    let report = reader.id("report_id", &sent.report_id, ReportId::new);
    let purpose = reader.parse("purpose", Purpose::parse(&sent.purpose));
    let (report, purpose) = reader.finish(report.zip(purpose))?;
    let records = app.read_victims(caller, report, purpose).await?;
    Ok(pb::ReadVictimsResponse { victims: records.iter().map(convert::record).collect::<Result<_, _>>()? })
}

pub(super) async fn erase(
    app: &App,
    caller: &Caller,
    sent: &pb::EraseVictimRequest,
) -> Result<pb::EraseVictimResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("request_id", &sent.request_id, |id| id);
    let report = reader.id("report_id", &sent.report_id, ReportId::new);
    let victim = reader.id("victim_id", &sent.victim_id, VictimId::new);
    let reason = reader.parse("reason", Reason::parse(&sent.reason));
    let ((id, report), (victim, reason)) = reader.finish(id.zip(report).zip(victim.zip(reason)))?;
    let asked = asked(id, Kind::Request, "FieldReportService/EraseVictim", sent);
    let changed = app.erase_victim(caller, asked, EraseVictim { report, victim, reason }).await?;
    let pick = |record| if let Record::ErasedVictim(of) = record { Some(of) } else { None };
    let erased = answered(&changed, pick).map(Some)?;
    Ok(pb::EraseVictimResponse { erased, revision: changed.revision })
}

pub(super) async fn list_access(
    app: &App,
    caller: &Caller,
    sent: &pb::ListPersonalAccessRequest,
) -> Result<pb::ListPersonalAccessResponse, Error> {
    let mut reader = Reader::default();
    let operator = reader.id("operator_id", &sent.operator_id, OrganizationId::new);
    let report = reader.optional_id("report_id", &sent.report_id, ReportId::new);
    let victim = reader.optional_id("victim_id", &sent.victim_id, VictimId::new);
    let person = reader.optional_id("person_id", &sent.person_id, PersonId::new);
    let subject = reader.optional("subject", &sent.subject, Text::<1, 200>::parse);
    let page = reader.page(sent.page_size, &sent.page_token);
    let all = operator.zip(report).zip(victim.zip(person)).zip(subject.zip(page));
    let (((operator, report), (victim, person)), (subject, page)) = reader.finish(all)?;
    let subject = subject.map(|subject| subject.as_str().to_owned());
    let filter = AccessFilter { operator, report, victim, person, subject, before: i64::MAX };
    let found = app.list_personal_access(caller, filter, page).await?;
    Ok(pb::ListPersonalAccessResponse {
        accesses: found.rows.iter().map(convert::access).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}
