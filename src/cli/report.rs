//! `safelane report`: the budget of a program, once or live.

pub(super) mod watch;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};

use crate::cli::client::{ClientArgs, Connection, refused};
use crate::cli::{table, unwritten};
use crate::domain::report::Profile as Words;
use crate::error::StartError;
use crate::rpc::pb::budget_report_service_client::BudgetReportServiceClient;
use crate::rpc::pb::funding_service_client::FundingServiceClient;
use crate::rpc::{DESCRIPTOR, pb};

/// Arguments of `safelane report`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print one report
    #[command(after_help = "\
Examples:
  safelane report get --program US-HD-1998
  safelane report get --program US-HD-1998 --as-of-revision 12 --profile us-federal
  safelane report get --program US-HD-1998 --json")]
    Get(GetArgs),
    /// Print the report and every change, until Ctrl-C
    #[command(after_help = "\
Examples:
  safelane report watch --program US-HD-1998
  safelane report watch --program US-HD-1998 --delivery entries --after-revision 0 --json
  safelane report watch --program US-HD-1998 --resume-token TOKEN    as --json printed it")]
    Watch(watch::WatchArgs),
}

#[derive(Debug, clap::Args)]
struct GetArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Show the state at this revision of the program's journal
    #[arg(long)]
    as_of_revision: Option<i64>,
    /// How many levels to show; 0 shows the top alone
    #[arg(long)]
    max_depth: Option<i32>,
    /// In whose words the columns are named
    #[arg(long, value_enum, default_value_t = Profile::Safelane)]
    profile: Profile,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// What to report on.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ScopeArgs {
    #[command(flatten)]
    pub(super) client: ClientArgs,
    /// The program, by id or by code
    #[arg(long)]
    pub(super) program: String,
    /// Only this period, by id
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) period: String,
    /// Only this allocation and what is below it, by id
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) allocation: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Profile {
    Safelane,
    UsFederal,
    Iati,
    Fts,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, StartError> {
    match args.command {
        Command::Get(args) => get(args).await?,
        Command::Watch(args) => watch::run(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn get(args: GetArgs) -> Result<(), StartError> {
    use pb::get_budget_report_request::AsOf;
    let connection = args.scope.client.connect().await?;
    let program_id = find_program(&connection, &args.scope.program).await?;
    let profile = match args.profile {
        Profile::Safelane => pb::ReportProfile::Unspecified,
        Profile::UsFederal => pb::ReportProfile::UsFederal,
        Profile::Iati => pb::ReportProfile::Iati,
        Profile::Fts => pb::ReportProfile::Fts,
    };
    let request = pb::GetBudgetReportRequest {
        program_id,
        period_id: args.scope.period,
        allocation_id: args.scope.allocation,
        max_depth: args.max_depth,
        as_of: args.as_of_revision.map(AsOf::AsOfRevision),
        profile: profile.into(),
        min_revision: 0,
    };
    let mut client = BudgetReportServiceClient::new(connection);
    let answer = client.get_budget_report(request).await.map_err(refused)?.into_inner();
    let report = answer.report.unwrap_or_default();
    let text = if args.json { json(&report, "safelane.v1.BudgetReport")? } else { shown(&report) };
    writeln!(std::io::stdout(), "{text}").map_err(unwritten)
}

fn shown(report: &pb::BudgetReport) -> String {
    let labels: Vec<String> = report.columns.iter().map(|column| column.label.clone()).collect();
    let exponent = u8::try_from(report.minor_unit_exponent).unwrap_or(0);
    let rows = table::rows(&report.rows, &labels, exponent);
    let totals = report.totals.clone().unwrap_or_default();
    let totals = table::totals(&totals, &report.currency_code, exponent);
    format!("revision {}, {}\n{rows}", report.revision, totals)
}

/// The labels of Safelane's own words.
pub(super) fn own_labels() -> Vec<String> {
    Words::Safelane.columns().map(|(_, label)| label.to_owned()).to_vec()
}

/// The id of a program that is named by id or by code.
pub(super) async fn find_program(connection: &Connection, named: &str) -> Result<String, StartError> {
    if uuid::Uuid::try_parse(named).is_ok() {
        return Ok(named.to_owned());
    }
    let mut client = FundingServiceClient::new(connection.clone());
    let request = pb::ListProgramsRequest { code_prefix: named.to_owned(), ..Default::default() };
    let found = client.list_programs(request).await.map_err(refused)?.into_inner().programs;
    let program = found.into_iter().find(|program| program.code == named);
    program.map(|program| program.program_id).ok_or_else(|| {
        StartError::Refused(format!("no program that you may see has the code {named:?}; codes are exact (`safelane demo` makes US-HD-1998)"))
    })
}

/// A message as JSON, by the proto3 JSON mapping.
pub(super) fn json(message: &impl Message, name: &str) -> Result<String, StartError> {
    let broken = |told: String| StartError::Refused(format!("cannot show the answer as JSON: {told}"));
    let pool = DescriptorPool::decode(DESCRIPTOR).map_err(|error| broken(error.to_string()))?;
    let kind = pool.get_message_by_name(name).ok_or_else(|| broken(format!("{name} is unknown")))?;
    let read = DynamicMessage::decode(kind, message.encode_to_vec().as_slice());
    let read = read.map_err(|error| broken(error.to_string()))?;
    serde_json::to_string(&read).map_err(|error| broken(error.to_string()))
}
