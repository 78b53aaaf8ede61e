//! Teams on the wire.

use crate::domain::ids::{OrganizationId, TeamId};
use crate::domain::team::{Team, TeamState};
use crate::domain::text::{Code, Note, Title};
use crate::rpc::convert::words::WireWord as _;
use crate::rpc::convert::{UNSET, timestamp};
use crate::rpc::pb;
use crate::rpc::read::Reader;

/// Reads a team to create.
pub fn read_team(reader: &mut Reader, sent: &pb::Team) -> Option<Team> {
    let id = reader.id("team.team_id", &sent.team_id, TeamId::new);
    let organization = reader.id("team.organization_id", &sent.organization_id, OrganizationId::new);
    let code = reader.parse("team.code", Code::parse(&sent.code));
    let name = reader.parse("team.name", Title::parse(&sent.name));
    let kind = reader.word("team.type", sent.r#type);
    let note = reader.parse("team.note", Note::parse(&sent.note));
    Some(Team {
        id: id?,
        organization: organization?,
        code: code?,
        name: name?,
        kind: kind?,
        state: TeamState::Active,
        note: note?,
        created_at: UNSET,
        revision: 0,
    })
}

/// A team for the wire.
#[must_use]
pub fn team(of: &Team) -> pb::Team {
    pb::Team {
        team_id: of.id.to_string(),
        organization_id: of.organization.to_string(),
        code: of.code.to_string(),
        name: of.name.as_str().to_owned(),
        r#type: of.kind.wire(),
        state: of.state.wire(),
        note: of.note.as_str().to_owned(),
        created_at: Some(timestamp(of.created_at)),
        revision: of.revision,
    }
}
