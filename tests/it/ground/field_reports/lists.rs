//! Lists: the order of arrival, filters, pages.

use safelane::rpc::pb;
use safelane::store::audit::run_audit;
use sqlx::Connection as _;
use tonic::Code;

use super::rig::{Tablet, edited};
use crate::bad_input::day;
use crate::desk::reason;
use crate::harness::in_world;

impl Tablet {
    fn all(&self) -> pb::ListReportsRequest {
        let operator_id = self.works.desk.operator_id.clone();
        pb::ListReportsRequest { operator_id, ..pb::ListReportsRequest::default() }
    }

    async fn list(&self, request: pb::ListReportsRequest) -> Vec<String> {
        let (mut request, mut ids) = (request, Vec::new());
        loop {
            let page = self.service.clone().list_reports(request.clone()).await.unwrap().into_inner();
            ids.extend(page.reports.into_iter().map(|stored| stored.report.unwrap().report_id));
            if page.next_page_token.is_empty() {
                return ids;
            }
            request.page_token = page.next_page_token;
        }
    }
}

#[tokio::test]
async fn reports_are_listed_in_the_order_in_which_they_came_first() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let reports: Vec<_> = (0..25).map(|_| tablet.find()).collect();
        tablet.sync(&reports).await;
        // A new version keeps its place.
        tablet.submit(&edited(&tablet, &reports[4], 1, "again")).await.unwrap();
        let ids: Vec<_> = reports.iter().map(|report| report.report_id.clone()).collect();
        for page_size in [0, 1, 7, 25, 1_000] {
            assert_eq!(tablet.list(pb::ListReportsRequest { page_size, ..tablet.all() }).await, ids);
        }
        let first = pb::ListReportsRequest { page_size: 7, ..tablet.all() };
        let page = tablet.service.clone().list_reports(first).await.unwrap().into_inner();
        assert_eq!((page.reports[4].version, page.reports.len()), (2, 7));
        let other = pb::ListReportsRequest {
            page_token: page.next_page_token,
            kind: pb::ReportKind::Ordnance.into(),
            ..tablet.all()
        };
        let refused = tablet.service.clone().list_reports(other).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).0.as_str()),
            (Code::InvalidArgument, "PAGE_TOKEN_INVALID")
        );
    })
    .await;
}

#[tokio::test]
async fn filters_find_what_a_reviewer_looks_for() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let found = tablet.find();
        let progress = tablet.progress(400);
        let double = tablet.progress(300);
        let late = pb::FieldReport { work_date: Some(day(1998, 6, 20)), ..tablet.find() };
        tablet.sync(&[found.clone(), progress.clone(), double.clone(), late.clone()]).await;
        let all = tablet.all();
        let cases = [
            (
                pb::ListReportsRequest { kind: pb::ReportKind::Progress.into(), ..all.clone() },
                vec![&progress, &double],
            ),
            (
                pb::ListReportsRequest { state: pb::ReportState::Held.into(), ..all.clone() },
                vec![&double, &late],
            ),
            (
                pb::ListReportsRequest { hold: pb::HoldReason::PossibleDuplicate.into(), ..all.clone() },
                vec![&double],
            ),
            (pb::ListReportsRequest { worked_from: Some(day(1998, 6, 16)), ..all.clone() }, vec![&late]),
            (pb::ListReportsRequest { worked_until: Some(day(1998, 6, 14)), ..all.clone() }, vec![]),
            (pb::ListReportsRequest { team_id: crate::harness::fresh_id(), ..all.clone() }, vec![]),
            (
                pb::ListReportsRequest {
                    device_id: tablet.device.clone(),
                    task_id: tablet.task.task_id.clone(),
                    team_id: tablet.team.clone(),
                    ..all
                },
                vec![&found, &progress, &double, &late],
            ),
        ];
        for (request, expected) in cases {
            let expected: Vec<_> = expected.into_iter().map(|report| report.report_id.clone()).collect();
            assert_eq!(tablet.list(request.clone()).await, expected, "{request:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_of_large_reports_ends_early() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let mut reports = Vec::new();
        for _ in 0..24 {
            let mut large = tablet.find();
            if let Some(pb::field_report::Body::Ordnance(found)) = &mut large.body {
                found.items = vec![super::rig::item(); 500];
                for item in &mut found.items {
                    item.model = "ж".repeat(100);
                    item.position = Some(pb::Position { latitude: -19.1, longitude: 32.8, accuracy_m: 3 });
                }
            }
            reports.push(large);
        }
        for report in &reports {
            tablet.submit(report).await.unwrap();
        }
        let mut request = pb::ListReportsRequest { page_size: 1_000, ..tablet.all() };
        let (mut seen, mut pages) = (0, 0);
        loop {
            let page = tablet.service.clone().list_reports(request.clone()).await.unwrap().into_inner();
            (seen, pages) = (seen + page.reports.len(), pages + 1);
            let bytes: usize = page.reports.iter().map(prost::Message::encoded_len).sum();
            assert!(bytes < 4 * 1024 * 1024, "{bytes}");
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!((seen, pages), (reports.len(), 2));
    })
    .await;
}

#[tokio::test]
async fn the_audit_finds_reports_versions_and_numbers_that_do_not_fit() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let report = tablet.find();
        tablet.submit(&report).await.unwrap();
        tablet.submit(&edited(&tablet, &report, 1, "again")).await.unwrap();
        let mut sql = world.database.connect().await;
        let rules =
            ["a_device_has_what_it_sent", "every_version_has_its_event", "a_report_is_its_newest_version"];
        let faults = [
            "UPDATE devices SET run_lasts = ARRAY[3]",
            "UPDATE report_versions SET revision = revision + 10 WHERE version = 2",
            "UPDATE reports SET newest_version = 1",
        ];
        sqlx::raw_sql("BEGIN").execute(&mut sql).await.unwrap();
        for (index, fault) in faults.into_iter().enumerate() {
            sqlx::raw_sql(fault).execute(&mut sql).await.unwrap();
            let found = run_audit(&mut sql, None).await.unwrap();
            for (rule, expected) in rules.iter().zip((0..).map(|rule| rule <= index)) {
                assert_eq!(found.iter().any(|of| of.invariant == *rule), expected, "{rule} after {fault}");
            }
        }
        sqlx::raw_sql("ROLLBACK").execute(&mut sql).await.unwrap();
        sql.close().await.unwrap();
    })
    .await;
}
