//! What reports tell that are no daily ones: a second one that tells the same is most likely the same again, sent under
//! another id.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::domain::field_report::filing::KnownReport;
use crate::domain::field_report::{FieldReport, ReportKind};
use crate::domain::ids::{OrganizationId, ReportId, TaskId, TeamId};
use crate::error::Error;
use crate::store::Connection;
use crate::store::field_report::compared::{Comparable, Compared, list_claims, list_compared};

use super::Sent;

/// How to say what a content tells, as a hash.
pub(super) type Tells = fn(&[u8]) -> Result<[u8; 32], Error>;

/// What reports must share before it is asked whether they tell the same. No team and day where that is any: a receipt is
/// paid once, whoever of the operator claims it.
type Key = (Option<(TeamId, Date)>, TaskId, ReportKind);

/// What a report tells, after its first revision.
type Telling = (i64, ReportId, [u8; 32]);

/// What is told by new reports, and by those that they are compared with.
#[derive(Default)]
pub(super) struct Told {
    /// Of new contents, by their SHA-256.
    new: BTreeMap<[u8; 32], [u8; 32]>,
    /// By the newest versions of reports, and by those that count.
    by: BTreeMap<Key, BTreeSet<Telling>>,
}

fn key_of(team: TeamId, task: Option<TaskId>, day: Date, kind: ReportKind) -> Option<Key> {
    let on_a_day = (!kind.is_once_a_task()).then_some((team, day));
    (!kind.is_daily()).then_some((on_a_day, task?, kind))
}

fn key_of_new(report: &FieldReport) -> Option<Key> {
    key_of(report.team, report.task, report.work_date, report.kind)
}

fn key_of_known(report: &KnownReport) -> Option<Key> {
    key_of(report.team, report.task, report.work_date, report.kind)
}

impl Told {
    pub(super) async fn load(
        conn: &mut Connection,
        operator: OrganizationId,
        group: &[Sent],
        tells: Tells,
    ) -> Result<Self, Error> {
        let mut told = Self::default();
        let mut keys: BTreeSet<Key> = BTreeSet::new();
        for report in group.iter().map(|sent| &sent.report) {
            if let Some(key) = key_of_new(report) {
                keys.insert(key);
                told.new.insert(report.content_sha256, tells(&report.content)?);
            }
        }
        let comparable = |key: &Key| key.0.map(|(team, day)| (team, key.1, day, key.2));
        let asked: Vec<(Key, Comparable)> =
            keys.iter().filter_map(|key| Some((*key, comparable(key)?))).collect();
        if !asked.is_empty() {
            let (keys, asked): (Vec<Key>, Vec<Comparable>) = asked.into_iter().unzip();
            told.compare_with(&keys, list_compared(&mut *conn, operator, &asked).await?, tells)?;
        }
        let claimed: Vec<Key> = keys.into_iter().filter(|key| key.0.is_none()).collect();
        if !claimed.is_empty() {
            let tasks: Vec<TaskId> = claimed.iter().map(|key| key.1).collect();
            let claims = group.iter().filter(|sent| sent.report.kind.is_once_a_task());
            let teams: BTreeSet<TeamId> = claims.map(|sent| sent.report.team).collect();
            let teams: Vec<TeamId> = teams.into_iter().collect();
            told.compare_with(&claimed, list_claims(conn, operator, &teams, &tasks).await?, tells)?;
        }
        Ok(told)
    }

    fn compare_with(&mut self, keys: &[Key], reports: Vec<Compared>, tells: Tells) -> Result<(), Error> {
        for found in reports {
            let key =
                keys.get(found.key).ok_or_else(|| Error::bug("a report of no key that was asked for"))?;
            let tells = tells(&found.content)?;
            self.by.entry(*key).or_default().insert((found.first_revision, found.id, tells));
        }
        Ok(())
    }

    /// The report that told the same first, if another did.
    pub(super) fn repeated_by(&self, report: &FieldReport) -> Option<ReportId> {
        let (tells, others) = (self.new.get(&report.content_sha256)?, self.by.get(&key_of_new(report)?)?);
        let mut same = others.iter().filter(|(_, id, told)| *id != report.id && told == tells);
        same.next().map(|(_, id, _)| *id)
    }

    /// Notes what a version became known as, for the reports after it.
    pub(super) fn note(&mut self, before: Option<&KnownReport>, after: &KnownReport, report: &FieldReport) {
        // What counts is still told while an amendment waits.
        if after.approved_version.is_none()
            && let Some(others) = before.and_then(key_of_known).and_then(|key| self.by.get_mut(&key))
        {
            others.retain(|(_, id, _)| *id != after.id);
        }
        if let (Some(key), Some(tells)) = (key_of_known(after), self.new.get(&report.content_sha256)) {
            self.by.entry(key).or_default().insert((after.first_revision, after.id, *tells));
        }
    }
}
