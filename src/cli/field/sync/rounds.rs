//! Rounds of a sync, and the waits between them.

use std::time::{Duration, Instant};

use crate::cli::client::Connection;
use crate::cli::field::capture::Device;
use crate::cli::field::sync::files::{Progress, Uploading};
use crate::cli::field::sync::reports::Sending;
use crate::cli::field::sync::{Event, Pace, Summary, Tell, Trouble, Until};
use crate::cli::field::{clock, feed, link};
use crate::error::StartError;
use crate::rpc::pb::field_report_service_client::FieldReportServiceClient;

/// Whoever follows the feed hears something within so many seconds, unless the link is gone.
const FOLLOWED_SECONDS: i64 = 60;

/// Brings everything that waits in the outbox to the service, until that is done or the time is over. What did not
/// arrive stays where it is.
///
/// # Errors
/// When the outbox or a setting is at fault. A bad link is no error: the summary tells of it.
pub async fn sync(device: &Device, pace: &Pace, until: Until, tell: &Tell) -> Result<Summary, StartError> {
    let _alone = device.outbox.alone()?;
    device.outbox.send_details_again()?;
    device.outbox.send_partly_again()?;
    let start = Instant::now();
    let mut syncing = Syncing {
        device,
        pace,
        tell,
        summary: Summary::default(),
        progress: Progress::new(pace),
        streamed: true,
        feed_due: pace.feed,
    };
    let mut wait = pace.first_wait;
    loop {
        let before = syncing.arrived()?;
        let ended = syncing.round_within(until.left(start)).await;
        let (left, arrived) = (syncing.left()?, syncing.arrived()?);
        syncing.summary.left = left;
        syncing.summary.details_left = u64::try_from(device.outbox.details_waiting()?).unwrap_or(0);
        syncing.summary.partly_left = u64::try_from(device.outbox.partly_kept()?).unwrap_or(0);
        let (told, at_least) = match ended {
            Ok(()) if left == 0 => {
                syncing.summary.trouble.clear();
                return Ok(syncing.summary);
            }
            // Something was captured meanwhile.
            Ok(()) => ("more waits".to_owned(), None),
            Err(Trouble::Device(error)) => return Err(error),
            Err(Trouble::Stop(told)) => {
                syncing.summary.trouble = told;
                return Ok(syncing.summary);
            }
            Err(Trouble::Refused(told)) => (told, None),
            Err(Trouble::PutOff(told, at_least)) => {
                // What arrives together is stored together: one that cannot be may keep others waiting, but not alone.
                syncing.streamed = !syncing.streamed;
                (told, at_least)
            }
            Err(Trouble::Link(told, at_least)) => {
                syncing.cut();
                (told, at_least)
            }
        };
        syncing.summary.trouble.clone_from(&told);
        wait = if arrived == before { (wait * 2).min(pace.last_wait) } else { pace.first_wait };
        let wait = jittered(wait)?.max(at_least.unwrap_or_default());
        let over = until.left(start).is_none_or(|left| left < wait);
        tell(Event::Cut { told, wait: (!over).then_some(wait) });
        if over {
            return Ok(syncing.summary);
        }
        tokio::time::sleep(wait).await;
    }
}

impl Until {
    /// The time that is left; none when there is only one round.
    fn left(self, start: Instant) -> Option<Duration> {
        match self {
            Self::Once => None,
            Self::Elapsed(limit) => Some(limit.saturating_sub(start.elapsed())),
        }
    }
}

/// Takes the team feed by itself: until everything was sent, or, when it is followed, for ever and over every cut.
///
/// # Errors
/// When the feed is refused, or cannot be reached and is not followed.
pub async fn take_feed(device: &Device, pace: &Pace, tell: &Tell, follow: bool) -> Result<(), StartError> {
    let Some(_alone) = device.outbox.alone_with_feed()? else {
        let dir = device.outbox.dir().display();
        let told = format!("another process takes the team feed into {dir}; wait for it, or stop it");
        return Err(StartError::Refused(told));
    };
    let mut wait = pace.first_wait;
    loop {
        let connection = link::open(&device.outbox.settings()?, pace)?;
        let before = device.outbox.feed_cursor()?;
        let (told, at_least) = match feed::take(device, pace, tell, connection, follow).await {
            Ok(()) => return Ok(()),
            Err(Trouble::Device(error)) => return Err(error),
            Err(Trouble::Link(told, at_least) | Trouble::PutOff(told, at_least)) if follow => {
                (told, at_least)
            }
            Err(
                Trouble::Link(told, _)
                | Trouble::PutOff(told, _)
                | Trouble::Refused(told)
                | Trouble::Stop(told),
            ) => {
                return Err(StartError::Refused(format!("the feed cannot be taken: {told}")));
            }
        };
        let went_on = before != device.outbox.feed_cursor()?;
        wait = if went_on { pace.first_wait } else { (wait * 2).min(pace.last_wait) };
        let wait = jittered(wait)?.max(at_least.unwrap_or_default());
        tell(Event::Cut { told, wait: Some(wait) });
        tokio::time::sleep(wait).await;
    }
}

