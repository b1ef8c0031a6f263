//! Reads messages (RFC 3261 §7, §25). Splits lines, unfolds, checks what every message must have. Reads past a first fault so
//! that a broken request can still be refused properly.

use std::ops::Range;

use bytes::Bytes;

use super::error::{Broken, ParseError, ParseErrorKind};
use super::fields::CSeq;
use super::headers::{HeaderError, Headers};
use super::method::Method;
use super::scan;
use super::status::StatusCode;
use super::uri::{Uri, UriError};
use super::via::Via;
use super::{Message, Request, Response};

/// The longest message: what one UDP datagram can carry.
pub const MAX_MESSAGE: usize = 65_535;

/// The most header lines. Busy carriers send about 40; the bound keeps work per message small.
pub const MAX_HEADERS: usize = 200;

/// Header lines reserved for at once; a browser's INVITE has about 15.
const USUAL_HEADERS: usize = 20;

enum StartLine {
    Request(Method, Uri),
    Response(StatusCode, String),
}

pub(super) fn message(bytes: &Bytes) -> Result<Message, ParseError> {
    if bytes.len() > MAX_MESSAGE {
        return Err(ParseError::new(ParseErrorKind::TooLong, 1));
    }
    let mut lines = Lines { bytes, at: 0, number: 0 };
    let Some(first) = lines.first() else { return Err(ParseError::new(ParseErrorKind::Empty, 1)) };
    let mut fault: Option<(ParseErrorKind, usize)> = None;
    let start_text = bytes.get(first).unwrap_or_default();
    let start = start_line(start_text).map_err(|kind| fault = Some((kind, lines.number))).ok();

    let headers = header_section(&mut lines, &mut fault);
    let body = match body(bytes, lines.at, &headers) {
        Ok(body) => body,
        Err(kind) => {
            fault.get_or_insert((kind, lines.number));
            Bytes::new()
        }
    };
    let request_method = match &start {
        Some(StartLine::Request(method, _)) => Some(method.clone()),
        Some(StartLine::Response(..)) => None,
        None => method_of_broken(start_text),
    };
    if fault.is_none()
        && let Err(kind) = check(&headers, request_method.as_ref())
    {
        fault = Some((kind, lines.number));
    }
    match (start, fault) {
        (Some(StartLine::Request(method, uri)), None) => Ok(Message::Request(Request { method, uri, headers, body })),
        (Some(StartLine::Response(status, reason)), None) => {
            Ok(Message::Response(Response { status, reason, headers, body }))
        }
        (_, fault) => {
            let (kind, line) = fault.unwrap_or((ParseErrorKind::StartLine, 1));
            let request = request_method.map(|method| Box::new(Broken { method, headers }));
            Err(ParseError { kind, line, request })
        }
    }
}

/// Walks over lines. A line ends with LF; CR before it belongs to the ending.
struct Lines<'a> {
    bytes: &'a Bytes,
    at: usize,
    number: usize,
}

impl Lines<'_> {
    /// The first line that is not empty (§7.5: leading CRLFs are ignored).
    fn first(&mut self) -> Option<Range<usize>> {
        loop {
            let line = self.next_line()?;
            if !line.is_empty() {
                return Some(line);
            }
        }
    }

    /// The next line without its ending; `None` when no line ending is left.
    fn next_line(&mut self) -> Option<Range<usize>> {
        let rest = self.bytes.get(self.at..)?;
        let length = memchr::memchr(b'\n', rest)?;
        let start = self.at;
        self.at += length + 1;
        self.number += 1;
        let ends_with_cr = length > 0 && rest.get(length - 1) == Some(&b'\r');
        Some(start..start + length - usize::from(ends_with_cr))
    }

    fn next_is_folded(&self) -> bool {
        matches!(self.bytes.get(self.at), Some(b' ' | b'\t'))
    }
}

fn header_section(lines: &mut Lines<'_>, fault: &mut Option<(ParseErrorKind, usize)>) -> Headers {
    let mut headers = Headers::with_capacity(USUAL_HEADERS);
    loop {
        let Some(mut line) = lines.next_line() else {
            fault.get_or_insert((ParseErrorKind::Unterminated, lines.number));
            return headers;
        };
        if line.is_empty() {
            return headers;
        }
        let number = lines.number;
        let mut folded = false;
        while lines.next_is_folded() {
            let Some(more) = lines.next_line() else { break };
            line.end = more.end;
            folded = true;
        }
        if headers.len() >= MAX_HEADERS {
            fault.get_or_insert((ParseErrorKind::TooManyHeaders, number));
            // Still walk to the end of the section, but keep no more.
            continue;
        }
        if header_line(lines.bytes, line, folded, &mut headers).is_none() {
            fault.get_or_insert((ParseErrorKind::HeaderLine, number));
        }
    }
}

