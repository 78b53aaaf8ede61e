//! The real binary as a child process: `safelane serve` and the other commands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::harness::{files_of, fresh_id};

/// Longer than a start may take, initdb included.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command of the binary, without the settings of whoever runs the tests.
pub(crate) fn safelane(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_safelane"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("SAFELANE_") || name.starts_with("OTEL_") || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    if !arguments.contains(&"--data-dir") {
        command.env("SAFELANE_ATTACHMENTS", files_of("any"));
    }
    command.kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub(crate) async fn output(mut command: Command) -> Output {
    timeout(PATIENCE, command.output()).await.expect("it ends in time").expect("it runs")
}

/// What a command wrote.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// A running `safelane serve`.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: SocketAddr,
    errors: Arc<Mutex<String>>,
}

impl Service {
    /// Starts it on a free port, and waits until it listens.
    pub(crate) async fn start(mut command: Command) -> Self {
        let mut child = command.arg("--listen").arg("127.0.0.1:0").spawn().expect("it starts");
        let errors = Arc::default();
        tokio::spawn(collect(child.stderr.take().expect("a pipe"), Arc::clone(&errors)));
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("it listens in time").expect("text");
        let said = || errors.lock().expect("no panic").clone();
        let line = line.unwrap_or_else(|| panic!("it ended instead of listening: {}", said()));
        let address = line.strip_prefix("listening on ").expect("the address").parse().expect("an address");
        Self { child, address, errors }
    }

    /// Serves a database of a test.
    pub(crate) async fn on(url: &str, arguments: &[&str]) -> Self {
        let mut command = safelane(&["serve"]);
        let database = url.rsplit('/').next().and_then(|end| end.split('?').next()).expect("a name");
        command.args(arguments).env("DATABASE_URL", url).env("SAFELANE_ATTACHMENTS", files_of(database));
        Self::start(command).await
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self, within: Duration) -> ExitStatus {
        let ended = timeout(within, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("still there after {within:?}: {}", self.errors()));
        ended.expect("it can be waited for")
    }

    /// What it wrote to standard error.
    pub(crate) fn errors(&self) -> String {
        self.errors.lock().expect("no panic").clone()
    }
}

async fn collect(from: impl AsyncRead + Unpin, into: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut all = into.lock().expect("no panic");
        all.push_str(&line);
        all.push('\n');
    }
}

/// A data directory. What is left of it when the test ends is stopped and removed.
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// Anyone may enter it: as root the server runs as another user.
    pub(crate) fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let path = std::env::temp_dir().join(format!("sl-{}", fresh_id().replace('-', "")));
        std::fs::create_dir(&path).expect("a folder");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn arg(&self) -> &str {
        self.0.to_str().expect("text")
    }

    /// The process of the PostgreSQL that runs in it.
    pub(crate) fn postmaster(&self) -> Option<String> {
        let file = std::fs::read_to_string(self.0.join("postgres/postmaster.pid")).ok()?;
        file.lines().next().map(str::to_owned)
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if let Some(pid) = self.postmaster() {
            std::process::Command::new("kill").args(["-s", "QUIT", &pid]).output().ok();
        }
        std::fs::remove_dir_all(&self.0).ok();
    }
}
