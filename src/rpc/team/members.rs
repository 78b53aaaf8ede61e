//! Members of `TeamService`.

use crate::app::App;
use crate::app::change::Changed;
use crate::app::member::{RemoveMember, UpdateMember};
use crate::app::person::erasing::ErasePerson;
use crate::domain::caller::Caller;
use crate::domain::ids::{MemberId, OrganizationId, PersonId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::text::Reason;
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::member as convert;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::read::Reader;
use crate::store::member::MemberFilter;
use uuid::Uuid;

/// The member that a change answers with, as it was recorded, with the person's name as it is now.
async fn member_of(
    app: &App,
    caller: &Caller,
    changed: &Changed,
    method: &'static str,
) -> Result<Option<pb::Member>, Error> {
    let pick = |record| if let Record::Member(member) = record { Some(member) } else { None };
    let mut member: pb::Member = answered(changed, pick)?;
    let mut reader = Reader::of_stored();
    let operator = reader.id("organization_id", &member.organization_id, OrganizationId::new);
    let person = reader.id("person_id", &member.person_id, PersonId::new);
    let (operator, person) = reader.finish(operator.zip(person))?;
    let name = app.present_name(caller, (operator, person), method).await?;
    member.name = name.map(|name| name.as_str().to_owned()).unwrap_or_default();
    Ok(Some(member))
}

pub(super) async fn add(
    app: &App,
    caller: &Caller,
    sent: pb::AddMemberRequest,
) -> Result<pb::AddMemberResponse, Error> {
    let mut reader = Reader::default();
    let member = reader.need("member", sent.member.as_ref());
    let new = member.and_then(|member| convert::read_member(&mut reader, member));
    let new = reader.finish(new)?;
    let asked = asked(new.id.uuid(), Kind::Member, convert::ADD, &convert::added_without_name(&sent));
    let changed = app.add_member(caller, asked, new).await?;
    Ok(pb::AddMemberResponse {
        member: member_of(app, caller, &changed, "AddMember").await?,
        revision: changed.revision,
    })
}

pub(super) async fn update(
    app: &App,
    caller: &Caller,
    sent: pb::UpdateMemberRequest,
) -> Result<pb::UpdateMemberResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("request_id", &sent.request_id, |id| id);
    let expected_revision = reader.revision("expected_revision", sent.expected_revision);
    let paths = reader.mask(sent.update_mask.as_ref(), &["name", "role", "last_day"]);
    let member = reader.need("member", sent.member.as_ref()).zip(paths);
    let patch = member.and_then(|(member, paths)| convert::read_patch(&mut reader, member, &paths));
    let ((id, expected_revision), (member, patch)) = reader.finish(id.zip(expected_revision).zip(patch))?;
    let asked = asked(id, Kind::Request, convert::UPDATE, &convert::updated_without_name(&sent));
    let update = UpdateMember { member, patch, expected_revision };
    let changed = app.update_member(caller, asked, update).await?;
    Ok(pb::UpdateMemberResponse {
        member: member_of(app, caller, &changed, "UpdateMember").await?,
        revision: changed.revision,
    })
}

pub(super) async fn remove(
    app: &App,
    caller: &Caller,
    sent: pb::RemoveMemberRequest,
) -> Result<pb::RemoveMemberResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("request_id", &sent.request_id, |id| id);
    let member = reader.id("member_id", &sent.member_id, MemberId::new);
    let last_day = reader.date("last_day", sent.last_day);
    let expected_revision = reader.revision("expected_revision", sent.expected_revision);
    let remove = member.zip(last_day.zip(expected_revision));
    let remove = remove.map(|(member, (last_day, expected_revision))| RemoveMember {
        member,
        last_day,
        expected_revision,
    });
    let (id, remove) = reader.finish(id.zip(remove))?;
    let asked = asked(id, Kind::Request, "TeamService/RemoveMember", &sent);
    let changed = app.remove_member(caller, asked, remove).await?;
    Ok(pb::RemoveMemberResponse {
        member: member_of(app, caller, &changed, "RemoveMember").await?,
        revision: changed.revision,
    })
}

pub(super) async fn erase(
    app: &App,
    caller: &Caller,
    sent: &pb::ErasePersonRequest,
) -> Result<pb::ErasePersonResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("request_id", &sent.request_id, |id| id);
    let person = reader.id("person_id", &sent.person_id, PersonId::new);
    let reason = reader.parse("reason", Reason::parse(&sent.reason));
    let ((id, person), reason) = reader.finish(id.zip(person).zip(reason))?;
    let asked = asked(id, Kind::Request, "TeamService/ErasePerson", sent);
    let changed = app.erase_person(caller, asked, ErasePerson { person, reason }).await?;
    let pick = |record| if let Record::ErasedPerson(of) = record { Some(of) } else { None };
    let erased = answered(&changed, pick).map(Some)?;
    Ok(pb::ErasePersonResponse { erased, revision: changed.revision })
}

pub(super) async fn list(
    app: &App,
    caller: &Caller,
    sent: pb::ListMembersRequest,
) -> Result<pb::ListMembersResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let operator = reader.id("organization_id", &sent.organization_id, OrganizationId::new);
    let team = reader.optional_id("team_id", &sent.team_id, TeamId::new);
    let person = reader.optional_id("person_id", &sent.person_id, PersonId::new);
    let on_day = reader.optional_date("on_day", sent.on_day);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let all = page.zip(operator).zip(team.zip(person)).zip(on_day.zip(min_revision));
    let (((page, operator), (team, person)), (on_day, min_revision)) = reader.finish(all)?;
    let filter = MemberFilter { operator, team, person, on_day, after: Uuid::nil() };
    let (found, names) = app.list_members(caller, filter, min_revision, page).await?;
    Ok(pb::ListMembersResponse {
        members: found.rows.iter().map(|of| convert::member(of, names.get(&of.person))).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}
