//! What is done to one site.

use jiff::civil::Date;

use crate::app::App;
use crate::app::change::{Changed, Changing, Ground, Record, Request};
use crate::app::rights::may_act_for;
use crate::app::site::release::{expect_in_order, expect_nobody_works, release_all};
use crate::app::site::{expect_come, known_site, note_misfit, record_in, scopes_of};
use crate::app::team::expect_revision;
use crate::domain::caller::Caller;
use crate::domain::geometry::{Outline, area_flaw};
use crate::domain::ids::{ScopeId, SiteId};
use crate::domain::kind::Kind;
use crate::domain::land::{Movement, MovementKind};
use crate::domain::refusal::Refusal;
use crate::domain::safety_stop::{SafetyStop, StopTarget};
use crate::domain::site::evidence::weigh;
use crate::domain::site::release::{expect_status, hand_over, resume, suspend};
use crate::domain::site::{LandRelease, Site, SiteStatus, Survey, SuspensionCause};
use crate::domain::text::{Reason, Title};
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::safety_stop::list_in_force;
use crate::store::site::land::insert_movements;
use crate::store::site::survey::{find_kept_last, insert_survey};
use crate::store::site::{find_lineage, update_site};

/// The most former names of a place.
const FORMER_NAMES_MAX: usize = 50;

/// Change a site.
pub struct ChangeSite {
    /// The site.
    pub site: SiteId,
    /// Its revision as the caller knows it. Evidence needs none: it is never refused for being late.
    pub expected_revision: Option<i64>,
    /// What is done.
    pub act: SiteAct,
}

/// What is done to a site.
pub enum SiteAct {
    /// The place is called otherwise.
    Rename(Title),
    /// It was measured anew.
    Remeasure(Box<Remeasurement>),
    /// Nobody works there for now.
    Suspend(SuspensionCause),
    /// Work may go on.
    Resume,
    /// All that is left is released.
    Close(LandRelease),
    /// Its users have it back, since a day.
    HandOver(Date),
    /// Evidence came.
    Survey(Survey),
}

/// A new measurement of what is left of a site.
pub struct Remeasurement {
    /// Square metres.
    pub area_m2: i64,
    /// The day.
    pub measured_on: Date,
    /// Why.
    pub reason: Reason,
    /// The new outline.
    pub outline: Option<Outline>,
}

impl Changing for ChangeSite {
    async fn scopes(&self, conn: &mut Connection) -> Result<Vec<ScopeId>, Error> {
        let site = known_site(conn, self.site).await?;
        scopes_of(conn, &site).await
    }

    async fn apply(&self, ground: &mut Ground<'_>) -> Result<(), Error> {
        let mut site = known_site(ground.conn, self.site).await?;
        if let Some(expected) = self.expected_revision {
            expect_revision(Kind::Site, site.id, expected, site.revision)?;
        }
        let scopes = scopes_of(ground.conn, &site).await?;
        site.revision = ground.revision(site.authority.scope())?;
        let moved = self.act.perform(ground, &mut site).await?;
        update_site(ground.conn, &site).await?;
        if let Some(moved) = moved {
            insert_movements(ground.conn, site.authority, site.revision, &[moved]).await?;
        }
        record_in(ground, &scopes, &site)
    }
}

impl SiteAct {
    /// Changes the site, and says what land moved.
    async fn perform(&self, ground: &mut Ground<'_>, site: &mut Site) -> Result<Option<Movement>, Error> {
        match self {
            Self::Rename(name) => rename(site, name)?,
            Self::Remeasure(new) => return remeasure(ground, site, new).await,
            Self::Suspend(cause) => suspend(site, *cause)?,
            Self::Resume => {
                expect_not_stopped(ground.conn, site).await?;
                resume(site)?;
            }
            Self::Close(release) => return release_all(ground, site, release).await,
            Self::HandOver(day) => {
                expect_come("handed_over_on", *day, site, ground.now)?;
                hand_over(site, *day)?;
                expect_nobody_works(ground.conn, site.id, "be handed over").await?;
            }
            Self::Survey(survey) => record_survey(ground, site, survey).await?,
        }
        Ok(None)
    }
}

