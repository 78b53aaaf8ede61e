//! Every reason why a team is not sent, each alone and all at once.

use safelane::rpc::pb;
use tonic::Code;

use super::yard::{Yard, day, name_of, names};
use crate::desk::reason;
use crate::harness::{fresh_id, in_world};

/// What stands in the way, as `REASON on day`; the day is left out where there is none.
fn told(findings: &[pb::Finding]) -> Vec<String> {
    let one = |finding: &pb::Finding| {
        let name = name_of(finding);
        finding.first_day.map_or_else(|| name.to_owned(), |day| format!("{name} {}-{}", day.month, day.day))
    };
    findings.iter().map(one).collect()
}

/// Does something to a ready yard by SQL and tells what then stands in the way of 15 to 25 June.
async fn after(world: &crate::harness::World, statement: impl Fn(&Yard) -> String) -> Vec<String> {
    let mut yard = Yard::open(world).await;
    let sql = statement(&yard);
    yard.run(sql).await;
    let findings = yard.findings(yard.assignment("06-15", "06-25")).await;
    told(&findings)
}

macro_rules! after_a_change {
    ($($name:ident: $change:expr => $($finding:literal),+;)+) => {$(
        #[tokio::test]
        async fn $name() {
            in_world(async |world| assert_eq!(after(world, $change).await, [$($finding),+])).await;
        }
    )+};
}

