//! `GetBudgetReport`: figures of now and of every moment before.

use std::collections::BTreeMap;

use safelane::rpc::pb;
use safelane::rpc::pb::get_budget_report_request::AsOf;
use tonic::{Code, Status};

use crate::desk::{Desk, bad_fields, reason};
use crate::following::live_a_busy_year;
use crate::harness::{START, World, in_world};

fn asked(desk: &Desk) -> pb::GetBudgetReportRequest {
    pb::GetBudgetReportRequest { program_id: desk.program_id.clone(), ..Default::default() }
}

async fn get(world: &World, request: pb::GetBudgetReportRequest) -> Result<pb::BudgetReport, Status> {
    let answer = world.reports().get_budget_report(request).await?;
    Ok(answer.into_inner().report.expect("a report"))
}

fn codes(report: &pb::BudgetReport) -> Vec<&str> {
    report.rows.iter().map(|row| row.code.as_str()).collect()
}

/// The equation of the totals, and that they are the sums of the rows.
fn assert_sums(report: &pb::BudgetReport) {
    let sum = |bucket: fn(&pb::Buckets) -> i64| -> i64 {
        report.rows.iter().map(|row| bucket(row.buckets.as_ref().expect("buckets"))).sum()
    };
    let totals = report.totals.clone().expect("totals");
    assert_eq!(totals.available, sum(|row| row.available));
    assert_eq!(totals.reserved, sum(|row| row.reserved));
    assert_eq!(totals.obligated, sum(|row| row.obligated));
    assert_eq!(totals.advanced, sum(|row| row.advanced));
    assert_eq!(totals.expended, sum(|row| row.expended));
    let parts = totals.available + totals.reserved + totals.obligated + totals.advanced + totals.expended;
    assert_eq!(totals.received, parts);
    let open: i32 = report.rows.iter().map(|row| row.open_obligations).sum();
    assert_eq!(totals.open_obligations, open);
}

#[tokio::test]
async fn totals_are_the_sums_of_the_rows_at_every_depth() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        live_a_busy_year(&desk, async |_| {}).await;
        let all = get(world, asked(&desk)).await.unwrap();
        assert_sums(&all);
        assert_eq!(all.totals.expect("totals").received, 8_500_001_000);
        assert_eq!((all.currency_code.as_str(), all.minor_unit_exponent), ("USD", 2));
        let one = pb::GetBudgetReportRequest { period_id: desk.period_id.clone(), ..asked(&desk) };
        let period = get(world, one.clone()).await.unwrap();
        assert_sums(&period);
        assert_eq!(period.totals.clone().expect("totals").received, 8_500_000_000);
        for (depth, shown) in [
            (0, vec!["FY1998"]),
            (1, vec!["FY1998", "A", "B", "C"]),
            (2, vec!["FY1998", "A", "A1", "A2", "A3", "B", "C"]),
            (64, vec!["FY1998", "A", "A1", "T1", "A2", "A3", "B", "C"]),
        ] {
            let cut = pb::GetBudgetReportRequest { max_depth: Some(depth), ..one.clone() };
            let cut = get(world, cut).await.unwrap();
            let mut found = codes(&cut);
            let mut wanted = shown;
            found.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(found[..found.len().min(wanted.len())], wanted, "depth {depth}");
            assert_eq!(found.len(), wanted.len());
            assert_eq!(cut.totals, period.totals, "what the depth hides is counted");
            for (place, row) in cut.rows.iter().enumerate() {
                let above = cut.rows[..place].iter().any(|above| above.allocation_id == row.parent_id);
                assert!(above || row.parent_id.is_empty(), "{} comes before its parent", row.code);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_subtree_counts_what_its_top_received() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        live_a_busy_year(&desk, async |_| {}).await;
        let below = pb::GetBudgetReportRequest { allocation_id: desk.node("A1"), ..asked(&desk) };
        let report = get(world, below.clone()).await.unwrap();
        assert_eq!(codes(&report), ["A1", "T1"]);
        assert_eq!(report.totals.clone().expect("totals").received, 1_200_000_000);
        assert_sums(&report);
        let top = pb::GetBudgetReportRequest { max_depth: Some(0), ..below };
        let top = get(world, top).await.unwrap();
        assert_eq!((codes(&top), top.totals.clone()), (vec!["A1"], report.totals));
    })
    .await;
}

#[tokio::test]
async fn a_profile_renames_the_columns_and_nothing_else() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let plain = get(world, asked(&desk)).await.unwrap();
        let buckets: Vec<_> = plain.columns.iter().map(|column| column.bucket.clone()).collect();
        let mut seen = vec![plain.columns.clone()];
        for profile in [pb::ReportProfile::UsFederal, pb::ReportProfile::Iati, pb::ReportProfile::Fts] {
            let request = pb::GetBudgetReportRequest { profile: profile.into(), ..asked(&desk) };
            let named = get(world, request).await.unwrap();
            assert_eq!(buckets, named.columns.iter().map(|column| column.bucket.clone()).collect::<Vec<_>>());
            assert!(named.columns.iter().all(|column| !column.label.is_empty()));
            assert!(!seen.contains(&named.columns), "{profile:?} has words of its own");
            seen.push(named.columns.clone());
            assert_eq!(pb::BudgetReport { columns: plain.columns.clone(), ..named }, plain);
        }
    })
    .await;
}

/// What waits for a decision is known of the present only.
fn without_provisional(report: &pb::BudgetReport) -> pb::BudgetReport {
    let mut report = report.clone();
    for row in &mut report.rows {
        row.provisional = None;
    }
    if let Some(totals) = &mut report.totals {
        totals.provisional = None;
    }
    report
}

