//! Writes messages into one buffer. Content-Length comes last and from the body.

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};

use super::headers::Headers;
use super::{Request, Response};

/// Room for the start line and Content-Length, so that an ordinary message is one allocation.
const START_LINE_ROOM: usize = 256;

pub(super) fn request(request: &Request) -> Bytes {
    let mut out = buffer(&request.headers, &request.body);
    // Writing into memory cannot fail.
    let _ = write!(out, "{} {} SIP/2.0\r\n", request.method, request.uri);
    finish(out, &request.headers, &request.body)
}

pub(super) fn response(response: &Response) -> Bytes {
    let mut out = buffer(&response.headers, &response.body);
    let _ = write!(out, "SIP/2.0 {} ", response.status);
    out.extend(response.reason.bytes().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { b }));
    out.put_slice(b"\r\n");
    finish(out, &response.headers, &response.body)
}

fn buffer(headers: &Headers, body: &Bytes) -> BytesMut {
    let size: usize = headers.iter().map(|h| h.name().len() + h.value().as_bytes().len() + 4).sum();
    BytesMut::with_capacity(START_LINE_ROOM + size + body.len())
}

fn finish(mut out: BytesMut, headers: &Headers, body: &Bytes) -> Bytes {
    for header in headers.iter() {
        if header.name() == "Content-Length" {
            continue;
        }
        out.put_slice(header.name().as_bytes());
        out.put_slice(b": ");
        out.put_slice(header.value().as_bytes());
        out.put_slice(b"\r\n");
    }
    let _ = write!(out, "Content-Length: {}\r\n\r\n", body.len());
    out.put_slice(body);
    out.freeze()
}
