//! Releasing what is left of a site: what is known of its ground, and who works there.

use jiff::civil::Date;

use crate::app::change::Ground;
use crate::app::site::expect_come;
use crate::domain::ids::{SiteId, SurveyId};
use crate::domain::land::{Movement, out_of_order};
use crate::domain::site::control::Control;
use crate::domain::site::release::{Proof, close, expect_ready};
use crate::domain::site::{LandRelease, Site, Survey};
use crate::error::{Error, Violations};
use crate::store::Connection;
use crate::store::site::find_lineage;
use crate::store::site::ground::{find_added_on, list_controls, list_stranded};
use crate::store::site::land::list_booked;
use crate::store::site::survey::find_survey;

/// What stands behind every release of a site, whatever survey it names.
pub(super) struct KnownGround {
    pub(super) lineage: Vec<SiteId>,
    added_on: Option<Date>,
    controls: Vec<Control>,
}

impl KnownGround {
    pub(super) async fn of(conn: &mut Connection, site: SiteId) -> Result<Self, Error> {
        let lineage = find_lineage(&mut *conn, site).await?;
        let added_on = find_added_on(&mut *conn, &lineage).await?;
        let controls = list_controls(conn, &lineage).await?;
        Ok(Self { lineage, added_on, controls })
    }

    pub(super) fn proof<'a>(&'a self, survey: Option<&'a Survey>) -> Proof<'a> {
        Proof { survey, lineage: &self.lineage, added_on: self.added_on, controls: &self.controls }
    }
}

/// Releases what is left, and says what land moved: none where approved reports have released all of it before.
pub(super) async fn release_all(
    ground: &mut Ground<'_>,
    site: &mut Site,
    release: &LandRelease,
) -> Result<Option<Movement>, Error> {
    const FIELD: &str = "release.decided_on";
    expect_come(FIELD, release.decided_on, site, ground.now)?;
    let survey = named_survey(ground.conn, release.survey).await?;
    let known = KnownGround::of(ground.conn, site.id).await?;
    let moved = close(site, release.clone(), &known.proof(survey.as_ref()))?;
    expect_in_order(ground.conn, FIELD, moved.effective_on, site.id).await?;
    expect_nobody_works(ground.conn, site.id, "be closed").await?;
    Ok(Some(moved).filter(|moved| moved.area_m2 != 0))
}

/// Refuses to book on a day before what is booked of a site.
pub(super) async fn expect_in_order(
    conn: &mut Connection,
    field: &str,
    day: Date,
    site: SiteId,
) -> Result<(), Error> {
    match out_of_order(day, &list_booked(conn, site).await?) {
        None => Ok(()),
        Some(rule) => Err(Violations::one(field, rule)),
    }
}

/// Refuses to give up the last open site of a task that is about to work, works, or must work again.
pub(super) async fn expect_nobody_works(
    conn: &mut Connection,
    site: SiteId,
    action: &'static str,
) -> Result<(), Error> {
    let stranded = list_stranded(conn, site).await?.into_iter();
    let missing = stranded.map(|task| {
        let (code, id, state) = (task.code, task.task_id, task.state);
        format!(
            "task {code} ({id}) is {state} and would have no open site left; complete it first or cancel it"
        )
    });
    Ok(expect_ready(site, action, missing.collect())?)
}

/// The survey that a release names, if it exists.
pub(super) async fn named_survey(
    conn: &mut Connection,
    id: Option<SurveyId>,
) -> Result<Option<Survey>, Error> {
    match id {
        Some(id) => find_survey(conn, id).await,
        None => Ok(None),
    }
}
