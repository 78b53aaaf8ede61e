//! The part of the table that is about rules: each refusal with its reason and the facts of its metadata.

use uuid::Uuid;

use crate::domain::ids::AllocationId;
use crate::domain::kind::Kind;
use crate::domain::program::DEPTH_MAX;
use crate::domain::refusal::Refusal;
use crate::rpc::pb::ErrorReason;
use crate::rpc::status::Facts;

/// The reason and the facts of a refusal, by the comments of `error_reason.proto`.
pub(super) fn refused(refusal: &Refusal) -> (ErrorReason, Facts) {
    match refusal {
        Refusal::InsufficientAvailable { .. }
        | Refusal::InsufficientReserved { .. }
        | Refusal::InsufficientObligated { .. }
        | Refusal::InsufficientAdvanced { .. }
        | Refusal::DrawNotNeeded { .. }
        | Refusal::AmountTooLarge(_) => refused_funds(refusal),
        Refusal::PeriodExpired { .. }
        | Refusal::PeriodClosed { .. }
        | Refusal::PeriodNotOpen { .. }
        | Refusal::PeriodNotExpired { .. }
        | Refusal::PeriodNotSettled { .. }
        | Refusal::EffectiveOutsidePeriod { .. }
        | Refusal::EffectiveBeforeEntry { .. }
        | Refusal::BaseChanged { .. }
        | Refusal::IncreaseIsZero { .. }
        | Refusal::SamePeriod(_) => refused_period(refusal),
        Refusal::NotALeaf { .. }
        | Refusal::AllocationInUse(_)
        | Refusal::AllocationTooDeep { .. }
        | Refusal::RootHasNoParent(_)
        | Refusal::ReservationElsewhere { .. }
        | Refusal::NothingToPushDown(_)
        | Refusal::WrongPurpose { .. }
        | Refusal::OtherPeriod { .. } => refused_tree(refusal),
        Refusal::CodeTaken { .. }
        | Refusal::LimitReached { .. }
        | Refusal::AlreadyReversed { .. }
        | Refusal::NotReversible(_)
        | Refusal::WrongOrganizationKind { .. }
        | Refusal::RevisionAhead { .. }
        | Refusal::OtherEpoch { .. } => refused_other(refusal),
        Refusal::WrongState { .. }
        | Refusal::NotReady { .. }
        | Refusal::SafetyStopped { .. }
        | Refusal::AssignmentRefused { .. }
        | Refusal::AreaMismatch { .. }
        | Refusal::BelongsElsewhere { .. }
        | Refusal::DaysOverlap { .. }
        | Refusal::OwnReport(_)
        | Refusal::AreaCredited { .. }
        | Refusal::PersonErased(_)
        | Refusal::PersonalKeyMissing { .. } => refused_operations(refusal),
        // These become NOT_FOUND, ALREADY_EXISTS or ABORTED before they get here.
        Refusal::UnknownPeriod(_)
        | Refusal::UnknownAllocation(_)
        | Refusal::UnknownReservation(_)
        | Refusal::UnknownObligation(_)
        | Refusal::UnknownEntry(_)
        | Refusal::PeriodTaken(_)
        | Refusal::ReservationTaken(_)
        | Refusal::ObligationTaken(_)
        | Refusal::AllocationTaken(_)
        | Refusal::Stale { .. } => (ErrorReason::Unspecified, Vec::new()),
    }
}

fn refused_funds(refusal: &Refusal) -> (ErrorReason, Facts) {
    let short = |key, id: String, remaining: i64, requested: i64| {
        vec![
            (key, id),
            ("remaining", remaining.to_string()),
            ("requested", requested.to_string()),
            ("shortfall", requested.saturating_sub(remaining).to_string()),
        ]
    };
    match refusal {
        Refusal::InsufficientAvailable { allocation, available, requested, currency, also } => {
            let mut facts = vec![
                ("allocation_id", allocation.to_string()),
                ("available", available.to_string()),
                ("requested", requested.to_string()),
                ("currency", currency.to_string()),
            ];
            if !also.is_empty() {
                facts.push(("also_blocking_count", also.len().to_string()));
                facts.push(("also_blocking", join(also)));
            }
            (ErrorReason::InsufficientAvailable, facts)
        }
        Refusal::InsufficientReserved { reservation, remaining, requested } => {
            let facts = short("reservation_id", reservation.to_string(), *remaining, *requested);
            (ErrorReason::InsufficientReserved, facts)
        }
        Refusal::InsufficientObligated { obligation, remaining, requested } => {
            let facts = short("obligation_id", obligation.to_string(), *remaining, *requested);
            (ErrorReason::InsufficientObligated, facts)
        }
        Refusal::InsufficientAdvanced { obligation, remaining, requested } => {
            let facts = short("obligation_id", obligation.to_string(), *remaining, *requested);
            (ErrorReason::InsufficientAdvanced, facts)
        }
        Refusal::DrawNotNeeded { obligation, remaining, left } => {
            let facts = vec![
                ("obligation_id", obligation.to_string()),
                ("remaining", remaining.to_string()),
                ("left", left.to_string()),
            ];
            (ErrorReason::DrawNotNeeded, facts)
        }
        Refusal::AmountTooLarge(id) => (ErrorReason::AmountTooLarge, vec![("allocation_id", id.to_string())]),
        _ => (ErrorReason::Unspecified, Vec::new()),
    }
}

