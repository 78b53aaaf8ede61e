//! The command line: what it refuses and how it says so, and that every command works.

use std::process::Output;
use std::time::Duration;

use safelane::rpc::pb;
use safelane::rpc::pb::organization_service_client::OrganizationServiceClient;
use tokio::process::Command;

use crate::binary::{DataDir, Service, output, safelane, text};
use crate::desk::Desk;
use crate::harness::{TestDatabase, connect, fresh_id, in_world};

const SOON: Duration = Duration::from_secs(15);

/// The one line by which a command fails.
async fn refusal(command: Command) -> String {
    let done = output(command).await;
    let said = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert_eq!(text(&done.stdout), "");
    assert_eq!(said.lines().count(), 1, "{said}");
    said.strip_prefix("safelane: ").unwrap_or_else(|| panic!("not told by the command: {said}")).to_owned()
}

#[tokio::test]
async fn a_bad_setting_is_told_in_one_line_before_anything_starts() {
    let place = DataDir::new();
    for (flag, value, allowed) in [
        ("--listen", "here", "127.0.0.1:50051"),
        ("--listen", "0.0.0.0:0", "loopback"),
        ("--log", "safelane=[", "warn"),
        ("--log-format", "xml", "human or json"),
        ("--trace-sample-ppm", "1000001", "from 0 to 1000000"),
        ("--drain-deadline", "soon", "from 1s to 300s"),
        ("--drain-deadline", "0s", "from 1s to 300s"),
        ("--drain-wait", "61s", "from 0s to 60s"),
        ("--reflection", "maybe", "on or off"),
        ("--connections", "1", "from 2 to 500"),
        ("--database-url", "mysql://me:hunter2@host/db", "postgres://"),
        ("--database-url", "postgres://me:hunter2@host:port/db", "postgres://"),
    ] {
        let data_dir = format!("{}/data", place.arg());
        let told = refusal(safelane(&["serve", flag, value, "--data-dir", &data_dir])).await;
        assert!(told.starts_with(flag), "{told}");
        assert!(told.contains(allowed), "{allowed:?} is missing in: {told}");
        assert!(!told.contains("hunter2"), "{told}");
        assert!(told.contains(value) || flag == "--database-url", "{value:?} is missing in: {told}");
        assert!(!std::path::Path::new(&data_dir).exists(), "{flag} is looked at before the database starts");
    }
}

#[tokio::test]
async fn a_port_in_use_and_missing_keys_are_told_in_one_line() {
    let database = TestDatabase::create().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, value) in [("--listen", address.as_str()), ("--jwks-file", "/no/such/keys.json")] {
        let mut command = safelane(&["serve", flag, value]);
        command.env("DATABASE_URL", database.url());
        let told = refusal(command).await;
        assert!(told.contains(flag) && told.contains(value), "{told}");
    }
    database.drop().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_without_its_password() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for command in ["serve", "migrate", "audit"] {
        let mut command = safelane(&[command]);
        command.env("DATABASE_URL", format!("postgres://me:hunter2@{closed}/db"));
        let told = refusal(command).await;
        assert!(!told.contains("hunter2"), "{told}");
        assert!(told.contains("database") || told.contains("audit"), "{told}");
    }
}

