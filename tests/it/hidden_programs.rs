//! A program of others does not exist: not in one call of the contract, whatever the caller's role.

use std::collections::BTreeSet;

use prost_reflect::DescriptorPool;
use safelane::rpc::{DESCRIPTOR, pb};
use tonic::{Code, Request, Response, Status};

use crate::desk::Desk;
use crate::expect::refuses;
use crate::gate::Gate;
use crate::harness::{fresh_id, in_world};

/// Full names of the methods that are about one program, by the contract.
fn methods_of_a_program() -> BTreeSet<String> {
    let pool = DescriptorPool::decode(DESCRIPTOR).unwrap();
    let ours = pool.services().filter(|service| service.package_name() == "safelane.v1").collect::<Vec<_>>();
    let methods = ours.iter().flat_map(|service| service.methods().collect::<Vec<_>>());
    let about = methods.filter(|method| {
        let parts: Vec<_> = method.input().fields().collect();
        let nested = parts.iter().filter_map(|field| field.kind().as_message().cloned());
        let mut messages = vec![method.input()];
        messages.extend(nested);
        messages.iter().any(|message| message.get_field_by_name("program_id").is_some())
    });
    let named = about.map(|method| method.name().to_owned());
    named.filter(|name| name != "CreateProgram" && !BY_TASK.contains(&name.as_str())).collect()
}

/// These ask for a task, and the program only says or answers whose it is. Who sees a task is tested in
/// `ground/tasks/rights.rs` and `ground/assignments`.
const BY_TASK: [&str; 5] =
    ["AssignTeam", "CheckAssignment", "GetTaskHistory", "GrantTaskLicence", "UpdateTask"];

/// Somebody of an organization that has nothing to do with the desk's program.
struct Stranger<'a> {
    gate: &'a Gate,
    desk: &'a Desk,
    organization: String,
    tried: BTreeSet<String>,
}

