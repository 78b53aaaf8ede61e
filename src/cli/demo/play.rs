//! The client of the demo: sets the program up and posts the steps.

use crate::cli::client::{Connection, refused, told};
use crate::cli::demo::steps::{Step, id};
use crate::domain::money::format_minor_units;
use crate::error::StartError;
use crate::rpc::pb;
use crate::rpc::pb::entry::Action;
use crate::rpc::pb::funding_service_client::FundingServiceClient;
use crate::rpc::pb::organization_service_client::OrganizationServiceClient;

const CURRENCY: &str = "USD";
const EXPONENT: u8 = 2;
/// The increase of the example: 25 % of the original authorization, shared among the countries.
const INCREASE_PPM: i64 = 250_000;
/// What the demo tries to take from the task in vain.
const OVERSPEND: i64 = 99_999_999;

/// Nodes of the example's tree: name, parent, code, title, purpose, country.
const NODES: [(&str, &str, &str, &str, pb::AllocationPurpose, &str); 5] = [
    ("A", "P", "ZW", "Zimbabwe", pb::AllocationPurpose::Country, "ZW"),
    ("B", "P", "AO", "Angola", pb::AllocationPurpose::Country, "AO"),
    ("C", "P", "KH", "Cambodia", pb::AllocationPurpose::Country, "KH"),
    ("A1", "A", "ZW-G1", "Clearance grant", pb::AllocationPurpose::Grant, "ZW"),
    ("T1", "A1", "ZW-0042", "Task Musengezi-Rwenya", pb::AllocationPurpose::Task, "ZW"),
];

/// What a step did.
pub(super) struct Told {
    /// In words.
    pub(super) text: String,
    /// When the service recorded it.
    pub(super) revision: i64,
}

/// Plays the example.
pub(super) struct Player {
    funding: FundingServiceClient<Connection>,
    organizations: OrganizationServiceClient<Connection>,
    revision: i64,
}

