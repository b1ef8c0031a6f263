//! `/v1/numbers`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::problem::Refusals;
use super::request::{Body, IfMatch, Listing, PageQuery, created, patched, shown};
use super::{ApiState, Problem, validate};
use crate::store::{Number, Stored};

/// Lists numbers.
#[utoipa::path(get, path = "/numbers", tag = "numbers", operation_id = "list_numbers", params(PageQuery), security(("api_key" = ["numbers:read"])),
    responses((status = 200, description = "A page of numbers", body = inline(Listing<Stored<Number>>)), Refusals))]
pub(super) async fn list(
    State(api): State<ApiState>,
    page: PageQuery,
) -> Result<Json<Listing<Stored<Number>>>, Problem> {
    Ok(page.listing(api.store.numbers(&page.page()).await?))
}

/// Makes a number.
#[utoipa::path(post, path = "/numbers", tag = "numbers", operation_id = "create_number", request_body = Number, security(("api_key" = ["numbers:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    responses((status = 201, description = "Made", body = inline(Stored<Number>)), Refusals))]
pub(super) async fn create(State(api): State<ApiState>, Body(body): Body) -> Result<Response, Problem> {
    let row = api.store.create_number(validate::number(body)?).await?;
    Ok(created(format!("/v1/numbers/{}", row.id), Some(row.version), &row))
}

/// Reads a number.
#[utoipa::path(get, path = "/numbers/{id}", tag = "numbers", operation_id = "read_number", params(("id" = String, Path, description = "`num_…`")),
    security(("api_key" = ["numbers:read"])),
    responses((status = 200, description = "The number", body = inline(Stored<Number>)), Refusals))]
pub(super) async fn read(State(api): State<ApiState>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(shown(&api.store.number(&id).await?))
}

/// Changes a number by a JSON merge patch (RFC 7396): `null` gives a field its default back.
#[utoipa::path(patch, path = "/numbers/{id}", tag = "numbers", operation_id = "patch_number", security(("api_key" = ["numbers:write"])),
    params(("id" = String, Path, description = "`num_…`"), ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have")),
    request_body(content = Object, content_type = "application/merge-patch+json", description = "The fields to change"),
    responses((status = 200, description = "Changed", body = inline(Stored<Number>)), Refusals))]
pub(super) async fn patch(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<Response, Problem> {
    let current = api.store.number(&id).await?;
    if_match.check(current.version)?;
    let number = validate::number(patched(&current.value, body))?;
    Ok(shown(&api.store.update_number(&id, current.version, number).await?))
}

/// Deletes a number.
#[utoipa::path(delete, path = "/numbers/{id}", tag = "numbers", operation_id = "delete_number", security(("api_key" = ["numbers:write"])),
    params(("id" = String, Path, description = "`num_…`"), ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have")),
    responses((status = 204, description = "Deleted"), Refusals))]
pub(super) async fn delete(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let current = api.store.number(&id).await?;
    if_match.check(current.version)?;
    api.store.delete_number(&id, current.version).await?;
    Ok(StatusCode::NO_CONTENT)
}
