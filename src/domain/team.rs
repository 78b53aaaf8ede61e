//! Teams, the people in them, and what they work with.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::days::Days;
use crate::domain::ids::{AssetId, MemberId, OrganizationId, PersonId, TeamId};
use crate::domain::personal::NameDigest;
use crate::domain::text::{Code, Note, Title};
use crate::domain::words::words;

words! {
    /// What a team is made for.
    TeamType {
        /// Surveys without entering hazardous ground.
        Nts = "NTS",
        /// Surveys with technical means.
        Ts = "TS",
        /// Clears by hand.
        Manual = "MANUAL",
        /// Works with machines.
        Mechanical = "MECHANICAL",
        /// Works with dogs.
        Mdd = "MDD",
        /// Disposes of explosive ordnance.
        Eod = "EOD",
        /// Clears battle areas.
        Bac = "BAC",
        /// Does several of these.
        MultiTask = "MULTI_TASK",
        /// Talks with communities and teaches risks.
        CommunityLiaison = "COMMUNITY_LIAISON",
        /// Checks the work of others.
        QaQc = "QA_QC",
        /// Gives medical cover.
        Medical = "MEDICAL",
        /// Marks and fences.
        Marking = "MARKING",
        /// Anything else.
        Other = "OTHER",
    }
}

words! {
    /// Whether a team can be given work.
    TeamState {
        /// Can be assigned.
        Active = "ACTIVE",
        /// Kept for its history only.
        Disbanded = "DISBANDED",
    }
}

/// A unit of an operator that is sent to work as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// The operator that it belongs to.
    pub organization: OrganizationId,
    /// Its code, unique in the operator.
    pub code: Code,
    /// What people call it.
    pub name: Title,
    /// What it is made for.
    pub kind: TeamType,
    /// Whether it can be given work.
    pub state: TeamState,
    /// Anything else.
    pub note: Note,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Revision of the operator's journal at the last change.
    pub revision: i64,
}

words! {
    /// What a person does in a team.
    MemberRole {
        /// Leads a team or section.
        TeamLeader = "TEAM_LEADER",
        /// Oversees several teams.
        Supervisor = "SUPERVISOR",
        /// Searches and clears.
        Deminer = "DEMINER",
        /// EOD operator of level 1.
        EodLevel1 = "EOD_LEVEL_1",
        /// EOD operator of level 2.
        EodLevel2 = "EOD_LEVEL_2",
        /// EOD operator of level 3.
        EodLevel3 = "EOD_LEVEL_3",
        /// EOD operator of level 3+.
        EodLevel3Plus = "EOD_LEVEL_3_PLUS",
        /// Works with a dog.
        DogHandler = "DOG_HANDLER",
        /// Drives a demining machine.
        MachineOperator = "MACHINE_OPERATOR",
        /// Gives medical cover.
        Paramedic = "PARAMEDIC",
        /// Drives.
        Driver = "DRIVER",
        /// Talks with communities.
        CommunityLiaison = "COMMUNITY_LIAISON",
        /// Surveys.
        Surveyor = "SURVEYOR",
        /// Checks the work of others.
        Inspector = "INSPECTOR",
        /// Anything else.
        Other = "OTHER",
    }
}

impl MemberRole {
    /// Whether a person in this role must be accredited for the activity: everyone who searches, clears, or decides
    /// about it. Drivers, community liaison, paramedics and others do not.
    #[must_use]
    pub const fn searches_or_clears(self) -> bool {
        !matches!(self, Self::Driver | Self::CommunityLiaison | Self::Paramedic | Self::Other)
    }

    /// Whether a person in this role searches ground, so that their hours say how much of it can have been released.
    #[must_use]
    pub const fn searches_ground(self) -> bool {
        use MemberRole::{
            Deminer, DogHandler, EodLevel1, EodLevel2, EodLevel3, EodLevel3Plus, MachineOperator, Surveyor,
        };
        matches!(
            self,
            Deminer
                | EodLevel1
                | EodLevel2
                | EodLevel3
                | EodLevel3Plus
                | DogHandler
                | MachineOperator
                | Surveyor
        )
    }

    /// The words of all roles that must be accredited.
    #[must_use]
    pub fn words_of_work() -> Vec<&'static str> {
        Self::ALL.iter().filter(|role| role.searches_or_clears()).map(|role| role.word()).collect()
    }
}

/// The time of one person in one team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Id of this membership.
    pub id: MemberId,
    /// The team.
    pub team: TeamId,
    /// The team's operator.
    pub organization: OrganizationId,
    /// The person, the same in every membership.
    pub person: PersonId,
    /// Digest of the person's name; none once that was erased. The name is kept apart.
    pub name_digest: Option<NameDigest>,
    /// What the person does in the team.
    pub role: MemberRole,
    /// When.
    pub days: Days,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Revision of the operator's journal at the last change.
    pub revision: i64,
}

words! {
    /// What an asset is.
    AssetKind {
        /// A metal detector or the like.
        Detector = "DETECTOR",
        /// A mine detection dog.
        Dog = "DOG",
        /// A flail, tiller or excavator.
        Machine = "MACHINE",
        /// Transport. It does not serve as an ambulance.
        Vehicle = "VEHICLE",
        /// A vehicle for evacuation, which tasks may share.
        Ambulance = "AMBULANCE",
        /// A means of communication.
        Radio = "RADIO",
        /// A store of explosives.
        ExplosivesStore = "EXPLOSIVES_STORE",
        /// Protective equipment.
        PpeSet = "PPE_SET",
        /// Anything else.
        Other = "OTHER",
    }
}

words! {
    /// Whether an asset can be used.
    AssetState {
        /// Can be assigned.
        InUse = "IN_USE",
        /// Kept for its history only.
        Withdrawn = "WITHDRAWN",
    }
}

/// Equipment or an animal of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its id.
    pub id: AssetId,
    /// The operator that owns it.
    pub organization: OrganizationId,
    /// What it is.
    pub kind: AssetKind,
    /// Its code or serial number, unique in the operator.
    pub code: Code,
    /// For people.
    pub description: Title,
    /// Last day of its calibration, test or licence; none is without end.
    pub valid_until: Option<Date>,
    /// How many tasks an ambulance covers on one day; 0 for everything else.
    pub shared_tasks_max: i32,
    /// Whether it can be used.
    pub state: AssetState,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Revision of the operator's journal at the last change.
    pub revision: i64,
}

impl AssetKind {
    /// The most tasks that an ambulance may cover on one day.
    pub const SHARED_TASKS_MAX: i32 = 20;

    /// Whether it is used only with a test, calibration or licence that has a last day.
    #[must_use]
    pub const fn needs_validity(self) -> bool {
        matches!(self, Self::Detector | Self::Dog | Self::ExplosivesStore)
    }

    /// What does not fit the kind: the field of the asset, and the rule that it breaks.
    #[must_use]
    pub fn faults(self, has_validity: bool, shared_tasks_max: i32) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if self.needs_validity() && !has_validity {
            let rule = format!("is missing; {self} needs the last day of its calibration, test or licence");
            faults.push(("valid_until", rule));
        }
        let (given, max) = (shared_tasks_max, Self::SHARED_TASKS_MAX);
        let rule = match self {
            Self::Ambulance if !(1..=max).contains(&given) => {
                format!("is {given}; AMBULANCE needs 1 to {max}")
            }
            Self::Ambulance => return faults,
            _ if given == 0 => return faults,
            _ => format!("is {given}; only AMBULANCE is shared, give 0"),
        };
        faults.push(("shared_tasks_max", rule));
        faults
    }
}
