//! SIP messages (RFC 3261 §7): requests, responses, their parts, parsing and writing. Knows no transaction and no flow.

mod equivalence;
mod error;
mod escape;
mod fields;
mod getters;
mod headers;
mod host;
mod method;
mod name;
mod name_addr;
mod params;
mod parse;
mod rack;
mod readings;
mod replaces;
pub(crate) mod scan;
mod status;
mod uri;
mod via;
mod write;

use bytes::Bytes;

pub use error::{ParseError, ParseErrorKind};
pub use fields::{AuthParams, CSeq, Reason};
pub use headers::{Header, HeaderError, HeaderValue, Headers};
pub use host::Host;
pub use method::Method;
pub use name_addr::{Contact, Contacts, NameAddr};
pub use params::Params;
pub use parse::{MAX_HEADERS, MAX_MESSAGE};
pub use rack::RAck;
pub use replaces::Replaces;
pub use status::StatusCode;
pub use uri::{AddressOfRecord, SipUri, TelUri, Uri, UriError};
pub use via::Via;

/// A request or a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request. Parsed ones have a readable Via, From, To, Call-ID and CSeq, and the CSeq's method is the request's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// The Request-URI.
    pub uri: Uri,
    /// The headers. Content-Length is written from the body, not from here.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

/// A response. Parsed ones have a readable Via, From, To, Call-ID and CSeq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The reason phrase.
    pub reason: String,
    /// The headers. Content-Length is written from the body, not from here.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

impl Message {
    /// Reads one datagram or one framed message. Bytes after the body are ignored (RFC 3261 §18.3).
    ///
    /// # Errors
    /// When it is no SIP message; the error holds the answer when one can be given.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        parse::message(&Bytes::copy_from_slice(bytes))
    }

    /// As [`Message::parse`], but header values and body share the given buffer.
    ///
    /// # Errors
    /// As [`Message::parse`].
    pub fn parse_shared(bytes: &Bytes) -> Result<Self, ParseError> {
        parse::message(bytes)
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// Writes the message.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }
}

impl Request {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: Method, uri: Uri) -> Self {
        Self { method, uri, headers: Headers::new(), body: Bytes::new() }
    }

    /// With one more header at the end.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// With a body and its Content-Type.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.set("Content-Type", content_type);
        self.body = body.into();
        self
    }

    /// Writes the request with its Content-Length.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        write::request(self)
    }
}

impl Response {
    /// The response to a request: its Via lines, From, To, Call-ID and CSeq copied (RFC 3261 §8.2.6.2), Timestamp into a 100,
    /// and Record-Route into what may set up a dialog (101-299, §12.1.1). The To tag is the caller's to add.
    #[must_use]
    pub fn for_request(request: &Request, status: StatusCode) -> Self {
        let sets_up_dialog = status.code() > 100 && status.code() < 300;
        let mut headers = Headers::with_capacity(12);
        for header in request.headers.iter() {
            let copied = match header.name() {
                "Via" | "From" | "To" | "Call-ID" | "CSeq" => true,
                "Record-Route" => sets_up_dialog,
                other => status == StatusCode::TRYING && other.eq_ignore_ascii_case("Timestamp"),
            };
            if copied {
                headers.push_header(header);
            }
        }
        Self { status, reason: status.reason_phrase().to_owned(), headers, body: Bytes::new() }
    }

    /// With its own reason phrase.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// With a tag in To, unless To has one already.
    #[must_use]
    pub fn with_to_tag(mut self, tag: &str) -> Self {
        if let Ok(Some(to)) = self.headers.to()
            && to.tag().is_none()
        {
            let tagged = match self.headers.get("To") {
                // Whatever stands there, a parameter that comes last is the header's (§20).
                Some(text) if !to.params.contains("tag") => [text, ";tag=", tag].concat(),
                Some(_) | None => NameAddr::clone(&to).with_tag(tag).to_string(),
            };
            self.headers.set("To", tagged);
        }
        self
    }

    /// With one more header at the end.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// With a body and its Content-Type.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.set("Content-Type", content_type);
        self.body = body.into();
        self
    }

    /// Writes the response with its Content-Length.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        write::response(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_has_our_tag_once_and_the_rest_of_to_as_it_came() {
        for (to, tagged) in [
            ("\"A \\\"B\\\"\" <sip:a@b>", "\"A \\\"B\\\"\" <sip:a@b>;tag=x"),
            ("sip:a@b;user=phone", "sip:a@b;user=phone;tag=x"),
            ("<sip:a@b>;tag", "<sip:a@b>;tag=x"),
            ("<sip:a@b>;tag=y", "<sip:a@b>;tag=y"),
        ] {
            let request = Request::new(Method::Options, Uri::parse("sip:a@b").unwrap()).with_header("To", to);
            let response = Response::for_request(&request, StatusCode::OK).with_to_tag("x");
            assert_eq!(response.headers.get("To"), Some(tagged), "{to}");
        }
    }
}
