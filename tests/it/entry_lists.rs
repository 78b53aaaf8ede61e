//! `ListEntries`: the journal's entries in order, by allocation, day and revision, over pages of any size.

use safelane::rpc::pb;
use safelane::rpc::pb::entry::Action;
use tonic::Code;

use crate::desk::{Desk, bad_fields};
use crate::expect::refuses;
use crate::harness::{fresh_id, in_world};

async fn page(desk: &Desk, list: pb::ListEntriesRequest) -> pb::ListEntriesResponse {
    desk.funding.clone().list_entries(list).await.unwrap().into_inner()
}

/// Revisions of every entry of a list, read at several page sizes.
async fn revisions(desk: &Desk, list: &pb::ListEntriesRequest) -> Vec<i64> {
    let mut lists = Vec::new();
    for page_size in [1, 2, 1_000] {
        let mut rows = Vec::new();
        let mut request = pb::ListEntriesRequest { page_size, ..list.clone() };
        loop {
            let found = page(desk, request.clone()).await;
            rows.extend(found.entries.iter().map(|posted| posted.read().unwrap().revision));
            if found.next_page_token.is_empty() {
                break;
            }
            request.page_token = found.next_page_token;
        }
        lists.push(rows);
    }
    assert!(lists[0] == lists[1] && lists[1] == lists[2], "{lists:?}");
    lists.remove(0)
}

#[tokio::test]
async fn entries_are_listed_in_order_and_by_each_filter() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let opened = desk.state().await.0;
        desk.fund().await;
        let dated = |action, day| pb::Entry {
            effective_on: Some(pb::Date { year: 1998, month: 2, day }),
            ..desk.entry(action)
        };
        for (action, day) in [
            (Action::Expend(desk.expend("T1", 1)), 3),
            (desk.reserve(&fresh_id(), "B", 1), 1),
            (Action::Increase(desk.increase()), 2),
        ] {
            desk.post_entry(dated(action, day)).await.unwrap();
        }
        let all = pb::ListEntriesRequest { program_id: desk.program_id.clone(), ..Default::default() };
        let at = |places: &[i64]| places.iter().map(|place| opened + place).collect::<Vec<i64>>();
        // 1 authorizes, 2 to 6 allocate A, B, C, A1, T1; 7 expends, 8 reserves, 9 increases.
        assert_eq!(revisions(&desk, &all).await, at(&[1, 2, 3, 4, 5, 6, 7, 8, 9]));
        let of = |name| pb::ListEntriesRequest { allocation_id: desk.node(name), ..all.clone() };
        assert_eq!(revisions(&desk, &of("T1")).await, at(&[6, 7]));
        assert_eq!(revisions(&desk, &of("B")).await, at(&[3, 8, 9]));
        assert_eq!(revisions(&desk, &of("P")).await, at(&[1, 2, 3, 4, 9]));
        let day = |day| Some(pb::Date { year: 1998, month: 2, day });
        let from = pb::ListEntriesRequest { effective_from: day(2), ..all.clone() };
        assert_eq!(revisions(&desk, &from).await, at(&[7, 9]));
        let to = pb::ListEntriesRequest { effective_to: day(2), ..from.clone() };
        assert_eq!(revisions(&desk, &to).await, at(&[9]));
        let after = pb::ListEntriesRequest { after_revision: opened + 6, ..all.clone() };
        assert_eq!(revisions(&desk, &after).await, at(&[7, 8, 9]));
        let both = pb::ListEntriesRequest { allocation_id: desk.node("T1"), ..after.clone() };
        assert_eq!(revisions(&desk, &both).await, at(&[7]));
        let beyond = pb::ListEntriesRequest { after_revision: 900, ..all.clone() };
        assert!(revisions(&desk, &beyond).await.is_empty());
        let page_token =
            page(&desk, pb::ListEntriesRequest { page_size: 1, ..all.clone() }).await.next_page_token;
        for other in [from, after, of("B")] {
            let mixed = pb::ListEntriesRequest { page_token: page_token.clone(), ..other };
            let refused = desk.funding.clone().list_entries(mixed).await;
            refuses(refused, Code::InvalidArgument, "PAGE_TOKEN_INVALID", &[]);
        }
        let bad = pb::ListEntriesRequest {
            program_id: desk.program_id.clone(),
            page_size: -1,
            after_revision: -1,
            min_revision: -1,
            effective_to: Some(pb::Date { year: 1998, month: 2, day: 29 }),
            ..Default::default()
        };
        let refused = desk.funding.clone().list_entries(bad).await.unwrap_err();
        let fields = ["page_size", "after_revision", "effective_to", "min_revision"];
        assert_eq!(bad_fields(&refused), fields);
    })
    .await;
}

#[tokio::test]
async fn a_page_has_50_rows_by_default_and_never_more_than_1_000() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let entries =
            (0..1_001).map(|_| pb::PostEntriesRequest { entry: Some(desk.entry(desk.authorize(1))) });
        let sent: Vec<_> = entries.collect();
        let mut answers =
            desk.funding.clone().post_entries(tokio_stream::iter(sent)).await.unwrap().into_inner();
        while answers.message().await.unwrap().is_some() {}
        let list = |page_size, page_token| pb::ListEntriesRequest {
            program_id: desk.program_id.clone(),
            page_size,
            page_token,
            ..Default::default()
        };
        assert_eq!(page(&desk, list(0, String::new())).await.entries.len(), 50);
        for size in [1_001, 65_536, i32::MAX] {
            let first = page(&desk, list(size, String::new())).await;
            assert_eq!(first.entries.len(), 1_000);
            let second = page(&desk, list(size, first.next_page_token)).await;
            assert_eq!((second.entries.len(), second.next_page_token.as_str()), (1, ""));
        }
    })
    .await;
}
