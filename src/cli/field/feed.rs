//! The team feed on the device: what the team needs to know, kept for when there is no link. Safety stops come first and
//! count at once, also from a snapshot that is cut.

use std::time::Duration;

use prost::Message as _;

use crate::cli::client::Connection;
use crate::cli::field::capture::Device;
use crate::cli::field::clock;
use crate::cli::field::link::patiently;
use crate::cli::field::outbox::{FeedChange, Outbox};
use crate::cli::field::places::Places;
use crate::cli::field::shown;
use crate::cli::field::sync::{Event, Pace, Tell, Trouble};
use crate::rpc::pb;
use crate::rpc::pb::safety_stop::Target;
use crate::rpc::pb::stream_team_feed_response::Message;
use crate::rpc::pb::team_service_client::TeamServiceClient;

/// The service says so often that nothing new is there.
const QUIET: i64 = 1;
/// The same while the feed is followed for long.
const QUIET_FOLLOWED: i64 = 15;

/// Takes the feed until everything was sent, or for ever.
pub(super) async fn take(
    device: &Device,
    pace: &Pace,
    tell: &Tell,
    connection: Connection,
    follow: bool,
) -> Result<(), Trouble> {
    let outbox = &device.outbox;
    let cursor = outbox.feed_cursor()?;
    let seconds = if follow { QUIET_FOLLOWED } else { QUIET };
    let request = pb::StreamTeamFeedRequest {
        team_id: outbox.settings()?.team_id,
        cursor: cursor.clone(),
        progress_interval: Some(prost_types::Duration { seconds, nanos: 0 }),
    };
    let within = pace.patience + Duration::from_secs(seconds.unsigned_abs());
    let mut client = TeamServiceClient::new(connection);
    let opened = patiently(within, client.stream_team_feed(request)).await.map_err(Trouble::from);
    let mut feed = match opened {
        // A place that the service does not know any more, such as after a backup was restored.
        Err(Trouble::Refused(told)) if !cursor.is_empty() => {
            outbox.restart_feed()?;
            return Err(Trouble::Link(told, None));
        }
        opened => opened?.into_inner(),
    };
    let mut unnamed = Vec::new();
    while let Some(sent) = patiently(within, feed.message()).await? {
        let Some(message) = sent.message else { continue };
        // A heartbeat from before the head says that more follows.
        let up_to_date = matches!(&message, Message::Progress(of) if of.head <= of.revision);
        if let Message::Reconnect(of) = &message {
            let after = of.after.and_then(|after| Duration::try_from(after).ok());
            return Err(Trouble::Link("the service asks to connect again".to_owned(), after));
        }
        if let Message::SafetyStop(stop) = &message
            && stop.lifted_at.is_none()
        {
            tell_stop(outbox, tell, stop, &mut unnamed)?;
        }
        if let Some(change) = change(device, message)? {
            outbox.apply_feed(&change, &sent.cursor, &clock::reading(&*device.clock))?;
        }
        if up_to_date {
            tell_named(outbox, tell, &mut unnamed)?;
        }
        if up_to_date && !follow {
            return Ok(());
        }
    }
    Err(Trouble::Link("the feed ended in the middle".to_owned(), None))
}

/// Tells of a stop at once, also when the task or the site that it is on comes only after it.
fn tell_stop(
    outbox: &Outbox,
    tell: &Tell,
    stop: &pb::SafetyStop,
    unnamed: &mut Vec<pb::SafetyStop>,
) -> Result<(), Trouble> {
    let places = Places::of(outbox)?;
    tell(Event::Stop { told: shown::stop(stop, &places) });
    if !places.know(stop) {
        unnamed.push(stop.clone());
    }
    Ok(())
}

/// Tells again of stops that could not be told by the names that people know.
fn tell_named(outbox: &Outbox, tell: &Tell, unnamed: &mut Vec<pb::SafetyStop>) -> Result<(), Trouble> {
    if unnamed.is_empty() {
        return Ok(());
    }
    let places = Places::of(outbox)?;
    for stop in unnamed.extract_if(.., |stop| places.know(stop)) {
        tell(Event::Stop { told: shown::stop(&stop, &places) });
    }
    Ok(())
}

fn change(device: &Device, message: Message) -> Result<Option<FeedChange>, Trouble> {
    let put = |kind, id: &str, content| FeedChange::Put { kind, id: id.to_owned(), content };
    let changed = match message {
        Message::Begin(begin) => FeedChange::Begin { epoch: begin.feed_epoch, snapshot: !begin.resumed },
        Message::SafetyStop(stop) if stop.lifted_at.is_some() => {
            FeedChange::Forget(vec![("stop", stop.safety_stop_id)])
        }
        Message::SafetyStop(stop) => put("stop", &stop.safety_stop_id, stop.encode_to_vec()),
        Message::Assignment(of) => put("assignment", &of.assignment_id, of.encode_to_vec()),
        Message::Task(of) => put("task", &of.task_id, of.encode_to_vec()),
        Message::Site(of) => {
            let id = of.site.as_ref().map(|site| site.site_id.clone()).unwrap_or_default();
            put("site", &id, of.encode_to_vec())
        }
        Message::ReturnedReport(of) => {
            let id = of.report.as_ref().map(|report| report.report_id.clone()).unwrap_or_default();
            put("returned", &id, of.encode_to_vec())
        }
        Message::Removed(of) => FeedChange::Forget(removed(device, &of)?),
        Message::SnapshotEnd(_) => FeedChange::SnapshotEnd,
        Message::Progress(of) if of.head <= of.revision => FeedChange::UpToDate,
        Message::Progress(_) | Message::Reconnect(_) => return Ok(None),
    };
    Ok(Some(changed))
}

/// What goes with a record: the stops on a task or a site that the team does not see any more.
fn removed(device: &Device, of: &pb::FeedRemoved) -> Result<Vec<(&'static str, String)>, Trouble> {
    let kind = match of.kind() {
        pb::FeedRecordKind::Unspecified => return Ok(Vec::new()),
        pb::FeedRecordKind::Assignment => "assignment",
        pb::FeedRecordKind::Task => "task",
        pb::FeedRecordKind::Site => "site",
        pb::FeedRecordKind::ReturnedReport => "returned",
    };
    let mut gone = vec![(kind, of.id.clone())];
    for stop in device.outbox.feed_records::<pb::SafetyStop>("stop")? {
        let on_it = match &stop.target {
            Some(Target::Task(task)) => kind == "task" && task.task_id == of.id,
            Some(Target::SiteId(site)) => kind == "site" && *site == of.id,
            Some(Target::OperatorId(_)) | None => false,
        };
        if on_it {
            gone.push(("stop", stop.safety_stop_id));
        }
    }
    Ok(gone)
}