#[tokio::test]
async fn a_service_needs_the_schema_of_its_binary() {
    let database = TestDatabase::create_empty().await;
    let with_url = |arguments: &[&str]| {
        let mut command = safelane(arguments);
        command.env("DATABASE_URL", database.url());
        command
    };
    let told = refusal(with_url(&["serve"])).await;
    assert!(told.contains("13 migrations") && told.contains("safelane migrate"), "{told}");
    let migrated = output(with_url(&["migrate", "--log", "error"])).await;
    assert!(migrated.status.success(), "{}", text(&migrated.stderr));
    assert!(text(&migrated.stdout).starts_with("13 migrations applied"));
    let again = output(with_url(&["migrate", "--log", "error"])).await;
    assert!(text(&again.stdout).starts_with("0 migrations applied"));
    let mut service = Service::on(&database.url(), &[]).await;
    service.signal("TERM");
    assert_eq!(service.ended(SOON).await.code(), Some(0), "{}", service.errors());
    sqlx::raw_sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of the future', TRUE, '', 0)",
    )
    .execute(&mut database.connect().await)
    .await
    .unwrap();
    for arguments in [&["serve"][..], &["serve", "--migrate"]] {
        let told = refusal(with_url(arguments)).await;
        assert!(told.contains("9999 is newer than this binary"), "{told}");
    }
    database.drop().await;
    let empty = TestDatabase::create_empty().await;
    let mut service = Service::on(&empty.url(), &["--migrate"]).await;
    service.signal("TERM");
    assert_eq!(service.ended(SOON).await.code(), Some(0), "{}", service.errors());
    empty.drop().await;
}

#[tokio::test]
async fn a_service_on_its_own_database_survives_a_kill_and_shares_with_nobody() {
    let place = DataDir::new();
    let service = || Service::start(safelane(&["serve", "--data-dir", place.arg()]));
    let mut first = service().await;
    let organization = pb::Organization {
        organization_id: fresh_id(),
        kind: pb::OrganizationKind::Funder.into(),
        code: "FUNDER".to_owned(),
        name: "funder".to_owned(),
        ..Default::default()
    };
    let request = pb::CreateOrganizationRequest { organization: Some(organization.clone()) };
    let mut client = OrganizationServiceClient::new(connect(first.address).await);
    client.create_organization(request).await.unwrap();
    let second = ["serve", "--listen", "127.0.0.1:0", "--data-dir", place.arg()];
    let told = refusal(safelane(&second)).await;
    assert!(told.contains(place.arg()), "{told}");
    first.signal("KILL");
    first.ended(SOON).await;
    let mut third = service().await;
    let mut client = OrganizationServiceClient::new(connect(third.address).await);
    let request = pb::GetOrganizationRequest {
        organization_id: organization.organization_id.clone(),
        ..Default::default()
    };
    let kept = client.get_organization(request).await.unwrap().into_inner().organization.unwrap();
    assert_eq!((kept.organization_id, kept.name), (organization.organization_id, organization.name));
    third.signal("TERM");
    assert_eq!(third.ended(SOON).await.code(), Some(0), "{}", third.errors());
    assert_eq!(place.postmaster(), None, "its PostgreSQL is stopped with it");
}

#[tokio::test]
async fn the_audit_tells_by_its_code_whether_the_ledger_holds() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let audit = async |arguments: &[&str]| {
            let mut command = safelane(&[&["audit"], arguments].concat());
            command.env("DATABASE_URL", world.database.url());
            output(command).await
        };
        let holds = audit(&[]).await;
        assert_eq!(holds.status.code(), Some(0), "{}", text(&holds.stderr));
        assert_eq!(text(&holds.stdout).lines().filter(|line| line.starts_with("holds")).count(), 29);
        assert_eq!(text(&audit(&["--json"]).await.stdout).trim(), "[]");
        let mut connection = world.database.connect().await;
        let flip = "UPDATE journal SET leaf_hash = set_byte(leaf_hash, 0, get_byte(leaf_hash, 0) # 1)
                     WHERE revision = 9";
        sqlx::raw_sql(flip).execute(&mut connection).await.unwrap();
        let broken = audit(&[]).await;
        assert_eq!(broken.status.code(), Some(1));
        assert!(text(&broken.stdout).contains("BROKEN 1x  leaf_hash_is_of_the_payload"), "{broken:?}");
        let broken = audit(&["--json"]).await;
        assert_eq!(broken.status.code(), Some(1));
        let found: serde_json::Value = serde_json::from_slice(&broken.stdout).unwrap();
        assert_eq!(found[0]["invariant"], "leaf_hash_is_of_the_payload");
        assert_eq!(found[0]["program_id"], desk.program_id);
        sqlx::raw_sql(flip).execute(&mut connection).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn every_command_has_help_and_every_setting_a_variable() {
    for command in [
        &["serve"][..],
        &["migrate"],
        &["demo"],
        &["report"],
        &["report", "get"],
        &["report", "watch"],
        &["audit"],
        &["token"],
    ] {
        let help = output(safelane(&[command, &["--help"]].concat())).await;
        assert!(help.status.success(), "{command:?}");
        let shown = text(&help.stdout);
        assert!(shown.contains("Usage: safelane"), "{shown}");
        assert!(command[0] != "report" || shown.contains("Examples") || command.len() == 1, "{shown}");
    }
    let help = text(&output(safelane(&["serve", "--help"])).await.stdout);
    let flags = help.lines().filter(|line| line.trim_start().starts_with("--")).count();
    // Not a setting but a deed: --migrate.
    assert_eq!(help.matches("[env: ").count(), flags - 1, "{help}");
    assert!(12 < flags, "{help}");
}

