//! The one place where wire messages become domain types and back. Reading collects every bad field;
//! writing cannot fail.

pub mod accreditation;
pub mod asset;
pub mod assignment;
pub mod entry;
pub mod entry_out;
pub mod field_report;
pub mod member;
pub mod outputs;
pub mod personal;
pub mod report;
pub mod report_feed;
pub mod restatement;
pub mod safety_stop;
pub mod site;
pub mod survey;
pub mod task;
pub mod team;
pub mod team_feed;
pub mod words;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::currency::Currency;
use crate::domain::ids::{AllocationId, OrganizationId, PeriodId, ProgramId, TaskId};
use crate::domain::organization::{Organization, OrganizationKind};
use crate::domain::program::{
    Allocation, Balance, Buckets, Obligation, Period, PeriodState, Program, Purpose,
};
use crate::domain::text::{Code, CountryCode, Title};
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// The longest period.
const PERIOD_YEARS_MAX: i16 = 10;

/// A placeholder for what the server sets when it writes.
const UNSET: Timestamp = Timestamp::UNIX_EPOCH;

/// An instant for the wire.
#[must_use]
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

/// A stored instant.
#[must_use]
pub fn read_timestamp(at: Option<&prost_types::Timestamp>) -> Timestamp {
    at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok()).unwrap_or(UNSET)
}

/// A calendar day for the wire.
#[must_use]
pub fn date(day: Date) -> pb::Date {
    pb::Date { year: day.year().into(), month: day.month().into(), day: day.day().into() }
}

/// Reads an organization kind.
#[must_use]
pub fn organization_kind(kind: pb::OrganizationKind) -> Option<OrganizationKind> {
    match kind {
        pb::OrganizationKind::Unspecified => None,
        pb::OrganizationKind::Funder => Some(OrganizationKind::Funder),
        pb::OrganizationKind::Office => Some(OrganizationKind::Office),
        pb::OrganizationKind::Authority => Some(OrganizationKind::Authority),
        pb::OrganizationKind::Operator => Some(OrganizationKind::Operator),
    }
}

/// Reads an organization.
pub fn read_organization(reader: &mut Reader, sent: &pb::Organization) -> Option<Organization> {
    let field = |name: &str| format!("organization.{name}");
    let id = reader.id(&field("organization_id"), &sent.organization_id, OrganizationId::new);
    let kind = reader.choice(&field("kind"), sent.kind, organization_kind);
    let code = reader.parse(&field("code"), Code::parse(&sent.code));
    let name = reader.parse(&field("name"), Title::parse(&sent.name));
    let country = reader.optional(&field("country_code"), &sent.country_code, CountryCode::parse);
    Some(Organization {
        id: id?,
        kind: kind?,
        code: code?,
        name: name?,
        country: country?,
        created_at: read_timestamp(sent.created_at.as_ref()),
        revision: sent.revision,
    })
}

/// An organization for the wire.
#[must_use]
pub fn organization(of: &Organization) -> pb::Organization {
    let kind = match of.kind {
        OrganizationKind::Funder => pb::OrganizationKind::Funder,
        OrganizationKind::Office => pb::OrganizationKind::Office,
        OrganizationKind::Authority => pb::OrganizationKind::Authority,
        OrganizationKind::Operator => pb::OrganizationKind::Operator,
    };
    pb::Organization {
        organization_id: of.id.to_string(),
        kind: kind.into(),
        code: of.code.to_string(),
        name: of.name.as_str().to_owned(),
        country_code: of.country.map(|country| country.as_str().to_owned()).unwrap_or_default(),
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
    }
}

/// Reads a program.
pub fn read_program(reader: &mut Reader, sent: &pb::Program) -> Option<Program> {
    let field = |name: &str| format!("program.{name}");
    let id = reader.id(&field("program_id"), &sent.program_id, ProgramId::new);
    let code = reader.parse(&field("code"), Code::parse(&sent.code));
    let title = reader.parse(&field("title"), Title::parse(&sent.title));
    let funder = reader.id(&field("funder_id"), &sent.funder_id, OrganizationId::new);
    let office = reader.id(&field("office_id"), &sent.office_id, OrganizationId::new);
    let currency = reader.parse(&field("currency_code"), Currency::parse(&sent.currency_code));
    Some(Program {
        id: id?,
        code: code?,
        title: title?,
        funder: funder?,
        office: office?,
        currency: currency?,
        created_at: read_timestamp(sent.created_at.as_ref()),
        revision: sent.revision,
    })
}

