//! `/v1/calls`: the running calls. Ended ones are call records.

use std::borrow::Cow;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use media::{Hears, Hold};
use serde::{Deserialize, Serialize};
use switchboard::{CallId, CallView, LegView, Operator};
use utoipa::ToSchema;

use super::principal::Principal;
use super::problem::Refusals;
use super::request::{Body, Listing, PageQuery, Placed, chronological};
use super::{ApiState, Problem, validate};
use crate::store::{CodecName, Timestamp, direction_name, encryption_name, state_name};

/// A running call.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Call {
    /// `call_…`
    id: String,
    /// `inbound`, `outbound` or `internal`.
    direction: &'static str,
    /// `routing`, `ringing`, `connected` or `ending`.
    state: &'static str,
    /// Who calls.
    from: String,
    /// What was dialled.
    to: String,
    /// When it came up.
    #[schema(inline)]
    started_at: Timestamp,
    /// When it was answered.
    #[schema(inline)]
    answered_at: Option<Timestamp>,
    /// The agent calling or answering.
    agent_id: Option<String>,
    /// The trunk it goes over.
    trunk_id: Option<String>,
    /// Its legs, caller first.
    legs: Vec<Leg>,
}

/// One side of a call.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Leg {
    /// `leg_…`
    id: String,
    /// Extension number, E.164 number or `echo`.
    party: String,
    /// The number of the extension whose phone it is; `null` for a trunk.
    extension: Option<String>,
    /// The agent whose phone it is.
    agent_id: Option<String>,
    /// The Call-ID of its SIP dialog, by which a phone finds the call of one of its sessions.
    sip_call_id: Option<String>,
    /// Its phone's connection is lost, and the phone waited for.
    away: bool,
    /// Where it stands.
    state: &'static str,
    /// The codec agreed on.
    codec: Option<CodecName>,
    /// Who holds it: `none`, `local` (the gateway, by this API), `remote` (its own phone) or `both`.
    hold: &'static str,
    /// What it is sent: `nothing`, `party` (whom it talks to), `music` or `ringback`.
    hears: &'static str,
    /// How its media is protected: `none`, `dtls_srtp` or `sdes` (SRTP with keys in the SDP).
    encryption: &'static str,
    /// How its signalling travels.
    transport: String,
    /// The signalling peer. Agents are told of their own legs only.
    remote: Option<String>,
}

/// Who holds a leg, in the API's words.
pub(super) fn hold_name(hold: Hold) -> &'static str {
    match hold {
        Hold::None => "none",
        Hold::Local => "local",
        Hold::Remote => "remote",
        Hold::Both => "both",
    }
}

/// What a leg is sent, in the API's words.
pub(super) fn hears_name(hears: Hears) -> &'static str {
    match hears {
        Hears::Nothing => "nothing",
        Hears::Party => "party",
        Hears::Music => "music",
        Hears::Ringback => "ringback",
    }
}

impl Leg {
    fn shown_to(principal: &Principal, leg: LegView) -> Self {
        let remote = principal.locates(&leg).then(|| leg.remote.to_string());
        Self {
            id: leg.id,
            party: leg.party,
            extension: leg.extension,
            agent_id: leg.agent_id,
            sip_call_id: leg.sip_call_id,
            away: leg.away,
            state: state_name(leg.state),
            codec: leg.codec.map(Into::into),
            hold: hold_name(leg.media.hold),
            hears: hears_name(leg.media.hears),
            encryption: encryption_name(leg.media.encryption),
            transport: leg.transport.to_string().to_ascii_lowercase(),
            remote,
        }
    }
}

impl Call {
    fn shown_to(principal: &Principal, call: CallView) -> Self {
        Self {
            id: call.id.0,
            direction: direction_name(call.direction),
            state: state_name(call.state),
            from: call.from,
            to: call.to,
            started_at: call.started_at.into(),
            answered_at: call.answered_at.map(Into::into),
            agent_id: call.agent_id,
            trunk_id: call.trunk_id,
            legs: call.legs.into_iter().map(|leg| Leg::shown_to(principal, leg)).collect(),
        }
    }
}

impl Placed for Call {
    fn place(&self) -> Cow<'_, str> {
        chronological(self.started_at, &self.id)
    }
}

/// Lists the running calls, oldest first; to an agent, those its extension has a leg in.
#[utoipa::path(get, path = "/calls", tag = "calls", operation_id = "list_calls", params(PageQuery),
    security(("api_key" = ["calls:read"]), ("agent" = [])),
    responses((status = 200, description = "A page of calls", body = inline(Listing<Call>)), Refusals))]
pub(super) async fn list(
    State(api): State<ApiState>,
    Extension(principal): Extension<Principal>,
    page: PageQuery,
) -> Json<Listing<Call>> {
    let calls = api.gateway.calls().into_iter().filter(|call| principal.sees(call));
    page.part_of(calls.map(|call| Call::shown_to(&principal, call)).collect())
}

/// Reads a running call.
#[utoipa::path(get, path = "/calls/{id}", tag = "calls", operation_id = "read_call", params(("id" = String, Path, description = "`call_…`")),
    security(("api_key" = ["calls:read"]), ("agent" = [])), responses((status = 200, description = "The call", body = Call), Refusals))]
