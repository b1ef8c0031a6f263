//! Refusals as `application/problem+json` (RFC 9457). The one place where an error becomes an HTTP status.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use switchboard::OperatorError;
use utoipa::{IntoResponses, ToSchema};

use crate::gateway::GatewayError;
use crate::store::StoreError;

/// A refusal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` tells the kinds apart.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status' phrase.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// A word for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
    /// Every field at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
    /// When to try again, in seconds; of some statuses, a default.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

/// One field at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the request's body.
    pub pointer: String,
    /// What is expected.
    pub detail: String,
}

/// The refusals every operation may answer with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes responses to the OpenAPI document only")]
pub(super) enum Refusals {
    /// The body is not JSON, or a parameter is malformed.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(#[to_schema] Problem),
    /// No API key or agent's credentials, or not valid ones.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(#[to_schema] Problem),
    /// The API key lacks a scope, or an agent asks for what is not its own.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] Problem),
    /// There is no such resource.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] Problem),
    /// It conflicts with what is stored.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(#[to_schema] Problem),
    /// `If-Match` names another version.
    #[response(status = 412, content_type = "application/problem+json")]
    Changed(#[to_schema] Problem),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Problem),
    /// The body is not declared as JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(#[to_schema] Problem),
    /// Fields are at fault, each named in `errors`.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(#[to_schema] Problem),
    /// Too much at once: `Retry-After` says when to try again.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(#[to_schema] Problem),
    /// The gateway failed.
    #[response(status = 500, content_type = "application/problem+json")]
    Failed(#[to_schema] Problem),
    /// Not possible at the moment.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Problem),
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// With `Retry-After`, in whole seconds and one at least.
    pub(super) fn with_retry_after(self, after: Duration) -> Self {
        Self { retry_after: Some(after.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)), ..self }
    }

    pub(super) fn invalid(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "fields of the body are at fault") }
    }

    fn on_field(status: StatusCode, code: &'static str, error: &StoreError, field: &str) -> Self {
        let detail = error.to_string();
        let errors = vec![FieldError { pointer: format!("/{field}"), detail: detail.clone() }];
        Self { errors, ..Self::new(status, code, detail) }
    }
}

impl Problem {
    fn refused(reason: &OperatorError) -> Self {
        let detail = reason.to_string();
        match reason {
            OperatorError::UnknownCall => Self::new(StatusCode::NOT_FOUND, "not_found", detail),
            OperatorError::UnknownLeg => {
                let errors = vec![FieldError { pointer: "/leg_id".to_owned(), detail }];
                Self::invalid(errors)
            }
            OperatorError::NotConnected => Self::new(StatusCode::CONFLICT, "not_connected", detail),
            OperatorError::UnknownTarget => {
                let errors = vec![FieldError { pointer: "/target/call_id".to_owned(), detail }];
                Self::invalid(errors)
            }
            OperatorError::Unjoinable => Self::new(StatusCode::CONFLICT, "unjoinable", detail),
            OperatorError::Transferring => Self::new(StatusCode::CONFLICT, "transferring", detail),
            OperatorError::Changing => Self::new(StatusCode::CONFLICT, "changing", detail),
            OperatorError::Alone => Self::new(StatusCode::CONFLICT, "alone", detail),
            OperatorError::Full => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_participants", detail),
            OperatorError::UnknownParticipant => Self::new(StatusCode::NOT_FOUND, "not_found", detail),
            OperatorError::NobodyToTransfer => Self::new(StatusCode::CONFLICT, "nobody_to_transfer", detail),
            OperatorError::HeldByPhone => Self::new(StatusCode::CONFLICT, "held_by_phone", detail),
            OperatorError::LegHeld => Self::new(StatusCode::CONFLICT, "leg_held", detail),
            OperatorError::UnknownTransfer => Self::new(StatusCode::NOT_FOUND, "not_found", detail),
            OperatorError::NotConsulting => Self::new(StatusCode::CONFLICT, "not_consulting", detail),
            OperatorError::NotRegistered => Self::new(StatusCode::CONFLICT, "not_registered", detail),
            OperatorError::DigitsWaiting => Self::new(StatusCode::TOO_MANY_REQUESTS, "digits_waiting", detail),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "not_found", error.to_string()),
            StoreError::Changed => Self::new(StatusCode::CONFLICT, "changed", error.to_string()),
            StoreError::Taken { field } => Self::on_field(StatusCode::CONFLICT, "taken", &error, field),
            StoreError::Dangling { field } => {
                Self::on_field(StatusCode::UNPROCESSABLE_ENTITY, "invalid", &error, field)
            }
            StoreError::InUse(_) => Self::new(StatusCode::CONFLICT, "in_use", error.to_string()),
            StoreError::Database(_) | StoreError::Migrate(_) => {
                // What the database says may name hosts and tables: it goes to the log alone.
                tracing::error!(%error, "a request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the database failed; the log says more")
            }
        }
    }
}

impl From<GatewayError> for Problem {
    fn from(error: GatewayError) -> Self {
        match &error {
            GatewayError::Refused(reason) => Self::refused(reason),
            GatewayError::Unavailable => Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"patchcord\""));
        }
        let default = match status {
            StatusCode::SERVICE_UNAVAILABLE => Some(5),
            StatusCode::TOO_MANY_REQUESTS => Some(1),
            _ => None,
        };
        if let Some(seconds) = self.retry_after.or(default) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Answers a path below `/v1` that does not exist.
pub(super) async fn no_such_path() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such path; /openapi.json lists all")
}

/// Answers a method a path does not have.
pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take this method")
}

/// Forbids caches to keep answers: some hold secrets, all may change.
pub(super) async fn forbid_caching(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
