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
mod operations;
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

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};

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
    // The middleware is laid around the finished routes: those outside /v1 pass it untouched.
    let router = operations::router()
        .route("/v1/{*rest}", axum::routing::any(problem::no_such_path))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(from_fn_with_state(state.clone(), ownership::confine))
        .layer(from_fn_with_state(state.clone(), idempotency::once))
        .layer(from_fn_with_state(state.clone(), auth::authenticate))
        .layer(from_fn(problem::forbid_caching));
    router.route("/openapi.json", axum::routing::get(operations::document)).with_state(state)
}

#[cfg(test)]
mod tests;