impl Player {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            funding: FundingServiceClient::new(connection.clone()),
            organizations: OrganizationServiceClient::new(connection),
            revision: 0,
        }
    }

    /// Revision of the program after the set-up.
    pub(super) fn revision(&self) -> i64 {
        self.revision
    }

    /// Records the organizations, the program, its period and its tree.
    pub(super) async fn set_up(&mut self) -> Result<(), StartError> {
        self.organization("funder", pb::OrganizationKind::Funder, "US-STATE", "Department of State").await?;
        self.organization("office", pb::OrganizationKind::Office, "US-PM-WRA", "Weapons Removal Office")
            .await?;
        self.organization("operator", pb::OrganizationKind::Operator, "OP-1", "Clearance operator").await?;
        self.organization("operator 2", pb::OrganizationKind::Operator, "OP-2", "Survey operator").await?;
        self.authority().await?;
        let program = pb::Program {
            program_id: program_id(),
            code: "US-HD-1998".to_owned(),
            title: "Humanitarian demining".to_owned(),
            funder_id: id("funder").to_string(),
            office_id: id("office").to_string(),
            currency_code: CURRENCY.to_owned(),
            ..Default::default()
        };
        let request = pb::CreateProgramRequest { program: Some(program) };
        self.funding.create_program(request).await.map_err(refused)?;
        let period = pb::Period {
            period_id: id("period").to_string(),
            program_id: program_id(),
            code: "FY1998".to_owned(),
            title: "Fiscal year 1998".to_owned(),
            first_day: Some(pb::Date { year: 1997, month: 10, day: 1 }),
            last_day: Some(pb::Date { year: 1998, month: 9, day: 30 }),
            root_allocation_id: node("P"),
            ..Default::default()
        };
        let request = pb::OpenPeriodRequest { period: Some(period) };
        self.funding.open_period(request).await.map_err(refused)?;
        for tree_node in NODES {
            self.allocation(tree_node).await?;
        }
        Ok(())
    }

    /// The authority that keeps the land of the example.
    async fn authority(&mut self) -> Result<(), StartError> {
        let organization = pb::Organization {
            organization_id: id("authority").to_string(),
            kind: pb::OrganizationKind::Authority.into(),
            code: "ZW-NMAA".to_owned(),
            name: "Mine action authority".to_owned(),
            country_code: "ZW".to_owned(),
            ..Default::default()
        };
        let request = pb::CreateOrganizationRequest { organization: Some(organization) };
        self.organizations.create_organization(request).await.map_err(refused)?;
        Ok(())
    }

    async fn organization(
        &mut self,
        name: &str,
        kind: pb::OrganizationKind,
        code: &str,
        title: &str,
    ) -> Result<(), StartError> {
        let organization = pb::Organization {
            organization_id: id(name).to_string(),
            kind: kind.into(),
            code: code.to_owned(),
            name: title.to_owned(),
            ..Default::default()
        };
        let request = pb::CreateOrganizationRequest { organization: Some(organization) };
        self.organizations.create_organization(request).await.map_err(refused)?;
        Ok(())
    }

    async fn allocation(
        &mut self,
        (name, parent, code, title, purpose, country): (&str, &str, &str, &str, pb::AllocationPurpose, &str),
    ) -> Result<(), StartError> {
        let grant = purpose == pb::AllocationPurpose::Grant;
        let allocation = pb::Allocation {
            allocation_id: node(name),
            program_id: program_id(),
            period_id: id("period").to_string(),
            parent_id: node(parent),
            code: code.to_owned(),
            title: title.to_owned(),
            purpose: purpose.into(),
            country_code: country.to_owned(),
            recipient_id: if grant { id("operator").to_string() } else { String::new() },
            ..Default::default()
        };
        let request = pb::CreateAllocationRequest { allocation: Some(allocation) };
        let answer = self.funding.create_allocation(request).await.map_err(refused)?.into_inner();
        self.revision = self.revision.max(answer.revision);
        Ok(())
    }

    /// Posts one step. A row that tells what an earlier step pushed down is compared with what it did.
    pub(super) async fn play(&mut self, step: &Step) -> Result<Told, StartError> {
        let amount = format!("{CURRENCY} {}", format_minor_units(step.minor_units, EXPONENT));
        if step.action == "push_down" {
            self.expect_pushed(step).await?;
            let text = format!("{amount} of the increase reached {}", code(&step.to));
            return Ok(Told { text, revision: 0 });
        }
        let answer = self.post(step).await?;
        let words = step.action.replace('_', " ");
        let note = if step.note.is_empty() { String::new() } else { format!(" ({})", step.note) };
        let text = format!("{words} {amount}{note}: recorded at revision {}", answer.revision);
        Ok(Told { text, revision: answer.revision })
    }

    async fn post(&mut self, step: &Step) -> Result<pb::PostEntryResponse, StartError> {
        let entry = entry(step, program_id())?;
        let request = pb::PostEntryRequest { entry: Some(entry) };
        Ok(self.funding.post_entry(request).await.map_err(refused)?.into_inner())
    }

    async fn expect_pushed(&mut self, step: &Step) -> Result<(), StartError> {
        let request = pb::GetEntryRequest {
            program_id: program_id(),
            entry_id: id("entry 3").to_string(),
            min_revision: 0,
        };
        let found = self.funding.get_entry(request).await.map_err(refused)?.into_inner();
        let read = found.posted.and_then(|posted| posted.read().ok()).and_then(|posted| posted.entry);
        let Some(Action::Increase(increase)) = read.and_then(|entry| entry.action) else {
            return Err(StartError::Refused("the increase of the example is missing".to_owned()));
        };
        let child = node(&step.to);
        let pushed = increase.pushed_down.iter().find(|part| part.allocation_id == child);
        if pushed.map(|part| part.minor_units) == Some(step.minor_units) {
            return Ok(());
        }
        Err(StartError::Refused(format!("the increase pushed {pushed:?} down, not {step:?}")))
    }

    /// What the demo tries in vain after some steps: the same increase again, and an overspend.
    pub(super) async fn try_after(&mut self, step: &Step) -> Result<Option<String>, StartError> {
        match step.number.as_str() {
            "3" => {
                let again = self.post(step).await?;
                let revision = again.revision;
                Ok(Some(format!("the same increase sent again changes nothing: still revision {revision}")))
            }
            "6" => self.overspend(step).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn overspend(&mut self, step: &Step) -> Result<String, StartError> {
        let reserve = pb::Reserve {
            reservation_id: id("overspend").to_string(),
            allocation_id: node(&step.to),
            amount: Some(money(OVERSPEND)),
        };
        let entry = pb::Entry {
            entry_id: id("entry overspend").to_string(),
            program_id: program_id(),
            effective_on: Some(day(6)),
            action: Some(Action::Reserve(reserve)),
            ..Default::default()
        };
        let amount = format_minor_units(OVERSPEND, EXPONENT);
        match self.funding.post_entry(pb::PostEntryRequest { entry: Some(entry) }).await {
            Err(status) => Ok(format!(
                "an overspend of {CURRENCY} {amount} on the task is refused:\n    {}",
                told(&status)
            )),
            Ok(_) => Err(StartError::Refused("the overspend was not refused".to_owned())),
        }
    }

    /// What is authorized now, in words, and the program's revision.
    pub(super) async fn authorized(&mut self) -> Result<(String, i64), StartError> {
        let request = pb::GetProgramRequest { program_id: program_id(), min_revision: 0 };
        let answer = self.funding.get_program(request).await.map_err(refused)?.into_inner();
        let periods = answer.program.map(|program| program.periods).unwrap_or_default();
        let authorized = periods.first().map_or(0, |period| period.authorization);
        Ok((format!("{CURRENCY} {}", format_minor_units(authorized, EXPONENT)), answer.revision))
    }
}

/// The id of the demo's program.
pub(super) fn program_id() -> String {
    id("program").to_string()
}

fn node(name: &str) -> String {
    id(&format!("allocation {name}")).to_string()
}

fn code(name: &str) -> String {
    let found = NODES.iter().find(|tree_node| tree_node.0 == name);
    found.map_or_else(|| name.to_owned(), |tree_node| tree_node.2.to_owned())
}

fn money(minor_units: i64) -> pb::Money {
    pb::Money { currency_code: CURRENCY.to_owned(), minor_units }
}

/// Each step has a day of its own in the fiscal year.
fn day(number: i32) -> pb::Date {
    pb::Date { year: 1998, month: 1, day: number }
}

/// The entry of a step.
fn entry(step: &Step, program_id: String) -> Result<pb::Entry, StartError> {
    let digits: String = step.number.chars().filter(char::is_ascii_digit).collect();
    Ok(pb::Entry {
        entry_id: id(&format!("entry {}", step.number)).to_string(),
        program_id,
        effective_on: Some(day(digits.parse().unwrap_or(1))),
        note: step.note.clone(),
        action: Some(action(step)?),
        ..Default::default()
    })
}

fn action(step: &Step) -> Result<Action, StartError> {
    let amount = Some(money(step.minor_units));
    let period_id = id("period").to_string();
    let (reservation_id, obligation_id) = (id("reservation").to_string(), id("obligation").to_string());
    Ok(match step.action.as_str() {
        "authorize" => Action::Authorize(pb::Authorize { period_id, amount }),
        "increase" => Action::Increase(pb::Increase {
            period_id,
            amount: Some(pb::increase::Amount::PercentPpm(INCREASE_PPM)),
            base: pb::IncreaseBase::Original.into(),
            push_down: pb::PushDown::ProRata.into(),
            ..Default::default()
        }),
        "allocate" => Action::Allocate(pb::Allocate { allocation_id: node(&step.to), amount }),
        "deallocate" => Action::Deallocate(pb::Deallocate { allocation_id: node(&step.from), amount }),
        "reserve" => Action::Reserve(pb::Reserve { reservation_id, allocation_id: node(&step.from), amount }),
        "release" => Action::Release(pb::Release { reservation_id, amount }),
        "obligate" => Action::Obligate(pb::Obligate {
            obligation_id,
            allocation_id: node(&step.from),
            amount,
            reservation_id,
            payee_name: "Clearance operator".to_owned(),
            payee_id: id("operator").to_string(),
            reference: "C-1998-07".to_owned(),
        }),
        "deobligate" => Action::Deobligate(pb::Deobligate { obligation_id, amount }),
        "disburse" => Action::Disburse(pb::Disburse { obligation_id, amount }),
        "refund" => Action::Refund(pb::Refund { obligation_id, amount }),
        "expend" => Action::Expend(euro_expense(obligation_id, amount)),
        other => return Err(StartError::Refused(format!("the example has an unknown action {other:?}"))),
    })
}

/// EUR 34,500.00 at 1.0887 is USD 37,560.15 exactly.
fn euro_expense(obligation_id: String, amount: Option<pb::Money>) -> pb::Expend {
    pb::Expend {
        source: pb::ExpendSource::Advanced.into(),
        obligation_id,
        amount,
        category: pb::CostCategory::Services.into(),
        foreign: Some(pb::ForeignAmount {
            original: Some(pb::Money { currency_code: "EUR".to_owned(), minor_units: 3_450_000 }),
            rate: "1.0887".to_owned(),
            rate_date: Some(day(10)),
            rate_source: "European Central Bank".to_owned(),
        }),
        ..Default::default()
    }
}
