//! SIP, sans-IO: messages, framing, digest, transactions, dialogs and INVITE sessions (RFC 3261 and successors).

mod dialog;
mod digest;
mod early;
mod endpoint;
mod flow;
mod framing;
pub mod fuzz;
mod glance;
mod hexadecimal;
mod message;
mod session;
mod session_timer;
mod transaction;

pub use digest::*;
pub use early::Reliability;
pub use endpoint::*;
pub use flow::{ConnectionId, Flow, TlsId, Transmit, Transport};
pub use framing::{Framed, FramingError, StreamFramer};
pub use glance::{Glance, without_secrets};
pub use message::{
    AddressOfRecord, AuthParams, CSeq, Contact, Contacts, Header, HeaderError, HeaderValue, Headers, Host, MAX_HEADERS,
    MAX_MESSAGE, Message, Method, NameAddr, Params, ParseError, ParseErrorKind, RAck, Reason, Replaces, Request,
    Response, SipUri, StatusCode, TelUri, Uri, UriError, Via,
};
pub use transaction::Timers;