fn refused_period(refusal: &Refusal) -> (ErrorReason, Facts) {
    match refusal {
        Refusal::PeriodExpired { period, action } => {
            let facts = vec![("period_id", period.to_string()), ("action", (*action).to_owned())];
            (ErrorReason::PeriodExpired, facts)
        }
        Refusal::PeriodClosed { period, action } => {
            let facts = vec![("period_id", period.to_string()), ("action", (*action).to_owned())];
            (ErrorReason::PeriodClosed, facts)
        }
        Refusal::PeriodNotOpen { period, state } => {
            let facts = vec![("period_id", period.to_string()), ("state", state.word().to_owned())];
            (ErrorReason::PeriodNotOpen, facts)
        }
        Refusal::PeriodNotExpired { period, state } => {
            let facts = vec![("period_id", period.to_string()), ("state", state.word().to_owned())];
            (ErrorReason::PeriodNotExpired, facts)
        }
        Refusal::PeriodNotSettled { period, reserved, obligated, advanced, allocations } => {
            let facts = vec![
                ("period_id", period.to_string()),
                ("reserved", reserved.to_string()),
                ("obligated", obligated.to_string()),
                ("advanced", advanced.to_string()),
                ("allocation_ids", join(allocations)),
            ];
            (ErrorReason::PeriodNotSettled, facts)
        }
        Refusal::EffectiveOutsidePeriod { period, effective_on, first_day, last_day } => {
            let facts = vec![
                ("period_id", period.to_string()),
                ("effective_on", effective_on.to_string()),
                ("first_day", first_day.to_string()),
                ("last_day", last_day.to_string()),
            ];
            (ErrorReason::EffectiveOutsidePeriod, facts)
        }
        Refusal::EffectiveBeforeEntry { entry, effective_on, earliest } => {
            let facts = vec![
                ("entry_id", entry.to_string()),
                ("effective_on", effective_on.to_string()),
                ("earliest", earliest.to_string()),
            ];
            (ErrorReason::EffectiveBeforeEntry, facts)
        }
        Refusal::BaseChanged { period, base_revision, authorization_revision } => {
            let facts = vec![
                ("period_id", period.to_string()),
                ("base_revision", base_revision.to_string()),
                ("authorization_revision", authorization_revision.to_string()),
            ];
            (ErrorReason::BaseChanged, facts)
        }
        Refusal::IncreaseIsZero { period, base, percent_ppm } => {
            let facts = vec![
                ("period_id", period.to_string()),
                ("base", base.to_string()),
                ("percent_ppm", percent_ppm.to_string()),
            ];
            (ErrorReason::IncreaseIsZero, facts)
        }
        Refusal::SamePeriod(id) => (ErrorReason::SamePeriod, vec![("period_id", id.to_string())]),
        _ => (ErrorReason::Unspecified, Vec::new()),
    }
}

fn refused_tree(refusal: &Refusal) -> (ErrorReason, Facts) {
    let of = |id: &AllocationId| vec![("allocation_id", id.to_string())];
    match refusal {
        Refusal::NotALeaf { allocation, child_count } => {
            let mut facts = of(allocation);
            facts.push(("child_count", child_count.to_string()));
            (ErrorReason::NotALeaf, facts)
        }
        Refusal::AllocationInUse(id) => (ErrorReason::AllocationInUse, of(id)),
        Refusal::AllocationTooDeep { parent, depth } => {
            let max = DEPTH_MAX.to_string();
            let facts = vec![("parent_id", parent.to_string()), ("depth", depth.to_string()), ("max", max)];
            (ErrorReason::AllocationTooDeep, facts)
        }
        Refusal::RootHasNoParent(id) => (ErrorReason::RootHasNoParent, of(id)),
        Refusal::ReservationElsewhere { reservation, allocation } => {
            let mut facts = of(allocation);
            facts.push(("reservation_id", reservation.to_string()));
            (ErrorReason::ReservationElsewhere, facts)
        }
        Refusal::NothingToPushDown(id) => (ErrorReason::NothingToPushDown, of(id)),
        Refusal::WrongPurpose { purpose, parent } => {
            let facts =
                vec![("purpose", purpose.word().to_owned()), ("parent_purpose", parent.word().to_owned())];
            (ErrorReason::WrongPurpose, facts)
        }
        Refusal::OtherPeriod { parent, period } => {
            let facts = vec![("parent_id", parent.to_string()), ("period_id", period.to_string())];
            (ErrorReason::OtherPeriod, facts)
        }
        _ => (ErrorReason::Unspecified, Vec::new()),
    }
}

