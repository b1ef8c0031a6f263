//! `/v1/numbers`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::problem::Refusals;
use super::request::{Body, IfMatch, Listing, PageQuery, created, patched, shown};
use super::resource::operations;
use super::{ApiState, Problem, validate};
use crate::store::{Number, Stored};

operations! {
    row: Number,
    made_of: Number,
    named: "a number", "numbers", "number",
    id: "`num_…`",
    may: "numbers:read", "numbers:write",
    store: numbers, create_number, number, update_number, delete_number,
    from: validate::number,
}
