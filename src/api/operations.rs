//! Which operations there are, told once: served from the start, and described as OpenAPI (3.1) when somebody first asks. The description
//! costs some megabytes and milliseconds to put together, which no start has to wait for.

use std::sync::OnceLock;

use axum::Router;
use axum::handler::Handler;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::on;
use bytes::Bytes;
use pastey::paste;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::{PathItemExt, routes};

use super::{
    ApiState, Problem, agents, api_keys, calls, cdrs, certificates, credentials, directory, extensions, numbers,
    participants, presets, system, traces, transfers, trunk_status, trunk_test, trunks,
};

/// Gives a macro the operations at the root.
macro_rules! at_root {
    ($each:ident, $router:expr) => {
        $each!($router; system::livez, system::readyz, system::metrics)
    };
}

/// Gives a macro the operations below `/v1`.
macro_rules! below_v1 {
    ($each:ident, $router:expr) => {
        $each!($router;
            agents::list, agents::create, agents::read, agents::patch, agents::delete,
            extensions::list, extensions::create, extensions::read, extensions::patch, extensions::delete,
            extensions::registrations,
            credentials::list, credentials::create, credentials::read, credentials::patch, credentials::delete,
            credentials::rotate,
            presets::list,
            trunks::list, trunks::create, trunks::read, trunks::patch, trunks::delete,
            trunk_status::read,
            trunk_test::run,
            numbers::list, numbers::create, numbers::read, numbers::patch, numbers::delete,
            directory::list,
            calls::list, calls::read,
            traces::read,
            calls::dtmf, calls::hangup, calls::hold, calls::resume, calls::reclaim,
            transfers::list, transfers::create, transfers::read, transfers::complete, transfers::cancel,
            participants::list, participants::create, participants::read, participants::delete,
            cdrs::list, cdrs::read,
            api_keys::list, api_keys::create, api_keys::read, api_keys::delete,
            certificates::reload
        )
    };
}

/// A router that serves them.
macro_rules! served {
    ($router:expr; $($module:ident :: $operation:ident),+) => {{
        let router = $router;
        $(let router = paste! { serve::<$module::[<__path_ $operation>], _, _>(router, $module::$operation) };)+
        router
    }};
}

/// A router that can describe them.
macro_rules! described {
    ($router:expr; $($module:ident :: $operation:ident),+) => {
        $router$(.routes(routes!($module::$operation)))+
    };
}

/// Everything but the document, before the middleware.
pub(super) fn router() -> Router<ApiState> {
    let v1 = below_v1!(served, Router::new());
    at_root!(served, Router::new()).nest("/v1", v1)
}

/// Adds an operation where its annotation says.
fn serve<P, H, T>(router: Router<ApiState>, operation: H) -> Router<ApiState>
where
    P: utoipa::Path,
    H: Handler<T, ApiState>,
    T: 'static,
{
    let path = P::path();
    let methods = P::methods().into_iter();
    methods.fold(router, |router, method| router.route(&path, on(method.to_method_filter(), operation.clone())))
}

/// `GET /openapi.json`
pub(super) async fn document() -> Result<impl IntoResponse, Problem> {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let known = match DOCUMENT.get() {
        Some(known) => known.clone(),
        None => {
            let written = serde_json::to_vec(&describe()).map_err(|error| {
                tracing::error!(%error, "the OpenAPI document cannot be written");
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the document cannot be written")
            })?;
            DOCUMENT.get_or_init(|| written.into()).clone()
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], known))
}

fn describe() -> OpenApi {
    let v1 = below_v1!(described, OpenApiRouter::<ApiState>::new());
    at_root!(described, OpenApiRouter::with_openapi(system::document())).nest("/v1", v1).into_openapi()
}
