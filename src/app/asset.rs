//! Use cases of assets: equipment and animals of an operator.

use jiff::civil::Date;

use crate::app::App;
use crate::app::assignment::holding::expect_unused;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::page::{Page, PageRequest};
use crate::app::rights::may_act_for;
use crate::app::team::expect_revision;
use crate::app::token::Filter;
use crate::domain::caller::Caller;
use crate::domain::ids::{AssetId, ScopeId};
use crate::domain::kind::Kind;
use crate::domain::organization::OrganizationKind;
use crate::domain::team::{Asset, AssetState};
use crate::domain::text::Title;
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::asset::{AssetFilter, find_asset, insert_asset, list_assets, update_asset};
use crate::store::assignment::held::list_of_asset;

/// Record an asset.
#[derive(Debug, Clone)]
pub struct RegisterAsset(pub Asset);

/// Change an asset.
#[derive(Debug, Clone)]
pub struct UpdateAsset {
    /// The asset.
    pub asset: AssetId,
    /// The new values.
    pub patch: AssetPatch,
    /// Its revision as the caller knows it.
    pub expected_revision: i64,
}

/// New values of an asset; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct AssetPatch {
    /// For people.
    pub description: Option<Title>,
    /// Last day of its test or licence; `Some(None)` is without end.
    pub valid_until: Option<Option<Date>>,
    /// Whether it can be used.
    pub state: Option<AssetState>,
    /// How many tasks an ambulance covers on one day.
    pub shared_tasks_max: Option<i32>,
}

impl Changing for RegisterAsset {
    async fn scopes(&self, _conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![self.0.organization.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let scope = self.0.organization.scope();
        let asset = Asset { created_at: ground.now, revision: ground.revision(scope)?, ..self.0.clone() };
        insert_asset(ground.conn, &asset).await?;
        ground.record(scope, Record::Asset(asset))
    }
}

impl Changing for UpdateAsset {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        Ok(vec![known_asset(conn, self.asset).await?.organization.scope()])
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let mut asset = known_asset(ground.conn, self.asset).await?;
        expect_revision(Kind::Asset, asset.id, self.expected_revision, asset.revision)?;
        let AssetPatch { description, valid_until, state, shared_tasks_max } = self.patch.clone();
        asset.description = description.unwrap_or(asset.description);
        asset.valid_until = valid_until.unwrap_or(asset.valid_until);
        if state == Some(AssetState::Withdrawn) {
            let held = list_of_asset(&mut *ground.conn, asset.id).await?;
            expect_unused(&held, ground.now, (Kind::Asset, asset.id.uuid()), "be withdrawn")?;
        }
        asset.state = state.unwrap_or(asset.state);
        asset.shared_tasks_max = shared_tasks_max.unwrap_or(asset.shared_tasks_max);
        // Only the stored asset says of which kind it is.
        let mut violations = Violations::default();
        for (field, rule) in asset.kind.faults(asset.valid_until.is_some(), asset.shared_tasks_max) {
            violations.add(format!("asset.{field}"), rule);
        }
        violations.check()?;
        let scope = asset.organization.scope();
        asset.revision = ground.revision(scope)?;
        update_asset(ground.conn, &asset).await?;
        ground.record(scope, Record::Asset(asset))
    }
}

async fn known_asset(conn: &mut Connection, id: AssetId) -> Result<Asset, Error> {
    find_asset(conn, id).await?.ok_or_else(|| Error::not_found(Kind::Asset, id))
}

impl App {
    /// Records an asset.
    ///
    /// # Errors
    /// Refuses an organization that is not an operator, and a code that is taken.
    pub async fn register_asset(
        &self,
        caller: &Caller,
        request: Request,
        new: RegisterAsset,
    ) -> Result<Changed, Error> {
        may_act_for(caller, new.0.organization)?;
        self.expect_organization(new.0.organization, OrganizationKind::Operator).await?;
        self.change(caller, request, new).await
    }

    /// Changes an asset.
    ///
    /// # Errors
    /// `Stale` when the caller knows an older state; `Invalid` when the values do not fit its kind; refuses
    /// to withdraw what a standing assignment needs.
    pub async fn update_asset(
        &self,
        caller: &Caller,
        request: Request,
        update: UpdateAsset,
    ) -> Result<Changed, Error> {
        let asset = self.get_asset(caller, update.asset, 0).await?;
        may_act_for(caller, asset.organization)?;
        self.change(caller, request, update).await
    }

    /// One asset.
    ///
    /// # Errors
    /// `NotFound` when there is none that the caller may see.
    pub async fn get_asset(&self, caller: &Caller, id: AssetId, min_revision: i64) -> Result<Asset, Error> {
        let found = find_asset(self.store.pool(), id).await?;
        let asset = found.ok_or_else(|| Error::not_found(Kind::Asset, id))?;
        self.expect_seen(caller, asset.organization, Kind::Asset, id).await?;
        if min_revision == 0 {
            return Ok(asset);
        }
        self.feed.reach(asset.organization.scope(), min_revision).await?;
        let found = find_asset(self.store.pool(), id).await?;
        found.ok_or_else(|| Error::not_found(Kind::Asset, id))
    }

    /// Assets of an operator by code.
    ///
    /// # Errors
    /// `NotFound` when the caller may not see the operator's assets; `PageToken` when the token is of another list.
    pub async fn list_assets(
        &self,
        caller: &Caller,
        mut filter: AssetFilter,
        min_revision: i64,
        page: PageRequest,
    ) -> Result<Page<Asset>, Error> {
        self.expect_seen(caller, filter.operator, Kind::Organization, filter.operator).await?;
        self.feed.reach(filter.operator.scope(), min_revision).await?;
        let words = format!("{:?} {:?}", filter.kind, filter.state);
        let operator = filter.operator.uuid();
        let bound =
            Filter::of(&[b"assets", operator.as_bytes(), words.as_bytes(), filter.code_prefix.as_bytes()]);
        filter.after_code = page.text_position(self, bound)?;
        let rows = list_assets(self.store.pool(), &filter, page.limit()).await?;
        Ok(page.cut(self, bound, rows, |row| row.code.as_str().as_bytes().to_vec()))
    }
}
