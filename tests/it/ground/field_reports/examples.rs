//! The examples for app builders run against a service, which then has what they sent.

use std::net::SocketAddr;
use std::path::Path;

use safelane::rpc::pb;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::devices::download;
use super::older_service::Older;
use super::review::{Board, give_back};
use crate::binary::{output, text};
use crate::ground::tasks::Works;
use crate::harness::{World, in_world};
use crate::python::{generate, interpreter};

/// More than two chunks, and no whole number of them.
const PHOTO_BYTES: usize = 150_001;

/// A team to report for, and the photo that it took.
struct Shoot {
    board: Board,
    photo: Vec<u8>,
    folder: tempfile::TempDir,
}

impl Shoot {
    async fn open(world: &World) -> Self {
        let mut photo = b"\xFF\xD8\xFF\xE0".to_vec();
        photo.extend((0..PHOTO_BYTES - photo.len()).map(|place| u8::try_from(place % 251).unwrap()));
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("lane.jpg"), &photo).expect("it is written");
        Self { board: Board::open(world).await, photo, folder }
    }

    /// A report of the team that a reviewer returned with a remark.
    async fn returned(&self) -> String {
        let id = self.board.sent(self.board.tablet.find()).await;
        let remark = give_back("ordnance.items[0].model", "Say which model it was");
        self.board.decide(self.board.office(), &id, remark).await.expect("it is returned");
        id
    }

    fn photo_path(&self) -> String {
        self.folder.path().join("lane.jpg").to_str().expect("text").to_owned()
    }

    /// Runs an example, and checks what it saw and what the service has now.
    async fn check(&self, command: Command) {
        let done = output(command).await;
        assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
        let saw: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        let part = |name: &str| saw[name].clone();
        assert_eq!(
            (part("stored"), part("partly"), part("refused")),
            (json!(4), json!(0), json!(0)),
            "{saw}"
        );
        assert_eq!((part("durable_through"), part("gaps")), (json!(3), json!([[4, 4]])), "{saw}");
        assert_eq!((part("half"), part("present")), (json!(131_072), json!(true)), "{saw}");
        let remarks = json!([["ordnance.items[0].model", "Say which model it was"]]);
        assert_eq!(part("remarks"), remarks, "{saw}");
        let stored = self.board.tablet.get(saw["report_id"].as_str().expect("text"), 0).await;
        assert_eq!((stored.complete, stored.reference.as_str()), (true, saw["reference"].as_str().unwrap()));
        assert_eq!(stored.state(), pb::ReportState::Received);
        let sha256 = Sha256::digest(&self.photo);
        assert_eq!(stored.attachments[0].sha256, sha256.as_slice());
        assert_eq!(download(&self.board.tablet, &stored, 0).await, self.photo);
        let request = pb::GetSyncStateRequest { device_id: saw["device_id"].as_str().unwrap().to_owned() };
        let state = self.board.tablet.service.clone().get_sync_state(request).await.unwrap().into_inner();
        let state = state.sync_state.expect("a state");
        assert_eq!((state.durable_through, state.missing_count), (6, 0));
    }
}

/// Runs an example against a service that drops the notes of its reports, and checks that it takes none for stored, and
/// that none of them keeps the others waiting.
async fn check_in_part(command: Command) {
    let done = output(command).await;
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
    let saw: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let counts = (&saw["stored"], &saw["partly"], &saw["refused"], &saw["present"]);
    assert_eq!(counts, (&json!(0), &json!(5), &json!(0), &json!(true)), "{saw}");
}

/// The database fails twice at the outbox: once as one that is shut down, and once by a fault. Neither is a refusal of what
/// is in it.
async fn fail_twice(world: &World) {
    let statement = "
        CREATE SEQUENCE failures;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE attempt bigint := nextval('failures');
        BEGIN
            IF attempt = 1 THEN RAISE EXCEPTION 'it is shut down' USING ERRCODE = '57P01'; END IF;
            IF attempt = 2 THEN RAISE EXCEPTION 'it is broken'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER fails BEFORE INSERT ON report_versions FOR EACH ROW
          WHEN (position('number 1'::bytea IN NEW.content) <> 0) EXECUTE FUNCTION fail()";
    Works::run(world, statement.to_owned()).await;
}

/// How often it was to fail, and did or did not.
async fn attempts(world: &World) -> i64 {
    let mut conn = world.database.connect().await;
    let last =
        sqlx::query_scalar("SELECT last_value FROM failures").fetch_one(&mut conn).await.expect("a number");
    sqlx::raw_sql("DROP TRIGGER fails ON report_versions; DROP FUNCTION fail; DROP SEQUENCE failures")
        .execute(&mut conn)
        .await
        .expect("it is dropped");
    last
}

#[tokio::test]
async fn the_python_example_leaves_the_service_with_what_it_sent() {
    let (python, code) = (interpreter(), tempfile::tempdir().expect("a folder"));
    generate(&python, code.path()).await;
    in_world(async |world| {
        let shoot = Shoot::open(world).await;
        let tablet = &shoot.board.tablet;
        let ids = json!({ "team_id": tablet.team, "task_id": tablet.task.task_id, "site_id": tablet.site(),
            "photo": shoot.photo_path(), "returned": shoot.returned().await });
        let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python/field_client.py");
        let command = |address: SocketAddr| {
            let mut command = Command::new(&python);
            command.arg(&client).arg(address.to_string()).arg(ids.to_string());
            command.env("PYTHONPATH", code.path()).kill_on_drop(true);
            command
        };
        fail_twice(world).await;
        shoot.check(command(world.address)).await;
        assert_eq!(attempts(world).await, 3);
        let older = Older::before(world.address).await;
        check_in_part(command(older.address)).await;
        shoot.board.finish().await;
    })
    .await;
}

#[tokio::test]
async fn the_typescript_example_leaves_the_service_with_what_it_sent() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let client = root.join("examples/typescript/built/field_client.js");
    assert!(client.is_file(), "the TypeScript example is not built: run `make test`, which builds it");
    in_world(async |world| {
        let shoot = Shoot::open(world).await;
        let tablet = &shoot.board.tablet;
        let ids = json!({ "teamId": tablet.team, "taskId": tablet.task.task_id, "siteId": tablet.site(),
            "photo": shoot.photo_path(), "returned": shoot.returned().await });
        let command = |address: SocketAddr| {
            let mut command = Command::new("node");
            command.arg(&client).arg(root.join("proto")).arg(address.to_string()).arg(ids.to_string());
            command.kill_on_drop(true);
            command
        };
        fail_twice(world).await;
        shoot.check(command(world.address)).await;
        assert_eq!(attempts(world).await, 3);
        let older = Older::before(world.address).await;
        check_in_part(command(older.address)).await;
        shoot.board.finish().await;
    })
    .await;
}