/// Reads one unfolded or folded header line.
fn header_line(bytes: &Bytes, line: Range<usize>, folded: bool, headers: &mut Headers) -> Option<()> {
    let text = bytes.get(line)?;
    let colon = memchr::memchr(b':', text)?;
    let (name, value) = (text.get(..colon)?, text.get(colon + 1..)?);
    let name = scan::trim(std::str::from_utf8(name).ok()?);
    // A line that starts with white space folds nothing: it follows the start line.
    if !scan::is_token(name) || text.first().is_some_and(u8::is_ascii_whitespace) {
        return None;
    }
    let value = trim_bytes(value);
    if folded || value.contains(&b'\r') {
        headers.push_raw(name, Bytes::from(unfold(value)));
    } else {
        headers.push_raw(name, bytes.slice_ref(value));
    }
    Some(())
}

fn trim_bytes(bytes: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    let start = bytes.iter().position(|b| !blank(b)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|b| !blank(b)).map_or(start, |at| at + 1);
    bytes.get(start..end).unwrap_or_default()
}

/// A line break with the white space around it is one space (§7.3.1). A lone CR is treated alike: it must not end a line for
/// a less careful reader further on.
fn unfold(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut broken = false;
    for &byte in value {
        match byte {
            b'\r' | b'\n' => {
                while matches!(out.last(), Some(b' ' | b'\t')) {
                    out.pop();
                }
                broken = true;
            }
            b' ' | b'\t' if broken => {}
            other => {
                if broken {
                    out.push(b' ');
                    broken = false;
                }
                out.push(other);
            }
        }
    }
    out
}

fn start_line(line: &[u8]) -> Result<StartLine, ParseErrorKind> {
    if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/")) {
        return status_line(line);
    }
    let text = std::str::from_utf8(line).map_err(|_| ParseErrorKind::StartLine)?;
    let (method, rest) = text.split_once(' ').ok_or(ParseErrorKind::StartLine)?;
    let (uri, version) = rest.rsplit_once(' ').ok_or(ParseErrorKind::StartLine)?;
    if !scan::is_token(method) || uri.is_empty() {
        return Err(ParseErrorKind::StartLine);
    }
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        let is_version = version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"));
        return Err(if is_version { ParseErrorKind::Version } else { ParseErrorKind::StartLine });
    }
    let uri = Uri::parse(uri).map_err(ParseErrorKind::RequestUri)?;
    if uri.as_sip().is_some_and(|sip| !sip.headers.is_empty()) {
        return Err(ParseErrorKind::RequestUri(UriError("headers are not allowed here")));
    }
    Ok(StartLine::Request(Method::from_token(method), uri))
}

/// The method of a request whose start line is broken further on.
fn method_of_broken(line: &[u8]) -> Option<Method> {
    if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/")) {
        return None;
    }
    let method = line.split(|b| *b == b' ').next().and_then(|m| std::str::from_utf8(m).ok())?;
    scan::is_token(method).then(|| Method::from_token(method))
}

fn status_line(line: &[u8]) -> Result<StartLine, ParseErrorKind> {
    let mut parts = line.splitn(3, |b| *b == b' ');
    let version = parts.next().unwrap_or_default();
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(ParseErrorKind::Version);
    }
    let code = parts.next().and_then(|code| std::str::from_utf8(code).ok()).filter(|code| code.len() == 3);
    let status = code.and_then(scan::number).and_then(|code| StatusCode::new(u16::try_from(code).ok()?));
    // The space before an empty reason phrase is mandatory but often left out.
    let reason = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    status.map(|status| StartLine::Response(status, reason)).ok_or(ParseErrorKind::StartLine)
}

fn body(bytes: &Bytes, at: usize, headers: &Headers) -> Result<Bytes, ParseErrorKind> {
    let rest = bytes.slice(at.min(bytes.len())..);
    match headers.content_length()? {
        None => Ok(rest),
        Some(length) if length <= rest.len() => Ok(rest.slice(..length)),
        Some(_) => Err(ParseErrorKind::BodyTooShort),
    }
}

/// What every message must have, and what must be readable wherever it is.
fn check(headers: &Headers, request_method: Option<&Method>) -> Result<(), ParseErrorKind> {
    headers.top_via()?.ok_or(ParseErrorKind::Missing("Via"))?;
    if headers.elements("Via").skip(1).any(|via| Via::parse(via).is_none()) {
        return Err(HeaderError::malformed("Via").into());
    }
    headers.from()?.ok_or(ParseErrorKind::Missing("From"))?;
    headers.to()?.ok_or(ParseErrorKind::Missing("To"))?;
    let call_id = headers.call_id().ok_or(ParseErrorKind::Missing("Call-ID"))?;
    if headers.get_all("Call-ID").nth(1).is_some() {
        return Err(HeaderError::repeated("Call-ID").into());
    }
    if call_id.contains([' ', '\t']) {
        return Err(HeaderError::malformed("Call-ID").into());
    }
    let CSeq { method, .. } = headers.cseq()?.ok_or(ParseErrorKind::Missing("CSeq"))?;
    if request_method.is_some_and(|request| *request != method) {
        return Err(ParseErrorKind::MethodMismatch);
    }
    headers.max_forwards()?;
    headers.expires()?;
    headers.contacts()?;
    headers.routes()?;
    headers.record_routes()?;
    Ok(())
}