struct Syncing<'a> {
    device: &'a Device,
    pace: &'a Pace,
    tell: &'a Tell,
    summary: Summary,
    progress: Progress,
    /// Whether reports go over a stream. Some networks let none through.
    streamed: bool,
    feed_due: bool,
}

impl Syncing<'_> {
    /// A round that ends when the time does. Whatever was acknowledged in it is noted.
    async fn round_within(&mut self, left: Option<Duration>) -> Result<(), Trouble> {
        let Some(left) = left else { return self.round().await };
        let ended = tokio::time::timeout(left, self.round()).await;
        ended.unwrap_or_else(|_| Err(Trouble::Link("the time was over".to_owned(), None)))
    }

    async fn round(&mut self) -> Result<(), Trouble> {
        self.summary.rounds += 1;
        self.tell_round()?;
        let connection = link::open(&self.device.outbox.settings()?, self.pace)?;
        let client = FieldReportServiceClient::new(connection.clone());
        let feed = taken_when(self.feed_due, self.device, self.pace, self.tell, connection);
        let mut sending = Sending {
            device: self.device,
            pace: self.pace,
            tell: self.tell,
            summary: &mut self.summary,
            client: client.clone(),
            put_off: None,
        };
        let streamed = self.streamed;
        let reports = async {
            sending.hear_state().await?;
            if streamed { sending.stream().await } else { sending.one_by_one().await }
        };
        let (taken, sent) = tokio::join!(feed, reports);
        let put_off = sending.put_off.take();
        let taken = self.note_feed(taken);
        sent?;
        let mut uploading = Uploading {
            device: self.device,
            pace: self.pace,
            tell: self.tell,
            summary: &mut self.summary,
            progress: &mut self.progress,
            client,
        };
        uploading.upload_all().await?;
        taken?;
        put_off.map_or(Ok(()), |(told, wait)| Err(Trouble::PutOff(told, wait)))
    }

    /// A refused feed does not keep reports waiting, nor does it get better by waiting.
    fn note_feed(&mut self, taken: Result<(), Trouble>) -> Result<(), Trouble> {
        match taken {
            Ok(()) => self.feed_due = false,
            Err(Trouble::Refused(told) | Trouble::Stop(told)) => {
                self.feed_due = false;
                self.summary.feed_refused = told;
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// After a cut: the other way to send reports, and less of a file at once.
    fn cut(&mut self) {
        self.summary.cuts += 1;
        self.streamed = !self.streamed;
        self.progress.cut(self.pace);
    }

    fn tell_round(&self) -> Result<(), StartError> {
        let (reports, (files, bytes)) = (self.device.outbox.due()?, self.device.outbox.files_waiting()?);
        let known = |count: i64| u64::try_from(count).unwrap_or(0);
        (self.tell)(Event::Round { reports: reports.len() as u64, files: known(files), bytes: known(bytes) });
        Ok(())
    }

    /// Something that grows whenever anything arrives.
    fn arrived(&self) -> Result<(u64, u64, i64), StartError> {
        let durable = self.device.outbox.file_count()?.durable;
        Ok((self.summary.acknowledged, self.summary.refused, durable))
    }

    fn left(&self) -> Result<u64, StartError> {
        let count = self.device.outbox.due()?.len() + self.device.outbox.uploads()?.len();
        Ok(count as u64)
    }
}

/// Takes the feed when that is due. Another process that follows it takes it for all, as long as it hears something.
async fn taken_when(
    due: bool,
    device: &Device,
    pace: &Pace,
    tell: &Tell,
    connection: Connection,
) -> Result<(), Trouble> {
    if !due {
        return Ok(());
    }
    let Some(_alone) = device.outbox.alone_with_feed()? else {
        let heard = device.outbox.feed_heard()?;
        let age = heard.and_then(|then| clock::seconds_since(&then, &clock::reading(&*device.clock)));
        return if age.is_some_and(|age| age <= FOLLOWED_SECONDS) {
            Ok(())
        } else {
            let told = "another process of this outbox takes it, and hears nothing; stop that";
            Err(Trouble::Refused(told.to_owned()))
        };
    };
    feed::take(device, pace, tell, connection, false).await
}

/// Between half of a wait and all of it, so that devices that were cut together do not come back together.
fn jittered(wait: Duration) -> Result<Duration, StartError> {
    let drawn = getrandom::u32()
        .map_err(|error| StartError::Refused(format!("no random numbers: {error}; try again")))?;
    let half = wait / 2;
    let part = half.as_micros() * u128::from(drawn) / u128::from(u32::MAX);
    Ok(half + Duration::from_micros(u64::try_from(part).unwrap_or(0)))
}
