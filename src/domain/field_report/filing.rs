//! Where a version that arrives belongs. Versions come in any order, several times, and from several senders at once;
//! whatever the order, the same versions end in the same place.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::field_report::outputs::Outputs;
use crate::domain::field_report::{FieldReport, Hold, HoldReason, ReportKind, ReportState};
use crate::domain::ids::{DeviceId, OrganizationId, ProgramId, ReportId, TaskId, TeamId};

/// A report as it is now, in the words of its newest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownReport {
    /// Its id.
    pub id: ReportId,
    /// The operator in whose journal it is.
    pub operator: OrganizationId,
    /// Revision at which its first version came.
    pub first_revision: i64,
    /// The device.
    pub device: DeviceId,
    /// The team.
    pub team: TeamId,
    /// The task, if it has one.
    pub task: Option<TaskId>,
    /// Program of the task, if it is known.
    pub program: Option<ProgramId>,
    /// Which body it has.
    pub kind: ReportKind,
    /// Day of the work.
    pub work_date: Date,
    /// The newest version.
    pub newest_version: i32,
    /// Where it is on its way.
    pub state: ReportState,
    /// Why it is in quarantine.
    pub holds: Vec<HoldReason>,
    /// The version that counts, if one does.
    pub approved_version: Option<i32>,
    /// What the newest version claims.
    pub claimed: Outputs,
    /// Revision of the operator's journal at the last change.
    pub revision: i64,
}

impl KnownReport {
    /// Takes a reason out of the quarantine; without any left the report waits for its reviewer.
    pub fn settle(&mut self, reason: HoldReason) {
        self.holds.retain(|held| *held != reason);
        if self.state == ReportState::Held && self.holds.is_empty() {
            self.state = ReportState::Received;
        }
    }
}

/// A version that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownVersion {
    /// SHA-256 of its content.
    pub content_sha256: [u8; 32],
    /// When it was received.
    pub received_at: Timestamp,
    /// Why it was held when it came.
    pub holds: Vec<Hold>,
    /// Why a coordinator amended the report by it; empty for what a device sent.
    pub amendment: String,
    /// Revision of the operator's journal at which it came.
    pub revision: i64,
}

/// What is known of a report: how it is, and its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// How it is now.
    pub report: KnownReport,
    /// Its versions by number.
    pub versions: BTreeMap<i32, KnownVersion>,
}

impl Chain {
    /// Whether every version up to the newest is there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        i32::try_from(self.versions.len()).is_ok_and(|count| count == self.report.newest_version)
    }
}

/// Where a version belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filing {
    /// It is there, with the same content.
    There,
    /// It is there with other content, and says that it is the first.
    Taken,
    /// It is there with other content: somebody else replaced the same base.
    Stale {
        /// The newest version.
        newest: i32,
    },
    /// The report takes no newer version of a device.
    Final(ReportState),
    /// It becomes the newest version.
    Newest {
        /// Whether the version that it replaces has not arrived.
        base_missing: bool,
    },
    /// It fills a gap below the newest version.
    Gap,
}

/// The version that a report is.
#[must_use]
pub const fn version_of(report: &FieldReport) -> i32 {
    report.base_version.saturating_add(1)
}

/// Says where a version belongs.
#[must_use]
pub fn file(known: Option<&Chain>, report: &FieldReport) -> Filing {
    let version = version_of(report);
    let Some(Chain { report: known, versions }) = known else {
        return Filing::Newest { base_missing: report.base_version != 0 };
    };
    match versions.get(&version) {
        Some(stored) if stored.content_sha256 == report.content_sha256 => Filing::There,
        Some(_) if report.base_version == 0 => Filing::Taken,
        Some(_) => Filing::Stale { newest: known.newest_version },
        None if version < known.newest_version => Filing::Gap,
        None if known.approved_version.is_some() => Filing::Final(ReportState::Approved),
        None if known.state.is_final() => Filing::Final(known.state),
        None => Filing::Newest { base_missing: !versions.contains_key(&report.base_version) },
    }
}