impl Stranger<'_> {
    fn funder<T>(&self, message: T) -> Request<T> {
        self.gate.sent("funder", &self.organization, message)
    }

    fn coordinator<T>(&self, message: T) -> Request<T> {
        self.gate.sent("coordinator", &self.organization, message)
    }

    /// Expects that the program is not there.
    fn finds_nothing<T>(&mut self, method: &str, answer: Result<Response<T>, Status>) {
        let facts = [("kind", "program"), ("id", &*self.desk.program_id)];
        refuses(answer.map(|_| ()), Code::NotFound, "NOT_FOUND", &facts);
        self.tried.insert(method.to_owned());
    }

    async fn reads(&mut self) {
        let (mut funding, mut reports) = (self.gate.server.funding(), self.gate.server.reports());
        let (program_id, min_revision) = (self.desk.program_id.clone(), 0);
        let sent = pb::GetProgramRequest { program_id: program_id.clone(), min_revision };
        self.finds_nothing("GetProgram", funding.get_program(self.funder(sent)).await);
        let (allocation_id, id) = (self.desk.node("T1"), program_id.clone());
        let sent = pb::GetAllocationRequest { program_id: id, allocation_id, min_revision };
        self.finds_nothing("GetAllocation", funding.get_allocation(self.funder(sent)).await);
        let (period_id, id) = (self.desk.period_id.clone(), program_id.clone());
        let sent = pb::ListAllocationsRequest { program_id: id, period_id, ..Default::default() };
        self.finds_nothing("ListAllocations", funding.list_allocations(self.funder(sent)).await);
        let (entry_id, id) = (fresh_id(), program_id.clone());
        let sent = pb::GetEntryRequest { program_id: id, entry_id, min_revision };
        self.finds_nothing("GetEntry", funding.get_entry(self.funder(sent)).await);
        let sent = pb::ListEntriesRequest { program_id: program_id.clone(), ..Default::default() };
        self.finds_nothing("ListEntries", funding.list_entries(self.funder(sent)).await);
        let (obligation_id, id) = (fresh_id(), program_id.clone());
        let sent = pb::GetObligationRequest { program_id: id, obligation_id, min_revision };
        self.finds_nothing("GetObligation", funding.get_obligation(self.funder(sent)).await);
        let sent = pb::ListObligationsRequest { program_id: program_id.clone(), ..Default::default() };
        self.finds_nothing("ListObligations", funding.list_obligations(self.funder(sent)).await);
        let sent = pb::VerifyLedgerRequest { program_id: program_id.clone() };
        self.finds_nothing("VerifyLedger", funding.verify_ledger(self.funder(sent)).await);
        let sent = pb::GetBudgetReportRequest { program_id: program_id.clone(), ..Default::default() };
        self.finds_nothing("GetBudgetReport", reports.get_budget_report(self.funder(sent)).await);
        let sent = pb::ListReportingPeriodsRequest { program_id: program_id.clone(), ..Default::default() };
        self.finds_nothing("ListReportingPeriods", reports.list_reporting_periods(self.funder(sent)).await);
        let (reporting_period_id, id) = (fresh_id(), program_id.clone());
        let sent = pb::GetRestatementRequest { program_id: id, reporting_period_id, ..Default::default() };
        self.finds_nothing("GetRestatement", reports.get_restatement(self.funder(sent)).await);
        let period = pb::ReportingPeriod {
            reporting_period_id: fresh_id(),
            program_id: program_id.clone(),
            code: "1997".to_owned(),
            first_day: Some(pb::Date { year: 1997, month: 1, day: 1 }),
            last_day: Some(pb::Date { year: 1997, month: 12, day: 31 }),
            ..pb::ReportingPeriod::default()
        };
        let sent = pb::FreezeReportingPeriodRequest { reporting_period: Some(period) };
        let frozen = reports.freeze_reporting_period(self.coordinator(sent)).await;
        self.finds_nothing("FreezeReportingPeriod", frozen);
        let delivery = pb::Delivery::State.into();
        let sent = pb::StreamBudgetReportRequest { program_id, delivery, ..Default::default() };
        self.finds_nothing("StreamBudgetReport", reports.stream_budget_report(self.funder(sent)).await);
    }

    async fn works(&mut self) {
        let (mut tasks, program_id) = (self.gate.server.tasks(), self.desk.program_id.clone());
        let task = pb::Task {
            task_id: fresh_id(),
            program_id: program_id.clone(),
            code: "T-1".to_owned(),
            title: "Clear the path to the well".to_owned(),
            ..pb::Task::default()
        };
        let sent = pb::CreateTaskRequest { task: Some(task) };
        self.finds_nothing("CreateTask", tasks.create_task(self.coordinator(sent)).await);
        let of = Some(pb::list_safety_stops_request::Of::ProgramId(program_id.clone()));
        let sent = pb::ListSafetyStopsRequest { of, ..Default::default() };
        self.finds_nothing("ListSafetyStops", tasks.list_safety_stops(self.coordinator(sent)).await);
        // A list shows what the caller sees, and that is nothing.
        let sent = pb::ListTasksRequest { program_id, ..Default::default() };
        let listed = tasks.list_tasks(self.coordinator(sent)).await.unwrap().into_inner();
        assert_eq!(listed, pb::ListTasksResponse::default());
        self.tried.insert("ListTasks".to_owned());
    }

    async fn writes(&mut self) {
        let mut funding = self.gate.server.funding();
        let entry = Some(self.desk.entry(self.desk.authorize(1)));
        let sent = pb::PostEntryRequest { entry: entry.clone() };
        self.finds_nothing("PostEntry", funding.post_entry(self.funder(sent)).await);
        let sent = pb::PreviewEntryRequest { entry: entry.clone() };
        self.finds_nothing("PreviewEntry", funding.preview_entry(self.funder(sent)).await);
        let (program_id, period_id) = (self.desk.program_id.clone(), self.desk.period_id.clone());
        let (request_id, expected_revision) = (fresh_id(), 2);
        let sent = pb::ExpirePeriodRequest {
            request_id: request_id.clone(),
            program_id: program_id.clone(),
            period_id: period_id.clone(),
            expected_revision,
        };
        self.finds_nothing("ExpirePeriod", funding.expire_period(self.coordinator(sent)).await);
        let sent = pb::ClosePeriodRequest { request_id, program_id, period_id, expected_revision };
        self.finds_nothing("ClosePeriod", funding.close_period(self.coordinator(sent)).await);
        let period = Some(self.desk.period(&fresh_id(), "FY2000", fresh_id()));
        let sent = pb::OpenPeriodRequest { period };
        self.finds_nothing("OpenPeriod", funding.open_period(self.coordinator(sent)).await);
        let parent = self.desk.node("A1");
        let allocation = self.desk.allocation(fresh_id(), parent, "T9", pb::AllocationPurpose::Task);
        let sent = pb::CreateAllocationRequest { allocation: Some(allocation) };
        self.finds_nothing("CreateAllocation", funding.create_allocation(self.coordinator(sent)).await);
        let streamed = self.funder(tokio_stream::iter([pb::PostEntriesRequest { entry }]));
        let mut answers = funding.post_entries(streamed).await.unwrap().into_inner();
        let outcome = answers.message().await.unwrap().unwrap().outcome;
        let Some(pb::post_entries_response::Outcome::Refused(refused)) = outcome else { panic!("accepted") };
        assert_eq!(Code::from(refused.code), Code::NotFound);
        self.tried.insert("PostEntries".to_owned());
    }
}

#[tokio::test]
async fn a_program_of_others_does_not_exist_in_any_call() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        desk.fund().await;
        let gate = Gate::open(world).await;
        let (organization, tried) = (fresh_id(), BTreeSet::new());
        let before = desk.state().await;
        let mut stranger = Stranger { gate: &gate, desk: &desk, organization, tried };
        stranger.reads().await;
        stranger.writes().await;
        stranger.works().await;
        assert_eq!(stranger.tried, methods_of_a_program(), "every call about a program is tried here");
        assert_eq!(desk.state().await, before);
        gate.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_list_shows_only_programs_of_the_callers_organization() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let gate = Gate::open(world).await;
        let (stranger, nobody) = (fresh_id(), fresh_id());
        for (role, organization, count) in [
            ("funder", &stranger, 0),
            ("coordinator", &stranger, 0),
            ("funder", &desk.funder_id, 1),
            ("coordinator", &desk.office_id, 1),
            ("auditor", &nobody, 1),
            ("admin", &nobody, 1),
        ] {
            let request = gate.sent(role, organization, pb::ListProgramsRequest::default());
            let found = gate.server.funding().list_programs(request).await.unwrap().into_inner();
            assert_eq!(found.programs.len(), count, "{role} of {organization}");
        }
        gate.server.finish().await;
    })
    .await;
}
