//! One type for each kind of id, so that a team can never be passed for an allocation.

/// Declares a UUID newtype. There is no conversion from one kind of id to another.
macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// Wraps a UUID that was made for this kind of thing.
            #[must_use]
            pub const fn new(id: uuid::Uuid) -> Self {
                Self(id)
            }

            /// The bare UUID, for storage and the wire.
            #[must_use]
            pub const fn uuid(self) -> uuid::Uuid {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

id! {
    /// A journal: a program or an organization.
    ScopeId,
    /// An organization.
    OrganizationId,
    /// A program.
    ProgramId,
    /// A fiscal period.
    PeriodId,
    /// A node of the allocation tree.
    AllocationId,
    /// A non-binding hold.
    ReservationId,
    /// A binding promise.
    ObligationId,
    /// An entry of the ledger.
    EntryId,
    /// A team of an operator.
    TeamId,
    /// A person, the same in every membership.
    PersonId,
    /// The time of a person in a team.
    MemberId,
    /// Equipment or an animal.
    AssetId,
    /// An accreditation.
    AccreditationId,
    /// A refresher training.
    RefresherId,
    /// A licence for a task.
    LicenceId,
    /// A team that is sent to a task.
    AssignmentId,
    /// A hazardous area.
    SiteId,
    /// A survey of a site.
    SurveyId,
    /// A safety stop.
    SafetyStopId,
    /// A task on ground.
    TaskId,
    /// A field report.
    ReportId,
    /// A time of which figures were told.
    ReportingPeriodId,
    /// A person who was harmed.
    VictimId,
    /// An installation of a field app.
    DeviceId,
    /// One write call: the id that makes it idempotent.
    RequestId,
}

impl ProgramId {
    /// The journal of the program.
    #[must_use]
    pub const fn scope(self) -> ScopeId {
        ScopeId(self.0)
    }
}

impl OrganizationId {
    /// The journal of the organization.
    #[must_use]
    pub const fn scope(self) -> ScopeId {
        ScopeId(self.0)
    }
}
