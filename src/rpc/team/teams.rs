//! Teams of `TeamService`.

use crate::app::App;
use crate::app::change::Changed;
use crate::app::team::{CreateTeam, TeamPatch, UpdateTeam};
use crate::domain::caller::Caller;
use crate::domain::ids::{OrganizationId, TeamId};
use crate::domain::kind::Kind;
use crate::domain::text::{Code, Note, Title};
use crate::error::Error;
use crate::rpc::change::{answered, request as asked};
use crate::rpc::convert::team as convert;
use crate::rpc::pb;
use crate::rpc::pb::changed_record::Record;
use crate::rpc::read::Reader;
use crate::store::team::TeamFilter;

fn team_of(changed: &Changed) -> Result<Option<pb::Team>, Error> {
    let pick = |record| if let Record::Team(team) = record { Some(team) } else { None };
    answered(changed, pick).map(Some)
}

pub(super) async fn create(
    app: &App,
    caller: &Caller,
    sent: pb::CreateTeamRequest,
) -> Result<pb::CreateTeamResponse, Error> {
    let mut reader = Reader::default();
    let team = reader.need("team", sent.team.as_ref());
    let new = team.and_then(|team| convert::read_team(&mut reader, team));
    let new = reader.finish(new)?;
    let asked = asked(new.id.uuid(), Kind::Team, "TeamService/CreateTeam", &sent);
    let changed = app.create_team(caller, asked, CreateTeam(new)).await?;
    Ok(pb::CreateTeamResponse { team: team_of(&changed)?, revision: changed.revision })
}

pub(super) async fn get(
    app: &App,
    caller: &Caller,
    sent: pb::GetTeamRequest,
) -> Result<pb::GetTeamResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("team_id", &sent.team_id, TeamId::new);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let (id, min_revision) = reader.finish(id.zip(min_revision))?;
    let team = app.get_team(caller, id, min_revision).await?;
    Ok(pb::GetTeamResponse { team: Some(convert::team(&team)) })
}

pub(super) async fn list(
    app: &App,
    caller: &Caller,
    sent: pb::ListTeamsRequest,
) -> Result<pb::ListTeamsResponse, Error> {
    let mut reader = Reader::default();
    let page = reader.page(sent.page_size, &sent.page_token);
    let operator = reader.id("organization_id", &sent.organization_id, OrganizationId::new);
    let kind = reader.optional_word("type", sent.r#type);
    let prefix = reader.optional("code_prefix", &sent.code_prefix, Code::parse);
    let min_revision = reader.revision("min_revision", sent.min_revision);
    let all = page.zip(operator).zip(kind.zip(prefix)).zip(min_revision);
    let (((page, operator), (kind, _prefix)), min_revision) = reader.finish(all)?;
    let filter = TeamFilter { operator, kind, code_prefix: sent.code_prefix, after_code: String::new() };
    let found = app.list_teams(caller, filter, min_revision, page).await?;
    Ok(pb::ListTeamsResponse {
        teams: found.rows.iter().map(convert::team).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

pub(super) async fn update(
    app: &App,
    caller: &Caller,
    sent: pb::UpdateTeamRequest,
) -> Result<pb::UpdateTeamResponse, Error> {
    let mut reader = Reader::default();
    let id = reader.id("request_id", &sent.request_id, |id| id);
    let expected_revision = reader.revision("expected_revision", sent.expected_revision);
    let paths = reader.mask(sent.update_mask.as_ref(), &["name", "type", "state", "note"]);
    let team = reader.need("team", sent.team.as_ref()).zip(paths);
    let patch = team.and_then(|(team, paths)| read_patch(&mut reader, team, &paths));
    let ((id, expected_revision), (team, patch)) = reader.finish(id.zip(expected_revision).zip(patch))?;
    let asked = asked(id, Kind::Request, "TeamService/UpdateTeam", &sent);
    let update = UpdateTeam { team, patch, expected_revision };
    let changed = app.update_team(caller, asked, update).await?;
    Ok(pb::UpdateTeamResponse { team: team_of(&changed)?, revision: changed.revision })
}

fn read_patch(reader: &mut Reader, sent: &pb::Team, paths: &[String]) -> Option<(TeamId, TeamPatch)> {
    let id = reader.id("team.team_id", &sent.team_id, TeamId::new);
    let (mut patch, mut good) = (TeamPatch::default(), true);
    for path in paths {
        match path.as_str() {
            "name" => patch.name = reader.parse("team.name", Title::parse(&sent.name)),
            "type" => patch.kind = reader.word("team.type", sent.r#type),
            "state" => patch.state = reader.word("team.state", sent.state),
            "note" => patch.note = reader.parse("team.note", Note::parse(&sent.note)),
            // The mask was checked.
            _ => good = false,
        }
    }
    id.filter(|_| good).map(|id| (id, patch))
}
