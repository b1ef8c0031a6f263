//! Health, metrics and the head of the OpenAPI document. These need no API key: keep them off the public network.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Info, License, OpenApi};

use super::{ApiState, FieldError, Problem, trunk_status};
use crate::gateway::Readiness;
use crate::store::{
    Agent, ApiKey, CallerId, CallerIdFormat, CdrLeg, CodecName, Credential, Extension, Gateway, GatewayTransport,
    Inbound, Number, TargetKind, TargetShape, Timestamp, Trunk,
};

/// Whether the gateway can take calls, and what is missing when not.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    /// All of the below hold, and the gateway is not draining.
    ready: bool,
    /// The database answers.
    database: bool,
    /// Every listener is bound.
    listeners: bool,
    /// The process is about to stop.
    draining: bool,
    /// Until when browsers believe the certificate; after that none can connect.
    #[schema(inline)]
    certificate_expires_at: Timestamp,
    /// An enabled trunk is down. It does not make the gateway unready: calls between agents and over other trunks go on, and to restart or
    /// leave out the gateway would not bring a carrier back.
    degraded: bool,
    /// The enabled trunks, by name.
    trunks: Vec<ReadyTrunk>,
}

/// A trunk, as far as calls can go over it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReadyTrunk {
    name: String,
    /// `up` (a server answers), `down` (none does) or `unknown`.
    state: &'static str,
}

/// The schemas that operations name but do not carry themselves.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(
    Problem,
    FieldError,
    Agent,
    Extension,
    Credential,
    Trunk,
    Number,
    Gateway,
    GatewayTransport,
    Inbound,
    CallerId,
    CallerIdFormat,
    CodecName,
    TargetShape,
    TargetKind,
    ApiKey,
    CdrLeg
)))]
struct Schemas;

/// The document before the operations are added.
pub(super) fn document() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("pk_<prefix>_<secret>")
        .description(Some("An API key"))
        .build();
    let digest = HttpBuilder::new()
        .scheme(HttpAuthScheme::Digest)
        .description(Some(
            "An agent's SIP credentials (RFC 7616, SHA-256 or MD5, qop=auth; the realm is the SIP domain). Its extension's calls only.",
        ))
        .build();
    let mut license = License::new("MIT OR Apache-2.0");
    license.identifier = Some("MIT OR Apache-2.0".into());
    let mut document = <Schemas as utoipa::OpenApi>::openapi();
    document.info = Info::new("Patchcord", env!("CARGO_PKG_VERSION"));
    document.info.description = Some("Agents, trunks and calls of a SIP/WebRTC softphone gateway.".into());
    document.info.license = Some(license);
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("api_key", SecurityScheme::Http(bearer));
    components.add_security_scheme("agent", SecurityScheme::Http(digest));
    document
}

/// The process runs.
#[utoipa::path(get, path = "/livez", tag = "system", operation_id = "livez", responses((status = 204, description = "It does")))]
pub(super) async fn livez() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// The gateway can take calls.
#[utoipa::path(get, path = "/readyz", tag = "system", operation_id = "readyz",
    responses((status = 200, description = "It can", body = Ready), (status = 503, description = "It cannot", body = Ready)))]
pub(super) async fn readyz(State(api): State<ApiState>) -> Response {
    let gateway = api.gateway.readiness();
    let database = api.store.answers().await;
    let certificate_expires_at = Timestamp::from(gateway.certificate_expires);
    let ready = database && gateway.listening && !gateway.draining && certificate_expires_at > Timestamp::now();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let Readiness { listening: listeners, draining, .. } = gateway;
    let trunks = ready_trunks(&api);
    let degraded = trunks.iter().any(|trunk| trunk.state == "down");
    let ready = Ready { ready, database, listeners, draining, certificate_expires_at, degraded, trunks };
    (status, Json(ready)).into_response()
}

fn ready_trunks(api: &ApiState) -> Vec<ReadyTrunk> {
    let directory = api.store.directory().borrow().clone();
    let enabled = directory.trunks.values().filter(|trunk| trunk.enabled);
    let mut trunks: Vec<_> =
        enabled.map(|trunk| ReadyTrunk { name: trunk.name.clone(), state: trunk_status::state(api, trunk) }).collect();
    trunks.sort_by(|a, b| a.name.cmp(&b.name));
    trunks
}

/// Metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "system", operation_id = "metrics",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(api): State<ApiState>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (api.metrics)()).into_response()
}
