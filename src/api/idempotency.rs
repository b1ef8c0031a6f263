//! `Idempotency-Key` on every POST: the answer to what was done is kept for 24 hours and repeated, without the secrets it may have held: a
//! secret is shown once.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::principal::Principal;
use super::request::{BODY_LIMIT, too_large};
use super::{ApiState, Problem};
use crate::store::{Claim, Replay};

/// Longest key taken; a UUID has 36 characters.
const KEY_LIMIT: usize = 255;

/// Fields of answers that are never kept.
const SECRETS: [&str; 2] = ["password", "token"];

/// Carries a POST with a key out once.
pub(super) async fn once(State(api): State<ApiState>, request: Request, next: Next) -> Response {
    let key = request.headers().get("idempotency-key").cloned();
    let owner = request.extensions().get::<Principal>().map(|principal| principal.id().to_owned());
    match (key, owner) {
        (Some(key), Some(owner)) if request.method() == Method::POST => {
            answer(api, &key, &owner, request, next).await.unwrap_or_else(IntoResponse::into_response)
        }
        (_, _) => next.run(request).await,
    }
}

async fn answer(
    api: ApiState,
    key: &HeaderValue,
    owner: &str,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if key.is_empty() || key.len() > KEY_LIMIT {
        let detail = format!("Idempotency-Key takes 1 to {KEY_LIMIT} characters");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "malformed", detail));
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| too_large())?;
    let id = digest(&[owner.as_bytes(), key.as_bytes()]);
    let fingerprint = digest(&[parts.uri.path().as_bytes(), &body]);
    match api.store.claim(&id, &fingerprint).await? {
        Claim::New => {}
        Claim::Answered(replay) => return Ok(replayed(replay)),
        Claim::Running => {
            return Err(Problem::new(StatusCode::CONFLICT, "running", "a request with this key is being carried out"));
        }
        Claim::Mismatch => {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key_reused",
                "this Idempotency-Key was used for another request",
            ));
        }
    }
    // A task of its own: a client that hangs up must not leave the request half done with its key taken.
    let request = Request::from_parts(parts, Body::from(body));
    let carried_out = tokio::spawn(async move { carry_out(&api, &id, next.run(request).await).await });
    carried_out.await.unwrap_or_else(|_| {
        Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the request failed; the log says more"))
    })
}

async fn carry_out(api: &ApiState, id: &str, response: Response) -> Result<Response, Problem> {
    // Nothing was done: the same request may succeed once what stood in its way is gone.
    if !response.status().is_success() {
        api.store.release(id).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let kept = [header::LOCATION, header::ETAG, header::CONTENT_TYPE].iter().filter_map(|name| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), Value::String(value.to_owned())))
    });
    let replay = Replay {
        status: parts.status.as_u16(),
        headers: Value::Object(kept.collect()).to_string(),
        body: without_secrets(&body),
    };
    api.store.keep_answer(id, &replay).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn digest(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

fn without_secrets(body: &Bytes) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(mut map)) => {
            for secret in SECRETS {
                if let Some(value) = map.get_mut(secret) {
                    *value = Value::Null;
                }
            }
            Value::Object(map).to_string()
        }
        Ok(_) | Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

fn replayed(replay: Replay) -> Response {
    let status = StatusCode::from_u16(replay.status).unwrap_or(StatusCode::OK);
    let mut response = (status, replay.body).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    let headers: std::collections::HashMap<String, String> = serde_json::from_str(&replay.headers).unwrap_or_default();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (header::HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    response
}
