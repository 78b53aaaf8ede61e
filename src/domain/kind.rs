//! What an id can be an id of.

use std::fmt;

/// Anything that can be named in `NOT_FOUND`, `ALREADY_EXISTS` and `ABORTED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A funder, office, authority or operator.
    Organization,
    /// A funded program.
    Program,
    /// A fiscal period of a program.
    Period,
    /// A node of a period's tree of allocations.
    Allocation,
    /// A non-binding hold on an allocation.
    Reservation,
    /// A binding promise to a payee.
    Obligation,
    /// An entry of the ledger.
    Entry,
    /// A unit of an operator.
    Team,
    /// Somebody who works for an operator.
    Person,
    /// The time of a person in a team.
    Member,
    /// Equipment or an animal.
    Asset,
    /// An accreditation.
    Accreditation,
    /// A refresher training.
    Refresher,
    /// A licence for a task.
    TaskLicence,
    /// A team that is sent to a task.
    Assignment,
    /// A hazardous area.
    Site,
    /// A survey of a site.
    Survey,
    /// An order to work on sites.
    Task,
    /// A halt of work.
    SafetyStop,
    /// A field report.
    Report,
    /// A time of which figures were told.
    ReportingPeriod,
    /// A person whom a report names as harmed.
    Victim,
    /// A file that a report declares, by its SHA-256.
    Attachment,
    /// A write request that is known only by its id.
    Request,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Organization => "organization",
            Self::Program => "program",
            Self::Period => "period",
            Self::Allocation => "allocation",
            Self::Reservation => "reservation",
            Self::Obligation => "obligation",
            Self::Entry => "entry",
            Self::Team => "team",
            Self::Person => "person",
            Self::Member => "member",
            Self::Asset => "asset",
            Self::Accreditation => "accreditation",
            Self::Refresher => "refresher",
            Self::TaskLicence => "task licence",
            Self::Assignment => "assignment",
            Self::Site => "site",
            Self::Survey => "survey",
            Self::Task => "task",
            Self::SafetyStop => "safety stop",
            Self::Report => "report",
            Self::ReportingPeriod => "reporting period",
            Self::Victim => "victim",
            Self::Attachment => "attachment",
            Self::Request => "request",
        })
    }
}
