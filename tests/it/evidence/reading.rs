//! What the services tell after a run: pages of the journal, the whole stream, the verdict of `VerifyLedger`.
//! Everything is compared with the history, the model and each other.

use std::time::Duration;

use safelane::rpc::pb;
use safelane::rpc::pb::funding_service_client::FundingServiceClient;
use safelane::rpc::pb::verify_ledger_response::Message as Told;
use safelane::store::{Store, audit};
use tokio::sync::watch;
use tonic::Status;
use tonic::transport::Channel;

use crate::evidence::check::check;
use crate::evidence::finding::{Check, Finding, Verdict, conclude};
use crate::evidence::follower::{Sent, follow};
use crate::evidence::history::History;
use crate::evidence::rig::Rig;

/// Longer than any reading should take.
const PATIENCE: Duration = Duration::from_mins(1);
/// A page that is small beside the journal of a run, so that there are several.
const SMALL_PAGE: i32 = 40;

/// Judges a run by everything that can be read: the history and the journal, and what each service under
/// test tells of it.
pub(crate) async fn examine(rig: &Rig, history: &History, tested: &[Channel]) -> Verdict {
    let journal = rig.journal().await?;
    let mut findings = history.complaints();
    findings.extend(check(&history.attempts(), &journal, &rig.opening, rig.base));
    for channel in tested {
        findings.extend(compare(rig, channel, &journal).await);
    }
    let store = Store::new(rig.world.database.options.clone(), 1);
    let audited = audit::audit_everything(&store).await;
    store.close().await;
    match audited {
        Ok(found) => findings.extend(found.iter().map(|row| Check::LedgerHolds.broken(format!("{row:?}")))),
        Err(error) => findings.push(Check::LedgerHolds.broken(error.to_string())),
    }
    conclude(findings)
}

/// What one service tells of the journal.
async fn compare(rig: &Rig, channel: &Channel, journal: &[pb::PostEntryResponse]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let funding = FundingServiceClient::new(channel.clone());
    let program = &rig.desk.program_id;
    match read_journal(funding.clone(), program, rig.base, SMALL_PAGE).await {
        Ok(listed) => findings.extend(differs(Check::ListTellsTheJournal, &listed, journal)),
        Err(told) => findings.push(Check::ListTellsTheJournal.broken(told)),
    }
    let head = rig.base + i64::try_from(journal.len()).expect("a length");
    let (_, head) = watch::channel(Some(head));
    match follow(channel.clone(), program.clone(), rig.base, head).await {
        Ok(sent) => findings.extend(check_stream(&sent, journal)),
        Err(told) => findings.push(Check::StreamTellsTheJournal.broken(told)),
    }
    findings.extend(verify(funding, program).await.err().map(|told| Check::LedgerHolds.broken(told)));
    findings
}

/// What is told may be longer than the journal that was read before: work of callers that are gone goes on.
fn differs(
    check: Check,
    told: &[pb::PostEntryResponse],
    journal: &[pb::PostEntryResponse],
) -> Option<Finding> {
    let head = journal.last().map_or(0, |last| last.revision);
    let told: Vec<&pb::PostEntryResponse> = told.iter().filter(|told| told.revision <= head).collect();
    let same = told.len() == journal.len() && told.iter().zip(journal).all(|(told, kept)| *told == kept);
    let first = told.iter().zip(journal).find(|(told, kept)| *told != kept);
    let first = first.map(|(told, kept)| (told.revision, kept.revision));
    (!same).then(|| {
        let (told, kept) = (told.len(), journal.len());
        check.broken(format!("{told} entries of {kept}; told and kept first differ at {first:?}"))
    })
}

/// The entries of the journal after a revision, over pages of a size.
pub(crate) async fn read_journal(
    mut funding: FundingServiceClient<Channel>,
    program: &str,
    after: i64,
    page_size: i32,
) -> Result<Vec<pb::PostEntryResponse>, String> {
    let (mut entries, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListEntriesRequest {
            program_id: program.to_owned(),
            after_revision: after,
            page_size,
            page_token,
            ..Default::default()
        };
        let page = tokio::time::timeout(PATIENCE, funding.list_entries(request)).await;
        let page = page.map_err(|_| "ListEntries does not answer".to_owned())?;
        let page = page.map_err(|status| format!("ListEntries fails: {status:?}"))?.into_inner();
        for posted in page.entries {
            entries.push(posted.read().map_err(|error| format!("an entry that cannot be read: {error}"))?);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(entries);
        }
    }
}

/// What `VerifyLedger` says.
async fn verify(mut funding: FundingServiceClient<Channel>, program: &str) -> Verdict {
    let request = pb::VerifyLedgerRequest { program_id: program.to_owned() };
    let verifying = async {
        let mut told = funding.verify_ledger(request).await?.into_inner();
        while let Some(message) = told.message().await? {
            if let Some(Told::Verdict(verdict)) = message.message {
                return Ok(Some(verdict));
            }
        }
        Ok::<_, Status>(None)
    };
    match tokio::time::timeout(PATIENCE, verifying).await {
        Ok(Ok(Some(verdict))) if verdict.holds => Ok(()),
        Ok(Ok(Some(verdict))) => Err(format!("VerifyLedger: {}", verdict.first_difference)),
        Ok(Ok(None)) => Err("VerifyLedger ends without a verdict".to_owned()),
        Ok(Err(status)) => Err(format!("VerifyLedger fails: {status:?}")),
        Err(_) => Err("VerifyLedger does not end".to_owned()),
    }
}

/// The stream tells the journal, in order, each entry once, and the chain has no break.
pub(crate) fn check_stream(sent: &[Sent], journal: &[pb::PostEntryResponse]) -> Vec<Finding> {
    let told: Vec<pb::PostEntryResponse> = sent.iter().map(|sent| sent.posted.clone()).collect();
    let mut findings: Vec<Finding> =
        differs(Check::StreamTellsTheJournal, &told, journal).into_iter().collect();
    for pair in sent.windows(2) {
        if pair[1].previous != pair[0].posted.revision {
            let (at, previous, before) = (pair[1].posted.revision, pair[1].previous, pair[0].posted.revision);
            let told = format!("at {at} it says that {previous} came before, and it sent {before}");
            findings.push(Check::StreamTellsTheJournal.broken(told));
        }
    }
    findings
}
