//! The program that pays: one period, ten countries, a hundred tasks in each, money for every run.

use std::sync::Arc;

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use safelane::rpc::pb::funding_service_client::FundingServiceClient;
use safelane::rpc::pb::organization_service_client::OrganizationServiceClient;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::Failure;
use crate::entry::Ids;

const COUNTRIES: usize = 10;
const TASKS_EACH: usize = 100;
/// What a task gets. Enough for any run, and a thousand of them are far below the most that is counted.
const TASK_MINOR_UNITS: i64 = 1_000_000_000_000;
/// The most rows of a page.
const PAGE: i32 = 1_000;

/// The ids of the program. Every database of a run is a copy of the one in which it was set up.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) id: String,
    period_id: String,
    root_id: String,
    /// Leaves, all of which may pay.
    pub(crate) tasks: Arc<Vec<String>>,
}

/// Where the program stands: its revision, and what each task has spent.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) revision: i64,
    pub(crate) expended: Vec<i64>,
}

pub(crate) async fn funding(address: &str) -> Result<FundingServiceClient<Channel>, Failure> {
    Ok(FundingServiceClient::new(Endpoint::from_shared(format!("http://{address}"))?.connect().await?))
}

impl Program {
    /// Records it and funds every task.
    pub(crate) async fn set_up(address: &str, ids: &mut Ids) -> Result<Self, Failure> {
        let tasks = (0..COUNTRIES * TASKS_EACH).map(|_| ids.text()).collect();
        let program =
            Self { id: ids.text(), period_id: ids.text(), root_id: ids.text(), tasks: Arc::new(tasks) };
        let client = funding(address).await?;
        program.record(address, client.clone(), ids).await?;
        let countries: Vec<String> = (0..COUNTRIES).map(|_| ids.text()).collect();
        let mut allocations = Vec::new();
        for (place, id) in countries.iter().enumerate() {
            let purpose = pb::AllocationPurpose::Country;
            allocations.push(program.allocation(id, &program.root_id, &format!("C{place}"), purpose));
        }
        program.allocate(&client, allocations, TASK_MINOR_UNITS * i64::try_from(TASKS_EACH)?, ids).await?;
        let mut allocations = Vec::new();
        for (place, id) in program.tasks.iter().enumerate() {
            let (parent, code) = (&countries[place / TASKS_EACH], format!("T{place:04}"));
            allocations.push(program.allocation(id, parent, &code, pb::AllocationPurpose::Task));
        }
        program.allocate(&client, allocations, TASK_MINOR_UNITS, ids).await?;
        Ok(program)
    }

    async fn record(
        &self,
        address: &str,
        mut client: FundingServiceClient<Channel>,
        ids: &mut Ids,
    ) -> Result<(), Failure> {
        let (funder_id, office_id) = (ids.text(), ids.text());
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        let mut organizations = OrganizationServiceClient::new(channel);
        for (id, kind, code) in [
            (&funder_id, pb::OrganizationKind::Funder, "FUNDER"),
            (&office_id, pb::OrganizationKind::Office, "OFFICE"),
        ] {
            let organization = pb::Organization {
                organization_id: id.clone(),
                kind: kind.into(),
                code: code.to_owned(),
                name: code.to_lowercase(),
                ..Default::default()
            };
            let request = pb::CreateOrganizationRequest { organization: Some(organization) };
            organizations.create_organization(request).await?;
        }
        let program = pb::Program {
            program_id: self.id.clone(),
            code: "US-HD-1998".to_owned(),
            title: "Humanitarian demining".to_owned(),
            funder_id,
            office_id,
            currency_code: "USD".to_owned(),
            ..Default::default()
        };
        client.create_program(pb::CreateProgramRequest { program: Some(program) }).await?;
        client.open_period(pb::OpenPeriodRequest { period: Some(self.period()) }).await?;
        let all = TASK_MINOR_UNITS * i64::try_from(COUNTRIES * TASKS_EACH)?;
        let authorize = pb::Authorize { period_id: self.period_id.clone(), amount: usd(all) };
        let entry = self.entry(ids.text(), Action::Authorize(authorize));
        client.post_entry(pb::PostEntryRequest { entry: Some(entry) }).await?;
        Ok(())
    }

