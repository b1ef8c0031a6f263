//! The agents' page: `web/dist` as it was when the binary was built, served with types, tags and cache rules. Renders nothing.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/web/dist"]
#[allow_missing = true]
struct Dist;

/// The entry of the page; also served for paths of its own router.
const INDEX: &str = "index.html";

/// Files whose name carries a hash of their content never change.
const HASHED: &str = "assets/";

/// Shown by a binary that was built without the page.
const MISSING: &str = "<!doctype html><meta charset=\"utf-8\"><title>Patchcord</title><h1>The page is not built in</h1>\
<p>Build it with <code>npm ci &amp;&amp; npm run build</code> in <code>web/</code>, then build the binary again; \
<code>scripts/run</code> does both.</p>";

/// Serves a file of the page, or its entry for any path that looks like none.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if let Some(file) = Dist::get(path) {
        return answer(path, file.data, file.metadata.sha256_hash(), &headers);
    }
    if path.rsplit('/').next().is_some_and(|name| name.contains('.')) {
        return (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    }
    match Dist::get(INDEX) {
        Some(file) => answer(INDEX, file.data, file.metadata.sha256_hash(), &headers),
        None => {
            let fields = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
            (StatusCode::SERVICE_UNAVAILABLE, fields, MISSING).into_response()
        }
    }
}

fn answer(path: &str, content: Cow<'static, [u8]>, hash: [u8; 32], headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", hex::encode(hash));
    let caching = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let fields = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, caching.to_owned())];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known == "*" || known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag))
    {
        return (StatusCode::NOT_MODIFIED, fields).into_response();
    }
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let kind = if kind.type_() == "text" { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    (fields, [(header::CONTENT_TYPE, kind)], Body::from(content)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn get(path: &str, known: Option<&'static str>) -> (StatusCode, HeaderMap) {
        let mut headers = HeaderMap::new();
        headers.extend(known.map(|known| (header::IF_NONE_MATCH, HeaderValue::from_static(known))));
        let response = answer(path, Cow::Borrowed(b"x"), [0xab; 32], &headers);
        (response.status(), response.headers().clone())
    }

    #[test]
    fn hashed_files_are_kept_for_ever_and_the_entry_is_asked_for_each_time() {
        let (_, asset) = get("assets/index-1a2b.js", None);
        assert!(asset["cache-control"].to_str().unwrap().contains("immutable"));
        assert!(asset["content-type"].to_str().unwrap().starts_with("text/javascript"));
        let (_, entry) = get("index.html", None);
        assert_eq!(entry["cache-control"], "no-cache");
        assert_eq!(entry["content-type"], "text/html; charset=utf-8");
    }

    #[test]
    fn a_browser_that_has_the_file_gets_no_second_copy() {
        let (status, headers) = get("index.html", None);
        assert_eq!((status, headers["etag"].len()), (StatusCode::OK, 66));
        let tag: &'static str = Box::leak(headers["etag"].to_str().unwrap().to_owned().into_boxed_str());
        assert_eq!(get("index.html", Some(tag)).0, StatusCode::NOT_MODIFIED);
        assert_eq!(get("index.html", Some("\"other\"")).0, StatusCode::OK);
    }
}
