//! Who asks: the holder of an API key by bearer token (RFC 6750), within its scopes, or an agent by HTTP Digest (RFC 7616). What a request
//! needs follows from its path, so that no operation can forget to ask.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::digest::{Claim, Denial};
use super::ownership::is_for_agents;
use super::principal::Principal;
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
        ("directory", None) if reads => "extensions",
        ("trunk-presets", None) if reads => "trunks",
        ("calls", _) if !reads => return "calls:control".into(),
        ("agents" | "extensions" | "credentials" | "trunks" | "numbers" | "calls" | "cdrs", _) => group,
        (_, _) => return "admin".into(),
    };
    format!("{group}:{}", if reads { "read" } else { "write" })
}

fn allows(key: &ApiKey, scope: &str) -> bool {
    key.scopes.iter().any(|held| held == "admin" || held == scope)
}

/// Lets requests below `/v1` pass with a valid key that has the scope, or an agent's credentials where agents may ask; who asks travels
/// on in the request.
pub(super) async fn authenticate(State(api): State<ApiState>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/v1/") {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let found = match (credentials(&parts, "bearer"), credentials(&parts, "digest")) {
        (Some(token), _) => of_key(&api, token, &parts).await,
        (None, Some(_)) => of_agent(&api, &parts),
        (None, None) => Err(challenge(&api, &parts, false, "an API key is needed: Authorization: Bearer pk_…")),
    };
    match found {
        Ok(principal) => {
            parts.extensions.insert(principal);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => *refusal,
    }
}

/// What follows the name of a scheme.
fn credentials<'a>(request: &'a Parts, scheme: &str) -> Option<&'a str> {
    let values = request.headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| value.to_str().ok());
    let mut schemes = values.filter_map(|value| value.trim().split_once(' '));
    let (_, rest) = schemes.find(|(name, _)| name.eq_ignore_ascii_case(scheme))?;
    Some(rest.trim())
}

async fn of_key(api: &ApiState, token: &str, request: &Parts) -> Result<Principal, Box<Response>> {
    let key = match api.store.authenticate(token).await {
        Ok(Some(key)) => key,
        Ok(None) => return Err(challenge(api, request, false, "the API key is unknown or revoked")),
        Err(error) => return Err(Box::new(Problem::from(error).into_response())),
    };
    let scope = needed(&request.method, request.uri.path());
    if !allows(&key, &scope) {
        return Err(forbidden(format!("the API key lacks the scope {scope}")));
    }
    Ok(Principal::Key(key))
}

fn of_agent(api: &ApiState, request: &Parts) -> Result<Principal, Box<Response>> {
    let values = request.headers.get_all(header::AUTHORIZATION).iter();
    // Behind a proxy it is the proxy's.
    let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
    let claim = Claim {
        address: peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip().to_canonical()),
        method: request.method.as_str(),
        target: request.uri.path_and_query().map_or("/", |target| target.as_str()),
        credentials: values.filter_map(|value| value.to_str().ok()).collect(),
    };
    let directory = api.store.directory().borrow().clone();
    match api.agents.verify(Instant::now(), &claim, &directory) {
        Ok(agent) if is_for_agents(&request.method, request.uri.path()) => Ok(Principal::Agent(agent)),
        Ok(_) => Err(forbidden("agents may use /v1/directory and their own calls".to_owned())),
        Err(Denial::Refused(problem)) => Err(Box::new(problem.into_response())),
        Err(Denial::Unauthenticated { stale }) => {
            let detail = if stale { "the nonce is used up or too old" } else { "username or secret is wrong" };
            Err(challenge(api, request, stale, detail))
        }
    }
}

fn forbidden(detail: String) -> Box<Response> {
    Box::new(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail).into_response())
}

/// 401 with every way to authenticate that this path knows.
fn challenge(api: &ApiState, request: &Parts, stale: bool, detail: &str) -> Box<Response> {
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail).into_response();
    if is_for_agents(&request.method, request.uri.path()) {
        let realm = api.store.directory().borrow().realm.clone();
        for value in api.agents.challenges(Instant::now(), &realm, stale) {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().append(header::WWW_AUTHENTICATE, value);
            }
        }
    }
    Box::new(response)
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
            (Method::GET, "/v1/directory", "extensions:read"),
            (Method::POST, "/v1/directory", "admin"),
            (Method::GET, "/v1/api-keys", "admin"),
            (Method::GET, "/v1/trunk-presets", "trunks:read"),
            (Method::POST, "/v1/trunk-presets", "admin"),
            (Method::GET, "/v1/anything", "admin"),
        ];
        for (method, path, scope) in cases {
            assert_eq!(needed(&method, path), scope, "{method} {path}");
        }
    }
}
