//! The REST API (`/v1`), health and OpenAPI: requests become domain types here, refusals become problem+json (RFC 9457).
//! Knows no SQL, and of the running gateway only its handle.

mod agents;
mod api_keys;
mod auth;
mod calls;
mod cdrs;
mod certificates;
mod credentials;
mod digest;
mod directory;
mod extensions;
mod fields;
mod idempotency;
mod numbers;
mod ownership;
mod participants;
mod presets;
mod principal;
mod problem;
mod request;
mod resource;
mod system;
mod traces;
mod transfers;
mod trunk_status;
mod trunk_test;
mod trunks;
pub(crate) mod validate;

use std::sync::Arc;

use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Json, Router};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use auth::{SCOPES, unknown_scopes};
pub use certificates::{LoadedCertificate, ReloadCertificates};
pub use digest::AgentAccess;
pub use problem::{FieldError, Problem};
pub use traces::{OwnAddresses, TraceAccess};

use crate::gateway::GatewayHandle;
use crate::store::Store;
use crate::trunk_test::TrunkTests;

/// Renders the metrics in Prometheus' text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What the API works with.
#[derive(Clone)]
pub struct ApiState {
    /// The database.
    pub store: Store,
    /// The running gateway.
    pub gateway: GatewayHandle,
    /// The metrics.
    pub metrics: RenderMetrics,
    /// Reads the listeners' certificates again.
    pub certificates: ReloadCertificates,
    /// The checking of agents' credentials.
    pub agents: AgentAccess,
    /// What was written down of calls.
    pub traces: TraceAccess,
    /// The tests of trunks.
    pub trunk_tests: TrunkTests,
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState").finish_non_exhaustive()
    }
}

/// `/v1/…`, `/livez`, `/readyz`, `/metrics` and `/openapi.json`. Has no fallback of its own outside `/v1`.
pub fn router(state: ApiState) -> Router {
    let (router, document) = parts(&state);
    let document = Arc::new(document);
    let serve = move || {
        let document = Arc::clone(&document);
        async move { Json((*document).clone()) }
    };
    router.route("/openapi.json", axum::routing::get(serve)).with_state(state)
}

fn parts(state: &ApiState) -> (Router<ApiState>, OpenApi) {
    let v1 = OpenApiRouter::new()
        .routes(routes!(agents::list, agents::create))
        .routes(routes!(agents::read, agents::patch, agents::delete))
        .routes(routes!(extensions::list, extensions::create))
        .routes(routes!(extensions::read, extensions::patch, extensions::delete))
        .routes(routes!(extensions::registrations))
        .routes(routes!(credentials::list, credentials::create))
        .routes(routes!(credentials::read, credentials::patch, credentials::delete))
        .routes(routes!(credentials::rotate))
        .routes(routes!(presets::list))
        .routes(routes!(trunks::list, trunks::create))
        .routes(routes!(trunks::read, trunks::patch, trunks::delete))
        .routes(routes!(trunk_status::read))
        .routes(routes!(trunk_test::run))
        .routes(routes!(numbers::list, numbers::create))
        .routes(routes!(numbers::read, numbers::patch, numbers::delete))
        .routes(routes!(directory::list))
        .routes(routes!(calls::list))
        .routes(routes!(calls::read))
        .routes(routes!(traces::read))
        .routes(routes!(calls::dtmf))
        .routes(routes!(calls::hangup))
        .routes(routes!(calls::hold))
        .routes(routes!(calls::resume))
        .routes(routes!(calls::reclaim))
        .routes(routes!(transfers::list, transfers::create))
        .routes(routes!(transfers::read))
        .routes(routes!(participants::list, participants::create))
        .routes(routes!(participants::read, participants::delete))
        .routes(routes!(transfers::complete))
        .routes(routes!(transfers::cancel))
        .routes(routes!(cdrs::list))
        .routes(routes!(cdrs::read))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::read, api_keys::delete))
        .routes(routes!(certificates::reload));
    let (router, document) = OpenApiRouter::with_openapi(system::document())
        .routes(routes!(system::livez))
        .routes(routes!(system::readyz))
        .routes(routes!(system::metrics))
        .nest("/v1", v1)
        .split_for_parts();
    // The middleware is laid around the finished routes: those outside /v1 pass it untouched.
    let router = router
        .route("/v1/{*rest}", axum::routing::any(problem::no_such_path))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(from_fn_with_state(state.clone(), ownership::confine))
        .layer(from_fn_with_state(state.clone(), idempotency::once))
        .layer(from_fn_with_state(state.clone(), auth::authenticate))
        .layer(from_fn(problem::forbid_caching));
    (router, document)
}

#[cfg(test)]
mod tests;
