//! The runs by name, so that one table can say which of them notices which bug.

use safelane::seeded::Bug;

use crate::evidence::finding::Verdict;
use crate::evidence::load::Size;
use crate::evidence::rig::Rig;
use crate::evidence::{commit_cut, crash, deliveries, overload, replicas, storm, streams};

/// A run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    TwoReplicas,
    KillTheService,
    KillPostgres,
    CutOneCommit,
    CutBookings,
    CutCommitsUnderLoad,
    DropCalls,
    DeliverAgain,
    OneBadEntry,
    HalfClose,
    MalformedMessage,
    SendTooMuch,
}

impl Scenario {
    /// Runs it on a fresh database. With a bug, the services have it and the judge has not.
    pub(crate) async fn run(self, seed: u64, size: Size, bug: Option<Bug>) -> Verdict {
        if self == Self::KillPostgres {
            assert_eq!(bug, None, "this run starts services without bugs only");
            return crash::kill_postgres(seed, size).await;
        }
        let mut rig = Rig::new(seed, bug).await;
        let verdict = self.run_on(&mut rig, size, bug).await;
        rig.remove().await;
        verdict
    }

    async fn run_on(self, rig: &mut Rig, size: Size, bug: Option<Bug>) -> Verdict {
        match self {
            Self::TwoReplicas => replicas::share_the_money(rig, size).await,
            Self::KillTheService | Self::KillPostgres => crash::kill_the_service(rig, size).await,
            Self::CutOneCommit => commit_cut::cut_one_commit(rig).await,
            Self::CutBookings => commit_cut::cut_bookings(rig).await,
            Self::CutCommitsUnderLoad => commit_cut::cut_under_load(rig, size).await,
            Self::DropCalls => storm::drop_calls(rig, size).await,
            Self::DeliverAgain => deliveries::deliver_again_and_again(rig, size).await,
            Self::OneBadEntry => streams::one_bad_entry(rig).await,
            Self::HalfClose => streams::half_close(rig).await,
            Self::MalformedMessage => streams::malformed_message(rig).await,
            Self::SendTooMuch => overload::send_too_much(rig, overload::patience(bug)).await,
        }
    }
}
