//! A program to test with: the tree of the worked example, and short ways to post to it.

use std::collections::HashMap;

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use safelane::rpc::pb::funding_service_client::FundingServiceClient;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use crate::harness::{World, fresh_id};

/// A program with one period, countries A, B and C, grant A1 below A and task T1 below A1.
pub(crate) struct Desk {
    pub(crate) funding: FundingServiceClient<Channel>,
    pub(crate) funder_id: String,
    pub(crate) office_id: String,
    pub(crate) operator_id: String,
    pub(crate) program_id: String,
    pub(crate) period_id: String,
    nodes: HashMap<&'static str, String>,
}

impl Desk {
    /// Sets the program up: seven revisions, no money yet.
    pub(crate) async fn open(world: &World) -> Self {
        let mut nodes = HashMap::new();
        for name in ["P", "A", "B", "C", "A1", "T1"] {
            nodes.insert(name, fresh_id());
        }
        let mut desk = Self {
            funding: world.funding(),
            funder_id: fresh_id(),
            office_id: fresh_id(),
            operator_id: fresh_id(),
            program_id: fresh_id(),
            period_id: fresh_id(),
            nodes,
        };
        desk.record_organizations(world).await;
        let program = desk.program();
        desk.set_up(program).await;
        desk
    }

    /// Another program with the same funder, office and operator, set up in the same way.
    pub(crate) async fn beside(&self, code: &str) -> Self {
        let mut desk = Self {
            funding: self.funding.clone(),
            funder_id: self.funder_id.clone(),
            office_id: self.office_id.clone(),
            operator_id: self.operator_id.clone(),
            program_id: fresh_id(),
            period_id: fresh_id(),
            nodes: self.nodes.keys().map(|name| (*name, fresh_id())).collect(),
        };
        let program = pb::Program { code: code.to_owned(), ..desk.program() };
        desk.set_up(program).await;
        desk
    }

    async fn set_up(&mut self, program: pb::Program) {
        let desk = self;
        desk.funding
            .create_program(pb::CreateProgramRequest { program: Some(program) })
            .await
            .expect("the program is recorded");
        let period = desk.period(&desk.period_id.clone(), "FY1998", desk.node("P"));
        desk.funding
            .open_period(pb::OpenPeriodRequest { period: Some(period) })
            .await
            .expect("the period opens");
        for (name, parent, purpose) in [
            ("A", "P", pb::AllocationPurpose::Country),
            ("B", "P", pb::AllocationPurpose::Country),
            ("C", "P", pb::AllocationPurpose::Country),
            ("A1", "A", pb::AllocationPurpose::Grant),
            ("T1", "A1", pb::AllocationPurpose::Task),
        ] {
            let allocation = desk.allocation(desk.node(name), desk.node(parent), name, purpose);
            desk.create_allocation(allocation).await.expect("the allocation is added");
        }
    }

    async fn record_organizations(&self, world: &World) {
        let kinds = [
            (&self.funder_id, pb::OrganizationKind::Funder, "FUNDER"),
            (&self.office_id, pb::OrganizationKind::Office, "OFFICE"),
            (&self.operator_id, pb::OrganizationKind::Operator, "OPERATOR"),
        ];
        for (id, kind, code) in kinds {
            let organization = pb::Organization {
                organization_id: id.clone(),
                kind: kind.into(),
                code: code.to_owned(),
                name: code.to_lowercase(),
                ..Default::default()
            };
            let request = pb::CreateOrganizationRequest { organization: Some(organization) };
            world.organizations().create_organization(request).await.expect("it is recorded");
        }
    }

    /// The program as the desk records it.
    pub(crate) fn program(&self) -> pb::Program {
        pb::Program {
            program_id: self.program_id.clone(),
            code: "US-HD-1998".to_owned(),
            title: "Humanitarian demining".to_owned(),
            funder_id: self.funder_id.clone(),
            office_id: self.office_id.clone(),
            currency_code: "USD".to_owned(),
            ..Default::default()
        }
    }

    /// A period of fiscal year 1998.
    pub(crate) fn period(&self, id: &str, code: &str, root: String) -> pb::Period {
        pb::Period {
            period_id: id.to_owned(),
            program_id: self.program_id.clone(),
            code: code.to_owned(),
            title: code.to_owned(),
            first_day: Some(pb::Date { year: 1997, month: 10, day: 1 }),
            last_day: Some(pb::Date { year: 1998, month: 9, day: 30 }),
            root_allocation_id: root,
            ..Default::default()
        }
    }

