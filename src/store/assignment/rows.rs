//! Rows of assignments and their way into domain types.

use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::assignment::{
    AssignedPerson, Assignment, AssignmentState, Finding, FindingReason, MedicalCover, Override,
};
use crate::domain::ids::{AssetId, AssignmentId, OrganizationId, PersonId, ProgramId, TaskId, TeamId};
use crate::domain::text::{Reason, Title};
use crate::error::Error;
use crate::store::rows::{corrupt, word};

#[derive(FromRow)]
pub(super) struct AssignmentRow {
    organization_id: Uuid,
    pub(super) assignment_id: Uuid,
    team_id: Uuid,
    program_id: Uuid,
    task_id: Uuid,
    first_day: jiff_sqlx::Date,
    last_day: jiff_sqlx::Date,
    state: String,
    paramedic_id: Uuid,
    ambulance_id: Uuid,
    hospital: String,
    evacuation_minutes: i32,
    drill_on: Option<jiff_sqlx::Date>,
    pub(super) override_reason: Option<String>,
    override_by: Option<String>,
    end_reason: Option<String>,
    created_at: jiff_sqlx::Timestamp,
    revision: i64,
}

#[derive(FromRow)]
pub(super) struct PersonRow {
    assignment_id: Uuid,
    person_id: Uuid,
    first_day: jiff_sqlx::Date,
    last_day: jiff_sqlx::Date,
}

#[derive(FromRow)]
pub(super) struct FindingRow {
    assignment_id: Uuid,
    reason: String,
    text: String,
    subject_id: Uuid,
    first_day: Option<jiff_sqlx::Date>,
    blocking_id: Option<Uuid>,
}

/// The rows of one assignment among rows that are in the order of assignments.
fn of<T>(rows: &[T], id: Uuid, key: impl Fn(&T) -> Uuid) -> &[T] {
    let from = rows.partition_point(|row| key(row) < id);
    let until = rows.partition_point(|row| key(row) <= id);
    &rows[from..until]
}

impl AssignmentRow {
    /// Puts an assignment together. The other rows are in the order of assignments.
    pub(super) fn with(
        self,
        people: &[PersonRow],
        assets: &[(Uuid, Uuid)],
        findings: &[FindingRow],
    ) -> Result<Assignment, Error> {
        let id = self.assignment_id;
        let reason = |text: &str| Reason::parse(text).map_err(corrupt("reason"));
        let overridden = match (&self.override_reason, self.override_by) {
            (Some(text), Some(by)) => {
                let findings = of(findings, id, |row| row.assignment_id).iter().map(finding);
                Some(Override { reason: reason(text)?, by, findings: findings.collect::<Result<_, _>>()? })
            }
            _ => None,
        };
        Ok(Assignment {
            id: AssignmentId::new(id),
            team: TeamId::new(self.team_id),
            organization: OrganizationId::new(self.organization_id),
            program: ProgramId::new(self.program_id),
            task: TaskId::new(self.task_id),
            first_day: self.first_day.to_jiff(),
            last_day: self.last_day.to_jiff(),
            assets: of(assets, id, |row| row.0).iter().map(|row| AssetId::new(row.1)).collect(),
            medical_cover: MedicalCover {
                paramedic: PersonId::new(self.paramedic_id),
                ambulance: AssetId::new(self.ambulance_id),
                hospital: Title::parse(&self.hospital).map_err(corrupt("hospital"))?,
                evacuation_minutes: self.evacuation_minutes,
                drill_on: self.drill_on.map(jiff_sqlx::Date::to_jiff),
            },
            overridden,
            end_reason: self.end_reason.as_deref().map(reason).transpose()?,
            people: of(people, id, |row| row.assignment_id).iter().map(person).collect(),
            state: word("state", &self.state, AssignmentState::from_word)?,
            created_at: self.created_at.to_jiff(),
            revision: self.revision,
        })
    }
}

fn person(row: &PersonRow) -> AssignedPerson {
    AssignedPerson {
        person: PersonId::new(row.person_id),
        first_day: row.first_day.to_jiff(),
        last_day: row.last_day.to_jiff(),
    }
}

fn finding(row: &FindingRow) -> Result<Finding, Error> {
    Ok(Finding {
        reason: word("reason", &row.reason, FindingReason::from_word)?,
        text: row.text.clone(),
        subject: row.subject_id,
        first_day: row.first_day.map(jiff_sqlx::Date::to_jiff),
        blocking: row.blocking_id.map(AssignmentId::new),
    })
}
