//! `/v1/certificates`: the listeners' certificates. Needs the scope `admin`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Refusals;
use super::{ApiState, Problem};
use crate::store::Timestamp;

/// A listener's certificate as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct LoadedCertificate {
    /// `https` or `sip_tls`.
    pub listener: &'static str,
    /// Until when others believe it.
    #[schema(inline)]
    pub expires_at: Timestamp,
}

/// Reads the certificates again; or says what is wrong with each that cannot be used.
pub type ReloadCertificates = Arc<dyn Fn() -> Result<Vec<LoadedCertificate>, Vec<String>> + Send + Sync>;

/// What was read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reloaded {
    /// One for each listener.
    data: Vec<LoadedCertificate>,
}

/// Reads the listeners' certificates from disk again. Connections go on with what they have agreed on.
#[utoipa::path(post, path = "/certificates/reload", tag = "system", operation_id = "reload_certificates", security(("api_key" = ["admin"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Carries the request out once in 24 hours")),
    responses((status = 200, description = "They are in force", body = Reloaded), Refusals))]
pub(super) async fn reload(State(api): State<ApiState>) -> Result<Json<Reloaded>, Problem> {
    match (api.certificates)() {
        Ok(data) => Ok(Json(Reloaded { data })),
        Err(wrong) => Err(Problem::new(StatusCode::CONFLICT, "certificate_unusable", wrong.join("; "))),
    }
}