pub(super) async fn read(
    State(api): State<ApiState>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<Json<Call>, Problem> {
    let call = api.gateway.call(&id);
    let missing = || Problem::new(StatusCode::NOT_FOUND, "not_found", "no running call has this id");
    call.map(|call| Json(Call::shown_to(&principal, call))).ok_or_else(missing)
}

/// Digits to be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body to the OpenAPI document only")]
pub(super) struct NewDigits {
    /// 1 to 32 of `0-9 * # A-D`.
    #[schema(min_length = 1, max_length = 32, pattern = "^[0-9*#A-Da-d]+$", example = "12#")]
    digits: String,
    /// The leg they go to, `leg_…`; without it whom an agent consults, else the trunk, else the called agent. When an agent
    /// asks: whom it talks to.
    leg_id: Option<String>,
    /// Length of each in milliseconds.
    #[schema(minimum = 40, maximum = 3000, default = 160)]
    duration_ms: Option<u32>,
}

/// Sends digits to one side of an answered call, in order, in the way that side takes them. At most 32 wait on a leg; 429 says
/// that those sent before have to be heard first.
#[utoipa::path(post, path = "/calls/{id}/dtmf", tag = "calls", operation_id = "send_digits",
    params(("id" = String, Path, description = "`call_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    request_body = NewDigits, security(("api_key" = ["calls:control"]), ("agent" = [])),
    responses((status = 202, description = "They are being sent"),
        Refusals))]
pub(super) async fn dtmf(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<StatusCode, Problem> {
    let validate::Digits { leg, digits, duration } = validate::digits(body)?;
    api.gateway.operator(Operator::SendDigits { call: CallId(id), leg, digits, duration }).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Ends a running call.
#[utoipa::path(post, path = "/calls/{id}/hangup", tag = "calls", operation_id = "hang_up_call",
    params(("id" = String, Path, description = "`call_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    security(("api_key" = ["calls:control"]), ("agent" = [])),
    responses((status = 202, description = "It is being taken down"), Refusals))]
pub(super) async fn hangup(State(api): State<ApiState>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    api.gateway.operator(Operator::Hangup { call: CallId(id) }).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Whose place is to be taken.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body to the OpenAPI document only")]
pub(super) struct ReclaimRequest {
    /// The leg of an agent's phone. By default the one that is away; else the agent's, the caller's between agents.
    leg_id: Option<String>,
}

/// Calls an agent's phones to take over an answered call: after a page was loaded again, or to go on with it on another device. All phones
/// of the leg's extension are called, but the one that has the call, and asked to answer by themselves (`Call-Info: …;answer-after=0`); the
/// first that answers takes the leg's place, and whoever waits at the other end hears nothing of it but the agent. When none does within 20
/// seconds everything is as it was. 409 when no such phone is registered (`not_registered`), the call is not answered (`not_connected`)
/// or a change of who is in it is under way (`changing`).
#[utoipa::path(post, path = "/calls/{id}/reclaim", tag = "calls", operation_id = "reclaim_call",
    params(("id" = String, Path, description = "`call_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    request_body = ReclaimRequest, security(("api_key" = ["calls:control"]), ("agent" = [])),
    responses((status = 202, description = "The phones are being called"), Refusals))]
pub(super) async fn reclaim(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<StatusCode, Problem> {
    let leg = validate::named_leg(body)?;
    api.gateway.operator(Operator::Reclaim { call: CallId(id), leg }).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Whose hold.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body to the OpenAPI document only")]
pub(super) struct HoldRequest {
    /// The leg that holds: it is neither heard nor hears anything, and whoever talks to it hears music. By default the agent's; the
    /// caller's between agents.
    leg_id: Option<String>,
}

/// Holds a running call. Doing it again changes nothing.
#[utoipa::path(post, path = "/calls/{id}/hold", tag = "calls", operation_id = "hold_call",
    params(("id" = String, Path, description = "`call_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    request_body = HoldRequest, security(("api_key" = ["calls:control"]), ("agent" = [])),
    responses((status = 202, description = "It is held; its phone is being told"), Refusals))]
pub(super) async fn hold(api: State<ApiState>, id: Path<String>, body: Body) -> Result<StatusCode, Problem> {
    set_hold(api, id, body, true).await
}

/// Resumes a call held by this API; what a phone itself holds it alone can resume (409). Doing it again changes nothing.
#[utoipa::path(post, path = "/calls/{id}/resume", tag = "calls", operation_id = "resume_call",
    params(("id" = String, Path, description = "`call_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    request_body = HoldRequest, security(("api_key" = ["calls:control"]), ("agent" = [])),
    responses((status = 202, description = "It is resumed; its phone is being told"), Refusals))]
pub(super) async fn resume(api: State<ApiState>, id: Path<String>, body: Body) -> Result<StatusCode, Problem> {
    set_hold(api, id, body, false).await
}

async fn set_hold(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    Body(body): Body,
    hold: bool,
) -> Result<StatusCode, Problem> {
    let leg = validate::named_leg(body)?;
    api.gateway.operator(Operator::Hold { call: CallId(id), leg, hold }).await?;
    Ok(StatusCode::ACCEPTED)
}