after_a_change! {
    a_team_without_members_is_not_sent:
        |yard: &Yard| format!("UPDATE members SET last_day = '1998-06-20' WHERE team_id = '{}'", yard.team)
        => "TEAM_EMPTY 6-21";
    a_disbanded_team_is_not_sent:
        |yard: &Yard| format!("UPDATE teams SET state = 'DISBANDED' WHERE team_id = '{}'", yard.team)
        => "TEAM_DISBANDED";
    a_task_that_is_only_planned_takes_no_team:
        |_: &Yard| "UPDATE tasks SET state = 'PLANNED'".to_owned() => "TASK_STATE";
    a_completed_task_takes_no_team:
        |_: &Yard| "UPDATE tasks SET state = 'COMPLETED'".to_owned() => "TASK_STATE";
    a_suspended_site_takes_no_team:
        |_: &Yard| "UPDATE sites SET status = 'SUSPENDED', suspension_cause = 'SEASON'".to_owned() => "SITE_STATE";
    a_closed_site_takes_no_team:
        |_: &Yard| "INSERT INTO land_movements
            SELECT authority_id, revision, 2, site_id, country_code, 'CANCELLED', -area_m2, '1998-06-01', NULL, ''
              FROM sites;
            UPDATE sites SET status = 'CLOSED', area_m2 = 0".to_owned()
        => "SITE_STATE";
    days_outside_the_task_are_refused:
        |_: &Yard| "UPDATE tasks SET last_day = '1998-06-24'".to_owned() => "OUTSIDE_TASK_DAYS 6-25";
    a_team_of_another_type_is_refused:
        |_: &Yard| "UPDATE tasks SET team_type = 'MDD'".to_owned() => "WRONG_TEAM_TYPE";
    an_operator_whose_accreditation_lapses_is_refused:
        |_: &Yard| "UPDATE accreditations SET last_day = '1998-06-20' WHERE level = 'ORGANIZATION'".to_owned()
        => "ORGANIZATION_NOT_ACCREDITED 6-21";
    a_team_whose_accreditation_lapses_is_refused:
        |_: &Yard| "UPDATE accreditations SET last_day = '1998-06-20' WHERE level = 'TEAM'".to_owned()
        => "TEAM_NOT_ACCREDITED 6-21";
    a_person_who_is_suspended_is_refused:
        |_: &Yard| "INSERT INTO suspensions SELECT accreditation_id, '1998-06-18', '1998-06-19', 'Ill'
            FROM accreditations WHERE level = 'PERSON'".to_owned()
        => "PERSON_NOT_ACCREDITED 6-18";
    a_person_who_has_not_worked_for_eleven_days_has_stood_down:
        |_: &Yard| "UPDATE accreditations SET first_day = '1998-06-04' WHERE level = 'PERSON'".to_owned()
        => "PERSON_STOOD_DOWN 6-15";
    accreditations_of_another_authority_do_not_count:
        |yard: &Yard| format!("UPDATE accreditations SET authority_id = '{}'", yard.desk.office_id)
        => "ORGANIZATION_NOT_ACCREDITED 6-15", "TEAM_NOT_ACCREDITED 6-15", "PERSON_NOT_ACCREDITED 6-15";
    a_licence_of_another_authority_does_not_count:
        |yard: &Yard| [(&yard.authority, "1998-06-19"), (&yard.desk.office_id, "1999-06-19")]
            .map(|(authority, until)| format!("INSERT INTO licences VALUES ('{}', gen_random_uuid(), '{authority}',
                '{}', '{}', '', '1998-06-01', '{until}', now(), 1);", yard.operator, yard.desk.program_id, yard.task))
            .concat()
        => "NOT_LICENSED 6-20";
    a_detector_whose_calibration_ends_is_refused:
        |_: &Yard| "UPDATE assets SET valid_until = '1998-06-22' WHERE kind = 'DETECTOR'".to_owned()
        => "ASSET_INVALID 6-23";
    a_withdrawn_detector_is_refused:
        |_: &Yard| "UPDATE assets SET state = 'WITHDRAWN' WHERE kind = 'DETECTOR'".to_owned() => "ASSET_WITHDRAWN";
    a_paramedic_who_is_a_driver_is_unfit:
        |_: &Yard| "UPDATE members SET role = 'DRIVER' WHERE role = 'PARAMEDIC'".to_owned()
        => "PARAMEDIC_UNFIT 6-15";
    a_paramedic_whose_membership_ends_is_unfit:
        |_: &Yard| "UPDATE members SET last_day = '1998-06-24' WHERE role = 'PARAMEDIC'".to_owned()
        => "PARAMEDIC_UNFIT 6-25";
    a_paramedic_who_works_in_the_team_is_busy:
        |yard: &Yard| format!("INSERT INTO members VALUES ('{}', gen_random_uuid(), '{}', '{}', 'DRIVER',
            '1998-06-17', '1998-06-18', now(), 1)", yard.operator, yard.team, yard.paramedic)
        => "PARAMEDIC_BUSY 6-17";
    a_vehicle_is_no_ambulance:
        |_: &Yard| "UPDATE assets SET kind = 'VEHICLE', shared_tasks_max = 0 WHERE kind = 'AMBULANCE'".to_owned()
        => "NOT_AN_AMBULANCE";
    a_withdrawn_ambulance_is_none:
        |_: &Yard| "UPDATE assets SET state = 'WITHDRAWN' WHERE kind = 'AMBULANCE'".to_owned()
        => "NOT_AN_AMBULANCE";
    a_licence_that_was_given_must_hold_on_every_day:
        |yard: &Yard| format!("INSERT INTO licences VALUES ('{}', gen_random_uuid(), '{}', '{}', '{}', '',
            '1998-06-01', '1998-06-19', now(), 1)", yard.operator, yard.authority, yard.desk.program_id, yard.task)
        => "NOT_LICENSED 6-20";
}

#[tokio::test]
async fn a_ready_team_is_sent_once_and_its_people_are_kept() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let new = yard.assignment("06-15", "06-25");
        assert_eq!(yard.findings(new.clone()).await, []);
        let sent = yard.assign(new.clone()).await.unwrap();
        let assignment = sent.assignment.clone().unwrap();
        assert_eq!(assignment.state(), pb::AssignmentState::Standing);
        assert_eq!((assignment.people.len(), &assignment.r#override), (2, &None));
        assert_eq!(
            (&assignment.program_id, &assignment.organization_id),
            (&yard.desk.program_id, &yard.operator)
        );
        assert_eq!(yard.assign(new.clone()).await.unwrap(), sent, "a retry gets the first answer");
        let mut other = new.clone();
        other.last_day = Some(day("06-26"));
        let refused = yard.assign(other).await.unwrap_err();
        let differs = ("ID_TAKEN".to_owned(), "assignment.last_day.day".to_owned());
        assert_eq!((reason(&refused).0, reason(&refused).1["differs"].clone()), differs);
        let get = pb::GetAssignmentRequest { assignment_id: new.assignment_id, min_revision: sent.revision };
        assert_eq!(yard.teams.get_assignment(get).await.unwrap().into_inner().assignment, sent.assignment);
    })
    .await;
}

