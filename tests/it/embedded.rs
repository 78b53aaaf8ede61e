//! The embedded PostgreSQL, with the real programs of this machine.
//!
//! Needs PostgreSQL 15 or newer; as root also a user `postgres` or `nobody`, and a temp directory that this
//! user can enter.

use std::env;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::fresh_id;
use safelane::store::embedded::{Embedded, Options};
use sqlx::{Connection, PgConnection};
use tokio::time::{sleep, timeout};

/// Tells the test process that it is the service to be killed, and where its data directory is.
const VICTIM: &str = "SAFELANE_TEST_VICTIM";

/// A data directory that goes away with the test.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        Self::named("")
    }

    fn named(ending: &str) -> Self {
        let place = Self(env::temp_dir().join(format!("sl-{}{ending}", fresh_id())));
        fs::create_dir(&place.0).unwrap();
        fs::set_permissions(&place.0, Permissions::from_mode(0o755)).unwrap();
        place
    }

    fn options(&self) -> Options {
        Options { data_dir: self.0.join("data"), bin_dir: None, durable: false, max_connections: 10 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join("data").join(name)
    }

    async fn start(&self) -> Embedded {
        Embedded::start(self.options()).await.unwrap()
    }

    async fn refusal(&self) -> String {
        Embedded::start(self.options()).await.unwrap_err().to_string()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

async fn connect(embedded: &Embedded) -> PgConnection {
    PgConnection::connect_with(&embedded.connect_options()).await.unwrap()
}

async fn setting(embedded: &Embedded, name: &str) -> String {
    let mut connection = connect(embedded).await;
    sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&mut connection).await.unwrap()
}

async fn insert_row(embedded: &Embedded) {
    let mut connection = connect(embedded).await;
    sqlx::raw_sql("CREATE TABLE kept AS SELECT 42 AS answer").execute(&mut connection).await.unwrap();
}

async fn row(embedded: &Embedded) -> i32 {
    let mut connection = connect(embedded).await;
    sqlx::query_scalar("SELECT answer FROM kept").fetch_one(&mut connection).await.unwrap()
}

/// Whether a process runs; a zombie does not.
fn runs(pid: u32) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.starts_with('Z')
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[tokio::test]
async fn a_new_cluster_answers_and_stops() {
    let place = Place::new();
    let embedded = place.start().await;
    let pid = embedded.pid();
    assert_eq!(setting(&embedded, "server_encoding").await, "UTF8");
    assert_eq!(setting(&embedded, "lc_collate").await, "C");
    assert_eq!(setting(&embedded, "data_checksums").await, "on");
    assert_eq!(setting(&embedded, "listen_addresses").await, "");
    assert_eq!(setting(&embedded, "fsync").await, "off");
    let mode = fs::metadata(place.path("socket")).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o700);
    embedded.stop().await;
    assert!(!runs(pid));
    assert!(!place.path("postgres/postmaster.pid").exists());
}

#[tokio::test]
async fn a_service_is_durable_when_asked() {
    let place = Place::new();
    let options = Options { durable: true, ..place.options() };
    let embedded = Embedded::start(options).await.unwrap();
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        assert_eq!(setting(&embedded, name).await, "on", "{name}");
    }
    embedded.stop().await;
}

#[tokio::test]
async fn rows_survive_a_restart() {
    let place = Place::new();
    let embedded = place.start().await;
    insert_row(&embedded).await;
    embedded.stop().await;
    let embedded = place.start().await;
    assert_eq!(row(&embedded).await, 42);
    embedded.stop().await;
}

#[tokio::test]
async fn a_second_service_is_refused_while_the_first_runs() {
    let place = Place::new();
    let embedded = place.start().await;
    let refusal = place.refusal().await;
    assert!(refusal.contains(&place.path("").display().to_string().trim_end_matches('/').to_owned()));
    assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
    assert_eq!(setting(&embedded, "jit").await, "off");
    embedded.stop().await;
    place.start().await.stop().await;
}

