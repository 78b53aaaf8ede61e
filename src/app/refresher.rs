//! Use cases of refresher trainings.

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::page::{Page, PageRequest};
use crate::app::rights::may_act_for;
use crate::app::token::Filter;
use crate::domain::accreditation::Refresher;
use crate::domain::caller::Caller;
use crate::domain::ids::{OrganizationId, PersonId, RefresherId, ScopeId};
use crate::domain::kind::Kind;
use crate::domain::text::Note;
use crate::error::Error;
use crate::store::Connection;
use crate::store::person::find_person;
use crate::store::refresher::{RefresherFilter, insert_refresher, list_refreshers};

/// Record that a person was trained again.
#[derive(Debug, Clone)]
pub struct RecordRefresher {
    /// Id of the refresher.
    pub id: RefresherId,
    /// The person.
    pub person: PersonId,
    /// The day of the training.
    pub held_on: jiff::civil::Date,
    /// Anything else.
    pub note: Note,
}

impl Changing for RecordRefresher {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![operator_of(conn, self.person).await?.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let organization = operator_of(ground.conn, self.person).await?;
        let Self { id, person, held_on, note } = self.clone();
        let (created_at, revision) = (ground.now, ground.revision(organization.scope())?);
        let refresher = Refresher { id, person, organization, held_on, note, created_at, revision };
        insert_refresher(ground.conn, &refresher).await?;
        ground.record(organization.scope(), Record::Refresher(refresher))
    }
}

async fn operator_of(conn: &mut Connection, person: PersonId) -> Result<OrganizationId, Error> {
    find_person(conn, person).await?.ok_or_else(|| Error::not_found(Kind::Person, person))
}

impl App {
    /// Records that a person was trained again.
    ///
    /// # Errors
    /// `NotFound` when the caller's operator has no such person.
    pub async fn record_refresher(
        &self,
        caller: &Caller,
        request: Request,
        new: RecordRefresher,
    ) -> Result<Changed, Error> {
        let found = find_person(self.store.pool(), new.person).await?;
        let operator = found.ok_or_else(|| Error::not_found(Kind::Person, new.person))?;
        self.expect_seen(caller, operator, Kind::Person, new.person).await?;
        may_act_for(caller, operator)?;
        self.change(caller, request, new).await
    }

    /// Refreshers of an operator by id.
    ///
    /// # Errors
    /// `NotFound` when the caller may not see the operator's people; `PageToken` when the token is of another list.
    pub async fn list_refreshers(
        &self,
        caller: &Caller,
        mut filter: RefresherFilter,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<Refresher>, Error> {
        self.expect_seen(caller, filter.operator, Kind::Organization, filter.operator).await?;
        self.feed.reach(filter.operator.scope(), min_revision).await?;
        let person = format!("{:?}", filter.person);
        let bound = Filter::of(&[b"refreshers", filter.operator.uuid().as_bytes(), person.as_bytes()]);
        filter.after = page.id_position(self, bound)?;
        let rows = list_refreshers(self.store.pool(), &filter, page.limit()).await?;
        Ok(page.cut(self, bound, rows, |row| row.id.uuid().as_bytes().to_vec()))
    }
}
