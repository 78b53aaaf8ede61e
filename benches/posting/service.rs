//! The service as it is shipped: its binary, its default settings, a process of its own.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;
use crate::cluster::Cluster;

const BINARY: &str = env!("CARGO_BIN_EXE_safelane");

/// A service on one database.
pub(crate) struct Service {
    child: Child,
    address: String,
}

impl Service {
    pub(crate) fn start(cluster: &Cluster, database: &str) -> Result<Self, Failure> {
        let log = File::create(cluster.folder().join(format!("service-{database}.log")))?;
        let mut child = Command::new(BINARY)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("DATABASE_URL", cluster.url(database)?)
            .env("SAFELANE_ATTACHMENTS", cluster.folder().join("attachments"))
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let out = child.stdout.take().ok_or("standard output is a pipe")?;
        // From here on the child is ended when anything fails.
        let mut service = Self { child, address: String::new() };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").ok_or("the service did not start")?;
        address.clone_into(&mut service.address);
        Ok(service)
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in good order; anything else is a failure of the run.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the service ended with {status}").into()) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// Runs a command of the binary on a database and wants it to succeed.
pub(crate) fn command(cluster: &Cluster, database: &str, name: &str) -> Result<(), Failure> {
    let output = Command::new(BINARY).arg(name).env("DATABASE_URL", cluster.url(database)?).output()?;
    if output.status.success() {
        return Ok(());
    }
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("safelane {name} failed: {out}{errors}").into())
}
