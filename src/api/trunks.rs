//! `/v1/trunks`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::problem::Refusals;
use super::request::{Body, IfMatch, Listing, PageQuery, created, patched, shown};
use super::{ApiState, Problem, validate};
use crate::store::{Stored, Trunk};

/// Lists trunks.
#[utoipa::path(get, path = "/trunks", tag = "trunks", operation_id = "list_trunks", params(PageQuery), security(("api_key" = ["trunks:read"])),
    responses((status = 200, description = "A page of trunks", body = inline(Listing<Stored<Trunk>>)), Refusals))]
pub(super) async fn list(
    State(api): State<ApiState>,
    page: PageQuery,
) -> Result<Json<Listing<Stored<Trunk>>>, Problem> {
    Ok(page.listing(api.store.trunks(&page.page()).await?))
}

/// Makes a trunk.
#[utoipa::path(post, path = "/trunks", tag = "trunks", operation_id = "create_trunk", request_body = Trunk, security(("api_key" = ["trunks:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    responses((status = 201, description = "Made", body = inline(Stored<Trunk>)), Refusals))]
pub(super) async fn create(State(api): State<ApiState>, Body(body): Body) -> Result<Response, Problem> {
    let row = api.store.create_trunk(validate::trunk(body)?).await?;
    Ok(created(format!("/v1/trunks/{}", row.id), Some(row.version), &row))
}

/// Reads a trunk.
#[utoipa::path(get, path = "/trunks/{id}", tag = "trunks", operation_id = "read_trunk", params(("id" = String, Path, description = "`trk_…`")),
    security(("api_key" = ["trunks:read"])),
    responses((status = 200, description = "The trunk", body = inline(Stored<Trunk>)), Refusals))]
pub(super) async fn read(State(api): State<ApiState>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(shown(&api.store.trunk(&id).await?))
}

/// Changes a trunk by a JSON merge patch (RFC 7396): `null` gives a field its default back.
#[utoipa::path(patch, path = "/trunks/{id}", tag = "trunks", operation_id = "patch_trunk", security(("api_key" = ["trunks:write"])),
    params(("id" = String, Path, description = "`trk_…`"), ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have")),
    request_body(content = Object, content_type = "application/merge-patch+json", description = "The fields to change"),
    responses((status = 200, description = "Changed", body = inline(Stored<Trunk>)), Refusals))]
pub(super) async fn patch(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<Response, Problem> {
    let current = api.store.trunk(&id).await?;
    if_match.check(current.version)?;
    let trunk = validate::trunk(patched(&current.value, body))?;
    Ok(shown(&api.store.update_trunk(&id, current.version, trunk).await?))
}

/// Deletes a trunk.
#[utoipa::path(delete, path = "/trunks/{id}", tag = "trunks", operation_id = "delete_trunk", security(("api_key" = ["trunks:write"])),
    params(("id" = String, Path, description = "`trk_…`"), ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have")),
    responses((status = 204, description = "Deleted"), Refusals))]
pub(super) async fn delete(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let current = api.store.trunk(&id).await?;
    if_match.check(current.version)?;
    api.store.delete_trunk(&id, current.version).await?;
    Ok(StatusCode::NO_CONTENT)
}