/// Not a test by itself: the service that the next test kills. Without its variable it does nothing.
#[tokio::test]
async fn victim_of_a_kill() {
    let Some(place) = env::var_os(VICTIM) else { return };
    // Never dropped: the directory belongs to the other process.
    let place = std::mem::ManuallyDrop::new(Place(place.into()));
    let embedded = place.start().await;
    insert_row(&embedded).await;
    println!("\nserver {}", embedded.pid());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_server_that_outlived_a_killed_service_is_replaced() {
    let place = Place::new();
    let mut service = Command::new(env::current_exe().unwrap())
        .args(["victim_of_a_kill", "--nocapture"])
        .env(VICTIM, &place.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(service.stdout.take().unwrap()).lines();
    let old: u32 = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("server ").map(|pid| pid.parse().unwrap()))
        .unwrap();
    service.kill().unwrap();
    service.wait().unwrap();
    assert!(runs(old), "the server was to outlive the service");
    let embedded = place.start().await;
    assert!(!runs(old));
    assert_eq!(row(&embedded).await, 42);
    embedded.stop().await;
}

#[tokio::test]
async fn pid_files_that_name_an_innocent_process_do_not_block() {
    let place = Place::new();
    place.start().await.stop().await;
    // Of the same user as the server: only such a pid makes PostgreSQL itself refuse to start.
    let owner = fs::metadata(place.path("postgres")).unwrap();
    let mut command = Command::new("sleep");
    command.arg("600");
    if is_root() {
        std::os::unix::process::CommandExt::uid(&mut command, owner.uid());
    }
    let mut innocent = command.spawn().unwrap();
    let text = format!("{}\n{}\n1\n5432\n", innocent.id(), place.path("postgres").display());
    for name in ["postgres/postmaster.pid", "socket/.s.PGSQL.5432.lock"] {
        fs::write(place.path(name), &text).unwrap();
        std::os::unix::fs::chown(place.path(name), Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let started = Embedded::start(place.options()).await;
    let untouched = runs(innocent.id());
    innocent.kill().unwrap();
    innocent.wait().unwrap();
    started.unwrap().stop().await;
    assert!(untouched, "the innocent process was stopped");
}

#[tokio::test]
async fn missing_programs_name_the_packages() {
    let place = Place::new();
    let options = Options { bin_dir: Some(place.0.clone()), ..place.options() };
    let error = Embedded::start(options).await.unwrap_err().to_string();
    for word in ["--pg-bin-dir", "postgresql-server", "postgresql15", "postgresql@17", "DATABASE_URL"] {
        assert!(error.contains(word), "{word} is missing in: {error}");
    }
}

#[tokio::test]
async fn an_interrupted_initdb_is_thrown_away() {
    let place = Place::new();
    fs::create_dir_all(place.path("postgres.new/base/1")).unwrap();
    fs::write(place.path("postgres.new/PG_VERSION"), "15\n").unwrap();
    let embedded = place.start().await;
    assert!(!place.path("postgres.new").exists());
    embedded.stop().await;
}

#[tokio::test]
async fn a_start_that_is_given_up_midway_can_be_repeated() {
    let place = Place::new();
    // Ends somewhere within initdb, whose process is killed by that.
    timeout(Duration::from_millis(200), Embedded::start(place.options())).await.ok();
    // The initdb that was left alone holds the lock until it ends: on a busy machine longer than a start
    // waits for it.
    let again = async {
        loop {
            match Embedded::start(place.options()).await {
                Ok(embedded) => return embedded,
                Err(error) => assert!(error.to_string().contains("in use"), "{error}"),
            }
        }
    };
    timeout(Duration::from_mins(1), again).await.expect("the initdb ends").stop().await;
}

#[tokio::test]
async fn a_long_path_gets_a_private_socket_directory_elsewhere() {
    let place = Place::named(&format!("-{}, with comma", "x".repeat(120)));
    let embedded = place.start().await;
    let directory = PathBuf::from(setting(&embedded, "unix_socket_directories").await);
    assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
    assert!(!directory.starts_with(&place.0));
    embedded.stop().await;
    assert!(!directory.exists(), "{} stayed behind", directory.display());
}

#[tokio::test]
async fn root_runs_the_server_as_another_user_without_groups() {
    let place = Place::new();
    let embedded = place.start().await;
    let process = Path::new("/proc").join(embedded.pid().to_string());
    let status = fs::read_to_string(process.join("status")).unwrap();
    let owner = fs::metadata(place.path("postgres")).unwrap().uid();
    let line = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        found.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line("Uid:"), vec![owner.to_string(); 4]);
    assert_ne!(owner, 0);
    if is_root() {
        assert_eq!(line("Groups:"), Vec::<String>::new());
    }
    embedded.stop().await;
}

#[tokio::test]
async fn a_directory_that_the_server_may_not_enter_is_named() {
    if !is_root() {
        // Only root runs the server as another user.
        return;
    }
    let place = Place::new();
    let barrier = place.0.join("private");
    fs::create_dir(&barrier).unwrap();
    fs::set_permissions(&barrier, Permissions::from_mode(0o700)).unwrap();
    let options = Options { data_dir: barrier.join("deep/data"), ..place.options() };
    let error = Embedded::start(options).await.unwrap_err().to_string();
    assert!(error.contains(&format!("may not enter {}:", barrier.display())), "{error}");
}

#[tokio::test]
async fn a_server_that_dies_is_noticed_and_the_next_start_recovers() {
    let place = Place::new();
    // Only a durable commit is sure to be there after the server has quit at once.
    let options = Options { durable: true, ..place.options() };
    let mut embedded = Embedded::start(options).await.unwrap();
    insert_row(&embedded).await;
    signal(embedded.pid(), "-QUIT");
    let why = timeout(Duration::from_secs(10), embedded.died()).await.unwrap();
    assert!(why.contains("ended with") && why.contains("postgres.log"), "{why}");
    drop(embedded);
    let embedded = place.start().await;
    assert_eq!(row(&embedded).await, 42);
    embedded.stop().await;
}

#[tokio::test]
async fn a_dropped_service_stops_its_server() {
    let place = Place::new();
    let embedded = place.start().await;
    let pid = embedded.pid();
    drop(embedded);
    assert!(!runs(pid));
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_its_log() {
    let place = Place::new();
    place.start().await.stop().await;
    fs::write(place.path("postgres/pg_hba.conf"), "nonsense\n").unwrap();
    let refusal = place.refusal().await;
    assert!(refusal.contains("pg_hba.conf"), "{refusal}");
    assert!(!refusal.contains('\n'), "{refusal}");
    // The lock is free again.
    sleep(Duration::from_millis(1)).await;
    assert!(place.refusal().await.contains("pg_hba.conf"));
}
