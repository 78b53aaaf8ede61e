//! What the status of a site allows, and what a release needs.

use jiff::civil::Date;

use crate::domain::ids::SiteId;
use crate::domain::kind::Kind;
use crate::domain::land::{Movement, MovementKind};
use crate::domain::refusal::Refusal;
use crate::domain::site::control::{Control, faults};
use crate::domain::site::{
    LandRelease, ReleaseType, Site, SiteStatus, Survey, SurveyKind, SurveyResult, SuspensionCause,
};

/// Refuses what the status does not allow.
///
/// # Errors
/// `WrongState` with what it must be.
pub fn expect_status(site: &Site, action: &'static str, allowed: &[SiteStatus]) -> Result<(), Refusal> {
    if allowed.contains(&site.status) {
        return Ok(());
    }
    let allowed = allowed.iter().map(|status| status.word()).collect();
    Err(Refusal::WrongState {
        kind: Kind::Site,
        id: site.id.uuid(),
        state: site.status.word(),
        action,
        allowed,
    })
}

/// Refuses with everything that is missing, if anything is.
///
/// # Errors
/// `NotReady` with the whole list.
pub fn expect_ready(site: SiteId, action: &'static str, missing: Vec<String>) -> Result<(), Refusal> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::NotReady { kind: Kind::Site, id: site.uuid(), action, missing })
}

/// Nobody works there for now.
///
/// # Errors
/// Refuses a site that is not open.
pub fn suspend(site: &mut Site, cause: SuspensionCause) -> Result<(), Refusal> {
    expect_status(site, "be suspended", &[SiteStatus::Open])?;
    site.status = SiteStatus::Suspended;
    site.suspension = Some(cause);
    Ok(())
}

/// Work may go on. Whether a safety stop is in force is asked before.
///
/// # Errors
/// Refuses a site that is not suspended.
pub fn resume(site: &mut Site) -> Result<(), Refusal> {
    expect_status(site, "be resumed", &[SiteStatus::Suspended])?;
    site.status = SiteStatus::Open;
    site.suspension = None;
    Ok(())
}

/// What stands behind a release.
#[derive(Debug, Clone, Copy, Default)]
pub struct Proof<'a> {
    /// The survey that it names, if there is one.
    pub survey: Option<&'a Survey>,
    /// The site and those that it came from: a survey of any of them is a survey of its ground.
    pub lineage: &'a [SiteId],
    /// The day on which land was added last. A survey before it has not seen that land.
    pub added_on: Option<Date>,
    /// Quality controls of tasks on this ground, by task, the oldest first.
    pub controls: &'a [Control],
}

/// Releases all that is left of a site.
///
/// # Errors
/// Refuses a site that is not open, and lists everything that the release lacks.
pub fn close(site: &mut Site, release: LandRelease, proof: &Proof<'_>) -> Result<Movement, Refusal> {
    expect_status(site, "be closed", &[SiteStatus::Open])?;
    let mut missing = match release.kind {
        ReleaseType::Cancelled => unproven(site, &release, proof, SurveyKind::Nts),
        ReleaseType::Reduced => unproven(site, &release, proof, SurveyKind::Ts),
        ReleaseType::Cleared => uncontrolled(site, &release, proof),
    };
    // Days do not tell which came first, so the unsafe one wins.
    if release.decided_on <= site.evidence_on {
        missing.push(format!(
            "the decision of {} is not after the last evidence of danger, of {}",
            release.decided_on, site.evidence_on
        ));
    }
    expect_ready(site.id, "be closed", missing)?;
    let kind = match release.kind {
        ReleaseType::Cancelled => MovementKind::Cancelled,
        ReleaseType::Reduced => MovementKind::Reduced,
        ReleaseType::Cleared => MovementKind::Cleared,
    };
    let released =
        Movement::new(site, kind, site.area_m2.saturating_neg(), release.decided_on, String::new());
    site.area_m2 = 0;
    site.status = SiteStatus::Closed;
    // The authority has decided what the contradiction meant.
    site.conflict.clear();
    site.release = Some(release);
    Ok(released)
}

