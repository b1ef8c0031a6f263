//! `/v1/agents`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::problem::Refusals;
use super::request::{Body, IfMatch, Listing, PageQuery, created, patched, shown};
use super::{ApiState, Problem, validate};
use crate::store::{Agent, Stored};

/// Lists agents.
#[utoipa::path(get, path = "/agents", tag = "agents", operation_id = "list_agents", params(PageQuery), security(("api_key" = ["agents:read"])),
    responses((status = 200, description = "A page of agents", body = inline(Listing<Stored<Agent>>)), Refusals))]
pub(super) async fn list(
    State(api): State<ApiState>,
    page: PageQuery,
) -> Result<Json<Listing<Stored<Agent>>>, Problem> {
    Ok(page.listing(api.store.agents(&page.page()).await?))
}

/// Makes an agent.
#[utoipa::path(post, path = "/agents", tag = "agents", operation_id = "create_agent", request_body = Agent, security(("api_key" = ["agents:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    responses((status = 201, description = "Made", body = inline(Stored<Agent>)), Refusals))]
pub(super) async fn create(State(api): State<ApiState>, Body(body): Body) -> Result<Response, Problem> {
    let row = api.store.create_agent(validate::agent(body)?).await?;
    Ok(created(format!("/v1/agents/{}", row.id), Some(row.version), &row))
}

/// Reads an agent.
#[utoipa::path(get, path = "/agents/{id}", tag = "agents", operation_id = "read_agent", params(("id" = String, Path, description = "`agt_…`")),
    security(("api_key" = ["agents:read"])),
    responses((status = 200, description = "The agent", body = inline(Stored<Agent>)), Refusals))]
pub(super) async fn read(State(api): State<ApiState>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(shown(&api.store.agent(&id).await?))
}

/// Changes an agent by a JSON merge patch (RFC 7396): `null` gives a field its default back.
#[utoipa::path(patch, path = "/agents/{id}", tag = "agents", operation_id = "patch_agent", security(("api_key" = ["agents:write"])),
    params(("id" = String, Path, description = "`agt_…`"), ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have")),
    request_body(content = Object, content_type = "application/merge-patch+json", description = "The fields to change"),
    responses((status = 200, description = "Changed", body = inline(Stored<Agent>)), Refusals))]
pub(super) async fn patch(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<Response, Problem> {
    let current = api.store.agent(&id).await?;
    if_match.check(current.version)?;
    let agent = validate::agent(patched(&current.value, body))?;
    Ok(shown(&api.store.update_agent(&id, current.version, agent).await?))
}

/// Deletes an agent.
#[utoipa::path(delete, path = "/agents/{id}", tag = "agents", operation_id = "delete_agent", security(("api_key" = ["agents:write"])),
    params(("id" = String, Path, description = "`agt_…`"), ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have")),
    responses((status = 204, description = "Deleted"), Refusals))]
pub(super) async fn delete(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let current = api.store.agent(&id).await?;
    if_match.check(current.version)?;
    api.store.delete_agent(&id, current.version).await?;
    Ok(StatusCode::NO_CONTENT)
}
