//! `safelane report watch`: follows a budget stream, and connects again with the last token when the link
//! or the server goes away.

use std::io::Write;
use std::time::Duration;

use clap::ValueEnum;
use tonic::{Code, Streaming};

use crate::cli::client::{Connection, refused, told};
use crate::cli::report::{ScopeArgs, find_program, json, own_labels};
use crate::cli::{table, unwritten};
use crate::domain::money::format_minor_units;
use crate::error::StartError;
use crate::rpc::pb;
use crate::rpc::pb::budget_report_service_client::BudgetReportServiceClient;
use crate::rpc::pb::stream_budget_report_request::Start;
use crate::rpc::pb::stream_budget_report_response::Message;
use crate::rpc::stored::EntryPosted;

/// Pause before the next try when the service does not answer.
const RECONNECT_PAUSE: Duration = Duration::from_secs(2);

/// Arguments of `safelane report watch`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct WatchArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// `state` shows rows that changed, `entries` every entry
    #[arg(long, value_enum, default_value_t = Delivery::State)]
    delivery: Delivery,
    /// Go on after a message that was received before
    #[arg(long, conflicts_with = "after_revision")]
    resume_token: Option<String>,
    /// Begin after this revision; 0 shows all history
    #[arg(long)]
    after_revision: Option<i64>,
    /// End after this revision
    #[arg(long)]
    until_revision: Option<i64>,
    /// Print one JSON object a message instead of tables
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Delivery {
    State,
    Entries,
}

/// What a stream told about itself, and how to go on.
pub(in crate::cli) struct Watch {
    stream: Streaming<pb::StreamBudgetReportResponse>,
    currency: String,
    exponent: u8,
    until: Option<i64>,
    /// Revision of the last message.
    pub(in crate::cli) revision: i64,
    /// Continues after the last message.
    pub(in crate::cli) token: String,
}

pub(super) async fn run(args: WatchArgs) -> Result<(), StartError> {
    let connection = args.scope.client.connect().await?;
    let program_id = find_program(&connection, &args.scope.program).await?;
    let delivery = match args.delivery {
        Delivery::State => pb::Delivery::State,
        Delivery::Entries => pb::Delivery::Entries,
    };
    let start = match (args.resume_token, args.after_revision) {
        (Some(token), _) => Some(Start::ResumeToken(token)),
        (None, Some(revision)) => Some(Start::AfterRevision(revision)),
        (None, None) => None,
    };
    let mut request = pb::StreamBudgetReportRequest {
        program_id,
        period_id: args.scope.period,
        allocation_id: args.scope.allocation,
        delivery: delivery.into(),
        start,
        until_revision: args.until_revision,
        progress_interval: None,
        min_update_interval: None,
    };
    loop {
        let mut watch = Watch::open(&connection, request.clone()).await?;
        let ended = watch.print_all(args.json).await?;
        let Some(pause) = ended else { return Ok(()) };
        if !watch.token.is_empty() {
            request.start = Some(Start::ResumeToken(watch.token));
        }
        tokio::time::sleep(pause).await;
    }
}

impl Watch {
    /// Opens a stream, waiting for a service that is away.
    pub(in crate::cli) async fn open(
        connection: &Connection,
        request: pb::StreamBudgetReportRequest,
    ) -> Result<Self, StartError> {
        let mut client = BudgetReportServiceClient::new(connection.clone());
        loop {
            match client.stream_budget_report(request.clone()).await {
                Ok(answer) => {
                    let stream = answer.into_inner();
                    let (currency, token) = (String::new(), String::new());
                    let until = request.until_revision;
                    return Ok(Self { stream, currency, exponent: 0, until, revision: 0, token });
                }
                Err(status) if status.code() == Code::Unavailable => {
                    complain(&format!("{}; trying again", told(&status)));
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                }
                Err(status) => return Err(refused(status)),
            }
        }
    }

