//! Use cases of organizations.

use crate::app::App;
use crate::app::command::{Command, Event};
use crate::app::page::{Page, PageRequest};
use crate::app::token::Filter;
use crate::app::writer::Written;
use crate::domain::caller::Caller;
use crate::domain::ids::OrganizationId;
use crate::domain::kind::Kind;
use crate::domain::organization::Organization;
use crate::error::Error;
use crate::store::organization::{OrganizationFilter, find_organization, list_organizations};

impl App {
    /// Records an organization.
    ///
    /// # Errors
    /// Refuses a code that is taken.
    pub async fn create_organization(
        &self,
        caller: &Caller,
        new: Organization,
    ) -> Result<(Organization, i64), Error> {
        let written = self.writer.write_one(Command::CreateOrganization(new), caller).await?;
        match written {
            Written { revision, event: Event::Organization(organization), .. } => {
                Ok((organization, revision))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// One organization.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn get_organization(
        &self,
        id: OrganizationId,
        min_revision: i64,
    ) -> Result<Organization, Error> {
        self.feed.reach(id.scope(), min_revision).await?;
        let found = find_organization(self.store.pool(), id).await?;
        found.ok_or_else(|| Error::not_found(Kind::Organization, id))
    }

    /// Organizations by code.
    ///
    /// # Errors
    /// `PageToken` when the token is of another list.
    pub async fn list_organizations(
        &self,
        mut filter: OrganizationFilter,
        page: PageRequest,
    ) -> Result<Page<Organization>, Error> {
        let kind = filter.kind.map_or("", crate::domain::organization::OrganizationKind::word);
        let country = filter.country.as_deref().unwrap_or("");
        let bound = Filter::of(&[
            b"organizations",
            kind.as_bytes(),
            country.as_bytes(),
            filter.code_prefix.as_bytes(),
        ]);
        filter.after_code = page.text_position(self, bound)?;
        let rows = list_organizations(self.store.pool(), &filter, page.limit()).await?;
        Ok(page.cut(self, bound, rows, |row| row.code.as_str().as_bytes().to_vec()))
    }
}

/// A write that answered with another kind of event is a bug.
pub(crate) fn unexpected(written: &Written) -> Error {
    Error::bug(format!("a write answered with an event of kind {:?}", written.event.kind()))
}
