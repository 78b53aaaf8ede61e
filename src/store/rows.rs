//! Rows of the funding tables and their way into domain types. A row that does not parse is a corrupt
//! database, and says so.

use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::currency::Currency;
use crate::domain::days::Days;
use crate::domain::field_report::outputs::Outputs;
use crate::domain::ids::{
    AllocationId, ObligationId, OrganizationId, PeriodId, ProgramId, ReservationId, TaskId,
};
use crate::domain::organization::{Organization, OrganizationKind};
use crate::domain::program::{
    Allocation, Balance, Buckets, Obligation, Payee, Period, PeriodState, Program, Purpose, Reservation,
    Turnover,
};
use crate::domain::text::{Code, CountryCode, Reference, Title};
use crate::error::Error;

/// A value that the database should never hold.
pub(super) fn corrupt(column: &'static str) -> impl Fn(String) -> Error {
    move |told| Error::bug(format!("corrupt row, column {column}: {told}"))
}

pub(super) fn word<T>(
    column: &'static str,
    text: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, Error> {
    read(text).ok_or_else(|| corrupt(column)(format!("unknown word {text:?}")))
}

pub(super) fn days(first: jiff_sqlx::Date, last: Option<jiff_sqlx::Date>) -> Result<Days, Error> {
    Days::new(first.to_jiff(), last.map(jiff_sqlx::Date::to_jiff)).map_err(corrupt("last_day"))
}

pub(super) fn country(code: Option<&str>) -> Result<Option<CountryCode>, Error> {
    code.map(CountryCode::parse).transpose().map_err(corrupt("country_code"))
}

/// A row of `organizations`.
#[derive(FromRow)]
pub(crate) struct OrganizationRow {
    organization_id: Uuid,
    kind: String,
    code: String,
    name: String,
    country_code: Option<String>,
    created_at: jiff_sqlx::Timestamp,
    revision: i64,
}

impl TryFrom<OrganizationRow> for Organization {
    type Error = Error;

    fn try_from(row: OrganizationRow) -> Result<Self, Error> {
        Ok(Self {
            id: OrganizationId::new(row.organization_id),
            kind: word("kind", &row.kind, OrganizationKind::from_word)?,
            code: Code::parse(&row.code).map_err(corrupt("code"))?,
            name: Title::parse(&row.name).map_err(corrupt("name"))?,
            country: country(row.country_code.as_deref())?,
            created_at: row.created_at.to_jiff(),
            revision: row.revision,
        })
    }
}

/// A row of `programs`.
#[derive(FromRow)]
pub(crate) struct ProgramRow {
    program_id: Uuid,
    code: String,
    title: String,
    funder_id: Uuid,
    office_id: Uuid,
    currency_code: String,
    created_at: jiff_sqlx::Timestamp,
    revision: i64,
}

impl TryFrom<ProgramRow> for Program {
    type Error = Error;

    fn try_from(row: ProgramRow) -> Result<Self, Error> {
        Ok(Self {
            id: ProgramId::new(row.program_id),
            code: Code::parse(&row.code).map_err(corrupt("code"))?,
            title: Title::parse(&row.title).map_err(corrupt("title"))?,
            funder: OrganizationId::new(row.funder_id),
            office: OrganizationId::new(row.office_id),
            currency: Currency::parse(&row.currency_code).map_err(corrupt("currency_code"))?,
            created_at: row.created_at.to_jiff(),
            revision: row.revision,
        })
    }
}

/// A row of `periods`.
#[derive(FromRow)]
pub(crate) struct PeriodRow {
    program_id: Uuid,
    period_id: Uuid,
    code: String,
    title: String,
    first_day: jiff_sqlx::Date,
    last_day: jiff_sqlx::Date,
    root_allocation_id: Uuid,
    state: String,
    original: i64,
    authorized: i64,
    authorization_revision: i64,
    revision: i64,
}

impl TryFrom<PeriodRow> for Period {
    type Error = Error;

    fn try_from(row: PeriodRow) -> Result<Self, Error> {
        Ok(Self {
            id: PeriodId::new(row.period_id),
            program: ProgramId::new(row.program_id),
            code: Code::parse(&row.code).map_err(corrupt("code"))?,
            title: Title::parse(&row.title).map_err(corrupt("title"))?,
            first_day: row.first_day.to_jiff(),
            last_day: row.last_day.to_jiff(),
            root: AllocationId::new(row.root_allocation_id),
            state: word("state", &row.state, PeriodState::from_word)?,
            original: row.original,
            authorized: row.authorized,
            authorization_revision: row.authorization_revision,
            revision: row.revision,
        })
    }
}

/// The columns of `allocations` that entries change.
#[derive(FromRow)]
struct BalanceRow {
    received: i64,
    available: i64,
    allocated_out: i64,
    reserved: i64,
    obligated: i64,
    advanced: i64,
    expended: i64,
    received_in: i64,
    returned_out: i64,
    expended_in: i64,
    expended_out: i64,
    open_obligations: i32,
}

impl From<BalanceRow> for Balance {
    fn from(row: BalanceRow) -> Self {
        Self {
            buckets: Buckets {
                received: row.received,
                available: row.available,
                allocated_out: row.allocated_out,
                reserved: row.reserved,
                obligated: row.obligated,
                advanced: row.advanced,
                expended: row.expended,
            },
            turnover: Turnover {
                received_in: row.received_in,
                returned_out: row.returned_out,
                expended_in: row.expended_in,
                expended_out: row.expended_out,
            },
            open_obligations: row.open_obligations,
        }
    }
}

/// A row of `allocations`.
#[derive(FromRow)]
pub(crate) struct AllocationRow {
    program_id: Uuid,
    allocation_id: Uuid,
    period_id: Uuid,
    parent_id: Option<Uuid>,
    code: String,
    title: String,
    purpose: String,
    country_code: Option<String>,
    recipient_id: Option<Uuid>,
    task_id: Option<Uuid>,
    path: Vec<String>,
    child_count: i32,
    created_at: jiff_sqlx::Timestamp,
    created_revision: i64,
    revision: i64,
    #[sqlx(flatten)]
    balance: BalanceRow,
}

impl TryFrom<AllocationRow> for Allocation {
    type Error = Error;

    fn try_from(row: AllocationRow) -> Result<Self, Error> {
        Ok(Self {
            id: AllocationId::new(row.allocation_id),
            program: ProgramId::new(row.program_id),
            period: PeriodId::new(row.period_id),
            parent: row.parent_id.map(AllocationId::new),
            code: Code::parse(&row.code).map_err(corrupt("code"))?,
            title: Title::parse(&row.title).map_err(corrupt("title"))?,
            purpose: word("purpose", &row.purpose, Purpose::from_word)?,
            country: country(row.country_code.as_deref())?,
            recipient: row.recipient_id.map(OrganizationId::new),
            task: row.task_id.map(TaskId::new),
            path: row.path,
            child_count: row.child_count,
            balance: row.balance.into(),
            created_at: row.created_at.to_jiff(),
            created_revision: row.created_revision,
            revision: row.revision,
        })
    }
}

/// A row of `reservations`.
#[derive(FromRow)]
pub(crate) struct ReservationRow {
    reservation_id: Uuid,
    allocation_id: Uuid,
    remaining: i64,
}

impl From<ReservationRow> for Reservation {
    fn from(row: ReservationRow) -> Self {
        Self {
            id: ReservationId::new(row.reservation_id),
            allocation: AllocationId::new(row.allocation_id),
            remaining: row.remaining,
        }
    }
}

/// A row of `obligations`.
#[derive(FromRow)]
pub(crate) struct ObligationRow {
    obligation_id: Uuid,
    allocation_id: Uuid,
    payee_name: String,
    payee_id: Option<Uuid>,
    reference: String,
    obligated: i64,
    advanced: i64,
    expended: i64,
    revision: i64,
}

impl TryFrom<ObligationRow> for Obligation {
    type Error = Error;

    fn try_from(row: ObligationRow) -> Result<Self, Error> {
        Ok(Self {
            id: ObligationId::new(row.obligation_id),
            allocation: AllocationId::new(row.allocation_id),
            payee: Payee {
                name: Title::parse(&row.payee_name).map_err(corrupt("payee_name"))?,
                organization: row.payee_id.map(OrganizationId::new),
                reference: Reference::parse(&row.reference).map_err(corrupt("reference"))?,
            },
            obligated: row.obligated,
            advanced: row.advanced,
            expended: row.expended,
            revision: row.revision,
        })
    }
}

/// Outputs as they are stored.
pub(super) fn outputs(stored: &[i64]) -> Result<Outputs, Error> {
    Outputs::read(stored).ok_or_else(|| corrupt("outputs")(format!("have {} figures", stored.len())))
}
