//! What the endpoint is told: its settings, and the messages its user wants sent.

use std::time::Duration;

use bytes::Bytes;

use crate::digest::ClientCredentials;
use crate::early::{RELIABLY, Reliability};
use crate::flow::{Flow, Transport};
use crate::message::{Host, Method, NameAddr, StatusCode, Uri};
use crate::session_timer::TIMER;
use crate::transaction::Timers;

/// Settings of an endpoint.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Base values of the transaction timers.
    pub timers: Timers,
    /// Written into User-Agent and Server.
    pub user_agent: String,
    /// The host other elements reach us at, for Via.
    pub host: Host,
    /// The UDP port for Via; the default port when `None`.
    pub udp_port: Option<u16>,
    /// The TCP port for Via; the default port when `None`.
    pub tcp_port: Option<u16>,
    /// The port for Via of SIP inside TLS; the default port when `None`.
    pub tls_port: Option<u16>,
    /// Option tags this side supports; a request that requires another is refused with 420. Browsers have no reliable provisional
    /// responses: `100rel` and PRACK are not for WebSockets, whatever is listed.
    pub supported: Vec<String>,
    /// Methods listed in Allow.
    pub allow: Vec<Method>,
    /// Transactions at once; a request beyond is answered 503 without keeping state.
    pub max_transactions: usize,
    /// Server transactions at once of one WebSocket; a request beyond is answered 503 without keeping state.
    pub max_websocket_transactions: usize,
    /// INVITE sessions at once; an INVITE beyond is answered 503.
    pub max_sessions: usize,
}

impl EndpointConfig {
    /// The usual settings for an element reached at `host`.
    #[must_use]
    pub fn new(host: Host) -> Self {
        Self {
            timers: Timers::default(),
            user_agent: concat!("Patchcord/", env!("CARGO_PKG_VERSION")).to_owned(),
            host,
            udp_port: None,
            tcp_port: None,
            tls_port: None,
            supported: ["path", "outbound", "replaces", TIMER, RELIABLY].map(str::to_owned).to_vec(),
            allow: vec![
                Method::Invite,
                Method::Ack,
                Method::Cancel,
                Method::Bye,
                Method::Options,
                Method::Info,
                Method::Update,
                Method::Refer,
                Method::Prack,
            ],
            // A call has about six transactions in its 32 s of memory: enough for 1,000 calls a second.
            max_transactions: 200_000,
            // One person's phone: twenty calls within the 32 s that a transaction is remembered.
            max_websocket_transactions: 128,
            max_sessions: 50_000,
        }
    }

    /// The port to write for a transport; WebSockets have none worth naming (RFC 7118 §5.2).
    pub(crate) fn port(&self, transport: Transport) -> Option<u16> {
        match transport {
            Transport::Udp => self.udp_port,
            Transport::Tcp => self.tcp_port,
            Transport::Tls => self.tls_port,
            Transport::Ws | Transport::Wss => None,
        }
    }
}

/// A response its user wants sent.
#[derive(Debug, Clone)]
pub struct ResponseDraft {
    /// The status.
    pub status: StatusCode,
    /// The reason phrase; the standard one when `None`.
    pub reason: Option<String>,
    /// Further headers, as `(name, value)`.
    pub headers: Vec<(String, String)>,
    /// Our Contact; needed in what sets up a dialog.
    pub contact: Option<Uri>,
    /// Content-Type and body.
    pub body: Option<(String, Bytes)>,
    /// Session timer asked for when it accepts an INVITE that begins a session; see [`Invitation::session_expires`].
    pub session_expires: Option<Duration>,
    /// Whether a provisional response is sent reliably (RFC 3262), if its INVITE allows that.
    pub is_reliable: bool,
}

impl ResponseDraft {
    /// Nothing but a status.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        let (reason, headers, contact, body, session_expires) = (None, Vec::new(), None, None, None);
        Self { status, reason, headers, contact, body, session_expires, is_reliable: false }
    }

    /// With its own reason phrase.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With our Contact.
    #[must_use]
    pub fn with_contact(mut self, contact: Uri) -> Self {
        self.contact = Some(contact);
        self
    }

    /// With a body.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = Some((content_type.to_owned(), body.into()));
        self
    }

    /// To be sent reliably.
    #[must_use]
    pub fn reliably(mut self, is_reliable: bool) -> Self {
        self.is_reliable = is_reliable;
        self
    }

    /// With a wish for a session timer.
    #[must_use]
    pub fn with_session_expires(mut self, interval: Option<Duration>) -> Self {
        self.session_expires = interval;
        self
    }
}

/// An INVITE its user wants sent.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Where it goes.
    pub flow: Flow,
    /// The Request-URI.
    pub uri: Uri,
    /// From; a tag is added.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Our Contact.
    pub contact: Uri,
    /// Max-Forwards; 70 when `None`. A B2BUA passes on the caller's, less one, so that loops end.
    pub max_forwards: Option<u8>,
    /// Further headers, as `(name, value)`.
    pub headers: Vec<(String, String)>,
    /// Content-Type and body, when there is an offer.
    pub body: Option<(String, Bytes)>,
    /// Session timer asked for (RFC 4028), at least 90 s: we refresh after half of it. A peer that knows nothing of timers is asked that
    /// often whether it is still there. `None` asks for none; what a peer asks for it gets all the same.
    pub session_expires: Option<Duration>,
    /// With what the peer's challenges are answered, in the whole session; without, a challenge is a refusal.
    pub credentials: Option<ClientCredentials>,
    /// Whether its provisional responses shall be reliable (RFC 3262); never on a WebSocket.
    pub reliability: Reliability,
}

/// A request outside dialogs its user wants sent.
#[derive(Debug, Clone)]
pub struct OutgoingRequest {
    /// Where it goes.
    pub flow: Flow,
    /// The method; not INVITE, ACK or CANCEL.
    pub method: Method,
    /// The Request-URI.
    pub uri: Uri,
    /// From; a tag is added when it has none.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Call-ID and CSeq number, to continue a series such as REGISTER's; new ones when `None`.
    pub series: Option<(String, u32)>,
    /// Further headers, as `(name, value)`.
    pub headers: Vec<(String, String)>,
    /// Content-Type and body.
    pub body: Option<(String, Bytes)>,
    /// With what a challenge is answered; the request then has the next CSeq number, which its response shows.
    pub credentials: Option<ClientCredentials>,
}

/// What the endpoint holds now and has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Client transactions held.
    pub client_transactions: usize,
    /// Server transactions held.
    pub server_transactions: usize,
    /// INVITE sessions held.
    pub sessions: usize,
    /// Flows that any of these uses.
    pub flows: usize,
    /// Messages received.
    pub received: u64,
    /// Messages sent.
    pub sent: u64,
    /// Packets that were no SIP.
    pub malformed: u64,
    /// Responses and ACKs that belonged to nothing.
    pub stray: u64,
    /// Requests refused because a limit was reached.
    pub overloaded: u64,
}