fn refused_other(refusal: &Refusal) -> (ErrorReason, Facts) {
    match refusal {
        Refusal::CodeTaken { kind, code } => {
            (ErrorReason::CodeTaken, vec![("kind", kind.to_string()), ("code", code.to_string())])
        }
        Refusal::LimitReached { what, max } => {
            (ErrorReason::LimitReached, vec![("what", (*what).to_owned()), ("max", max.to_string())])
        }
        Refusal::AlreadyReversed { entry, by } => {
            let facts = vec![("entry_id", entry.to_string()), ("reversed_by", by.to_string())];
            (ErrorReason::AlreadyReversed, facts)
        }
        Refusal::NotReversible(id) => (ErrorReason::NotReversible, vec![("entry_id", id.to_string())]),
        Refusal::WrongOrganizationKind { organization, kind, required } => {
            let facts = vec![
                ("organization_id", organization.to_string()),
                ("kind", kind.to_string()),
                ("required", required.to_string()),
            ];
            (ErrorReason::WrongOrganizationKind, facts)
        }
        Refusal::RevisionAhead { requested, revision } => {
            let facts = vec![("requested", requested.to_string()), ("revision", revision.to_string())];
            (ErrorReason::RevisionAhead, facts)
        }
        Refusal::OtherEpoch { token_epoch, feed_epoch } => {
            let facts =
                vec![("token_epoch", token_epoch.to_string()), ("feed_epoch", feed_epoch.to_string())];
            (ErrorReason::ResumeTokenEpoch, facts)
        }
        _ => (ErrorReason::Unspecified, Vec::new()),
    }
}

fn refused_operations(refusal: &Refusal) -> (ErrorReason, Facts) {
    let of = |kind: &Kind, id: &Uuid| vec![("kind", kind.to_string()), ("id", id.to_string())];
    match refusal {
        Refusal::WrongState { kind, id, state, action, allowed } => {
            let mut facts = of(kind, id);
            facts.extend([("state", (*state).to_owned()), ("action", (*action).to_owned())]);
            facts.push(("allowed", allowed.join(",")));
            (ErrorReason::WrongState, facts)
        }
        Refusal::NotReady { kind, id, action, .. } => {
            let mut facts = of(kind, id);
            facts.push(("action", (*action).to_owned()));
            (ErrorReason::NotReady, facts)
        }
        Refusal::SafetyStopped { kind, id, stop } => {
            let mut facts = of(kind, id);
            facts.push(("safety_stop_id", stop.to_string()));
            (ErrorReason::SafetyStopped, facts)
        }
        Refusal::AssignmentRefused { team, task, findings } => {
            let facts = vec![
                ("team_id", team.to_string()),
                ("task_id", task.to_string()),
                ("findings", findings.len().to_string()),
            ];
            (ErrorReason::AssignmentRefused, facts)
        }
        Refusal::AreaMismatch { site, area_m2, parts_m2, tolerance_m2 } => {
            let facts = vec![
                ("site_id", site.to_string()),
                ("area_m2", area_m2.to_string()),
                ("parts_m2", parts_m2.to_string()),
                ("tolerance_m2", tolerance_m2.to_string()),
            ];
            (ErrorReason::AreaMismatch, facts)
        }
        Refusal::BelongsElsewhere { kind, id, owner, organization } => {
            let mut facts = of(kind, id);
            facts.extend([("owner_id", owner.to_string()), ("organization_id", organization.to_string())]);
            (ErrorReason::BelongsElsewhere, facts)
        }
        Refusal::PersonalKeyMissing { key_id } => {
            let mut facts = vec![("setting", "--personal-key-file (SAFELANE_PERSONAL_KEY_FILE)".to_owned())];
            facts.extend(key_id.iter().map(|id| ("key_id", id.clone())));
            (ErrorReason::PersonalKeyMissing, facts)
        }
        Refusal::DaysOverlap { kind, id, what } => {
            let mut facts = of(kind, id);
            facts.push(("what", (*what).to_owned()));
            (ErrorReason::DaysOverlap, facts)
        }
        Refusal::PersonErased(id) => (ErrorReason::PersonErased, vec![("person_id", id.to_string())]),
        Refusal::OwnReport(id) => (ErrorReason::OwnReport, vec![("report_id", id.to_string())]),
        Refusal::AreaCredited { report, parts } => {
            let mut facts = vec![("report_id", report.to_string())];
            facts.extend(parts.first().map(|(owner, _)| ("credited_to", owner.to_string())));
            (ErrorReason::AreaCredited, facts)
        }
        _ => (ErrorReason::Unspecified, Vec::new()),
    }
}

fn join(ids: &[AllocationId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
