//! Bearer API keys (RFC 6750) and their scopes. What a request needs follows from its path, so that no operation can forget to ask.

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{ApiState, Problem};
use crate::store::ApiKey;

/// Every scope there is.
pub const SCOPES: &[&str] = &[
    "admin",
    "agents:read",
    "agents:write",
    "extensions:read",
    "extensions:write",
    "credentials:read",
    "credentials:write",
    "trunks:read",
    "trunks:write",
    "numbers:read",
    "numbers:write",
    "calls:read",
    "calls:control",
    "cdrs:read",
];

/// Those that are no scopes.
pub fn unknown_scopes(scopes: &[String]) -> Vec<&str> {
    scopes.iter().map(String::as_str).filter(|scope| !SCOPES.contains(scope)).collect()
}

/// The scope a request below `/v1` needs; what is in no group needs `admin`.
fn needed(method: &Method, path: &str) -> String {
    let mut segments = path.trim_start_matches('/').split('/').skip(1);
    let (group, _, sub) = (segments.next().unwrap_or_default(), segments.next(), segments.next());
    let reads = method == Method::GET || method == Method::HEAD;
    let group = match (group, sub) {
        ("extensions", Some("credentials")) => "credentials",
        ("calls", _) if !reads => return "calls:control".into(),
        ("agents" | "extensions" | "credentials" | "trunks" | "numbers" | "calls" | "cdrs", _) => group,
        (_, _) => return "admin".into(),
    };
    format!("{group}:{}", if reads { "read" } else { "write" })
}

fn allows(key: &ApiKey, scope: &str) -> bool {
    key.scopes.iter().any(|held| held == "admin" || held == scope)
}

/// Lets requests below `/v1` pass with a valid key that has the scope; the key travels on in the request.
pub(super) async fn authenticate(State(api): State<ApiState>, mut request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/v1/") {
        return next.run(request).await;
    }
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let Some(token) = token else {
        return Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthenticated",
            "an API key is needed: Authorization: Bearer pk_…",
        )
        .into_response();
    };
    let key = match api.store.authenticate(token).await {
        Ok(Some(key)) => key,
        Ok(None) => {
            return Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "the API key is unknown or revoked")
                .into_response();
        }
        Err(error) => return Problem::from(error).into_response(),
    };
    let scope = needed(request.method(), request.uri().path());
    if !allows(&key, &scope) {
        return Problem::new(StatusCode::FORBIDDEN, "forbidden", format!("the API key lacks the scope {scope}"))
            .into_response();
    }
    request.extensions_mut().insert(key);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_follows_from_method_and_path() {
        let cases = [
            (Method::GET, "/v1/agents", "agents:read"),
            (Method::PATCH, "/v1/agents/agt_1", "agents:write"),
            (Method::POST, "/v1/extensions/ext_1/credentials", "credentials:write"),
            (Method::GET, "/v1/extensions/ext_1/registrations", "extensions:read"),
            (Method::POST, "/v1/credentials/crd_1/rotate", "credentials:write"),
            (Method::POST, "/v1/calls/call_1/hangup", "calls:control"),
            (Method::GET, "/v1/calls", "calls:read"),
            (Method::GET, "/v1/api-keys", "admin"),
            (Method::GET, "/v1/anything", "admin"),
        ];
        for (method, path, scope) in cases {
            assert_eq!(needed(&method, path), scope, "{method} {path}");
        }
    }
}
