//! The feed of a team on the wire. A team is shown nothing of money and nothing of other teams.

use jiff::Timestamp;

use crate::app::team_feed::{Body, Message, Record};
use crate::domain::assignment::Assignment;
use crate::domain::safety_stop::SafetyStop;
use crate::domain::site::Site;
use crate::domain::task::Task;
use crate::domain::team_feed::{DataAge, Item};
use crate::error::Error;
use crate::rpc::convert::field_report::stored;
use crate::rpc::convert::report::duration;
use crate::rpc::convert::{assignment, date, safety_stop, site, task, timestamp};
use crate::rpc::pb;
use crate::rpc::pb::stream_team_feed_response::Message as Sent;

/// A message of a feed.
///
/// # Errors
/// A bug when a stored report cannot be read.
pub fn message(of: Message) -> Result<pb::StreamTeamFeedResponse, Error> {
    let cursor = of.cursor;
    let message = match of.body {
        Body::Begin { revision, feed_epoch, progress_interval, resumed } => Sent::Begin(pb::FeedBegin {
            revision,
            feed_epoch: feed_epoch.to_string(),
            progress_interval: Some(duration(progress_interval)),
            resumed,
        }),
        Body::SafetyStop(stop) => Sent::SafetyStop(stop_of(&stop)),
        Body::Shown { record: Record::Assignment(of), .. } => Sent::Assignment(assignment_of(&of)),
        Body::Shown { record: Record::Task(of), .. } => Sent::Task(task_of(&of)),
        Body::Shown { record: Record::Site(of), as_of } => Sent::Site(site_of(&of, as_of)),
        Body::Shown { record: Record::Returned(of), .. } => Sent::ReturnedReport(stored(&of)?),
        Body::Removed(item) => Sent::Removed(removed(item)),
        Body::SnapshotEnd { revision, counts } => Sent::SnapshotEnd(pb::FeedSnapshotEnd {
            revision,
            safety_stop_count: counts.safety_stops,
            assignment_count: counts.assignments,
            task_count: counts.tasks,
            site_count: counts.sites,
            returned_report_count: counts.returned,
        }),
        Body::Progress { revision, head } => Sent::Progress(pb::FeedProgress { revision, head }),
        Body::Reconnect { after } => {
            Sent::Reconnect(pb::FeedReconnect { cursor: cursor.clone(), after: Some(duration(after)) })
        }
    };
    Ok(pb::StreamTeamFeedResponse { cursor, message: Some(message) })
}

fn stop_of(of: &SafetyStop) -> pb::SafetyStop {
    // They are of any team.
    pb::SafetyStop { suspended_task_ids: Vec::new(), ..safety_stop::safety_stop(of) }
}

fn task_of(of: &Task) -> pb::Task {
    let task = task::task(of);
    // The stops are sent by themselves: an operator is stopped without any of its tasks being changed.
    pb::Task { allocation_id: String::new(), safety_stop_ids: Vec::new(), ..task }
}

fn assignment_of(of: &Assignment) -> pb::Assignment {
    let mut assignment = assignment::assignment(of);
    let findings = assignment.r#override.iter_mut().flat_map(|overridden| &mut overridden.findings);
    // The text names the other assignment as well.
    for finding in findings.filter(|finding| !finding.blocking_id.is_empty()) {
        finding.text.clear();
        finding.blocking_id.clear();
    }
    assignment
}

fn site_of(of: &Site, as_of: Timestamp) -> pb::FeedSite {
    let age = DataAge::of(of, as_of);
    let data_age = pb::DataAge {
        information_on: Some(date(of.information_on)),
        age_days: age.days,
        today: Some(date(age.today)),
        as_of: Some(timestamp(as_of)),
    };
    pb::FeedSite { site: Some(site::site(of)), data_age: Some(data_age) }
}

fn removed(item: Item) -> pb::FeedRemoved {
    let (kind, id) = match item {
        Item::Assignment(id) => (pb::FeedRecordKind::Assignment, id.to_string()),
        Item::Task(id) => (pb::FeedRecordKind::Task, id.to_string()),
        Item::Site(id) => (pb::FeedRecordKind::Site, id.to_string()),
        Item::Returned(id) => (pb::FeedRecordKind::ReturnedReport, id.to_string()),
    };
    pb::FeedRemoved { kind: kind.into(), id }
}
