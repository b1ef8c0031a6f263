//! `/v1/extensions/{id}/credentials` and `/v1/credentials`. A secret leaves the gateway once, in the answer that made it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::problem::Refusals;
use super::request::{Body, IfMatch, Listing, PageQuery, created, patched, shown};
use super::{ApiState, Problem, validate};
use crate::identifier::new_secret;
use crate::store::{Credential, Stored};

/// What a credential is made of.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body to the OpenAPI document only")]
pub(super) struct NewCredential {
    /// The digest username; the extension's number when absent.
    username: Option<String>,
    /// The secret, 12 to 128 characters; generated when absent.
    password: Option<String>,
    /// What it is for.
    tag: Option<String>,
}

/// The new secret of a credential.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body to the OpenAPI document only")]
pub(super) struct NewSecret {
    /// The secret, 12 to 128 characters; generated when absent.
    password: Option<String>,
}

/// A credential with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeCredential {
    /// The credential.
    #[serde(flatten)]
    #[schema(inline)]
    credential: Stored<Credential>,
    /// The SIP domain the secret is for.
    realm: String,
    /// The secret, shown this once; `null` in a repeated answer.
    password: Option<String>,
}

/// Lists the credentials of an extension.
#[utoipa::path(get, path = "/extensions/{id}/credentials", tag = "credentials", operation_id = "list_credentials",
    params(("id" = String, Path, description = "`ext_…`"), PageQuery), security(("api_key" = ["credentials:read"])),
    responses((status = 200, description = "A page of credentials", body = inline(Listing<Stored<Credential>>)), Refusals))]
pub(super) async fn list(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    page: PageQuery,
) -> Result<Json<Listing<Stored<Credential>>>, Problem> {
    let extension = api.store.extension(&id).await?;
    Ok(page.listing(api.store.credentials(&extension.id, &page.page()).await?))
}

/// Makes a credential for an extension. It works at once.
#[utoipa::path(post, path = "/extensions/{id}/credentials", tag = "credentials", operation_id = "create_credential",
    params(("id" = String, Path, description = "`ext_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    request_body = NewCredential, security(("api_key" = ["credentials:write"])),
    responses((status = 201, description = "Made", body = inline(MadeCredential)), Refusals))]
pub(super) async fn create(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let extension = api.store.extension(&id).await?;
    let draft = validate::credential(body)?;
    let password = draft.password.unwrap_or_else(new_secret);
    let username = draft.username.unwrap_or(extension.value.number);
    let credential = Credential { extension_id: extension.id, username, tag: draft.tag };
    let credential = api.store.create_credential(credential, &password).await?;
    let (location, version) = (format!("/v1/credentials/{}", credential.id), credential.version);
    let made = MadeCredential { credential, realm: api.store.realm().to_owned(), password: Some(password) };
    Ok(created(location, Some(version), &made))
}

/// Reads a credential, never its secret.
#[utoipa::path(get, path = "/credentials/{id}", tag = "credentials", operation_id = "read_credential",
    params(("id" = String, Path, description = "`crd_…`")), security(("api_key" = ["credentials:read"])),
    responses((status = 200, description = "The credential", body = inline(Stored<Credential>)), Refusals))]
pub(super) async fn read(State(api): State<ApiState>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(shown(&api.store.credential(&id).await?))
}

/// Changes what a credential is said to be for, by a JSON merge patch (RFC 7396). Another username or secret would be another
/// credential: make one, or rotate.
#[utoipa::path(patch, path = "/credentials/{id}", tag = "credentials", operation_id = "patch_credential",
    params(("id" = String, Path, description = "`crd_…`"), ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have")),
    request_body(content = Object, content_type = "application/merge-patch+json", description = "`tag`, or `null` for none"),
    security(("api_key" = ["credentials:write"])),
    responses((status = 200, description = "Changed", body = inline(Stored<Credential>)), Refusals))]
pub(super) async fn patch(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<Response, Problem> {
    let current = api.store.credential(&id).await?;
    if_match.check(current.version)?;
    let tag = validate::credential_tag(patched(&json!({ "tag": current.value.tag }), body))?;
    Ok(shown(&api.store.tag_credential(&id, current.version, tag.as_deref()).await?))
}

/// Gives a credential another secret; the old one is worthless at once.
#[utoipa::path(post, path = "/credentials/{id}/rotate", tag = "credentials", operation_id = "rotate_credential",
    params(("id" = String, Path, description = "`crd_…`"), ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    request_body = NewSecret, security(("api_key" = ["credentials:write"])),
    responses((status = 200, description = "Rotated", body = inline(MadeCredential)), Refusals))]
pub(super) async fn rotate(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<Json<MadeCredential>, Problem> {
    let password = validate::rotation(body)?.unwrap_or_else(new_secret);
    let current = api.store.credential(&id).await?;
    if_match.check(current.version)?;
    let credential = api.store.rotate_credential(&id, current.version, &password).await?;
    Ok(Json(MadeCredential { credential, realm: api.store.realm().to_owned(), password: Some(password) }))
}

/// Deletes a credential; it is worthless at once.
#[utoipa::path(delete, path = "/credentials/{id}", tag = "credentials", operation_id = "delete_credential",
    params(("id" = String, Path, description = "`crd_…`"), ("If-Match" = Option<String>, Header, description = "The `ETag` it must still have")),
    security(("api_key" = ["credentials:write"])), responses((status = 204, description = "Deleted"), Refusals))]
pub(super) async fn delete(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let current = api.store.credential(&id).await?;
    if_match.check(current.version)?;
    api.store.delete_credential(&id, current.version).await?;
    Ok(StatusCode::NO_CONTENT)
}
