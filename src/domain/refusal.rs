//! Every way in which a rule says no. A refusal names what stands in the way, with the figures, and the
//! way out. Each has one value of `ErrorReason` on the wire.

use jiff::civil::Date;
use uuid::Uuid;

use crate::domain::assignment::Finding;
use crate::domain::currency::Currency;
use crate::domain::ids::{
    AllocationId, EntryId, ObligationId, OrganizationId, PeriodId, PersonId, ReportId, ReservationId,
    SafetyStopId, SiteId, TaskId, TeamId,
};
use crate::domain::kind::Kind;
use crate::domain::money::format_minor_units;
use crate::domain::organization::OrganizationKind;
use crate::domain::program::{CHILDREN_MAX, DEPTH_MAX, PERIODS_MAX, PeriodState, Purpose};
use crate::domain::text::Code;

/// Why a rule says no. Amounts are minor units.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text of each variant is its documentation; fields are named in it")]
pub enum Refusal {
    #[error("period {0} does not exist")]
    UnknownPeriod(PeriodId),
    #[error("allocation {0} does not exist")]
    UnknownAllocation(AllocationId),
    #[error("reservation {0} does not exist")]
    UnknownReservation(ReservationId),
    #[error("obligation {0} does not exist")]
    UnknownObligation(ObligationId),
    #[error("entry {0} does not exist")]
    UnknownEntry(EntryId),
    #[error("reservation {0} already exists; make a new id for a new reservation")]
    ReservationTaken(ReservationId),
    #[error("obligation {0} already exists; make a new id for a new obligation")]
    ObligationTaken(ObligationId),
    #[error("period {0} already exists; make a new id for a new period")]
    PeriodTaken(PeriodId),
    #[error("allocation {0} already exists; make a new id for a new allocation")]
    AllocationTaken(AllocationId),
    #[error("{kind} {id} is at revision {current}, not {expected}; read it again and decide anew")]
    Stale { kind: Kind, id: String, expected: i64, current: i64 },
    #[error("the code {code} is already used by another {kind}; choose another code")]
    CodeTaken { kind: Kind, code: Code },
    #[error(
        "allocation {allocation} has {currency} {} available, not {}",
        format_minor_units(*available, currency.exponent()),
        format_minor_units(*requested, currency.exponent())
    )]
    InsufficientAvailable {
        allocation: AllocationId,
        available: i64,
        requested: i64,
        currency: Currency,
        /// Other allocations that fall short of the same entry.
        also: Vec<AllocationId>,
    },
    #[error("reservation {reservation} has {remaining} minor units left, not {requested}")]
    InsufficientReserved { reservation: ReservationId, remaining: i64, requested: i64 },
    #[error(
        "obligation {obligation} has {remaining} minor units unpaid, not {requested}; {}",
        beyond(*remaining)
    )]
    InsufficientObligated { obligation: ObligationId, remaining: i64, requested: i64 },
    #[error("obligation {obligation} has {remaining} minor units advanced, not {requested}")]
    InsufficientAdvanced { obligation: ObligationId, remaining: i64, requested: i64 },
    #[error(
        "draw_from_available is for an invoice that exhausts its obligation; {left} of {remaining} minor \
         units of obligation {obligation} would be left"
    )]
    DrawNotNeeded { obligation: ObligationId, remaining: i64, left: i64 },
    #[error("period {period} is expired and takes no {action}; use an open period")]
    PeriodExpired { period: PeriodId, action: &'static str },
    #[error("period {period} is closed and takes no {action}; book a correction in a later period")]
    PeriodClosed { period: PeriodId, action: &'static str },
    #[error("period {period} is {}; only an open period can expire", state.word())]
    PeriodNotOpen { period: PeriodId, state: PeriodState },
    #[error("period {period} is {}; only an expired period can be closed", state.word())]
    PeriodNotExpired { period: PeriodId, state: PeriodState },
    #[error(
        "period {period} still has {reserved} reserved, {obligated} obligated and {advanced} advanced; \
         release, deobligate, refund or expend it first"
    )]
    PeriodNotSettled {
        period: PeriodId,
        reserved: i64,
        obligated: i64,
        advanced: i64,
        allocations: Vec<AllocationId>,
    },
    #[error("effective_on {effective_on} is outside period {period}, {first_day} to {last_day}")]
    EffectiveOutsidePeriod { period: PeriodId, effective_on: Date, first_day: Date, last_day: Date },
    #[error("effective_on {effective_on} is before {earliest}, the day of entry {entry} that it undoes")]
    EffectiveBeforeEntry { entry: EntryId, effective_on: Date, earliest: Date },
    #[error("allocation {allocation} has {child_count} children; only a leaf is spent from")]
    NotALeaf { allocation: AllocationId, child_count: i32 },
    #[error("allocation {0} is spent from and cannot get children; use a sibling")]
    AllocationInUse(AllocationId),
    #[error("the allocation would be {depth} levels below the root; {DEPTH_MAX} is the most")]
    AllocationTooDeep { parent: AllocationId, depth: usize },
    #[error("{what} is full: {max} is the most")]
    LimitReached { what: &'static str, max: i64 },
    #[error("allocation {0} is a root; authorize, increase, rescind or carry over instead")]
    RootHasNoParent(AllocationId),
    #[error("reservation {reservation} holds money of allocation {allocation}")]
    ReservationElsewhere { reservation: ReservationId, allocation: AllocationId },
    #[error(
        "the authorization of period {period} changed at revision {authorization_revision}, after \
         {base_revision}; read it again and decide anew"
    )]
    BaseChanged { period: PeriodId, base_revision: i64, authorization_revision: i64 },
    #[error("{percent_ppm} ppm of {base} minor units round to nothing")]
    IncreaseIsZero { period: PeriodId, base: i64, percent_ppm: i64 },
    #[error("no child of root {0} has received anything to share by; use PUSH_DOWN_NONE")]
    NothingToPushDown(AllocationId),
    #[error("entry {entry} was reversed before, by entry {by}")]
    AlreadyReversed { entry: EntryId, by: EntryId },
    #[error("entry {0} is a reversal; post the entry anew instead")]
    NotReversible(EntryId),
    #[error("period {0} cannot carry money over to itself")]
    SamePeriod(PeriodId),
    #[error("allocation {0} would hold more than 63 bits of minor units")]
    AmountTooLarge(AllocationId),
    #[error("organization {organization} is of kind {kind}, not {required}")]
    WrongOrganizationKind { organization: OrganizationId, kind: OrganizationKind, required: OrganizationKind },
    #[error("a {} allocation cannot stand below a {} allocation", purpose.word(), parent.word())]
    WrongPurpose { purpose: Purpose, parent: Purpose },
    #[error("allocation {parent} is not of period {period}")]
    OtherPeriod { parent: AllocationId, period: PeriodId },
    #[error("{kind} {id} is {state} and cannot {action}; it must be {}", allowed.join(" or "))]
    WrongState { kind: Kind, id: Uuid, state: &'static str, action: &'static str, allowed: Vec<&'static str> },
    #[error("{kind} {id} cannot {action}: {}", missing.join("; "))]
    NotReady { kind: Kind, id: Uuid, action: &'static str, missing: Vec<String> },
    #[error("{kind} {id} is under safety stop {stop}; it must be lifted first")]
    SafetyStopped { kind: Kind, id: Uuid, stop: SafetyStopId },
    #[error(
        "team {team} cannot be sent to task {task}: {}",
        findings.iter().map(|finding| finding.text.as_str()).collect::<Vec<_>>().join("; ")
    )]
    AssignmentRefused { team: TeamId, task: TaskId, findings: Vec<Finding> },
    #[error(
        "the parts have {parts_m2} m2 together, site {site} has {area_m2} m2; they may differ by {tolerance_m2} m2"
    )]
    AreaMismatch { site: SiteId, area_m2: i64, parts_m2: i64, tolerance_m2: i64 },
    #[error("{kind} {id} belongs to organization {owner}, not {organization}")]
    BelongsElsewhere { kind: Kind, id: Uuid, owner: OrganizationId, organization: OrganizationId },
    #[error("{kind} {id} has {what} on some of these days already; end that first or choose other days")]
    DaysOverlap { kind: Kind, id: Uuid, what: &'static str },
    #[error("report {0} was sent by the same person, at least in one version; somebody else must review it")]
    OwnReport(ReportId),
    #[error(
        "report {report} cannot be approved, since its ground was credited before: {}; return it for another outline, or \
         void the other report",
        told(parts)
    )]
    AreaCredited { report: ReportId, parts: Vec<(ReportId, String)> },
    #[error("revision {requested} does not exist yet; the journal is at {revision}")]
    RevisionAhead { requested: i64, revision: i64 },
    #[error("{}", key_missing(key_id.as_deref()))]
    PersonalKeyMissing { key_id: Option<String> },
    #[error("person {0} was erased and cannot be named or join a team again; use another person_id")]
    PersonErased(PersonId),
    #[error("the token is of another history: a backup was restored; start from a snapshot")]
    OtherEpoch { token_epoch: uuid::Uuid, feed_epoch: uuid::Uuid },
}

