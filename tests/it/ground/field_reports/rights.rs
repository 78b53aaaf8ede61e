//! Who may send and see what.

use safelane::rpc::pb;
use tonic::Code;

use super::rig::{Tablet, client, outcome, reasons};
use crate::desk::reason;
use crate::expect::refuses;
use crate::gate::Gate;
use crate::ground::teams::organization;
use crate::harness::{fresh_id, in_world};

#[tokio::test]
async fn teams_report_to_their_operator_and_others_neither_send_nor_see() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let gate = Gate::open(world).await;
        let mut service = gate.server.field_reports();
        let own = tablet.works.desk.operator_id.clone();
        let stranger = organization(world, pb::OrganizationKind::Operator, "OTHER", "ZW").await;
        let report = tablet.find();
        let message = pb::SubmitReportRequest { report: Some(report.clone()), sent: None };
        for role in ["funder", "auditor"] {
            let refused = service.submit_report(gate.sent(role, &own, message.clone())).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{role}");
        }
        let office = tablet.works.desk.office_id.clone();
        let refused =
            service.submit_report(gate.sent("coordinator", &office, message.clone())).await.unwrap_err();
        assert_eq!(reason(&refused).0, "WRONG_ORGANIZATION_KIND");
        let answer =
            service.submit_report(gate.sent("field", &own, message.clone())).await.unwrap().into_inner();
        assert_eq!(outcome(&answer), "STORED");
        // The same report from somebody else's tablet is no retry.
        let facts = [("kind", "report"), ("id", &*report.report_id), ("differs", "report.team_id")];
        let taken = service.submit_report(gate.sent("field", &stranger, message)).await;
        refuses(taken.map(|_| ()), Code::AlreadyExists, "ID_TAKEN", &facts);

        let get = pb::GetReportRequest { report_id: report.report_id.clone(), version: 0, min_revision: 0 };
        let list = pb::ListReportsRequest { operator_id: own.clone(), ..Default::default() };
        let authority = tablet.works.authority_id.clone();
        for (role, of) in [
            ("field", &own),
            ("coordinator", &own),
            ("coordinator", &office),
            ("coordinator", &authority),
            ("auditor", &own),
        ] {
            let read = service.get_report(gate.sent(role, of, get.clone())).await.unwrap().into_inner();
            assert_eq!(read.report.unwrap().received_by, "field", "{role}");
            let listed = service.list_reports(gate.sent(role, of, list.clone())).await.unwrap().into_inner();
            assert_eq!(listed.reports.len(), 1, "{role}");
        }
        for role in ["field", "coordinator"] {
            let facts = [("kind", "report"), ("id", &*report.report_id)];
            let hidden = service.get_report(gate.sent(role, &stranger, get.clone())).await;
            refuses(hidden.map(|_| ()), Code::NotFound, "NOT_FOUND", &facts);
            let facts = [("kind", "organization"), ("id", &*own)];
            let hidden = service.list_reports(gate.sent(role, &stranger, list.clone())).await;
            refuses(hidden.map(|_| ()), Code::NotFound, "NOT_FOUND", &facts);
        }
        let state = pb::GetSyncStateRequest { device_id: tablet.device.clone() };
        for (of, through) in [(&own, 1), (&stranger, 0)] {
            let told =
                service.get_sync_state(gate.sent("field", of, state.clone())).await.unwrap().into_inner();
            assert_eq!(told.sync_state.unwrap().durable_through, through);
        }
        drop(service);
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_team_of_another_operator_is_held_and_an_administrator_reports_for_whichever_team_is_named() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let gate = Gate::open(world).await;
        let mut service = gate.server.field_reports();
        let stranger = organization(world, pb::OrganizationKind::Operator, "OTHER", "ZW").await;
        let report = tablet.find();
        let message = pb::SubmitReportRequest { report: Some(report), sent: None };
        let answer =
            service.submit_report(gate.sent("field", &stranger, message)).await.unwrap().into_inner();
        assert_eq!(
            (outcome(&answer), reasons(&answer.holds)),
            ("HELD", vec!["UNKNOWN_TEAM", "UNKNOWN_TASK"])
        );
        // Its numbering there is not its numbering here.
        let again = pb::FieldReport { report_id: fresh_id(), device_sequence: 1, ..tablet.find() };
        let by_admin = super::rig::submit(&client(world.channel()), &again).await.unwrap();
        assert_eq!(outcome(&by_admin), "STORED");
        let team_id = fresh_id();
        let nobodys = pb::FieldReport { team_id: team_id.clone(), ..tablet.find() };
        let facts = [("kind", "team"), ("id", &*team_id)];
        refuses(tablet.submit(&nobodys).await, Code::NotFound, "NOT_FOUND", &facts);
        drop(service);
        gate.server.finish().await;
    })
    .await;
}
