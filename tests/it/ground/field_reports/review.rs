//! Reviews: who decides what, what an approval moves, and that it moves all of it or nothing.

mod amendments;
mod claims;
mod feed;
mod figures;
mod land;
mod races;
mod restatement;
mod rights;
mod twice;

use safelane::rpc::pb;
use safelane::rpc::pb::review_report_request::Decision;
use tonic::Status;

use super::rig::Tablet;
use crate::gate::Gate;
use crate::harness::{World, fresh_id};

/// A tablet, and reviewers with tokens of their own. What the tablet sends, nobody here sent.
pub(super) struct Board {
    pub(super) tablet: Tablet,
    pub(super) gate: Gate,
}

impl Board {
    pub(super) async fn open(world: &World) -> Self {
        let tablet = Box::pin(Tablet::open(world)).await;
        tablet.works.desk.fund().await;
        Self { tablet, gate: Box::pin(Gate::open(world)).await }
    }

    pub(super) fn authority(&self) -> &str {
        &self.tablet.works.authority_id
    }

    pub(super) fn office(&self) -> &str {
        &self.tablet.works.desk.office_id
    }

    /// Stores a report of which nothing is held.
    pub(super) async fn sent(&self, report: pb::FieldReport) -> String {
        let answer = self.tablet.submit(&report).await.expect("it is stored");
        assert_eq!(answer.holds, [], "nothing holds it");
        report.report_id
    }

    /// A request that decides about a report as it is now.
    pub(super) async fn request(&self, report: &str, decision: Decision) -> pb::ReviewReportRequest {
        let now = self.tablet.get(report, 0).await;
        pb::ReviewReportRequest {
            request_id: fresh_id(),
            report_id: report.to_owned(),
            version: now.version,
            expected_revision: now.revision,
            decision: Some(decision),
        }
    }

    /// Lets a coordinator of an organization decide.
    pub(super) async fn decide(
        &self,
        organization: &str,
        report: &str,
        decision: Decision,
    ) -> Result<pb::ReviewReportResponse, Status> {
        let request = self.request(report, decision).await;
        self.ask(organization, request).await
    }

    pub(super) async fn ask(
        &self,
        organization: &str,
        request: pb::ReviewReportRequest,
    ) -> Result<pb::ReviewReportResponse, Status> {
        let request = self.gate.sent("coordinator", organization, request);
        Ok(self.gate.server.field_reports().review_report(request).await?.into_inner())
    }

    /// Lets the authority approve.
    pub(super) async fn approve(&self, report: &str) -> Result<pb::ReportReview, Status> {
        Ok(self.decide(self.authority(), report, approve()).await?.review.expect("a review"))
    }

    pub(super) async fn void(&self, organization: &str, report: &str) -> Result<pb::ReportReview, Status> {
        let request = pb::VoidReportRequest {
            request_id: fresh_id(),
            report_id: report.to_owned(),
            expected_revision: self.tablet.get(report, 0).await.revision,
            reason: "the photo shows another place".to_owned(),
        };
        let request = self.gate.sent("coordinator", organization, request);
        let answer = self.gate.server.field_reports().void_report(request).await?.into_inner();
        Ok(answer.review.expect("a review"))
    }

    pub(super) async fn state(&self, report: &str) -> pb::ReportState {
        self.tablet.get(report, 0).await.state()
    }

    /// What is left of the tablet's site.
    pub(super) async fn site(&self, world: &World) -> pb::Site {
        let request = pb::GetSiteRequest { site_id: self.tablet.site(), min_revision: 0 };
        world.sites().get_site(request).await.expect("it is there").into_inner().site.unwrap()
    }

    pub(super) async fn task(&self) -> pb::Task {
        self.tablet.works.get(&self.tablet.task.task_id).await
    }

    /// The report row of the allocation that pays for the task.
    pub(super) async fn row(&self, world: &World, as_of_revision: i64) -> Box<pb::BudgetReportRow> {
        let as_of = (as_of_revision != 0)
            .then_some(pb::get_budget_report_request::AsOf::AsOfRevision(as_of_revision));
        let request = pb::GetBudgetReportRequest {
            program_id: self.tablet.works.desk.program_id.clone(),
            as_of,
            ..pb::GetBudgetReportRequest::default()
        };
        let report =
            world.reports().get_budget_report(request).await.expect("a report").into_inner().report.unwrap();
        Box::new(report.rows.into_iter().find(|row| row.code == "T1").expect("the row of the task"))
    }

    pub(super) async fn finish(self) {
        let Self { tablet, gate } = self;
        drop(tablet);
        gate.server.finish().await;
    }
}

pub(super) fn approve() -> Decision {
    Decision::Approve(pb::ReviewApproval { looked_past: String::new() })
}

pub(super) fn look_past(reason: &str) -> Decision {
    Decision::Approve(pb::ReviewApproval { looked_past: reason.to_owned() })
}

pub(super) fn take() -> Decision {
    Decision::Take(pb::ReviewTake {})
}

pub(super) fn reject() -> Decision {
    Decision::Reject(pb::ReviewRejection { reason: "nobody worked there that day".to_owned() })
}

pub(super) fn give_back(field: &str, text: &str) -> Decision {
    let remarks = vec![pb::Remark { field: field.to_owned(), text: text.to_owned() }];
    Decision::Return(pb::ReviewReturn { remarks })
}