#[tokio::test]
async fn what_is_taken_names_the_assignment_that_has_it() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let first = yard.assign(yard.assignment("06-15", "06-20")).await.unwrap().assignment.unwrap();
        let findings = yard.findings(yard.assignment("06-20", "06-25")).await;
        assert_eq!(told(&findings), ["TEAM_BUSY 6-20", "ASSET_BUSY 6-20"]);
        assert!(findings.iter().all(|of| of.blocking_id == first.assignment_id && !of.overridable));
        // Another team with the same driver, and the same detector.
        let second = yard.new_team("MT-2", "MANUAL").await;
        let driver = yard.new_member(&second, "Farai", "DRIVER").await;
        let team = yard.team.clone();
        yard.join(&team, &driver, "DRIVER", "1998-06-01", None).await;
        let third = yard.assign(yard.assignment("06-21", "06-22")).await.unwrap().assignment.unwrap();
        yard.accredit("TEAM", &second, "1998-06-14", None).await;
        let mut shared = yard.assignment("06-22", "06-25");
        shared.team_id = second;
        let findings = yard.findings(shared).await;
        assert_eq!(told(&findings), ["PERSON_BUSY 6-22", "ASSET_BUSY 6-22"]);
        assert!(findings.iter().all(|of| of.blocking_id == third.assignment_id));
        assert!(
            findings[0].text.contains(&format!("DRIVER {driver}")) && findings[0].text.contains("1998-06-22"),
            "{findings:?}"
        );
        assert_eq!(yard.findings(yard.assignment("06-23", "06-25")).await, [], "the day after is free");
    })
    .await;
}

#[tokio::test]
async fn safety_stops_on_task_site_and_operator_are_all_told() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        for (target, id) in [("TASK", &yard.task), ("SITE", &yard.site), ("OPERATOR", &yard.operator)] {
            let sql = format!(
                "INSERT INTO safety_stops (safety_stop_id, scope_id, target, target_id, cause, reason, issued_by,
                        issued_at, suspended_task_ids, revision)
                 VALUES (gen_random_uuid(), '{}', '{target}', '{id}', 'ACCIDENT', 'An accident', 'x', now(), '{{}}', 1)",
                yard.operator
            );
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut yard.sql).await.unwrap();
        }
        let findings = yard.findings(yard.assignment("06-15", "06-25")).await;
        assert_eq!(names(&findings), ["SAFETY_STOP"; 3]);
        yard.run("UPDATE safety_stops SET lifted_at = now(), lifted_by = 'x', lift_reason = 'Safe'".to_owned()).await;
        assert_eq!(yard.findings(yard.assignment("06-15", "06-25")).await, []);
    })
    .await;
}

