//! `/v1/agents`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::problem::Refusals;
use super::request::{Body, IfMatch, Listing, PageQuery, created, patched, shown};
use super::resource::operations;
use super::{ApiState, Problem, validate};
use crate::store::{Agent, Stored};

operations! {
    row: Agent,
    made_of: Agent,
    named: "an agent", "agents", "agent",
    id: "`agt_…`",
    may: "agents:read", "agents:write",
    store: agents, create_agent, agent, update_agent, delete_agent,
    from: validate::agent,
}
