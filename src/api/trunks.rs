//! `/v1/trunks`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::presets::NewTrunk;
use super::problem::Refusals;
use super::request::{Body, IfMatch, Listing, PageQuery, created, patched, shown};
use super::resource::operations;
use super::{ApiState, Problem, validate};
use crate::store::{Stored, Trunk};

operations! {
    row: Trunk,
    made_of: NewTrunk,
    named: "a trunk", "trunks", "trunk",
    id: "`trk_…`",
    may: "trunks:read", "trunks:write",
    store: trunks, create_trunk, trunk, update_trunk, delete_trunk,
    from: validate::trunk,
    keeping: validate::keep_secrets,
}