#[tokio::test]
async fn medical_cover_with_gaps_is_a_finding_that_names_them() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let mut without = yard.assignment("06-15", "06-25");
        without.medical_cover = None;
        let findings = yard.findings(without).await;
        assert_eq!(told(&findings), ["NO_MEDICAL_COVER", "DRILL_MISSING 6-15"]);
        assert!(
            findings[0].text.contains("no paramedic, no ambulance, no hospital, no minutes"),
            "{findings:?}"
        );
        let mut far = yard.assignment("06-15", "06-25");
        let cover = far.medical_cover.as_mut().unwrap();
        (cover.evacuation_minutes, cover.drill_on, cover.hospital) = (121, Some(day("06-16")), String::new());
        let findings = yard.findings(far).await;
        assert_eq!(told(&findings), ["NO_MEDICAL_COVER", "EVACUATION_TOO_LONG", "DRILL_MISSING 6-15"]);
        let mut edge = yard.assignment("06-15", "06-25");
        let cover = edge.medical_cover.as_mut().unwrap();
        (cover.evacuation_minutes, cover.drill_on) = (120, Some(day("06-15")));
        assert_eq!(yard.findings(edge).await, []);
    })
    .await;
}

#[tokio::test]
async fn an_ambulance_covers_two_tasks_on_a_day_and_not_three() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let home = yard.task.clone();
        for (index, code) in ["T-2", "T-3"].into_iter().enumerate() {
            let team = yard.new_team(&format!("MT-{}", index + 5), "MANUAL").await;
            yard.new_member(&team, code, "DRIVER").await;
            yard.accredit("TEAM", &team, "1998-06-14", None).await;
            let task = yard.new_task(code).await;
            // The second and third task have 20 June in common.
            let days = [("06-15", "06-20"), ("06-20", "06-22")][index];
            let mut other = yard.assignment(days.0, days.1);
            (other.team_id, other.task_id, other.asset_ids) = (team, task, Vec::new());
            yard.assign(other).await.unwrap();
        }
        assert_eq!(yard.findings(yard.assignment("06-15", "06-19")).await, []);
        let findings = yard.findings(yard.assignment("06-15", "06-25")).await;
        assert_eq!(told(&findings), ["AMBULANCE_FULL 6-20"]);
        assert!(findings[0].overridable && !findings[0].blocking_id.is_empty());
        assert!(findings[0].text.contains("3 tasks on 1998-06-20"), "{findings:?}");
        // The same task again is no other task.
        let team = yard.new_team("MT-9", "MULTI_TASK").await;
        yard.new_member(&team, "Tatenda", "DRIVER").await;
        yard.accredit("TEAM", &team, "1998-06-14", None).await;
        yard.assign(yard.assignment("06-15", "06-19")).await.unwrap();
        let mut same = yard.assignment("06-15", "06-19");
        (same.team_id, same.task_id, same.asset_ids) = (team, home, Vec::new());
        assert_eq!(yard.findings(same).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_paramedic_on_duty_does_no_other_work() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        // Chipo drives for MT-2 as well, and MT-2 is at work.
        let second = yard.new_team("MT-2", "MANUAL").await;
        let chipo = yard.paramedic.clone();
        yard.join(&second, &chipo, "DRIVER", "1998-06-01", None).await;
        yard.accredit("TEAM", &second, "1998-06-14", None).await;
        let medics = yard.new_team("MED-2", "MEDICAL").await;
        let other = yard.new_member(&medics, "Nyasha", "PARAMEDIC").await;
        let mut at_work = yard.assignment("06-18", "06-20");
        (at_work.team_id, at_work.asset_ids) = (second.clone(), Vec::new());
        at_work.medical_cover.as_mut().unwrap().paramedic_id = other;
        let blocking = yard.assign(at_work.clone()).await.unwrap().assignment.unwrap().assignment_id;
        let findings = yard.findings(yard.assignment("06-15", "06-25")).await;
        assert_eq!(told(&findings), ["PARAMEDIC_BUSY 6-18"]);
        assert_eq!(findings[0].blocking_id, blocking);
        // The other way round: she gives cover, and is wanted as a driver.
        let covers = yard.assign(yard.assignment("06-21", "06-25")).await.unwrap().assignment.unwrap();
        at_work.assignment_id = fresh_id();
        (at_work.first_day, at_work.last_day) = (Some(day("06-22")), Some(day("06-23")));
        let findings = yard.findings(at_work).await;
        assert_eq!(told(&findings), ["PARAMEDIC_BUSY 6-22"]);
        assert_eq!(findings[0].blocking_id, covers.assignment_id);
    })
    .await;
}

