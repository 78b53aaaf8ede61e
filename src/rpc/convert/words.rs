//! Enums that have the same words in storage and on the wire, there behind a prefix.

use crate::domain::accreditation::{AccreditationLevel, AccreditationState};
use crate::domain::activity::ActivityType;
use crate::domain::assignment::{AssignmentState, FindingReason};
use crate::domain::field_report::outputs::OrdnanceCategory;
use crate::domain::field_report::{HoldReason, ReportKind, ReportOutcome, ReportState, Terrain};
use crate::domain::restatement::RestatementCause;
use crate::domain::safety_stop::SafetyStopCause;
use crate::domain::site::{HazardClass, ReleaseType, SiteStatus, SurveyKind, SurveyResult, SuspensionCause};
use crate::domain::task::TaskState;
use crate::domain::team::{AssetKind, AssetState, MemberRole, TeamState, TeamType};
use crate::rpc::pb;
use crate::rpc::read::{AsName, Reader};

/// A domain enum with its counterpart on the wire.
pub trait WireWord: Sized + Copy + 'static {
    /// The enum of the contract.
    type Wire: TryFrom<i32> + Into<i32>;
    /// Every value.
    const EVERY: &'static [Self];

    /// The value of the contract; its zero when a name is missing there, which a test excludes.
    fn wire(self) -> i32;

    /// The value of a number of the contract.
    #[must_use]
    fn from_wire(number: i32) -> Option<Self> {
        // Zero is UNSPECIFIED everywhere.
        Self::EVERY.iter().copied().find(|value| number != 0 && value.wire() == number)
    }
}

macro_rules! wire_words {
    ($($name:ident, $prefix:literal;)+) => {$(
        impl WireWord for $name {
            type Wire = pb::$name;
            const EVERY: &'static [Self] = Self::ALL;

            fn wire(self) -> i32 {
                let name = format!(concat!($prefix, "_{}"), self.word());
                pb::$name::from_str_name(&name).map_or(0, Into::into)
            }
        }
    )+

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn every_word_of_the_domain_has_its_value_in_the_contract_and_back() {
                $(
                    for value in $name::ALL.iter().copied() {
                        assert_ne!(value.wire(), 0, "{value} of {}", stringify!($name));
                        assert_eq!($name::from_wire(value.wire()), Some(value));
                        assert_eq!($name::from_word(value.word()), Some(value));
                    }
                    let next = i32::try_from($name::ALL.len()).unwrap() + 1;
                    assert!(pb::$name::try_from(next).is_err(), "{} has more values on the wire", stringify!($name));
                    assert_eq!($name::from_wire(0), None);
                )+
            }
        }
    };
}

wire_words!(
    ActivityType, "ACTIVITY_TYPE";
    AccreditationLevel, "ACCREDITATION_LEVEL";
    AccreditationState, "ACCREDITATION_STATE";
    AssignmentState, "ASSIGNMENT_STATE";
    FindingReason, "FINDING_REASON";
    SafetyStopCause, "SAFETY_STOP_CAUSE";
    HazardClass, "HAZARD_CLASS";
    HoldReason, "HOLD_REASON";
    OrdnanceCategory, "ORDNANCE_CATEGORY";
    ReleaseType, "RELEASE_TYPE";
    ReportKind, "REPORT_KIND";
    ReportOutcome, "REPORT_OUTCOME";
    ReportState, "REPORT_STATE";
    RestatementCause, "RESTATEMENT_CAUSE";
    SiteStatus, "SITE_STATUS";
    SurveyKind, "SURVEY_KIND";
    SurveyResult, "SURVEY_RESULT";
    SuspensionCause, "SUSPENSION_CAUSE";
    TaskState, "TASK_STATE";
    Terrain, "TERRAIN";
    AssetKind, "ASSET_KIND";
    AssetState, "ASSET_STATE";
    MemberRole, "MEMBER_ROLE";
    TeamState, "TEAM_STATE";
    TeamType, "TEAM_TYPE";
);

impl Reader {
    /// A value of an enum with words. Unspecified and unknown numbers are bad.
    pub fn word<T: WireWord>(&mut self, field: &str, number: i32) -> Option<T>
    where
        T::Wire: AsName,
    {
        self.choice::<T::Wire, T>(field, number, |known| T::from_wire(known.into()))
    }

    /// The same for a value that may be unspecified: `Some(None)` is that, `None` is bad.
    pub fn optional_word<T: WireWord>(&mut self, field: &str, number: i32) -> Option<Option<T>>
    where
        T::Wire: AsName,
    {
        if number == 0 { Some(None) } else { self.word(field, number).map(Some) }
    }
}
