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
use super::resource::operations;
use super::{ApiState, Problem, validate};
use crate::store::{Extension, Stored, Timestamp};

operations! {
    row: Extension,
    made_of: Extension,
    named: "an extension", "extensions", "extension",
    id: "`ext_…`",
    may: "extensions:read", "extensions:write",
    store: extensions, create_extension, extension, update_extension, delete_extension,
    from: validate::extension,
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
        id: binding.id.as_ref().to_owned(),
        contact: binding.address.uri().to_string(),
        instance: binding.address.instance(),
        user_agent: binding.user_agent.as_deref().map(str::to_owned),
        transport: binding.flow.transport.to_string().to_ascii_lowercase(),
        remote: binding.flow.peer.to_string(),
        registered_at: binding.registered_at.into(),
        expires_at: binding.expires_at.into(),
    });
    Ok(page.part_of(all.collect()))
}
