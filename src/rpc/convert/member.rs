//! Members on the wire.

use prost::Message as _;

use crate::app::member::{AddMember, MemberPatch};
use crate::domain::ids::{MemberId, PersonId, TeamId};
use crate::domain::team::Member;
use crate::domain::text::Title;
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::convert::{date, timestamp};
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// The method that adds a membership.
pub const ADD: &str = "TeamService/AddMember";
/// The one that changes it.
pub const UPDATE: &str = "TeamService/UpdateMember";

/// Reads a membership to add.
pub fn read_member(reader: &mut Reader, sent: &pb::Member) -> Option<AddMember> {
    let id = reader.id("member.member_id", &sent.member_id, MemberId::new);
    let team = reader.id("member.team_id", &sent.team_id, TeamId::new);
    let person = reader.id("member.person_id", &sent.person_id, PersonId::new);
    let name = reader.parse("member.name", Title::parse(&sent.name));
    let role = reader.word("member.role", sent.role);
    let days = reader.days("member.", sent.first_day, sent.last_day);
    Some(AddMember { id: id?, team: team?, person: person?, name: name?, role: role?, days: days? })
}

/// Reads the new values of a membership.
pub fn read_patch(
    reader: &mut Reader,
    sent: &pb::Member,
    paths: &[String],
) -> Option<(MemberId, MemberPatch)> {
    let id = reader.id("member.member_id", &sent.member_id, MemberId::new);
    let (mut patch, mut good) = (MemberPatch::default(), true);
    for path in paths {
        match path.as_str() {
            "name" => patch.name = reader.parse("member.name", Title::parse(&sent.name)),
            "role" => patch.role = reader.word("member.role", sent.role),
            "last_day" => patch.last_day = reader.optional_date("member.last_day", sent.last_day),
            // The mask was checked.
            _ => good = false,
        }
    }
    id.filter(|_| good).map(|id| (id, patch))
}

/// A membership for the wire, with a name when there is one to be shown. Events of the journal get none.
#[must_use]
pub fn member(of: &Member, name: Option<&Title>) -> pb::Member {
    pb::Member {
        member_id: of.id.to_string(),
        team_id: of.team.to_string(),
        person_id: of.person.to_string(),
        name: name.map(|name| name.as_str().to_owned()).unwrap_or_default(),
        role: of.role.wire(),
        first_day: Some(date(of.days.first())),
        last_day: of.days.last().map(date),
        organization_id: of.organization.to_string(),
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
        name_digest: of.name_digest.map(|digest| digest.to_vec()).unwrap_or_default(),
    }
}

/// A membership as the journal keeps it in a request.
fn nameless(sent: &mut Option<pb::Member>) {
    if let Some(member) = sent {
        member.name.clear();
        member.name_digest.clear();
    }
}

/// A request as the journal keeps it: its name stands there as a digest only.
#[must_use]
pub fn added_without_name(sent: &pb::AddMemberRequest) -> pb::AddMemberRequest {
    let mut kept = sent.clone();
    nameless(&mut kept.member);
    kept
}

/// The same of another request.
#[must_use]
pub fn updated_without_name(sent: &pb::UpdateMemberRequest) -> pb::UpdateMemberRequest {
    let mut kept = sent.clone();
    nameless(&mut kept.member);
    kept
}

/// A stored request without the name, which only events hold that are older than digests.
#[must_use]
pub fn without_name(method: &str, request: Vec<u8>) -> Vec<u8> {
    let kept = match method {
        ADD => pb::AddMemberRequest::decode(&*request).map(|sent| added_without_name(&sent).encode_to_vec()),
        UPDATE => {
            pb::UpdateMemberRequest::decode(&*request).map(|sent| updated_without_name(&sent).encode_to_vec())
        }
        _ => return request,
    };
    kept.unwrap_or(request)
}