    fn period(&self) -> pb::Period {
        pb::Period {
            period_id: self.period_id.clone(),
            program_id: self.id.clone(),
            code: "FY1998".to_owned(),
            title: "Fiscal year 1998".to_owned(),
            first_day: Some(pb::Date { year: 1997, month: 10, day: 1 }),
            last_day: Some(pb::Date { year: 1998, month: 9, day: 30 }),
            root_allocation_id: self.root_id.clone(),
            ..Default::default()
        }
    }

    fn allocation(
        &self,
        id: &str,
        parent: &str,
        code: &str,
        purpose: pb::AllocationPurpose,
    ) -> pb::Allocation {
        let country = purpose == pb::AllocationPurpose::Country;
        pb::Allocation {
            allocation_id: id.to_owned(),
            program_id: self.id.clone(),
            period_id: self.period_id.clone(),
            parent_id: parent.to_owned(),
            code: code.to_owned(),
            title: format!("allocation {code}"),
            purpose: purpose.into(),
            country_code: if country { "ZW".to_owned() } else { String::new() },
            ..Default::default()
        }
    }

    /// Adds allocations and gives each the same amount.
    async fn allocate(
        &self,
        client: &FundingServiceClient<Channel>,
        allocations: Vec<pb::Allocation>,
        minor_units: i64,
        ids: &mut Ids,
    ) -> Result<(), Failure> {
        let mut calls: JoinSet<Result<(), tonic::Status>> = JoinSet::new();
        for allocation in allocations {
            // As many calls as one connection takes at once.
            if calls.len() == 100
                && let Some(done) = calls.join_next().await
            {
                done??;
            }
            let allocation_id = allocation.allocation_id.clone();
            let allocate = pb::Allocate { allocation_id, amount: usd(minor_units) };
            let entry = self.entry(ids.text(), Action::Allocate(allocate));
            let mut client = client.clone();
            calls.spawn(async move {
                let request = pb::CreateAllocationRequest { allocation: Some(allocation) };
                client.create_allocation(request).await?;
                client.post_entry(pb::PostEntryRequest { entry: Some(entry) }).await?;
                Ok(())
            });
        }
        while let Some(done) = calls.join_next().await {
            done??;
        }
        Ok(())
    }

    /// An entry of this program.
    pub(crate) fn entry(&self, entry_id: String, action: Action) -> pb::Entry {
        pb::Entry {
            entry_id,
            program_id: self.id.clone(),
            effective_on: Some(pb::Date { year: 1998, month: 1, day: 15 }),
            action: Some(action),
            ..Default::default()
        }
    }

    /// Asks the service where the program stands.
    pub(crate) async fn standing(&self, address: &str) -> Result<Standing, Failure> {
        let mut client = funding(address).await?;
        let request = pb::GetProgramRequest { program_id: self.id.clone(), min_revision: 0 };
        let revision = client.get_program(request).await?.into_inner().revision;
        let mut expended = vec![None; self.tasks.len()];
        let mut page_token = String::new();
        loop {
            let request = pb::ListAllocationsRequest {
                page_size: PAGE,
                page_token,
                program_id: self.id.clone(),
                period_id: self.period_id.clone(),
                min_revision: revision,
                ..Default::default()
            };
            let page = client.list_allocations(request).await?.into_inner();
            for allocation in page.allocations {
                let place = allocation.code.strip_prefix('T').and_then(|place| place.parse::<usize>().ok());
                if let Some(spent) = place.and_then(|place| expended.get_mut(place)) {
                    *spent = allocation.buckets.map(|buckets| buckets.expended);
                }
            }
            if page.next_page_token.is_empty() {
                break;
            }
            page_token = page.next_page_token;
        }
        let expended = expended.into_iter().collect::<Option<_>>().ok_or("an allocation is not listed")?;
        Ok(Standing { revision, expended })
    }
}

/// An amount in US cents.
#[expect(clippy::unnecessary_wraps, reason = "message fields are optional")]
pub(crate) fn usd(minor_units: i64) -> Option<pb::Money> {
    Some(pb::Money { currency_code: "USD".to_owned(), minor_units })
}