#[tokio::test]
async fn the_demo_shows_the_example_and_can_be_played_again() {
    let place = DataDir::new();
    let mut revisions = Vec::new();
    for _ in 0..2 {
        let arguments = ["demo", "--once", "--listen", "127.0.0.1:0", "--data-dir", place.arg()];
        let played = output(safelane(&arguments)).await;
        let shown = text(&played.stdout);
        assert!(played.status.success(), "{shown}{}", text(&played.stderr));
        assert!(shown.contains("INSUFFICIENT_AVAILABLE"), "{shown}");
        assert!(shown.contains("2098-06-15 has not come"), "what is held says why: {shown}");
        assert!(shown.contains("all numbers up to 3 are durable; 0 are missing"), "{shown}");
        let again = shown.matches("ALREADY_STORED").count();
        assert_eq!(again, if revisions.is_empty() { 3 } else { 6 }, "{shown}");
        let authorized = shown.lines().find(|line| line.starts_with("Authorized: ")).expect("the sum");
        assert!(authorized.starts_with("Authorized: USD 85,000,000.00 at revision "), "{authorized}");
        revisions.push(authorized.to_owned());
        let token = shown.lines().find_map(|line| line.strip_prefix("Resume token of the stream: "));
        assert!(token.is_some_and(|token| 40 < token.len()), "{shown}");
    }
    assert_eq!(revisions[0], revisions[1], "playing it again changes nothing");
}

#[tokio::test]
async fn a_report_is_read_and_followed_from_the_command_line() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let server = format!("http://{}", world.address);
        let report = async |arguments: &[&str]| -> Output {
            let done = [&["report"], arguments, &["--program", "US-HD-1998", "--server", &server]].concat();
            output(safelane(&done)).await
        };
        let got = report(&["get", "--json"]).await;
        let json: serde_json::Value = serde_json::from_slice(&got.stdout).expect("JSON");
        assert_eq!(json["totals"]["received"], "6800000000", "{json}");
        assert_eq!(json["rows"].as_array().map(Vec::len), Some(6));
        let table = text(&report(&["get", "--profile", "us-federal"]).await.stdout);
        assert!(table.contains("68,000,000.00"), "{table}");
        for (delivery, messages) in [("state", 4), ("entries", 8)] {
            let mut asked = vec!["watch", "--until-revision", "13", "--json", "--delivery", delivery];
            if delivery == "entries" {
                asked.extend(["--after-revision", "0"]);
            }
            let watched = report(&asked).await;
            assert!(watched.status.success(), "{}", text(&watched.stderr));
            let lines: Vec<serde_json::Value> =
                text(&watched.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            assert!(lines.iter().all(|line| line["resumeToken"].is_string()), "{lines:?}");
            assert!(messages <= lines.len(), "{lines:?}");
            assert_eq!(lines[lines.len() - 1]["progress"]["revision"], "13");
        }
        let unknown = output(safelane(&["report", "get", "--program", "NOBODY", "--server", &server])).await;
        assert_eq!(unknown.status.code(), Some(1));
        assert!(text(&unknown.stderr).contains("NOBODY"));
    })
    .await;
}