fn rename(site: &mut Site, name: &Title) -> Result<(), Error> {
    if site.name == *name {
        return Err(Violations::one("name", "is the name that the place has already"));
    }
    // A name that comes back is no former one.
    site.former_names.retain(|former| former != name);
    if FORMER_NAMES_MAX <= site.former_names.len() {
        let max = i64::try_from(FORMER_NAMES_MAX).unwrap_or(i64::MAX);
        return Err(Refusal::LimitReached { what: "the list of former names of a site", max }.into());
    }
    site.former_names.push(std::mem::replace(&mut site.name, name.clone()));
    Ok(())
}

async fn remeasure(
    ground: &mut Ground<'_>,
    site: &mut Site,
    new: &Remeasurement,
) -> Result<Option<Movement>, Error> {
    expect_status(site, "be measured anew", &[SiteStatus::Open, SiteStatus::Suspended])?;
    expect_come("measured_on", new.measured_on, site, ground.now)?;
    check_outline(site, new)?;
    let difference = new.area_m2.saturating_sub(site.area_m2);
    if difference == 0 && new.outline.is_none() {
        return Err(Violations::one("area_m2", "is what the site has already; nothing is to be booked"));
    }
    // Also where nothing is booked: an older outline does not replace a newer one.
    expect_in_order(ground.conn, "measured_on", new.measured_on, site.id).await?;
    if let Some(outline) = &new.outline {
        site.bounds = Some(outline.boundary.bounds);
        site.boundary = Some(outline.boundary.clone());
    }
    if difference == 0 {
        return Ok(None);
    }
    site.area_m2 = new.area_m2;
    let (kind, note) = (MovementKind::Remeasured, new.reason.as_str().to_owned());
    Ok(Some(Movement::new(site, kind, difference, new.measured_on, note)))
}

/// Passes a measurement that fits its outline, or the one that is kept.
fn check_outline(site: &Site, new: &Remeasurement) -> Result<(), Error> {
    const FIELD: &str = "boundary_geojson";
    let mut violations = Violations::default();
    note_misfit(&mut violations, FIELD, (site.country, new.area_m2), new.outline.as_ref(), None);
    if let (None, Some(kept)) = (&new.outline, &site.boundary)
        && area_flaw(new.area_m2, kept.computed_area_m2).is_some()
    {
        let (kept, measured) = (kept.computed_area_m2, new.area_m2);
        let rule = format!(
            "is missing, but the outline that is kept encloses {kept} m2, which does not fit the measured {measured} \
             m2; send the new one"
        );
        violations.add(FIELD, rule);
    }
    violations.check()
}

/// The safety stops in force on the ground of a site: on itself, and on the sites that it came from.
pub(super) async fn stops_on_ground(conn: &mut Connection, site: &Site) -> Result<Vec<SafetyStop>, Error> {
    let lineage = find_lineage(&mut *conn, site.id).await?;
    let ground: Vec<StopTarget> = lineage.iter().map(|id| StopTarget::Site(site.authority, *id)).collect();
    list_in_force(conn, &ground).await
}

/// Refuses a site that a safety stop holds. One on a site that it came from is on its ground.
async fn expect_not_stopped(conn: &mut Connection, site: &Site) -> Result<(), Error> {
    match stops_on_ground(conn, site).await?.first() {
        None => Ok(()),
        Some(stop) => {
            Err(Refusal::SafetyStopped { kind: Kind::Site, id: site.id.uuid(), stop: stop.id }.into())
        }
    }
}

/// The survey is recorded before the site, so that an answer finds both.
async fn record_survey(ground: &mut Ground<'_>, site: &mut Site, survey: &Survey) -> Result<(), Error> {
    expect_come("survey.surveyed_on", survey.surveyed_on, site, ground.now)?;
    let lineage = find_lineage(&mut *ground.conn, site.id).await?;
    let kept_last = find_kept_last(&mut *ground.conn, &lineage).await?;
    let (authority, created_at, revision) = (site.authority, ground.now, site.revision);
    let mut survey = Survey { authority, created_at, revision, ..survey.clone() };
    weigh(site, &mut survey, kept_last)?;
    insert_survey(ground.conn, &survey).await?;
    ground.record(authority.scope(), Record::Survey(survey))
}

impl App {
    /// Changes a site.
    ///
    /// # Errors
    /// `Stale` when the caller knows an older state; what the status, the evidence and the ledger do not allow.
    pub async fn change_site(
        &self,
        caller: &Caller,
        request: Request,
        change: ChangeSite,
    ) -> Result<Changed, Error> {
        let site = self.get_site(change.site, 0).await?;
        may_act_for(caller, site.authority)?;
        self.change(caller, request, change).await
    }
}