/// A program for the wire.
#[must_use]
pub fn program(of: &Program, periods: &[Period]) -> pb::Program {
    pb::Program {
        program_id: of.id.to_string(),
        code: of.code.to_string(),
        title: of.title.as_str().to_owned(),
        funder_id: of.funder.to_string(),
        office_id: of.office.to_string(),
        currency_code: of.currency.to_string(),
        minor_unit_exponent: of.currency.exponent().into(),
        periods: periods.iter().map(period).collect(),
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
    }
}

/// Reads a period to open.
pub fn read_period(reader: &mut Reader, sent: &pb::Period) -> Option<Period> {
    let field = |name: &str| format!("period.{name}");
    let id = reader.id(&field("period_id"), &sent.period_id, PeriodId::new);
    let program = reader.id(&field("program_id"), &sent.program_id, ProgramId::new);
    let code = reader.parse(&field("code"), Code::parse(&sent.code));
    let title = reader.parse(&field("title"), Title::parse(&sent.title));
    let first_day = reader.date(&field("first_day"), sent.first_day);
    let last_day = reader.date(&field("last_day"), sent.last_day);
    let root = reader.id(&field("root_allocation_id"), &sent.root_allocation_id, AllocationId::new);
    if let (Some(first), Some(last)) = (first_day, last_day)
        && reader.is_edge()
    {
        check_days(reader, first, last);
    }
    if id.is_some_and(|id| root.is_some_and(|root| root.uuid() == id.uuid())) {
        reader.bad(field("root_allocation_id"), "is the period's own id; make another");
    }
    Some(Period {
        id: id?,
        program: program?,
        code: code?,
        title: title?,
        first_day: first_day?,
        last_day: last_day?,
        root: root?,
        state: PeriodState::Open,
        original: 0,
        authorized: 0,
        authorization_revision: 0,
        revision: 0,
    })
}

fn check_days(reader: &mut Reader, first: Date, last: Date) {
    let latest = first.saturating_add(jiff::Span::new().years(PERIOD_YEARS_MAX));
    if last < first {
        reader.bad("period.last_day", format!("{last} is before first_day {first}"));
    } else if latest < last {
        reader.bad("period.last_day", format!("{last} is more than {PERIOD_YEARS_MAX} years after {first}"));
    }
}

/// Reads a stored period with what the server set.
pub fn read_stored_period(reader: &mut Reader, sent: &pb::Period) -> Option<Period> {
    let state = reader.choice("period.state", sent.state, |state| match state {
        pb::PeriodState::Unspecified => None,
        pb::PeriodState::Open => Some(PeriodState::Open),
        pb::PeriodState::Expired => Some(PeriodState::Expired),
        pb::PeriodState::Closed => Some(PeriodState::Closed),
    });
    let asked = read_period(reader, sent)?;
    Some(Period {
        state: state?,
        original: sent.original_authorization,
        authorized: sent.authorization,
        authorization_revision: sent.authorization_revision,
        revision: sent.revision,
        ..asked
    })
}

/// A period for the wire.
#[must_use]
pub fn period(of: &Period) -> pb::Period {
    let state = match of.state {
        PeriodState::Open => pb::PeriodState::Open,
        PeriodState::Expired => pb::PeriodState::Expired,
        PeriodState::Closed => pb::PeriodState::Closed,
    };
    pb::Period {
        period_id: of.id.to_string(),
        program_id: of.program.to_string(),
        code: of.code.to_string(),
        title: of.title.as_str().to_owned(),
        first_day: Some(date(of.first_day)),
        last_day: Some(date(of.last_day)),
        root_allocation_id: of.root.to_string(),
        state: state.into(),
        original_authorization: of.original,
        authorization: of.authorized,
        authorization_revision: of.authorization_revision,
        revision: of.revision,
    }
}

fn purpose_in(purpose: pb::AllocationPurpose) -> Option<Purpose> {
    match purpose {
        pb::AllocationPurpose::Unspecified | pb::AllocationPurpose::Root => None,
        pb::AllocationPurpose::Country => Some(Purpose::Country),
        pb::AllocationPurpose::Grant => Some(Purpose::Grant),
        pb::AllocationPurpose::Task => Some(Purpose::Task),
        pb::AllocationPurpose::Support => Some(Purpose::Support),
    }
}

/// The purpose for the wire.
#[must_use]
pub const fn purpose(of: Purpose) -> pb::AllocationPurpose {
    match of {
        Purpose::Root => pb::AllocationPurpose::Root,
        Purpose::Country => pb::AllocationPurpose::Country,
        Purpose::Grant => pb::AllocationPurpose::Grant,
        Purpose::Task => pb::AllocationPurpose::Task,
        Purpose::Support => pb::AllocationPurpose::Support,
    }
}