#[tokio::test]
async fn a_task_of_another_operator_tells_only_that() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let other =
            crate::ground::teams::organization(world, pb::OrganizationKind::Operator, "OTHER", "").await;
        yard.run(format!("UPDATE tasks SET operator_id = '{other}', state = 'COMPLETED'")).await;
        yard.run(
            "UPDATE teams SET state = 'DISBANDED'; UPDATE accreditations SET last_day = '1998-06-14'"
                .to_owned(),
        )
        .await;
        let findings = yard.findings(yard.assignment("06-15", "06-25")).await;
        assert_eq!(told(&findings), ["OTHER_OPERATOR"]);
    })
    .await;
}

#[tokio::test]
async fn all_reasons_are_told_at_once_in_a_stable_order() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        yard.run(
            "UPDATE teams SET state = 'DISBANDED' WHERE code = 'MT-1';
             UPDATE tasks SET state = 'PLANNED', team_type = 'EOD', last_day = '1998-06-16';
             UPDATE sites SET status = 'SUSPENDED', suspension_cause = 'SEASON';
             UPDATE accreditations SET last_day = '1998-06-14';
             UPDATE assets SET valid_until = '1998-06-01', state = 'WITHDRAWN' WHERE kind = 'DETECTOR';
             UPDATE members SET last_day = '1998-06-17' WHERE role = 'PARAMEDIC';
             UPDATE assets SET state = 'WITHDRAWN' WHERE kind = 'AMBULANCE'"
                .to_owned(),
        )
        .await;
        let mut asked = yard.assignment("06-15", "06-25");
        let cover = asked.medical_cover.as_mut().unwrap();
        (cover.evacuation_minutes, cover.drill_on) = (500, None);
        let expected = [
            "TEAM_DISBANDED",
            "TASK_STATE",
            "SITE_STATE",
            "OUTSIDE_TASK_DAYS",
            "WRONG_TEAM_TYPE",
            "ORGANIZATION_NOT_ACCREDITED",
            "TEAM_NOT_ACCREDITED",
            "PERSON_NOT_ACCREDITED",
            "ASSET_INVALID",
            "ASSET_WITHDRAWN",
            "PARAMEDIC_UNFIT",
            "NOT_AN_AMBULANCE",
            "EVACUATION_TOO_LONG",
            "DRILL_MISSING",
        ];
        assert_eq!(names(&yard.findings(asked).await), expected);
    })
    .await;
}

#[tokio::test]
async fn what_is_unknown_or_of_another_operator_is_not_found() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let other =
            crate::ground::teams::organization(world, pb::OrganizationKind::Operator, "OTHER", "").await;
        yard.run(format!("UPDATE assets SET organization_id = '{other}' WHERE kind = 'DETECTOR'")).await;
        let ready = yard.assignment("06-15", "06-25");
        let nobody = fresh_id();
        let mut bad = vec![("asset", ready.clone())];
        bad.push(("team", pb::Assignment { team_id: nobody.clone(), ..ready.clone() }));
        bad.push(("task", pb::Assignment { task_id: nobody.clone(), ..ready.clone() }));
        let cover = ready.medical_cover.clone().unwrap();
        let cover = pb::MedicalCover { paramedic_id: nobody, ..cover };
        let asset_ids = Vec::new();
        bad.push(("person", pb::Assignment { medical_cover: Some(cover), asset_ids, ..ready }));
        for (kind, assignment) in bad {
            for answer in [
                yard.check(assignment.clone()).await.map(drop),
                yard.assign(assignment.clone()).await.map(drop),
            ] {
                let refused = answer.unwrap_err();
                assert_eq!((refused.code(), reason(&refused).1["kind"].as_str()), (Code::NotFound, kind));
            }
        }
    })
    .await;
}