/// Says where a version belongs by which a coordinator amends an approved report: on top of the newest, and nowhere else.
#[must_use]
pub fn amend(known: Option<&Chain>, report: &FieldReport) -> Filing {
    let Some(Chain { report: known, versions }) = known else {
        return Filing::Newest { base_missing: report.base_version != 0 };
    };
    match versions.get(&version_of(report)) {
        Some(stored) if stored.content_sha256 == report.content_sha256 && !stored.amendment.is_empty() => {
            Filing::There
        }
        None if report.base_version == known.newest_version => Filing::Newest { base_missing: false },
        _ => Filing::Stale { newest: known.newest_version },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::field_report::quarantine::tests::report;

    fn version(of: i32, content: u8) -> FieldReport {
        FieldReport { base_version: of - 1, content_sha256: [content; 32], ..report() }
    }

    /// A report as it is known after its newest version came.
    pub(in super::super) fn known(report: &FieldReport, newest: i32, holds: Vec<HoldReason>) -> KnownReport {
        KnownReport {
            id: report.id,
            operator: OrganizationId::new(uuid::Uuid::from_u128(1)),
            first_revision: 1,
            device: report.device,
            team: report.team,
            task: report.task,
            program: None,
            kind: report.kind,
            work_date: report.work_date,
            newest_version: newest,
            state: if holds.is_empty() { ReportState::Received } else { ReportState::Held },
            holds,
            approved_version: None,
            claimed: Outputs::default(),
            revision: 1,
        }
    }

    /// Files a version as a writer does.
    fn put(chain: &mut Option<Chain>, of: &FieldReport) -> Filing {
        let filing = file(chain.as_ref(), of);
        let stored = KnownVersion {
            content_sha256: of.content_sha256,
            received_at: Timestamp::UNIX_EPOCH,
            holds: vec![],
            amendment: String::new(),
            revision: 1,
        };
        if let Filing::Newest { base_missing } = filing {
            let holds = base_missing.then_some(HoldReason::BaseMissing).into_iter().collect();
            let report = known(of, version_of(of), holds);
            let versions = chain.take().map(|chain| chain.versions).unwrap_or_default();
            *chain = Some(Chain { report, versions });
        }
        if let (Filing::Newest { .. } | Filing::Gap, Some(chain)) = (filing, chain.as_mut()) {
            chain.versions.insert(version_of(of), stored);
            if chain.is_whole() {
                chain.report.settle(HoldReason::BaseMissing);
            }
        }
        filing
    }

    #[test]
    fn other_content_for_a_version_is_refused_and_the_same_is_there() {
        let mut chain = None;
        assert_eq!(put(&mut chain, &version(1, 1)), Filing::Newest { base_missing: false });
        assert_eq!(put(&mut chain, &version(1, 1)), Filing::There);
        assert_eq!(put(&mut chain, &version(1, 2)), Filing::Taken);
        assert_eq!(put(&mut chain, &version(2, 2)), Filing::Newest { base_missing: false });
        assert_eq!(put(&mut chain, &version(2, 3)), Filing::Stale { newest: 2 });
    }

    #[test]
    fn what_was_decided_takes_no_newer_version_and_what_was_replaced_before_it_came() {
        for state in [ReportState::Approved, ReportState::Rejected, ReportState::Voided] {
            let mut chain = None;
            put(&mut chain, &version(2, 2));
            if let Some(chain) = &mut chain {
                chain.report.state = state;
            }
            assert_eq!(file(chain.as_ref(), &version(3, 3)), Filing::Final(state));
            assert_eq!(put(&mut chain, &version(2, 2)), Filing::There);
            assert_eq!(put(&mut chain, &version(1, 1)), Filing::Gap, "what was replaced long ago came late");
        }
    }

    proptest! {
        #[test]
        fn versions_in_any_order_and_number_end_in_the_same_place(
            order in prop::collection::vec(1_i32..6, 0..30),
        ) {
            let mut chain = None;
            for number in order.iter().copied().chain((1..6).rev()) {
                put(&mut chain, &version(number, u8::try_from(number).unwrap()));
            }
            let chain = chain.unwrap();
            prop_assert!(chain.is_whole());
            prop_assert_eq!(chain.report.newest_version, 5);
            prop_assert_eq!(chain.report.state, ReportState::Received);
        }
    }
}