    /// An allocation of the desk's period.
    pub(crate) fn allocation(
        &self,
        id: String,
        parent_id: String,
        code: &str,
        purpose: pb::AllocationPurpose,
    ) -> pb::Allocation {
        let country = purpose == pb::AllocationPurpose::Country;
        let grant = purpose == pb::AllocationPurpose::Grant;
        pb::Allocation {
            allocation_id: id,
            program_id: self.program_id.clone(),
            period_id: self.period_id.clone(),
            parent_id,
            code: code.to_owned(),
            title: format!("allocation {code}"),
            purpose: purpose.into(),
            country_code: if country { "ZW".to_owned() } else { String::new() },
            recipient_id: if grant { self.operator_id.clone() } else { String::new() },
            ..Default::default()
        }
    }

    pub(crate) async fn create_allocation(
        &self,
        allocation: pb::Allocation,
    ) -> Result<pb::CreateAllocationResponse, Status> {
        let request = pb::CreateAllocationRequest { allocation: Some(allocation) };
        Ok(self.funding.clone().create_allocation(request).await?.into_inner())
    }

    /// The id of a node of the tree: `P`, `A`, `B`, `C`, `A1` or `T1`.
    pub(crate) fn node(&self, name: &str) -> String {
        self.nodes.get(name).expect("a node of the desk").clone()
    }

    /// An entry with a new id.
    pub(crate) fn entry(&self, action: Action) -> pb::Entry {
        pb::Entry {
            entry_id: fresh_id(),
            program_id: self.program_id.clone(),
            effective_on: Some(pb::Date { year: 1998, month: 1, day: 15 }),
            action: Some(action),
            ..Default::default()
        }
    }

    /// Posts an action under a new id.
    pub(crate) async fn post(&self, action: Action) -> Result<pb::PostEntryResponse, Status> {
        self.post_entry(self.entry(action)).await
    }

    /// Posts an entry.
    pub(crate) async fn post_entry(&self, entry: pb::Entry) -> Result<pb::PostEntryResponse, Status> {
        let request = pb::PostEntryRequest { entry: Some(entry) };
        Ok(self.funding.clone().post_entry(request).await?.into_inner())
    }

    /// Authorizes the period and allocates 28, 22 and 18 of 68 million, 12 million to A1, 400,000 to T1.
    pub(crate) async fn fund(&self) {
        self.post(self.authorize(6_800_000_000)).await.expect("authorized");
        for (name, amount) in [
            ("A", 2_800_000_000),
            ("B", 2_200_000_000),
            ("C", 1_800_000_000),
            ("A1", 1_200_000_000),
            ("T1", 40_000_000),
        ] {
            self.post(self.allocate(name, amount)).await.expect("allocated");
        }
    }

    pub(crate) fn authorize(&self, minor_units: i64) -> Action {
        Action::Authorize(pb::Authorize { period_id: self.period_id.clone(), amount: usd(minor_units) })
    }

    pub(crate) fn rescind(&self, minor_units: i64) -> Action {
        Action::Rescind(pb::Rescind { period_id: self.period_id.clone(), amount: usd(minor_units) })
    }

    /// 25 % of the original authorization, pushed down.
    pub(crate) fn increase(&self) -> pb::Increase {
        pb::Increase {
            period_id: self.period_id.clone(),
            amount: Some(pb::increase::Amount::PercentPpm(250_000)),
            base: pb::IncreaseBase::Original.into(),
            push_down: pb::PushDown::ProRata.into(),
            ..Default::default()
        }
    }

    pub(crate) fn allocate(&self, name: &str, minor_units: i64) -> Action {
        Action::Allocate(pb::Allocate { allocation_id: self.node(name), amount: usd(minor_units) })
    }

    pub(crate) fn deallocate(&self, name: &str, minor_units: i64) -> Action {
        Action::Deallocate(pb::Deallocate { allocation_id: self.node(name), amount: usd(minor_units) })
    }

    pub(crate) fn reserve(&self, reservation_id: &str, name: &str, minor_units: i64) -> Action {
        Action::Reserve(pb::Reserve {
            reservation_id: reservation_id.to_owned(),
            allocation_id: self.node(name),
            amount: usd(minor_units),
        })
    }

    pub(crate) fn release(&self, reservation_id: &str, minor_units: i64) -> Action {
        Action::Release(pb::Release { reservation_id: reservation_id.to_owned(), amount: usd(minor_units) })
    }