#[tokio::test]
async fn every_revision_reports_what_it_reported_then() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let mut past: BTreeMap<i64, [pb::BudgetReport; 3]> = BTreeMap::new();
        let scopes = [
            asked(&desk),
            pb::GetBudgetReportRequest { period_id: desk.period_id.clone(), ..asked(&desk) },
            pb::GetBudgetReportRequest { allocation_id: desk.node("A"), ..asked(&desk) },
        ];
        let record = async || {
            let [all, period, top] = scopes.clone().map(|scope| get(world, scope));
            [all.await.unwrap(), period.await.unwrap(), top.await.unwrap()]
        };
        past.insert(7, record().await);
        live_a_busy_year(&desk, async |revision| {
            let second = 10 + revision;
            world.clock.set(&format!("1998-06-15T12:00:{second}Z"));
            past.insert(revision, record().await);
        })
        .await;
        for (revision, then) in &past {
            for (scope, report) in scopes.iter().zip(then) {
                assert_eq!(report.revision, *revision);
                let as_of = Some(AsOf::AsOfRevision(*revision));
                let again = get(world, pb::GetBudgetReportRequest { as_of, ..scope.clone() }).await.unwrap();
                assert_eq!(without_provisional(&again), without_provisional(report), "revision {revision}");
            }
        }
        // Before the period, before its allocations.
        for (revision, rows) in [(1, 0), (2, 1), (3, 2)] {
            let as_of = Some(AsOf::AsOfRevision(revision));
            let young = get(world, pb::GetBudgetReportRequest { as_of, ..asked(&desk) }).await.unwrap();
            assert_eq!((young.revision, young.rows.len()), (revision, rows));
        }
    })
    .await;
}

#[tokio::test]
async fn a_date_reports_what_was_recorded_by_its_end() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        for (instant, cents) in [
            ("1998-06-15T23:59:59Z", 100),
            ("1998-06-16T00:00:00Z", 20),
            ("1998-06-16T23:59:59.999999Z", 3),
            ("1998-06-18T12:00:00Z", 4000),
        ] {
            world.clock.set(instant);
            desk.post(desk.authorize(cents)).await.unwrap();
        }
        let received = async |day| {
            let as_of = Some(AsOf::AsOfDate(pb::Date { year: 1998, month: 6, day }));
            let report = get(world, pb::GetBudgetReportRequest { as_of, ..asked(&desk) }).await.unwrap();
            (report.revision, report.totals.clone().expect("totals").received, report.rows.len())
        };
        assert_eq!(received(14).await, (0, 0, 0));
        assert_eq!(received(15).await, (8, 100, 6));
        assert_eq!(received(16).await, (10, 123, 6));
        assert_eq!(received(17).await, (10, 123, 6));
        assert_eq!(received(18).await, (11, 4123, 6));
        assert_eq!(received(30).await, (11, 4123, 6));
        world.clock.set(START);
    })
    .await;
}

#[tokio::test]
async fn a_moment_that_cannot_be_is_refused() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        for revision in [0, -1, i64::MIN] {
            let as_of = Some(AsOf::AsOfRevision(revision));
            let refused = get(world, pb::GetBudgetReportRequest { as_of, ..asked(&desk) }).await.unwrap_err();
            assert_eq!(bad_fields(&refused), ["as_of_revision"]);
        }
        for revision in [8, i64::MAX] {
            let as_of = Some(AsOf::AsOfRevision(revision));
            let refused = get(world, pb::GetBudgetReportRequest { as_of, ..asked(&desk) }).await.unwrap_err();
            assert_eq!(refused.code(), Code::FailedPrecondition);
            let (name, facts) = reason(&refused);
            assert_eq!((name.as_str(), facts["revision"].as_str()), ("REVISION_AHEAD", "7"));
        }
        for (year, month, day) in [(1998, 2, 30), (0, 0, 0), (i32::MAX, 1, 1)] {
            let as_of = Some(AsOf::AsOfDate(pb::Date { year, month, day }));
            let refused = get(world, pb::GetBudgetReportRequest { as_of, ..asked(&desk) }).await.unwrap_err();
            assert_eq!(bad_fields(&refused), ["as_of_date"]);
        }
        let deep = pb::GetBudgetReportRequest { max_depth: Some(-1), ..asked(&desk) };
        assert_eq!(bad_fields(&get(world, deep).await.unwrap_err()), ["max_depth"]);
    })
    .await;
}

#[tokio::test]
async fn a_report_waits_for_the_revision_that_its_reader_has_written() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let replica = world.replica().await;
        let waiting = get(world, pb::GetBudgetReportRequest { min_revision: 8, ..asked(&desk) });
        let written = async {
            let entry = Some(desk.entry(desk.authorize(100)));
            replica.funding().post_entry(pb::PostEntryRequest { entry }).await.unwrap();
        };
        let (report, ()) = tokio::join!(waiting, written);
        assert_eq!(report.unwrap().totals.expect("totals").received, 100);
        let mut impatient =
            tonic::Request::new(pb::GetBudgetReportRequest { min_revision: 9, ..asked(&desk) });
        impatient.set_timeout(std::time::Duration::from_millis(100));
        let refused = world.reports().get_budget_report(impatient).await.unwrap_err();
        assert!(matches!(refused.code(), Code::DeadlineExceeded | Code::Cancelled), "{refused}");
        replica.finish().await;
    })
    .await;
}
