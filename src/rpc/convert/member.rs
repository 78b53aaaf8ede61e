//! Members on the wire.

use crate::app::member::{AddMember, MemberPatch};
use crate::domain::ids::{MemberId, PersonId, TeamId};
use crate::domain::team::Member;
use crate::domain::text::Title;
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::convert::{date, timestamp};
use crate::rpc::pb;
use crate::rpc::read::Reader;

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

/// A membership for the wire.
#[must_use]
pub fn member(of: &Member) -> pb::Member {
    pb::Member {
        member_id: of.id.to_string(),
        team_id: of.team.to_string(),
        person_id: of.person.to_string(),
        name: of.name.as_str().to_owned(),
        role: of.role.wire(),
        first_day: Some(date(of.days.first())),
        last_day: of.days.last().map(date),
        organization_id: of.organization.to_string(),
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
    }
}