    /// From available, unless a reservation is named.
    pub(crate) fn obligate(&self, obligation_id: &str, name: &str, minor_units: i64) -> pb::Obligate {
        pb::Obligate {
            obligation_id: obligation_id.to_owned(),
            allocation_id: self.node(name),
            amount: usd(minor_units),
            payee_name: "Clearance operator".to_owned(),
            reference: "C-1998-07".to_owned(),
            ..Default::default()
        }
    }

    pub(crate) fn deobligate(&self, obligation_id: &str, minor_units: i64) -> Action {
        Action::Deobligate(pb::Deobligate {
            obligation_id: obligation_id.to_owned(),
            amount: usd(minor_units),
        })
    }

    pub(crate) fn disburse(&self, obligation_id: &str, minor_units: i64) -> Action {
        Action::Disburse(pb::Disburse { obligation_id: obligation_id.to_owned(), amount: usd(minor_units) })
    }

    pub(crate) fn refund(&self, obligation_id: &str, minor_units: i64) -> Action {
        Action::Refund(pb::Refund { obligation_id: obligation_id.to_owned(), amount: usd(minor_units) })
    }

    /// Spends available money of a leaf.
    pub(crate) fn expend(&self, name: &str, minor_units: i64) -> pb::Expend {
        pb::Expend {
            source: pb::ExpendSource::Available.into(),
            allocation_id: self.node(name),
            amount: usd(minor_units),
            category: pb::CostCategory::Services.into(),
            ..Default::default()
        }
    }

    /// Pays a part of an obligation from one of its buckets.
    pub(crate) fn pay(&self, source: pb::ExpendSource, obligation_id: &str, minor_units: i64) -> pb::Expend {
        pb::Expend {
            source: source.into(),
            obligation_id: obligation_id.to_owned(),
            amount: usd(minor_units),
            category: pb::CostCategory::Services.into(),
            ..Default::default()
        }
    }

    pub(crate) fn reverse(&self, entry_id: &str) -> Action {
        Action::Reverse(pb::Reverse { entry_id: entry_id.to_owned(), reason: "booked in error".to_owned() })
    }

    /// The buckets of a node now.
    pub(crate) async fn buckets(&self, name: &str) -> pb::Buckets {
        let request = pb::GetAllocationRequest {
            program_id: self.program_id.clone(),
            allocation_id: self.node(name),
            min_revision: 0,
        };
        let answer = self.funding.clone().get_allocation(request).await.expect("it is there").into_inner();
        answer.allocation.and_then(|allocation| allocation.buckets).expect("buckets")
    }

    /// The program's revision and its first period.
    pub(crate) async fn state(&self) -> (i64, pb::Period) {
        let request = pb::GetProgramRequest { program_id: self.program_id.clone(), min_revision: 0 };
        let answer = self.funding.clone().get_program(request).await.expect("it is there").into_inner();
        let periods = answer.program.expect("a program").periods;
        (answer.revision, periods.into_iter().next().expect("a period"))
    }

    /// Expires the desk's period, or closes it when it is expired.
    pub(crate) async fn move_period(&self) -> Result<pb::Period, Status> {
        let (_, period) = self.state().await;
        let mut funding = self.funding.clone();
        let (request_id, program_id) = (fresh_id(), self.program_id.clone());
        let (period_id, expected_revision) = (period.period_id.clone(), period.revision);
        let moved = if period.state() == pb::PeriodState::Open {
            let request = pb::ExpirePeriodRequest { request_id, program_id, period_id, expected_revision };
            funding.expire_period(request).await?.into_inner().period
        } else {
            let request = pb::ClosePeriodRequest { request_id, program_id, period_id, expected_revision };
            funding.close_period(request).await?.into_inner().period
        };
        Ok(moved.expect("a period"))
    }
}

/// An amount in US cents.
#[expect(clippy::unnecessary_wraps, reason = "message fields are optional")]
pub(crate) fn usd(minor_units: i64) -> Option<pb::Money> {
    Some(pb::Money { currency_code: "USD".to_owned(), minor_units })
}

/// The reason of a refusal, without its prefix, and its metadata.
pub(crate) fn reason(status: &Status) -> (String, HashMap<String, String>) {
    let details = status.get_error_details();
    let info = details.error_info().expect("every refusal has an ErrorInfo").clone();
    assert_eq!(info.domain, "safelane.v1");
    let name = info.reason.strip_prefix("ERROR_REASON_").expect("a name of ErrorReason").to_owned();
    (name, info.metadata)
}

/// Paths of the bad fields of a refusal.
pub(crate) fn bad_fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let found = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    found.into_iter().map(|violation| violation.field).collect()
}
