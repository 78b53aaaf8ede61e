//! What a survey makes of what is known about a site. The unsafe value wins: a class rises and never falls, and what
//! speaks against it is kept beside it.

use jiff::civil::Date;

use crate::domain::kind::Kind;
use crate::domain::refusal::Refusal;
use crate::domain::site::{HazardClass, Site, SiteStatus, Survey, SurveyResult};

/// Weighs a survey against a site and changes both. `kept_last` is the newest day of a survey of the site that was
/// kept without following it.
///
/// # Errors
/// Refuses evidence on a released site.
pub fn weigh(site: &mut Site, survey: &mut Survey, kept_last: Option<Date>) -> Result<(), Refusal> {
    survey.kept_unsafe = false;
    let released = matches!(site.status, SiteStatus::Closed | SiteStatus::HandedOver);
    if released {
        let safe = survey.result == SurveyResult::NoEvidence;
        return if safe { Ok(()) } else { Err(after_release(site)) };
    }
    match survey.result {
        SurveyResult::DirectEvidence => confirm(site, survey, kept_last),
        SurveyResult::IndirectEvidence | SurveyResult::NoEvidence => follow_or_keep(site, survey),
    }
    if survey.result != SurveyResult::NoEvidence {
        site.evidence_on = site.evidence_on.max(survey.surveyed_on);
    }
    Ok(())
}

fn after_release(site: &Site) -> Refusal {
    let action = if site.release.is_some() {
        "take evidence: ReopenSite makes a new, linked site"
    } else {
        "take evidence: it was split, survey the part that the evidence is on"
    };
    let allowed = vec![SiteStatus::Open.word(), SiteStatus::Suspended.word()];
    Refusal::WrongState { kind: Kind::Site, id: site.id.uuid(), state: site.status.word(), action, allowed }
}

fn confirm(site: &mut Site, survey: &Survey, kept_last: Option<Date>) {
    let older = survey.surveyed_on < site.information_on;
    if site.class == HazardClass::Sha && older {
        site.conflict = format!(
            "direct evidence of {} made it CHA, though the later information of {} did not find any",
            survey.surveyed_on, site.information_on
        );
    }
    site.class = HazardClass::Cha;
    if older {
        return;
    }
    if kept_last.is_none_or(|kept| kept <= survey.surveyed_on) {
        site.conflict.clear();
    }
    inform(site, survey);
}

fn follow_or_keep(site: &mut Site, survey: &mut Survey) {
    let older = survey.surveyed_on < site.information_on;
    let contradicts = site.class == HazardClass::Cha;
    survey.kept_unsafe = older || contradicts;
    if contradicts && !older {
        site.conflict = format!(
            "{} of {} found {}, but by the information of {} it is CHA",
            survey.kind, survey.surveyed_on, survey.result, site.information_on
        );
    }
    if !survey.kept_unsafe {
        inform(site, survey);
    }
}

