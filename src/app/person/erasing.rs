//! Erasing the name of a person for good.

use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::rights::may_act_for;
use crate::domain::caller::Caller;
use crate::domain::days::today_in;
use crate::domain::ids::{OrganizationId, PersonId, ScopeId};
use crate::domain::kind::Kind;
use crate::domain::personal::ErasedPerson;
use crate::domain::refusal::Refusal;
use crate::domain::team::Member;
use crate::domain::text::Reason;
use crate::error::Error;
use crate::store::Connection;
use crate::store::member::{MemberFilter, list_members};
use crate::store::person::find_person;
use crate::store::person_name::{erase_name, find_erased_person};

/// Erase the name of a person.
#[derive(Debug, Clone)]
pub struct ErasePerson {
    /// The person.
    pub person: PersonId,
    /// Why.
    pub reason: Reason,
}

/// The same with the operator, which a person never changes.
struct Erasing {
    operator: OrganizationId,
    of: ErasePerson,
}

impl Changing for Erasing {
    async fn scopes(&self, _: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![self.operator.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let ErasePerson { person, reason } = &self.of;
        if let Some(erased) = find_erased_person(&mut *ground.conn, self.operator, *person).await? {
            return ground.record(self.operator.scope(), Record::ErasedPerson(erased));
        }
        self.expect_gone(ground).await?;
        let erased = ErasedPerson {
            person: *person,
            operator: self.operator,
            reason: reason.as_str().to_owned(),
            by: ground.caller.subject().to_owned(),
            at: ground.now,
            revision: ground.revision(self.operator.scope())?,
        };
        erase_name(ground.conn, &erased).await?;
        ground.record(self.operator.scope(), Record::ErasedPerson(erased))
    }
}

impl Erasing {
    /// Whoever works or is about to is known by name to those who work with them.
    async fn expect_gone(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let (person, today) = (self.of.person, today_in(&TimeZone::UTC, ground.now));
        let filter = MemberFilter {
            operator: self.operator,
            team: None,
            person: Some(person),
            on_day: None,
            after: Uuid::nil(),
        };
        let all = list_members(&mut *ground.conn, &filter, i64::MAX).await?;
        let ahead = all.iter().filter(|member| member.days.last().is_none_or(|last| today <= last));
        let told = |member: &Member| {
            format!(
                "membership {} in team {} is not over on {today}; end it with RemoveMember, and wait for that day",
                member.id, member.team
            )
        };
        let missing: Vec<String> = ahead.map(told).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let (kind, action) = (Kind::Person, "be erased");
        Err(Refusal::NotReady { kind, id: person.uuid(), action, missing }.into())
    }
}

impl App {
    /// Erases the name of a person for good, with the salt. What refers to the person stays.
    ///
    /// # Errors
    /// `NotFound` for a person whom the caller does not see; `Forbidden` for who is not of the operator; refuses a
    /// person with a membership that is not over.
    pub async fn erase_person(
        &self,
        caller: &Caller,
        request: Request,
        of: ErasePerson,
    ) -> Result<Changed, Error> {
        let missing = || Error::not_found(Kind::Person, of.person);
        let operator = find_person(self.store.pool(), of.person).await?.ok_or_else(missing)?;
        self.expect_seen(caller, operator, Kind::Person, of.person).await?;
        may_act_for(caller, operator)?;
        self.change(caller, request, Erasing { operator, of }).await
    }
}