/// Reads an allocation to add. What the server sets comes from the message only for stored ones.
pub fn read_allocation(reader: &mut Reader, sent: &pb::Allocation) -> Option<Allocation> {
    let field = |name: &str| format!("allocation.{name}");
    let id = reader.id(&field("allocation_id"), &sent.allocation_id, AllocationId::new);
    let program = reader.id(&field("program_id"), &sent.program_id, ProgramId::new);
    let period = reader.id(&field("period_id"), &sent.period_id, PeriodId::new);
    let parent = reader.id(&field("parent_id"), &sent.parent_id, AllocationId::new);
    let code = reader.parse(&field("code"), Code::parse(&sent.code));
    let title = reader.parse(&field("title"), Title::parse(&sent.title));
    let purpose = reader.choice(&field("purpose"), sent.purpose, purpose_in);
    let country = reader.optional(&field("country_code"), &sent.country_code, CountryCode::parse);
    let recipient = reader.optional_id(&field("recipient_id"), &sent.recipient_id, OrganizationId::new);
    let task = reader.optional_id(&field("task_id"), &sent.task_id, TaskId::new);
    if purpose == Some(Purpose::Country) && country == Some(None) {
        reader.bad(field("country_code"), "is missing; a COUNTRY allocation needs it");
    }
    if purpose == Some(Purpose::Grant) && recipient == Some(None) {
        reader.bad(field("recipient_id"), "is missing; a GRANT allocation needs it");
    }
    if purpose.is_some_and(|purpose| purpose != Purpose::Task) && matches!(task, Some(Some(_))) {
        reader.bad(field("task_id"), "is given, but only a TASK allocation has one");
    }
    Some(Allocation {
        id: id?,
        program: program?,
        period: period?,
        parent: Some(parent?),
        code: code?,
        title: title?,
        purpose: purpose?,
        country: country?,
        recipient: recipient?,
        task: task?,
        path: Vec::new(),
        child_count: 0,
        balance: Balance::default(),
        created_at: read_timestamp(sent.created_at.as_ref()),
        created_revision: sent.revision,
        revision: sent.revision,
    })
}

/// Reads a stored allocation. Of its path the message holds only the length and its own code; the codes
/// above it are left blank.
pub fn read_stored_allocation(reader: &mut Reader, sent: &pb::Allocation) -> Option<Allocation> {
    let asked = read_allocation(reader, sent)?;
    let mut path = vec![String::new(); usize::try_from(sent.depth).ok()?];
    path.push(sent.code.clone());
    Some(Allocation { path, ..asked })
}

/// An allocation for the wire.
#[must_use]
pub fn allocation(of: &Allocation) -> pb::Allocation {
    pb::Allocation {
        allocation_id: of.id.to_string(),
        program_id: of.program.to_string(),
        period_id: of.period.to_string(),
        parent_id: of.parent.map(|id| id.to_string()).unwrap_or_default(),
        code: of.code.to_string(),
        title: of.title.as_str().to_owned(),
        purpose: purpose(of.purpose).into(),
        country_code: of.country.map(|country| country.as_str().to_owned()).unwrap_or_default(),
        recipient_id: of.recipient.map(|id| id.to_string()).unwrap_or_default(),
        task_id: of.task.map(|id| id.to_string()).unwrap_or_default(),
        depth: i32::try_from(of.depth()).unwrap_or(i32::MAX),
        buckets: Some(buckets(&of.balance.buckets)),
        turnover: Some(entry_out::turnover(&of.balance)),
        open_obligations: of.balance.open_obligations,
        child_count: of.child_count,
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
    }
}

/// Buckets for the wire.
#[must_use]
pub const fn buckets(of: &Buckets) -> pb::Buckets {
    pb::Buckets {
        received: of.received,
        available: of.available,
        allocated_out: of.allocated_out,
        reserved: of.reserved,
        obligated: of.obligated,
        advanced: of.advanced,
        expended: of.expended,
    }
}

/// An obligation for the wire.
#[must_use]
pub fn obligation(program: ProgramId, of: &Obligation) -> pb::Obligation {
    pb::Obligation {
        obligation_id: of.id.to_string(),
        program_id: program.to_string(),
        allocation_id: of.allocation.to_string(),
        payee_name: of.payee.name.as_str().to_owned(),
        payee_id: of.payee.organization.map(|id| id.to_string()).unwrap_or_default(),
        reference: of.payee.reference.as_str().to_owned(),
        total: of.obligated.saturating_add(of.advanced).saturating_add(of.expended),
        obligated: of.obligated,
        advanced: of.advanced,
        expended: of.expended,
        revision: of.revision,
    }
}