/// The survey rules the view from now on.
fn inform(site: &mut Site, survey: &Survey) {
    site.information_on = survey.surveyed_on;
    if !survey.note.as_str().is_empty() {
        site.evidence = survey.note.clone();
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::site::SurveyKind;
    use crate::domain::site::sample::{site, survey};

    fn weighed(class: HazardClass, result: SurveyResult, day: Date) -> (Site, Survey) {
        let mut site = Site { class, information_on: date(2020, 1, 1), ..site() };
        let mut survey = survey(&site, SurveyKind::Nts, result, day);
        weigh(&mut site, &mut survey, None).unwrap();
        (site, survey)
    }

    const BEFORE: Date = date(2019, 12, 31);
    const AFTER: Date = date(2020, 2, 29);

    #[test]
    fn direct_evidence_confirms_whatever_its_date() {
        let (site, survey) = weighed(HazardClass::Sha, SurveyResult::DirectEvidence, AFTER);
        assert_eq!((site.class, site.information_on, survey.kept_unsafe), (HazardClass::Cha, AFTER, false));
        assert_eq!(site.conflict, "");
        let (site, _) = weighed(HazardClass::Sha, SurveyResult::DirectEvidence, BEFORE);
        assert_eq!((site.class, site.information_on), (HazardClass::Cha, date(2020, 1, 1)));
        assert!(site.conflict.contains("2019-12-31"), "{}", site.conflict);
    }

    #[test]
    fn no_survey_lowers_a_class_and_a_contradiction_is_shown() {
        for result in [SurveyResult::NoEvidence, SurveyResult::IndirectEvidence] {
            let (site, survey) = weighed(HazardClass::Cha, result, AFTER);
            assert_eq!((site.class, site.information_on), (HazardClass::Cha, date(2020, 1, 1)));
            assert!(survey.kept_unsafe && site.conflict.contains(result.word()), "{}", site.conflict);
            let (site, survey) = weighed(HazardClass::Cha, result, BEFORE);
            assert!(survey.kept_unsafe && site.conflict.is_empty(), "older information contradicts nothing");
        }
    }

    #[test]
    fn newer_information_on_a_suspected_area_rules_and_older_does_not() {
        for result in [SurveyResult::NoEvidence, SurveyResult::IndirectEvidence] {
            let (site, survey) = weighed(HazardClass::Sha, result, AFTER);
            assert_eq!((site.class, site.information_on), (HazardClass::Sha, AFTER));
            assert_eq!((survey.kept_unsafe, site.evidence.as_str()), (false, "surveyed"));
            let (site, survey) = weighed(HazardClass::Sha, result, BEFORE);
            assert_eq!((site.information_on, survey.kept_unsafe), (date(2020, 1, 1), true));
        }
    }

    #[test]
    fn a_conflict_ends_with_direct_evidence_that_is_not_older() {
        let (mut site, kept) = weighed(HazardClass::Cha, SurveyResult::NoEvidence, AFTER);
        let mut older = survey(&site, SurveyKind::Ts, SurveyResult::DirectEvidence, date(2020, 2, 28));
        weigh(&mut site, &mut older, Some(kept.surveyed_on)).unwrap();
        assert_ne!(site.conflict, "");
        let mut newer = survey(&site, SurveyKind::Ts, SurveyResult::DirectEvidence, AFTER);
        weigh(&mut site, &mut newer, Some(kept.surveyed_on)).unwrap();
        assert_eq!(site.conflict, "");
    }

    #[test]
    fn a_released_site_takes_no_evidence_but_hears_that_there_is_none() {
        for status in [SiteStatus::Closed, SiteStatus::HandedOver] {
            let mut site = Site { status, ..site() };
            let before = site.clone();
            let mut clean = survey(&site, SurveyKind::Nts, SurveyResult::NoEvidence, AFTER);
            weigh(&mut site, &mut clean, None).unwrap();
            assert_eq!(site, before);
            let mut find = survey(&site, SurveyKind::Nts, SurveyResult::DirectEvidence, AFTER);
            let refused = weigh(&mut site, &mut find, None).unwrap_err();
            assert!(refused.to_string().contains("was split"), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn the_class_never_falls_and_the_last_evidence_is_the_newest(
            surveys in proptest::collection::vec((0_usize..3, 0_i32..400), 1..12),
        ) {
            let mut site = Site { class: HazardClass::Sha, ..site() };
            let (mut found, mut newest) = (false, site.evidence_on);
            for (result, offset) in surveys {
                let result = SurveyResult::ALL[result];
                let day = date(2013, 10, 1).saturating_add(jiff::Span::new().days(offset));
                let mut survey = survey(&site, SurveyKind::Nts, result, day);
                weigh(&mut site, &mut survey, None).unwrap();
                found |= result == SurveyResult::DirectEvidence;
                if result != SurveyResult::NoEvidence {
                    newest = newest.max(day);
                }
                prop_assert_eq!(site.class == HazardClass::Cha, found);
                prop_assert_eq!(site.evidence_on, newest);
            }
        }
    }
}