/// Ground that was credited before, in words.
fn told(parts: &[(ReportId, String)]) -> String {
    parts.iter().map(|(_, part)| part.as_str()).collect::<Vec<_>>().join("; ")
}

/// The way out when an obligation has less than is asked for.
const fn beyond(remaining: i64) -> &'static str {
    if remaining == 0 {
        "nothing is left of it: pay from AVAILABLE"
    } else {
        "an invoice that uses it up may say in draw_from_available how much to take beyond it"
    }
}

/// The way out when there is no key for personal data.
fn key_missing(key_id: Option<&str>) -> String {
    let setting = "--personal-key-file (SAFELANE_PERSONAL_KEY_FILE)";
    match key_id {
        None => format!(
            "details of victims are not kept or shown, since the service has no key for them; whoever runs it sets \
             {setting}, and whoever has the details keeps them and sends the report again then"
        ),
        Some(id) => {
            format!("personal data was sealed with key {id}, which is not in the file of {setting}; add it")
        }
    }
}

impl Refusal {
    /// A tree that has too many children below one node.
    #[must_use]
    pub fn too_many_children() -> Self {
        Self::LimitReached {
            what: "the list of allocations below one allocation",
            max: i64::from(CHILDREN_MAX),
        }
    }

    /// A program that has too many periods.
    #[must_use]
    pub fn too_many_periods() -> Self {
        let max = i64::try_from(PERIODS_MAX).unwrap_or(i64::MAX);
        Self::LimitReached { what: "the list of periods of a program", max }
    }
}
