//! `/v1/cdrs`: the records of ended calls.

use std::borrow::Cow;

use axum::Json;
use axum::extract::{Path, State};

use super::problem::Refusals;
use super::request::{Listing, PageQuery, Placed};
use super::{ApiState, Problem};
use crate::store::Cdr;

impl Placed for Cdr {
    fn place(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}

/// Lists call records, newest first.
#[utoipa::path(get, path = "/cdrs", tag = "cdrs", operation_id = "list_cdrs", params(PageQuery), security(("api_key" = ["cdrs:read"])),
    responses((status = 200, description = "A page of call records", body = inline(Listing<Cdr>)), Refusals))]
pub(super) async fn list(State(api): State<ApiState>, page: PageQuery) -> Result<Json<Listing<Cdr>>, Problem> {
    Ok(page.listing(api.store.cdrs(&page.page()).await?))
}

/// Reads a call record, by its id or its call's.
#[utoipa::path(get, path = "/cdrs/{id}", tag = "cdrs", operation_id = "read_cdr", params(("id" = String, Path, description = "`cdr_…` or `call_…`")),
    security(("api_key" = ["cdrs:read"])), responses((status = 200, description = "The record", body = Cdr), Refusals))]
pub(super) async fn read(State(api): State<ApiState>, Path(id): Path<String>) -> Result<Json<Cdr>, Problem> {
    Ok(Json(api.store.cdr(&id).await?))
}
