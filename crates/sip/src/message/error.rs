//! What is wrong with bytes that should be a SIP message, and what may still be answered.

use bytes::Bytes;

use super::headers::{HeaderError, Headers};
use super::method::Method;
use super::status::StatusCode;
use super::uri::{Uri, UriError};
use super::{Request, Response};

/// Why bytes are no acceptable SIP message. The peer is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// Where: the line of the header section, from 1.
    pub line: usize,
    pub(super) request: Option<Box<Broken>>,
}

/// What of a broken request could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) method: Method,
    pub(super) headers: Headers,
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// Longer than [`crate::MAX_MESSAGE`].
    #[error("message too long")]
    TooLong,
    /// More than [`crate::MAX_HEADERS`] header lines.
    #[error("too many headers")]
    TooManyHeaders,
    /// Nothing but line breaks.
    #[error("empty message")]
    Empty,
    /// Neither a request line nor a status line.
    #[error("malformed start line")]
    StartLine,
    /// The Request-URI.
    #[error("Request-URI: {0}")]
    RequestUri(UriError),
    /// Not SIP/2.0.
    #[error("unknown SIP version")]
    Version,
    /// A line that is no header.
    #[error("malformed header line")]
    HeaderLine,
    /// The blank line after the headers is missing.
    #[error("header section does not end")]
    Unterminated,
    /// A mandatory header is missing.
    #[error("no {0} header")]
    Missing(&'static str),
    /// A header is broken.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The CSeq's method is not the request's.
    #[error("CSeq names another method")]
    MethodMismatch,
    /// The body is shorter than Content-Length says.
    #[error("body shorter than Content-Length")]
    BodyTooShort,
}

impl ParseErrorKind {
    /// The status such a request is refused with.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Version => StatusCode::VERSION_NOT_SUPPORTED,
            Self::TooLong | Self::TooManyHeaders => StatusCode::MESSAGE_TOO_LARGE,
            Self::Empty
            | Self::StartLine
            | Self::RequestUri(_)
            | Self::HeaderLine
            | Self::Unterminated
            | Self::Missing(_)
            | Self::Header(_)
            | Self::MethodMismatch
            | Self::BodyTooShort => StatusCode::BAD_REQUEST,
        }
    }
}

impl ParseError {
    pub(super) fn new(kind: ParseErrorKind, line: usize) -> Self {
        Self { kind, line, request: None }
    }

    /// The refusal to send, when the bytes were a request other than ACK whose topmost Via can be read: without that, nobody
    /// could match the answer. A response that is broken is dropped instead (RFC 3261 §8.1.3.1 leaves no one to tell).
    #[must_use]
    pub fn answer(&self) -> Option<Response> {
        let broken = self.request.as_deref()?;
        let addressable = broken.headers.top_via().is_ok_and(|via| via.is_some());
        if broken.method == Method::Ack || !addressable {
            return None;
        }
        let request = Request {
            method: broken.method.clone(),
            // Responses copy nothing of the Request-URI, which may be what is broken.
            uri: Uri::Other { scheme: "about".to_owned(), rest: "blank".to_owned() },
            headers: broken.headers.clone(),
            body: Bytes::new(),
        };
        let status = self.kind.status();
        let reason = if self.kind == ParseErrorKind::Version {
            status.reason_phrase().to_owned()
        } else {
            format!("{} ({})", status.reason_phrase(), self.kind)
        };
        Some(Response::for_request(&request, status).with_reason(reason))
    }
}
