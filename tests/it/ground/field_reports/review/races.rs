//! Reviewers at the same moment, and money that moves meanwhile.

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use tonic::Code;

use super::claims::receipt;
use super::{Board, approve};
use crate::harness::{fresh_id, in_world};

#[tokio::test]
async fn of_many_approvals_of_one_report_exactly_one_counts() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let report = board.sent(board.tablet.progress(200)).await;
        let read = board.request(&report, approve()).await;
        let requests = (0..6).map(|_| {
            let request = pb::ReviewReportRequest { request_id: fresh_id(), ..read.clone() };
            let request = board.gate.sent("coordinator", board.authority(), request);
            let mut service = board.gate.server.field_reports();
            tokio::spawn(async move { service.review_report(request).await })
        });
        let requests: Vec<_> = requests.collect();
        let mut approved = 0;
        for request in requests {
            match request.await.unwrap() {
                Ok(_) => approved += 1,
                Err(refused) => assert_eq!(refused.code(), Code::Aborted, "{refused}"),
            }
        }
        assert_eq!(approved, 1);
        assert_eq!(board.site(world).await.area_m2, 9_800);
        board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn claims_that_together_exceed_the_allocation_are_paid_as_far_as_it_goes_while_others_post() {
    in_world(async |world| {
        let board = Board::open(world).await;
        let mut reports = Vec::new();
        for number in 0..8 {
            let body = receipt(&format!("R-{number}"), 8_000_000);
            reports.push(board.sent(board.tablet.report(body)).await);
        }
        let desk = &board.tablet.works.desk;
        let mut funding = desk.funding.clone();
        let entries: Vec<_> = (0..40).map(|_| desk.entry(Action::Expend(desk.expend("T1", 1)))).collect();
        let posting = tokio::spawn(async move {
            let mut booked = 0;
            for entry in entries {
                let request = pb::PostEntryRequest { entry: Some(entry) };
                booked += i64::from(funding.post_entry(request).await.is_ok());
            }
            booked
        });
        let mut approving = Vec::new();
        for report in &reports {
            let request = board.request(report, approve()).await;
            let request = board.gate.sent("coordinator", board.office(), request);
            let mut service = board.gate.server.field_reports();
            approving.push(tokio::spawn(async move { service.review_report(request).await }));
        }
        let mut paid = 0;
        for approval in approving {
            match approval.await.unwrap() {
                Ok(_) => paid += 1,
                Err(refused) => assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}"),
            }
        }
        let booked = posting.await.unwrap();
        // Five fill the allocation, unless a cent was spent before.
        let buckets = desk.buckets("T1").await;
        assert_eq!(buckets.expended, paid * 8_000_000 + booked);
        assert!((4..=5).contains(&paid), "{paid} of 8 were paid");
        let verdict = pb::VerifyLedgerRequest { program_id: desk.program_id.clone() };
        let mut told = desk.funding.clone().verify_ledger(verdict).await.unwrap().into_inner();
        let mut holds = false;
        while let Some(message) = told.message().await.unwrap() {
            if let Some(pb::verify_ledger_response::Message::Verdict(verdict)) = message.message {
                holds = verdict.holds;
            }
        }
        assert!(holds, "the ledger is what its journal says");
        board.finish().await;
    })
    .await;
}