/// What a release by survey lacks.
fn unproven(site: &Site, release: &LandRelease, proof: &Proof<'_>, needed: SurveyKind) -> Vec<String> {
    let Some(survey) = proof.survey else {
        let given =
            release.survey.map_or_else(|| "none is named".to_owned(), |id| format!("{id} does not exist"));
        return vec![format!("{} needs a survey of kind {needed} without evidence: {given}", release.kind)];
    };
    let mut missing = Vec::new();
    if survey.kind != needed {
        let (id, kind) = (survey.id, survey.kind);
        missing.push(format!("{} needs a survey of kind {needed}, {id} is {kind}", release.kind));
    }
    if survey.result != SurveyResult::NoEvidence {
        missing.push(format!("survey {} found {}", survey.id, survey.result));
    }
    if !proof.lineage.contains(&survey.site) {
        missing.push(format!("survey {} is of another site, {}", survey.id, survey.site));
    }
    if survey.surveyed_on <= site.evidence_on {
        let (day, evidence) = (survey.surveyed_on, site.evidence_on);
        missing.push(format!("the survey of {day} is not after the last evidence of danger, of {evidence}"));
    }
    if let Some(added) = proof.added_on.filter(|added| survey.surveyed_on < *added) {
        let day = survey.surveyed_on;
        missing.push(format!("the survey of {day} has not seen the land that was added on {added}"));
    }
    if release.decided_on < survey.surveyed_on {
        let (decided, day) = (release.decided_on, survey.surveyed_on);
        missing.push(format!("the decision of {decided} is older than the survey of {day}"));
    }
    missing
}

/// What a release by clearance lacks.
fn uncontrolled(site: &Site, release: &LandRelease, proof: &Proof<'_>) -> Vec<String> {
    let mut missing = faults(release, site.evidence_on, proof.controls);
    if release.depth_cm.is_none() {
        missing.push("CLEARED needs the depth".to_owned());
    }
    if release.quality_control.is_none() {
        missing.push("CLEARED needs the report that passed quality control".to_owned());
    }
    missing
}

/// The users of the land have it back.
///
/// # Errors
/// Refuses a site that is not closed, one that was split, and a day before the release.
pub fn hand_over(site: &mut Site, day: Date) -> Result<(), Refusal> {
    const ACTION: &str = "be handed over";
    expect_status(site, ACTION, &[SiteStatus::Closed])?;
    let missing = match &site.release {
        None => vec!["it was split and has no land left; hand over its parts".to_owned()],
        Some(release) if day < release.decided_on => {
            vec![format!("the certificate of {day} is older than the release of {}", release.decided_on)]
        }
        Some(_) => Vec::new(),
    };
    expect_ready(site.id, ACTION, missing)?;
    site.status = SiteStatus::HandedOver;
    site.handed_over_on = Some(day);
    Ok(())
}

/// How a new site out of a released one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reopening {
    /// The day on which its land is identified. Until the release it was that of the old site.
    pub booked_on: Date,
    /// What contradicts; empty for nothing.
    pub conflict: String,
}

/// Reopens a site on information of a day. What is learned late, of a day before the release, is as dangerous as any.
///
/// # Errors
/// Refuses a site that was not released.
pub fn reopen(site: &Site, information_on: Date) -> Result<Reopening, Refusal> {
    const ACTION: &str = "be reopened";
    expect_status(site, ACTION, &[SiteStatus::Closed, SiteStatus::HandedOver])?;
    let Some(release) = &site.release else {
        let missing = vec!["it was split; reopen the part that the evidence is on".to_owned()];
        return Err(Refusal::NotReady { kind: Kind::Site, id: site.id.uuid(), action: ACTION, missing });
    };
    let released = release.decided_on;
    let older = information_on < released;
    let conflict = format!("information of {information_on} is older than the release of {released}");
    Ok(Reopening {
        booked_on: information_on.max(released),
        conflict: if older { conflict } else { String::new() },
    })
}

#[cfg(test)]
mod tests;
