//! `/v1/trunks/{id}/test`: whether a trunk would work at this moment, and what to change when it would not.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Refusals;
use super::{ApiState, Problem};
use crate::trunk_test::{Busy, Step};

/// When to ask again while another test runs.
const RETRY_AFTER: Duration = Duration::from_secs(15);

/// How a test went.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrunkTest {
    /// Whether every step was right.
    ok: bool,
    /// What was tried, gateway by gateway.
    steps: Vec<Step>,
}

/// Tries the names, connections, TLS, OPTIONS and REGISTER of a trunk's gateways, at up to four servers of each, and says what to change.
/// Places no call and leaves the trunk's registration as it is; takes up to 15 s. A disabled trunk can be tested too.
#[utoipa::path(post, path = "/trunks/{id}/test", tag = "trunks", operation_id = "test_trunk",
    params(("id" = String, Path, description = "`trk_…`")), security(("api_key" = ["trunks:write"])),
    responses((status = 200, description = "How it went", body = TrunkTest), Refusals))]
pub(super) async fn run(State(api): State<ApiState>, Path(id): Path<String>) -> Result<Json<TrunkTest>, Problem> {
    let row = api.store.trunk(&id).await?.value;
    let uris: Vec<_> = row.gateways.0.iter().map(|row| (row.host().to_owned(), row.uri.clone())).collect();
    if uris.is_empty() {
        return Err(Problem::new(StatusCode::CONFLICT, "no_gateways", "the trunk has no gateways that could be tried"));
    }
    let turn = api.trunk_tests.begin(&id).map_err(|busy| {
        let detail = match busy {
            Busy::Trunk => "this trunk is being tested already",
            Busy::Others => "other trunks are being tested",
        };
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "testing", detail).with_retry_after(RETRY_AFTER)
    })?;
    let directory = api.store.directory().borrow().clone();
    // It may be gone since it was read.
    let Some(trunk) = directory.trunks.get(&id) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such trunk"));
    };
    let steps = api.trunk_tests.run(&turn, trunk, &uris).await;
    Ok(Json(TrunkTest { ok: steps.iter().all(|step| step.ok), steps }))
}