    /// Prints until the stream ends. The pause before the next connection, or none when it is complete.
    async fn print_all(&mut self, as_json: bool) -> Result<Option<Duration>, StartError> {
        let mut out = std::io::stdout();
        loop {
            match self.stream.message().await {
                Ok(Some(message)) => {
                    if as_json {
                        let text = json(&message, "safelane.v1.StreamBudgetReportResponse")?;
                        writeln!(out, "{text}").map_err(unwritten)?;
                    }
                    let pause = self.take(message, if as_json { None } else { Some(&mut out) })?;
                    if pause.is_some() {
                        return Ok(pause);
                    }
                }
                Ok(None) if self.until.is_some_and(|until| until <= self.revision) => return Ok(None),
                Ok(None) => {
                    complain("the stream ended without a word; connecting again");
                    return Ok(Some(RECONNECT_PAUSE));
                }
                Err(status)
                    if matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled) =>
                {
                    complain(&format!("{}; connecting again", told(&status)));
                    return Ok(Some(RECONNECT_PAUSE));
                }
                Err(status) => return Err(refused(status)),
            }
        }
    }

    /// Reads messages until the stream has told of a revision, printing them.
    pub(in crate::cli) async fn until(
        &mut self,
        revision: i64,
        out: &mut (dyn Write + Send),
    ) -> Result<(), StartError> {
        while self.revision < revision {
            let next = self.stream.message().await.map_err(refused)?;
            let ended = || StartError::Refused("the budget stream ended early".to_owned());
            self.take(next.ok_or_else(ended)?, Some(out))?;
        }
        Ok(())
    }

    /// Keeps the token of a message and prints it. A pause when the server asks to connect again.
    fn take(
        &mut self,
        message: pb::StreamBudgetReportResponse,
        out: Option<&mut (dyn Write + Send)>,
    ) -> Result<Option<Duration>, StartError> {
        self.token = message.resume_token;
        let Some(body) = message.message else { return Ok(None) };
        let (text, pause) = self.read(body);
        if let (Some(out), Some(text)) = (out, text) {
            writeln!(out, "{text}").map_err(unwritten)?;
        }
        Ok(pause)
    }

    fn read(&mut self, body: Message) -> (Option<String>, Option<Duration>) {
        match body {
            Message::Begin(begin) => {
                self.currency = begin.currency_code;
                self.exponent = u8::try_from(begin.minor_unit_exponent).unwrap_or(0);
                (None, None)
            }
            Message::Snapshot(part) => (Some(self.rows(&part.rows)), None),
            Message::SnapshotEnd(end) => {
                self.revision = end.revision;
                (Some(self.totals(end.revision, end.totals)), None)
            }
            Message::Report(report) => {
                self.revision = report.revision;
                let (rows, totals) = (self.rows(&report.rows), self.totals(report.revision, report.totals));
                (Some(format!("{rows}\n{totals}")), None)
            }
            Message::Entry(entry) => (Some(self.entry(&entry)), None),
            Message::Progress(progress) => {
                self.revision = self.revision.max(progress.revision);
                (None, None)
            }
            Message::PeriodChanged(changed) => {
                let period = changed.period.unwrap_or_default();
                let state = period.state().as_str_name().trim_start_matches("PERIOD_STATE_").to_owned();
                (Some(format!("revision {}: period {} is {state}", changed.revision, period.code)), None)
            }
            Message::Reconnect(reconnect) => {
                let after = reconnect.after.and_then(|after| Duration::try_from(after).ok());
                (Some("the server asks to connect again".to_owned()), Some(after.unwrap_or(RECONNECT_PAUSE)))
            }
        }
    }

    fn rows(&self, rows: &[pb::BudgetReportRow]) -> String {
        table::rows(rows, &own_labels(), self.exponent)
    }

    fn totals(&self, revision: i64, totals: Option<pb::BudgetTotals>) -> String {
        let totals = table::totals(&totals.unwrap_or_default(), &self.currency, self.exponent);
        format!("revision {revision}, {totals}")
    }

    fn entry(&mut self, posted: &EntryPosted) -> String {
        let Ok(read) = posted.read() else { return "an entry that cannot be read".to_owned() };
        self.revision = read.revision;
        let entry = read.entry.unwrap_or_default();
        let touched = read.allocations.iter().map(|touched| {
            let buckets = touched.buckets.unwrap_or_default();
            let available = format_minor_units(buckets.available, self.exponent);
            format!("\n  {} now has {} {available} available", touched.allocation_id, self.currency)
        });
        let touched: String = touched.collect();
        format!("revision {}: entry {} {}{touched}", read.revision, entry.entry_id, entry.note)
    }
}

fn complain(text: &str) {
    // Nothing can be done when standard error is closed.
    let _unheard: std::io::Result<()> = writeln!(std::io::stderr(), "safelane: {text}");
}
