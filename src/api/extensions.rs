//! `/v1/extensions`.

use std::borrow::Cow;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Refusals;
use super::request::{Body, IfMatch, Listing, PageQuery, Placed, chronological, created, patched, shown};
use super::{ApiState, Problem, validate};
use crate::store::{Extension, Stored, Timestamp};

/// Lists extensions.
#[utoipa::path(get, path = "/extensions", tag = "extensions", operation_id = "list_extensions", params(PageQuery), security(("api_key" = ["extensions:read"])),
    responses((status = 200, description = "A page of extensions", body = inline(Listing<Stored<Extension>>)), Refusals))]
pub(super) async fn list(
    State(api): State<ApiState>,
    page: PageQuery,
) -> Result<Json<Listing<Stored<Extension>>>, Problem> {
    Ok(page.listing(api.store.extensions(&page.page()).await?))
}

/// Makes an extension.
#[utoipa::path(post, path = "/extensions", tag = "extensions", operation_id = "create_extension", request_body = Extension, security(("api_key" = ["extensions:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    responses((status = 201, description = "Made", body = inline(Stored<Extension>)), Refusals))]
pub(super) async fn create(State(api): State<ApiState>, Body(body): Body) -> Result<Response, Problem> {
    let row = api.store.create_extension(validate::extension(body)?).await?;
    Ok(created(format!("/v1/extensions/{}", row.id), Some(row.version), &row))
}

/// Reads an extension.
#[utoipa::path(get, path = "/extensions/{id}", tag = "extensions", operation_id = "read_extension", params(("id" = String, Path, description = "`ext_…`")),
    security(("api_key" = ["extensions:read"])),
    responses((status = 200, description = "The extension", body = inline(Stored<Extension>)), Refusals))]
pub(super) async fn read(State(api): State<ApiState>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(shown(&api.store.extension(&id).await?))
}

/// Changes an extension by a JSON merge patch (RFC 7396): `null` gives a field its default back.
#[utoipa::path(patch, path = "/extensions/{id}", tag = "extensions", operation_id = "patch_extension", security(("api_key" = ["extensions:write"])),
    params(("id" = String, Path, description = "`ext_…`"), ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have")),
    request_body(content = Object, content_type = "application/merge-patch+json", description = "The fields to change"),
    responses((status = 200, description = "Changed", body = inline(Stored<Extension>)), Refusals))]
pub(super) async fn patch(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<Response, Problem> {
    let current = api.store.extension(&id).await?;
    if_match.check(current.version)?;
    let extension = validate::extension(patched(&current.value, body))?;
    Ok(shown(&api.store.update_extension(&id, current.version, extension).await?))
}

/// Deletes an extension.
#[utoipa::path(delete, path = "/extensions/{id}", tag = "extensions", operation_id = "delete_extension", security(("api_key" = ["extensions:write"])),
    params(("id" = String, Path, description = "`ext_…`"), ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have")),
    responses((status = 204, description = "Deleted"), Refusals))]
pub(super) async fn delete(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let current = api.store.extension(&id).await?;
    if_match.check(current.version)?;
    api.store.delete_extension(&id, current.version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A browser registered for an extension.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Registration {
    /// `reg_…`
    id: String,
    /// The Contact URI as sent.
    contact: String,
    /// `+sip.instance`, when sent.
    instance: Option<String>,
    /// What the client calls itself.
    user_agent: Option<String>,
    /// How it is connected.
    transport: String,
    /// Its address.
    remote: String,
    /// When it came.
    #[schema(inline)]
    registered_at: Timestamp,
    /// When it runs out.
    #[schema(inline)]
    expires_at: Timestamp,
}

impl Placed for Registration {
    fn place(&self) -> Cow<'_, str> {
        chronological(self.registered_at, &self.id)
    }
}

/// Lists what is registered for an extension.
#[utoipa::path(get, path = "/extensions/{id}/registrations", tag = "extensions", operation_id = "list_registrations",
    params(("id" = String, Path, description = "`ext_…`"), PageQuery), security(("api_key" = ["extensions:read"])),
    responses((status = 200, description = "A page of registrations", body = inline(Listing<Registration>)), Refusals))]
pub(super) async fn registrations(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    page: PageQuery,
) -> Result<Json<Listing<Registration>>, Problem> {
    let extension = api.store.extension(&id).await?;
    let bindings = api.gateway.bindings(&extension.value.number);
    let all = bindings.into_iter().map(|binding| Registration {
        id: binding.id,
        contact: binding.contact,
        instance: binding.instance,
        user_agent: binding.user_agent,
        transport: binding.flow.transport.to_string().to_ascii_lowercase(),
        remote: binding.flow.peer.to_string(),
        registered_at: binding.registered_at.into(),
        expires_at: binding.expires_at.into(),
    });
    Ok(page.part_of(all.collect()))
}
