//! Lists of assignments, and teams that could be sent.

use safelane::rpc::pb;
use tonic::Code;

use super::yard::{Yard, day, names};
use crate::desk::bad_fields;
use crate::harness::in_world;

fn list(yard: &Yard) -> pb::ListAssignmentsRequest {
    pb::ListAssignmentsRequest { organization_id: yard.operator.clone(), ..Default::default() }
}

async fn firsts(yard: &mut Yard, request: pb::ListAssignmentsRequest) -> Vec<(i32, i32)> {
    let found = yard.teams.list_assignments(request).await.expect("a page").into_inner();
    assert_eq!(found.next_page_token, "");
    found.assignments.iter().filter_map(|of| of.first_day).map(|day| (day.month, day.day)).collect()
}

#[tokio::test]
async fn assignments_are_listed_by_first_day_in_pages_and_by_every_filter() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let other = yard.new_task("T-2").await;
        let mut sent = Vec::new();
        for (index, first) in ["06-24", "06-15", "06-18", "06-21"].into_iter().enumerate() {
            let mut new = yard.assignment(first, first);
            if index == 3 {
                new.task_id.clone_from(&other);
            }
            sent.push(yard.assign(new).await.unwrap().assignment.unwrap());
        }
        let mut request = pb::ListAssignmentsRequest { page_size: 3, ..list(&yard) };
        let page = yard.teams.list_assignments(request.clone()).await.unwrap().into_inner();
        assert_eq!(page.assignments, [sent[1].clone(), sent[2].clone(), sent[3].clone()]);
        request.page_token = page.next_page_token;
        let page = yard.teams.list_assignments(request.clone()).await.unwrap().into_inner();
        assert_eq!((page.assignments, page.next_page_token), (vec![sent[0].clone()], String::new()));
        request.task_id.clone_from(&other);
        let refused = yard.teams.list_assignments(request).await.unwrap_err();
        assert_eq!(bad_fields(&refused), ["page_token"], "the token is of another filter");

        let by_task = pb::ListAssignmentsRequest { task_id: other, ..list(&yard) };
        assert_eq!(firsts(&mut yard, by_task).await, [(6, 21)]);
        let by_person = pb::ListAssignmentsRequest { person_id: yard.leader.clone(), ..list(&yard) };
        assert_eq!(firsts(&mut yard, by_person).await.len(), 4);
        let nobody = pb::ListAssignmentsRequest { person_id: yard.paramedic.clone(), ..list(&yard) };
        assert_eq!(firsts(&mut yard, nobody).await, []);
        let by_team = pb::ListAssignmentsRequest { team_id: yard.team.clone(), ..list(&yard) };
        assert_eq!(firsts(&mut yard, by_team).await.len(), 4);
        let by_days = pb::ListAssignmentsRequest {
            first_day: Some(day("06-18")),
            last_day: Some(day("06-21")),
            ..list(&yard)
        };
        assert_eq!(firsts(&mut yard, by_days.clone()).await, [(6, 18), (6, 21)]);
        let empty = pb::ListAssignmentsRequest { last_day: Some(day("06-17")), ..by_days };
        assert_eq!(bad_fields(&yard.teams.list_assignments(empty).await.unwrap_err()), ["last_day"]);
    })
    .await;
}

fn wanted(yard: &Yard) -> pb::FindAvailableTeamsRequest {
    pb::FindAvailableTeamsRequest {
        task_id: yard.task.clone(),
        first_day: Some(day("06-15")),
        last_day: Some(day("06-25")),
        ..Default::default()
    }
}

/// Codes and reasons of candidates, page by page.
async fn found(
    yard: &mut Yard,
    mut request: pb::FindAvailableTeamsRequest,
) -> Vec<(String, Vec<&'static str>)> {
    let mut all = Vec::new();
    loop {
        let page = yard.teams.find_available_teams(request.clone()).await.expect("a page").into_inner();
        for candidate in page.candidates {
            let code = candidate.team.expect("a team").code;
            all.push((code, names(&candidate.findings)));
        }
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn teams_are_found_with_what_stands_in_the_way_of_each() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let unfit = yard.new_team("MT-2", "MANUAL").await;
        yard.new_member(&unfit, "Farai", "DEMINER").await;
        let busy = yard.new_team("MT-3", "MANUAL").await;
        yard.new_member(&busy, "Kuda", "DRIVER").await;
        yard.accredit("TEAM", &busy, "1998-06-14", None).await;
        let mut taken = yard.assignment("06-20", "06-21");
        (taken.team_id, taken.asset_ids) = (busy, Vec::new());
        yard.assign(taken).await.unwrap();
        let expected = [
            ("MED", vec!["WRONG_TEAM_TYPE", "TEAM_NOT_ACCREDITED"]),
            ("MT-1", vec![]),
            ("MT-2", vec!["TEAM_NOT_ACCREDITED", "PERSON_NOT_ACCREDITED"]),
            ("MT-3", vec!["TEAM_BUSY"]),
        ];
        let expected = expected.map(|(code, reasons)| (code.to_owned(), reasons));
        for page_size in [0, 1, 2, 3] {
            let request = pb::FindAvailableTeamsRequest { page_size, ..wanted(&yard) };
            assert_eq!(found(&mut yard, request).await, expected, "pages of {page_size}");
            let free = pb::FindAvailableTeamsRequest { page_size, available_only: true, ..wanted(&yard) };
            assert_eq!(found(&mut yard, free.clone()).await, [expected[1].clone()], "pages of {page_size}");
            let nearly = pb::FindAvailableTeamsRequest { include_overridable: true, ..free };
            assert_eq!(found(&mut yard, nearly).await, expected[..3], "pages of {page_size}");
        }
    })
    .await;
}

#[tokio::test]
async fn no_team_is_lost_when_a_page_is_full_before_its_batch_is() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        for code in ["MT-2", "MT-3", "MT-4"] {
            let team = yard.new_team(code, "MANUAL").await;
            yard.new_member(&team, code, "DRIVER").await;
            if code != "MT-2" {
                yard.accredit("TEAM", &team, "1998-06-14", None).await;
            }
        }
        for page_size in [1, 2, 3, 4] {
            let request = pb::FindAvailableTeamsRequest { page_size, available_only: true, ..wanted(&yard) };
            let codes: Vec<String> =
                found(&mut yard, request).await.into_iter().map(|(code, _)| code).collect();
            assert_eq!(codes, ["MT-1", "MT-3", "MT-4"], "pages of {page_size}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_search_that_makes_no_sense_is_refused() {
    in_world(async |world| {
        let mut yard = Yard::open(world).await;
        let bad = pb::FindAvailableTeamsRequest {
            task_id: "x".to_owned(),
            last_day: Some(day("06-14")),
            include_overridable: true,
            page_size: -1,
            ..wanted(&yard)
        };
        let refused = yard.teams.find_available_teams(bad).await.unwrap_err();
        assert_eq!(bad_fields(&refused), ["page_size", "task_id", "last_day", "include_overridable"]);
        let unknown = pb::FindAvailableTeamsRequest { task_id: yard.team.clone(), ..wanted(&yard) };
        assert_eq!(yard.teams.find_available_teams(unknown).await.unwrap_err().code(), Code::NotFound);
    })
    .await;
}
