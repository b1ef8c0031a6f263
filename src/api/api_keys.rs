//! `/v1/api-keys`: who may use this API. Needs the scope `admin`.

use std::borrow::Cow;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Refusals;
use super::request::{Body, Listing, PageQuery, Placed, created};
use super::{ApiState, Problem, validate};
use crate::store::ApiKey;

/// What an API key is made of.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body to the OpenAPI document only")]
pub(super) struct NewApiKey {
    /// What it is for.
    name: String,
    /// What it may do: `<group>:read`, `<group>:write`, `calls:control` or `admin`.
    scopes: Vec<String>,
}

/// An API key with its token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeApiKey {
    /// The key.
    #[serde(flatten)]
    key: ApiKey,
    /// The whole token, shown this once; `null` in a repeated answer.
    token: Option<String>,
}

impl Placed for ApiKey {
    fn place(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}

/// Lists API keys, never their tokens.
#[utoipa::path(get, path = "/api-keys", tag = "api-keys", operation_id = "list_api_keys", params(PageQuery), security(("api_key" = ["admin"])),
    responses((status = 200, description = "A page of API keys", body = inline(Listing<ApiKey>)), Refusals))]
pub(super) async fn list(State(api): State<ApiState>, page: PageQuery) -> Result<Json<Listing<ApiKey>>, Problem> {
    Ok(page.listing(api.store.api_keys(&page.page()).await?))
}

/// Makes an API key.
#[utoipa::path(post, path = "/api-keys", tag = "api-keys", operation_id = "create_api_key", request_body = NewApiKey,
    params(("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    security(("api_key" = ["admin"])), responses((status = 201, description = "Made", body = MadeApiKey), Refusals))]
pub(super) async fn create(State(api): State<ApiState>, Body(body): Body) -> Result<Response, Problem> {
    let (name, scopes) = validate::api_key(body)?;
    let minted = api.store.create_api_key(&name, &scopes).await?;
    let location = format!("/v1/api-keys/{}", minted.key.id);
    Ok(created(location, None, &MadeApiKey { key: minted.key, token: Some(minted.token) }))
}

/// Reads an API key, never its token.
#[utoipa::path(get, path = "/api-keys/{id}", tag = "api-keys", operation_id = "read_api_key", params(("id" = String, Path, description = "`key_…`")),
    security(("api_key" = ["admin"])), responses((status = 200, description = "The key", body = ApiKey), Refusals))]
pub(super) async fn read(State(api): State<ApiState>, Path(id): Path<String>) -> Result<Json<ApiKey>, Problem> {
    Ok(Json(api.store.api_key(&id).await?))
}

/// Revokes an API key; it is worthless at once.
#[utoipa::path(delete, path = "/api-keys/{id}", tag = "api-keys", operation_id = "revoke_api_key", params(("id" = String, Path, description = "`key_…`")),
    security(("api_key" = ["admin"])), responses((status = 204, description = "Revoked"), Refusals))]
pub(super) async fn delete(State(api): State<ApiState>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    api.store.revoke_api_key(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
