//! Two services on one database, and clerks who choose one at each attempt.

use crate::evidence::finding::Verdict;
use crate::evidence::history::History;
use crate::evidence::link::lazily;
use crate::evidence::load::{Size, Work};
use crate::evidence::reading::examine;
use crate::evidence::rig::Rig;

/// Little money, many clerks, two replicas: entries interleave, and refusals tell the figures of a moment.
pub(crate) async fn share_the_money(rig: &mut Rig, size: Size) -> Verdict {
    let (first, second) = tokio::join!(rig.service(), rig.service());
    let doors = [lazily(first.address), lazily(second.address)];
    let history = History::default();
    let work = Work::begin(rig, &history, &doors, size);
    tokio::time::sleep(size.lasting).await;
    work.finish().await;
    let (accepted, refused, open) = history.tally();
    println!("two replicas: accepted, refused, open: {:?}", (accepted, refused, open));
    if accepted == 0 || refused == 0 {
        return Err(format!("a run with {accepted} entries and {refused} refusals shows nothing"));
    }
    examine(rig, &history, &doors).await
}
