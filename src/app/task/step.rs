//! Steps of a task from state to state. Each is one row of the table in `domain::task::transitions`, with what it
//! needs and what it leaves in the task.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::app::App;
use crate::app::assignment::call_off;
use crate::app::change::{Changed, Changing, Ground, Request};
use crate::app::safety_stop::tell_of_stops;
use crate::app::task::plan::{expect_ready, missing_for_order};
use crate::app::task::{known_task, record};
use crate::app::team::expect_revision;
use crate::domain::accreditation::{counts_for, valid_days};
use crate::domain::assignment::MedicalCover;
use crate::domain::caller::Caller;
use crate::domain::days::{Days, today_in};
use crate::domain::ids::{OrganizationId, ScopeId, TaskId};
use crate::domain::kind::Kind;
use crate::domain::policy::Policy;
use crate::domain::site::SuspensionCause;
use crate::domain::task::transitions::{TaskAction, next};
use crate::domain::task::work::{check_done_on, expect_no_stop, missing_cover, missing_days, missing_ground};
use crate::domain::task::{Completion, QualityControl, Task};
use crate::domain::text::Reference;
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::accreditation::list_for;
use crate::store::assignment::held::list_standing_at;
use crate::store::task::facts::{find_cover, list_places};
use crate::store::task::{insert_control, update_progress};

/// Bring a task a step further. Reasons stand in the request, which the journal keeps.
pub struct TakeStep {
    /// The task.
    pub task: TaskId,
    /// Its revision as the caller knows it.
    pub expected_revision: i64,
    /// The step.
    pub step: Step,
    /// What whoever runs the service allows.
    pub policy: Policy,
}

/// A step, with what it brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The plan is complete.
    Plan,
    /// The order goes to the operator, under the number of the dossier, which is not empty.
    Issue(Reference),
    /// The operator takes it.
    Accept,
    /// Site and medical cover are prepared.
    Mobilise(MedicalCover),
    /// Work begins, with other medical cover than before if it is named.
    Start(Option<MedicalCover>),
    /// Work stands still.
    Suspend(SuspensionCause),
    /// Work goes on, with other medical cover than before if it is named.
    Resume(Option<MedicalCover>),
    /// The work is done.
    Complete(Completion),
    /// An inspection was held.
    RecordControl(QualityControl),
    /// The land was handed over on that day.
    HandOver(Date),
    /// Nothing is left to do.
    Close,
    /// The task is given up.
    Cancel,
}

impl Step {
    const fn action(&self) -> TaskAction {
        match self {
            Self::Plan => TaskAction::Plan,
            Self::Issue(_) => TaskAction::Issue,
            Self::Accept => TaskAction::Accept,
            Self::Mobilise(_) => TaskAction::Mobilise,
            Self::Start(_) => TaskAction::Start,
            Self::Suspend(_) => TaskAction::Suspend,
            Self::Resume(_) => TaskAction::Resume,
            Self::Complete(_) => TaskAction::Complete,
            Self::RecordControl(control) if control.passed => TaskAction::PassControl,
            Self::RecordControl(_) => TaskAction::FailControl,
            Self::HandOver(_) => TaskAction::HandOver,
            Self::Close => TaskAction::Close,
            Self::Cancel => TaskAction::Cancel,
        }
    }

    /// Whether a safety stop bars it: what leads to work, and what says that the work was good or the land is safe.
    const fn barred_by_stop(&self) -> bool {
        match self {
            Self::Mobilise(_) | Self::Start(_) | Self::Resume(_) | Self::HandOver(_) | Self::Close => true,
            Self::RecordControl(control) => control.passed,
            Self::Plan
            | Self::Issue(_)
            | Self::Accept
            | Self::Suspend(_)
            | Self::Complete(_)
            | Self::Cancel => false,
        }
    }
}

impl Changing for TakeStep {
    /// A step that a safety stop bars locks the journals of all that one may be of: the program, the operator and the
    /// authority of the sites. Whoever stops one of them holds its journal, so that the step comes before the
    /// stop, and is suspended by it, or after it, and is refused. Issuing does the same, so that its operator hears of
    /// a stop either by it or by this.
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        let task = known_task(conn, self.task).await?;
        let mut scopes = task.scopes();
        let operator = task.plan.operator.filter(|_| matches!(self.step, Step::Issue(_)));
        let authority = task.authority.filter(|_| self.step.barred_by_stop() || operator.is_some());
        let mut more: Vec<_> =
            [operator, authority].into_iter().flatten().map(OrganizationId::scope).collect();
        if matches!(self.step, Step::Cancel) {
            let held = list_standing_at(&mut *conn, task.id).await?;
            more.extend(held.into_iter().map(|of| of.operator.scope()));
        }
        for scope in more {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        Ok(scopes)
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let mut task = known_task(ground.conn, self.task).await?;
        expect_revision(Kind::Task, task.id, self.expected_revision, task.revision)?;
        let (from, to) = (task.state, next(&task, self.step.action())?);
        if self.step.barred_by_stop() {
            expect_no_stop(&task)?;
        }
        self.expect_possible(ground, &task).await?;
        task.state = to;
        task.revision = ground.revision(task.program.scope())?;
        task.suspension = None;
        match self.step.clone() {
            Step::Issue(reference) => task.order_reference = reference,
            Step::Mobilise(cover) | Step::Start(Some(cover)) | Step::Resume(Some(cover)) => {
                task.medical_cover = Some(cover);
            }
            Step::Suspend(cause) => task.suspension = Some((cause, from)),
            Step::Complete(completion) => task.completion = Some(completion),
            Step::RecordControl(control) => {
                insert_control(ground.conn, task.id, task.revision, &control).await?;
                task.quality_controls.push(control);
            }
            Step::HandOver(day) => task.handed_over_on = Some(day),
            Step::Start(None)
            | Step::Resume(None)
            | Step::Plan
            | Step::Accept
            | Step::Close
            | Step::Cancel => {}
        }
        update_progress(ground.conn, &task).await?;
        if matches!(self.step, Step::Issue(_)) {
            tell_of_stops(ground, &task).await?;
        }
        if matches!(self.step, Step::Cancel) {
            call_off(ground, task.id).await?;
        }
        record(ground, &task)
    }
}

