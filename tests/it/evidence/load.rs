//! Clerks at work side by side, until they are told to stop or have done their share.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::evidence::clerk::Clerk;
use crate::evidence::history::History;
use crate::evidence::rig::Rig;

/// How much work there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Clerks who call, and clerks who use streams.
    pub(crate) callers: usize,
    pub(crate) streamers: usize,
    /// The least that each caller posts; a streamer posts ten times as many.
    pub(crate) entries: usize,
    /// The least time that they go on.
    pub(crate) lasting: Duration,
}

/// Entries that a streamer sends before it waits for the answers.
const STREAMED: usize = 40;

impl Size {
    /// For a test that always runs: a second or two.
    pub(crate) const QUICK: Self =
        Self { callers: 6, streamers: 2, entries: 30, lasting: Duration::from_millis(800) };
    /// For a run that is expected to find something soon.
    #[cfg(debug_assertions)]
    pub(crate) const SMALL: Self =
        Self { callers: 6, streamers: 2, entries: 12, lasting: Duration::from_millis(200) };
}

/// Clerks at work.
pub(crate) struct Work {
    clerks: JoinSet<()>,
    enough: CancellationToken,
}

impl Work {
    /// Sets clerks to work at services. They go on until [`Work::finish`] and have done their share by then.
    pub(crate) fn begin(rig: &mut Rig, history: &History, doors: &[Channel], size: Size) -> Self {
        let (mut clerks, enough) = (JoinSet::new(), CancellationToken::new());
        for number in 0..size.callers + size.streamers {
            let clerk = Clerk::new(&rig.desk, rig.chance.fork(), history, doors);
            let streams = size.callers <= number;
            clerks.spawn(work(clerk, streams, size.entries, enough.clone()));
        }
        Self { clerks, enough }
    }

    /// Lets them finish what they have begun.
    pub(crate) async fn finish(self) {
        self.enough.cancel();
        self.clerks.join_all().await;
    }
}

async fn work(mut clerk: Clerk, streams: bool, least: usize, enough: CancellationToken) {
    let mut done = 0;
    while done < least || !enough.is_cancelled() {
        if streams {
            let entries: Vec<_> = (0..STREAMED).map(|_| clerk.draw()).collect();
            clerk.settle_streamed(&entries).await;
            done += STREAMED / 10;
        } else {
            let entry = clerk.draw();
            clerk.settle(&entry).await;
            done += 1;
        }
    }
}
