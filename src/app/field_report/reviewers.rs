//! Who reviews a report: coordinators of those whom it concerns. Who may book something by hand approves it.

use crate::app::App;
use crate::app::rights::is_of;
use crate::domain::caller::{Caller, Role};
use crate::domain::field_report::FieldReport;
use crate::domain::field_report::filing::KnownReport;
use crate::domain::field_report::review::Decision;
use crate::domain::ids::OrganizationId;
use crate::error::Error;
use crate::store::funding::find_program;
use crate::store::task::find_task;

/// Those whom a report concerns beside its operator: the office that pays and the authority of the land. Nobody when its
/// task was not ordered from the operator.
#[derive(Debug, Clone, Copy, Default)]
struct Concerned {
    office: Option<OrganizationId>,
    authority: Option<OrganizationId>,
}

/// What a decision moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moves {
    /// The ledger of the land.
    Land,
    /// The ledger of the money.
    Money,
    /// Figures of a task.
    Figures,
    /// Nothing of a program.
    Nothing,
}

impl App {
    /// Refuses who may not decide that about a report. `judged` are the versions that the decision makes count, or ends.
    pub(super) async fn expect_reviewer(
        &self,
        caller: &Caller,
        report: &KnownReport,
        (decision, judged): (&Decision, &[FieldReport]),
    ) -> Result<(), Error> {
        if caller.role() == Role::Admin {
            return Ok(());
        }
        let Concerned { office, authority } = self.concerned(report).await?;
        let counts = matches!(decision, Decision::Approve(_) | Decision::Void(_));
        let allowed = match moves(report, judged) {
            _ if !counts => vec![Some(report.operator), office, authority],
            Moves::Land => vec![authority],
            Moves::Money => vec![office],
            Moves::Figures => vec![office, authority],
            Moves::Nothing => vec![Some(report.operator)],
        };
        let is_one = allowed.into_iter().flatten().any(|party| is_of(caller, party));
        if is_one { Ok(()) } else { Err(Error::Forbidden) }
    }

    async fn concerned(&self, report: &KnownReport) -> Result<Concerned, Error> {
        let (Some(program), Some(task)) = (report.program, report.task) else {
            return Ok(Concerned::default());
        };
        let program = find_program(self.store.pool(), program).await?;
        let task = find_task(self.store.pool(), task).await?;
        Ok(Concerned {
            office: program.map(|program| program.office),
            authority: task.and_then(|task| task.authority),
        })
    }
}

fn moves(report: &KnownReport, judged: &[FieldReport]) -> Moves {
    if report.program.is_none() {
        return Moves::Nothing;
    }
    if judged.iter().any(|version| version.claims.expense.is_some()) {
        return Moves::Money;
    }
    if judged.iter().any(|version| !version.claims.areas.is_empty()) { Moves::Land } else { Moves::Figures }
}