impl TakeStep {
    /// What must hold beside the state.
    async fn expect_possible(&self, ground: &mut Ground<'_>, task: &Task) -> Result<(), Error> {
        let phrase = self.step.action().phrase();
        match &self.step {
            Step::Plan | Step::Issue(_) => {
                let places = list_places(&mut *ground.conn, &task.plan.sites).await?;
                let mut missing = missing_for_order(ground.conn, task, &places).await?;
                if let (Step::Issue(_), Some(day)) = (&self.step, task.plan.first_day) {
                    missing.extend(missing_accreditation(ground.conn, task, day).await?);
                }
                expect_ready(task, phrase, missing)
            }
            Step::Mobilise(_) | Step::Start(_) | Step::Resume(_) => self.expect_workable(ground, task).await,
            Step::Complete(of) => {
                let today = today(ground, task).await?;
                told("completion.completed_on", check_done_on(of.completed_on, today, task.begun()))
            }
            Step::RecordControl(of) => {
                let today = today(ground, task).await?;
                told("quality_control.inspected_on", check_done_on(of.inspected_on, today, task.completed()))
            }
            Step::HandOver(day) => {
                let today = today(ground, task).await?;
                told("handed_over_on", check_done_on(*day, today, task.inspected()))
            }
            Step::Accept | Step::Suspend(_) | Step::Close | Step::Cancel => Ok(()),
        }
    }

    /// Refuses work for which something is missing today. It may have been lost since the order: a site is suspended, an
    /// accreditation withdrawn, an ambulance out of use, a paramedic gone.
    async fn expect_workable(&self, ground: &mut Ground<'_>, task: &Task) -> Result<(), Error> {
        let cover = match &self.step {
            Step::Mobilise(cover) | Step::Start(Some(cover)) | Step::Resume(Some(cover)) => Some(cover),
            _ => task.medical_cover.as_ref(),
        };
        let cover = cover.ok_or_else(|| Error::bug("a mobilised task has no medical cover"))?;
        let today = today(ground, task).await?;
        let places = list_places(&mut *ground.conn, &task.plan.sites).await?;
        let mut missing = missing_ground(&places);
        missing.extend(missing_accreditation(ground.conn, task, today).await?);
        if matches!(self.step, Step::Start(_)) {
            missing.extend(missing_days(task, today));
        }
        let (is_paramedic, vehicle) = find_cover(&mut *ground.conn, task, cover, today).await?;
        missing.extend(missing_cover(cover, is_paramedic, vehicle, today, self.policy));
        expect_ready(task, self.step.action().phrase(), missing)
    }
}

fn told(field: &str, checked: Result<(), String>) -> Result<(), Error> {
    checked.map_err(|rule| Violations::one(field, rule))
}

/// The operator's accreditation by the authority of the sites on a day, if it lacks one.
async fn missing_accreditation(
    conn: &mut Connection,
    task: &Task,
    day: Date,
) -> Result<Option<String>, Error> {
    let (Some(operator), Some(activity)) = (task.plan.operator, task.plan.activity) else { return Ok(None) };
    let mut held = list_for(conn, &[operator.uuid()], Some(activity)).await?;
    held.retain(|of| counts_for(task.authority, of));
    if valid_days(&held).first_missing(Days::new(day, Some(day)).map_err(Error::bug)?).is_none() {
        return Ok(None);
    }
    Ok(Some(format!(
        "operator {operator} is not accredited for {activity} on {day}; grant or reinstate it, or name another operator"
    )))
}

/// The day on the task's first site.
pub(crate) async fn today(ground: &mut Ground<'_>, task: &Task) -> Result<Date, Error> {
    let first = task.plan.sites.get(..1).unwrap_or_default();
    let places = list_places(&mut *ground.conn, first).await?;
    let zone = places.first().and_then(|place| TimeZone::get(&place.time_zone).ok()).unwrap_or(TimeZone::UTC);
    Ok(today_in(&zone, ground.now))
}

impl App {
    /// Brings a task a step further.
    ///
    /// # Errors
    /// `Stale` when the caller knows an older state; `WrongState` out of order; `NotReady` with all that is missing;
    /// `SafetyStopped` when work is barred; `Invalid` for a day that cannot be.
    pub async fn take_step(
        &self,
        caller: &Caller,
        request: Request,
        step: TakeStep,
    ) -> Result<Changed, Error> {
        let task = self.get_task(caller, step.task, 0).await?;
        self.expect_task_doer(caller, &task, step.step.action()).await?;
        self.change(caller, request, step).await
    }
}
