//! `kill -9` of the service in the middle of an outbox, and going on by what the server says it has.

use std::time::Duration;

use safelane::rpc::pb;

use super::rig::{Tablet, client, hash, outbox, stored};
use crate::binary::Service;
use crate::harness::{connect, in_world};

/// How long a killed process takes to be gone.
const GONE: Duration = Duration::from_secs(10);
/// Reports of the outbox.
const REPORTS: usize = 2_000;
/// The service is killed after so many answers of each connection.
const KILLED_AFTER: usize = 150;

#[tokio::test]
async fn an_outbox_goes_on_where_the_killed_service_was() {
    in_world(async |world| {
        let tablet = Tablet::open(world).await;
        let reports: Vec<_> = (0..REPORTS).map(|_| tablet.find()).collect();
        let mut acknowledged = Vec::new();
        let mut kills = 0;
        loop {
            let mut service = Service::on(&world.database.url(), &["--log", "off"]).await;
            let mut connected = client(connect(service.address).await);
            let request = pb::GetSyncStateRequest { device_id: tablet.device.clone() };
            let state = connected.get_sync_state(request).await.unwrap().into_inner().sync_state.unwrap();
            let durable = usize::try_from(state.durable_through).unwrap();
            assert!(
                acknowledged.iter().all(|number| *number <= state.durable_through),
                "an answer was not durable"
            );
            assert_eq!(state.missing_count, 0);
            // A careful tablet sends a little that it is not sure about again.
            let rest: Vec<_> = reports[durable.saturating_sub(5)..].iter().cloned().map(outbox).collect();
            let mut answers = connected.sync_reports(tokio_stream::iter(rest)).await.unwrap().into_inner();
            let mut heard = 0;
            while let Ok(Some(answer)) = answers.message().await {
                let receipt = stored(&answer).receipt.clone().unwrap();
                let sent = &reports[usize::try_from(answer.device_sequence).unwrap() - 1];
                assert_eq!(receipt.content_sha256, hash(sent));
                acknowledged.push(answer.device_sequence);
                heard += 1;
                if heard == KILLED_AFTER && kills < 5 {
                    service.signal("KILL");
                    kills += 1;
                }
            }
            let done = acknowledged.contains(&i64::try_from(REPORTS).unwrap());
            if done {
                drop((answers, connected));
                service.signal("TERM");
            }
            service.ended(GONE).await;
            if done {
                break;
            }
        }
        assert!(2 <= kills, "{kills} kills");
        assert_eq!(Tablet::count(world).await, i64::try_from(REPORTS).unwrap());
        let state = tablet.state().await;
        assert_eq!((state.durable_through, state.missing_count), (i64::try_from(REPORTS).unwrap(), 0));
        for report in reports.iter().step_by(100) {
            assert_eq!(tablet.get(&report.report_id, 0).await.report.as_ref(), Some(report));
        }
    })
    .await;
}
