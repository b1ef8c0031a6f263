//! What requests share: JSON bodies, pages, preconditions, merge patches (RFC 7396), and the answers to them.

use std::borrow::Cow;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::Problem;
use crate::store::{Page, Stored, Timestamp};

/// Largest body taken, in bytes: a trunk with every list full stays far below.
pub(super) const BODY_LIMIT: usize = 256 * 1024;

/// Resources on a page at most, and when none is asked for.
const PAGE_LIMIT: i64 = 200;
const PAGE_DEFAULT: i64 = 50;

pub(super) fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("the body is larger than {BODY_LIMIT} bytes"))
}

/// A JSON body; which fields it may have is for [`super::validate`] to say.
pub(super) struct Body(pub(super) Value);

impl<S: Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let declared = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let media_type = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let bytes = to_bytes(request.into_body(), BODY_LIMIT).await.map_err(|_| too_large())?;
        if bytes.is_empty() {
            return Ok(Self(Value::Object(Map::new())));
        }
        if media_type != "application/json" && media_type != "application/merge-patch+json" {
            let detail = "the body must be application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "malformed", format!("the body is not JSON: {error}"))
        })
    }
}

/// Which part of a list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Resources on the page, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50, required = false)]
    limit: i64,
    /// `next_cursor` of the page before.
    #[param(required = false)]
    cursor: String,
}

impl<S: Sync> FromRequestParts<S> for PageQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let malformed = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "malformed", detail);
        let mut page = Self { limit: PAGE_DEFAULT, cursor: String::new() };
        for pair in parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("limit", value) => {
                    let limit = value.parse().ok().filter(|limit| (1..=PAGE_LIMIT).contains(limit));
                    page.limit = limit.ok_or_else(|| malformed(format!("limit takes 1 to {PAGE_LIMIT}")))?;
                }
                ("cursor", value) => {
                    let id = URL_SAFE_NO_PAD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                    page.cursor = id.ok_or_else(|| malformed("cursor is not one this API gave".into()))?;
                }
                (name, _) => return Err(malformed(format!("unknown parameter {name:?}; known are limit and cursor"))),
            }
        }
        Ok(page)
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listing<T> {
    /// The resources.
    data: Vec<T>,
    /// Where the next page begins; `null` on the last.
    next_cursor: Option<String>,
}

/// Something with a place in a list, after which the next page goes on: also when it is gone by then.
pub(super) trait Placed {
    /// What the list is sorted by.
    fn place(&self) -> Cow<'_, str>;
}

impl<T> Placed for Stored<T> {
    fn place(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}

/// The place of what a list shows in the order of time.
pub(super) fn chronological(at: Timestamp, id: &str) -> Cow<'static, str> {
    Cow::Owned(format!("{:020} {id}", at.0))
}

impl PageQuery {
    /// What to ask the store for: one more than is shown, to know whether there is another page.
    pub(super) fn page(&self) -> Page {
        Page { after: self.cursor.clone(), limit: self.limit + 1 }
    }

    /// The answer out of what the store gave for [`PageQuery::page`].
    pub(super) fn listing<T: Placed>(&self, mut data: Vec<T>) -> Json<Listing<T>> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = data.len() > limit;
        data.truncate(limit);
        let next_cursor = data.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(last.place().as_bytes()));
        Json(Listing { data, next_cursor })
    }

    /// The part of a list held in memory that this page asks for.
    pub(super) fn part_of<T: Placed>(&self, mut all: Vec<T>) -> Json<Listing<T>> {
        let limit = usize::try_from(self.limit + 1).unwrap_or(usize::MAX);
        all.retain(|one| *one.place() > *self.cursor);
        all.sort_by_cached_key(|one| one.place().into_owned());
        all.truncate(limit);
        self.listing(all)
    }
}

/// `If-Match` (RFC 9110 §13.1.1).
#[derive(Debug)]
pub(super) struct IfMatch(Option<String>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let values: Vec<_> = parts.headers.get_all(header::IF_MATCH).iter().filter_map(|v| v.to_str().ok()).collect();
        Ok(Self((!values.is_empty()).then(|| values.join(","))))
    }
}

impl IfMatch {
    /// Refuses unless the version is one of those named, or none is named.
    pub(super) fn check(&self, version: i64) -> Result<(), Problem> {
        let Some(named) = &self.0 else { return Ok(()) };
        let current = etag(version);
        if named.split(',').map(str::trim).any(|tag| tag == "*" || tag == current) {
            return Ok(());
        }
        Err(Problem::new(StatusCode::PRECONDITION_FAILED, "changed", "it has been changed since it was read"))
    }
}

fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// 200 with the resource and its `ETag`.
pub(super) fn shown<T: Serialize>(row: &Stored<T>) -> Response {
    let mut headers = HeaderMap::new();
    headers.extend(HeaderValue::try_from(etag(row.version)).ok().map(|value| (header::ETAG, value)));
    (headers, Json(row)).into_response()
}

/// 201 with a body, its `ETag` and where it is.
pub(super) fn created(location: String, version: Option<i64>, body: &impl Serialize) -> Response {
    let mut headers = HeaderMap::new();
    headers.extend(HeaderValue::try_from(location).ok().map(|value| (header::LOCATION, value)));
    let tag = version.and_then(|version| HeaderValue::try_from(etag(version)).ok());
    headers.extend(tag.map(|value| (header::ETAG, value)));
    (StatusCode::CREATED, headers, Json(body)).into_response()
}

/// A stored value with a merge patch (RFC 7396) applied.
pub(super) fn patched(current: &impl Serialize, patch: Value) -> Value {
    let mut value = serde_json::to_value(current).unwrap_or(Value::Null);
    merge(&mut value, patch);
    value
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Call(Timestamp, &'static str);

    impl Placed for Call {
        fn place(&self) -> Cow<'_, str> {
            chronological(self.0, self.1)
        }
    }

    #[test]
    fn a_page_goes_on_where_the_last_ended_though_what_it_ended_with_is_gone() {
        let calls = |names: &[&'static str]| -> Vec<Call> {
            let all = [(9, "d"), (5, "c"), (5, "b"), (1, "a")];
            all.into_iter().filter(|(_, id)| names.contains(id)).map(|(at, id)| Call(Timestamp(at), id)).collect()
        };
        let ids = |page: &Listing<Call>| page.data.iter().map(|call| call.1).collect::<String>();
        let mut query = PageQuery { limit: 2, cursor: String::new() };
        let Json(first) = query.part_of(calls(&["a", "b", "c", "d"]));
        assert_eq!(ids(&first), "ab");
        let cursor = URL_SAFE_NO_PAD.decode(first.next_cursor.expect("more")).expect("base64");
        query.cursor = String::from_utf8(cursor).expect("text");
        let Json(second) = query.part_of(calls(&["a", "c", "d"]));
        assert_eq!((ids(&second).as_str(), second.next_cursor), ("cd", None));
    }
}
