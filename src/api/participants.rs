//! `/v1/calls/{id}/participants`: who talks in a running call, and asking a third to join it, on behalf of its agent.

use std::borrow::Cow;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use switchboard::{CallId, Granted, Operator, ParticipantState, ParticipantView, TransferTarget};
use utoipa::ToSchema;

use super::calls::{hears_name, hold_name};
use super::problem::Refusals;
use super::request::{Body, Listing, PageQuery, Placed};
use super::transfers::{NewTarget, number_of};
use super::validate::{self, ParticipantDraft, TransferTo};
use super::{ApiState, Problem};

/// Somebody in a running call, or asked to join it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Participant {
    #[serde(skip)]
    index: usize,
    /// `leg_…`; once it talks, the id of its leg.
    id: String,
    /// Extension number or E.164 number; while nobody has answered, what was dialled.
    party: String,
    /// `routing` (being called), `ringing`, `connected` or `ended` (it has left, or never came).
    state: &'static str,
    /// Who holds its leg: `none`, `local` (the gateway, by this API), `remote` (its own phone) or `both`. In a conference it is then neither
    /// heard nor sent anything, and the others go on.
    hold: &'static str,
    /// What it is sent: `nothing`, `party` (everybody else), `music` or `ringback`.
    hears: &'static str,
    /// Why it is not there any more, as a SIP status: 200 for one who talked, 486 for one who was busy, 487 for one who was let go before.
    sip_status: Option<u16>,
}

impl Participant {
    fn of((index, view): (usize, ParticipantView)) -> Self {
        Self {
            index,
            id: view.id,
            party: view.party,
            state: match view.state {
                ParticipantState::Routing => "routing",
                ParticipantState::Ringing => "ringing",
                ParticipantState::Connected => "connected",
                ParticipantState::Ended => "ended",
            },
            hold: hold_name(view.media.hold),
            hears: hears_name(view.media.hears),
            sip_status: view.sip_status,
        }
    }
}

impl Placed for Participant {
    fn place(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{:06}", self.index))
    }
}

/// Somebody who is to join.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body to the OpenAPI document only")]
pub(super) struct NewParticipant {
    target: NewTarget,
    /// The agent's leg on whose behalf. By default the agent's; the caller's between agents.
    leg_id: Option<String>,
}

/// Lists who talks in a running call or is asked to join it, then who was and is not any more.
#[utoipa::path(get, path = "/calls/{id}/participants", tag = "calls", operation_id = "list_participants",
    params(("id" = String, Path, description = "`call_…`"), PageQuery), security(("api_key" = ["calls:read"]), ("agent" = [])),
    responses((status = 200, description = "A page of participants", body = inline(Listing<Participant>)), Refusals))]
pub(super) async fn list(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    page: PageQuery,
) -> Result<Json<Listing<Participant>>, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, "not_found", "no running call has this id");
    let call = api.gateway.call(&id).ok_or_else(missing)?;
    Ok(page.part_of(call.participants.into_iter().enumerate().map(Participant::of).collect()))
}

/// Reads a running call's participant.
#[utoipa::path(get, path = "/calls/{id}/participants/{leg_id}", tag = "calls", operation_id = "read_participant",
    params(("id" = String, Path, description = "`call_…`"), ("leg_id" = String, Path, description = "`leg_…`")),
    security(("api_key" = ["calls:read"]), ("agent" = [])),
    responses((status = 200, description = "The participant", body = Participant), Refusals))]
pub(super) async fn read(
    State(api): State<ApiState>,
    Path((id, leg)): Path<(String, String)>,
) -> Result<Json<Participant>, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, "not_found", "no running call has this participant");
    let call = api.gateway.call(&id).ok_or_else(missing)?;
    let found = call.participants.into_iter().enumerate().find(|(_, view)| view.id == leg);
    found.map(|found| Json(Participant::of(found))).ok_or_else(missing)
}

/// Has somebody join a running call: they are called as if the agent dialled, while those who talk go on and hear nothing of it; on answer all
/// hear each other. When nobody answers, nothing has changed. A `call_id` brings whom the same agent has in that other call, or is calling
/// there; the agent's leg in the other call ends.
#[utoipa::path(post, path = "/calls/{id}/participants", tag = "calls", operation_id = "add_participant",
    params(("id" = String, Path, description = "`call_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    request_body = NewParticipant, security(("api_key" = ["calls:control"]), ("agent" = [])),
    responses((status = 202, description = "Somebody is being called, or has joined", body = Participant,
        headers(("Location" = String, description = "Where the participant is read"))), Refusals))]
pub(super) async fn create(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let ParticipantDraft { leg, target } = validate::participant(body)?;
    let target = match target {
        TransferTo::Extension(id) => TransferTarget::Extension(number_of(&api, &id)?),
        TransferTo::Number(number) => TransferTarget::Number(number),
        TransferTo::Call(id) => TransferTarget::Call(CallId(id)),
    };
    let operator = Operator::AddParticipant { call: CallId(id.clone()), leg, target };
    match api.gateway.operator(operator).await? {
        Granted::Participant(view) => {
            let location = format!("/v1/calls/{id}/participants/{}", view.id);
            let participant = Json(Participant::of((0, view)));
            Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], participant).into_response())
        }
        Granted::Done | Granted::Transfer(_) => Ok(StatusCode::ACCEPTED.into_response()),
    }
}

/// Lets a participant go: who rings stops ringing, who talks is hung up on. The others go on; when only one is left, the call ends.
#[utoipa::path(delete, path = "/calls/{id}/participants/{leg_id}", tag = "calls", operation_id = "remove_participant",
    params(("id" = String, Path, description = "`call_…`"), ("leg_id" = String, Path, description = "`leg_…`")),
    security(("api_key" = ["calls:control"]), ("agent" = [])),
    responses((status = 204, description = "It is let go"), Refusals))]
pub(super) async fn delete(
    State(api): State<ApiState>,
    Path((id, participant)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    api.gateway.operator(Operator::RemoveParticipant { call: CallId(id), participant }).await?;
    Ok(StatusCode::NO_CONTENT)
}
