//! `/v1/calls`: the running calls. Ended ones are call records.

use std::borrow::Cow;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use switchboard::{CallId, CallView, LegView, Operator};
use utoipa::ToSchema;

use super::problem::Refusals;
use super::request::{Listing, PageQuery, Placed, chronological};
use super::{ApiState, Problem};
use crate::store::{CodecName, Timestamp, direction_name, state_name};

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
    /// Where it stands.
    state: &'static str,
    /// The codec agreed on.
    codec: Option<CodecName>,
    /// How its signalling travels.
    transport: String,
    /// The signalling peer.
    remote: String,
}

impl From<LegView> for Leg {
    fn from(leg: LegView) -> Self {
        Self {
            id: leg.id,
            party: leg.party,
            state: state_name(leg.state),
            codec: leg.codec.map(Into::into),
            transport: leg.transport.to_string().to_ascii_lowercase(),
            remote: leg.remote.to_string(),
        }
    }
}

impl From<CallView> for Call {
    fn from(call: CallView) -> Self {
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
            legs: call.legs.into_iter().map(Into::into).collect(),
        }
    }
}

impl Placed for Call {
    fn place(&self) -> Cow<'_, str> {
        chronological(self.started_at, &self.id)
    }
}

/// Lists the running calls, oldest first.
#[utoipa::path(get, path = "/calls", tag = "calls", operation_id = "list_calls", params(PageQuery), security(("api_key" = ["calls:read"])),
    responses((status = 200, description = "A page of calls", body = inline(Listing<Call>)), Refusals))]
pub(super) async fn list(State(api): State<ApiState>, page: PageQuery) -> Json<Listing<Call>> {
    page.part_of(api.gateway.calls().into_iter().map(Into::into).collect())
}

/// Reads a running call.
#[utoipa::path(get, path = "/calls/{id}", tag = "calls", operation_id = "read_call", params(("id" = String, Path, description = "`call_…`")),
    security(("api_key" = ["calls:read"])), responses((status = 200, description = "The call", body = Call), Refusals))]
pub(super) async fn read(State(api): State<ApiState>, Path(id): Path<String>) -> Result<Json<Call>, Problem> {
    let call = api.gateway.call(&id);
    let missing = || Problem::new(StatusCode::NOT_FOUND, "not_found", "no running call has this id");
    call.map(|call| Json(call.into())).ok_or_else(missing)
}

/// Ends a running call.
#[utoipa::path(post, path = "/calls/{id}/hangup", tag = "calls", operation_id = "hang_up_call",
    params(("id" = String, Path, description = "`call_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    security(("api_key" = ["calls:control"])),
    responses((status = 202, description = "It is being taken down"), Refusals))]
pub(super) async fn hangup(State(api): State<ApiState>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    api.gateway.operator(Operator::Hangup { call: CallId(id) }).await?;
    Ok(StatusCode::ACCEPTED)
}
