//! Two endpoints, or one endpoint and hand-written messages, on a simulated clock.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sip::{
    ConnectionId, Endpoint, EndpointConfig, Event, Flow, Host, Invitation, Message, NameAddr, Request, Response,
    ResponseDraft, SessionEvent, SessionId, StatusCode, Transport, Uri,
};

pub(crate) const T1: Duration = Duration::from_millis(500);
pub(crate) const T2: Duration = Duration::from_secs(4);
pub(crate) const T4: Duration = Duration::from_secs(5);
pub(crate) const LONG: Duration = Duration::from_secs(32);

pub(crate) fn udp() -> Flow {
    Flow { transport: Transport::Udp, peer: "198.51.100.7:5060".parse().unwrap(), connection: None, tls: None }
}

pub(crate) fn websocket() -> Flow {
    let peer: SocketAddr = "198.51.100.8:40000".parse().unwrap();
    Flow { transport: Transport::Wss, peer, connection: Some(ConnectionId(1)), tls: None }
}

/// One endpoint with its clock.
pub(crate) struct Side {
    pub(crate) now: Instant,
    pub(crate) endpoint: Endpoint,
}

impl Side {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other settings.
    pub(crate) fn with(change: impl FnOnce(&mut EndpointConfig)) -> Self {
        let mut config = EndpointConfig::new(Host::parse("192.0.2.1").unwrap());
        change(&mut config);
        Self { now: Instant::now(), endpoint: Endpoint::new(config, [3; 32]) }
    }

    pub(crate) fn receive(&mut self, flow: Flow, text: &str) {
        self.endpoint.handle_message(self.now, flow, text.as_bytes());
    }

    pub(crate) fn sent(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.endpoint.poll_transmit()).map(|t| Message::parse(&t.bytes).expect("valid")).collect()
    }

    /// Request methods and statuses sent since the last call.
    pub(crate) fn sent_words(&mut self) -> Vec<String> {
        self.sent().iter().map(word).collect()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.endpoint.poll_event()).collect()
    }

    pub(crate) fn event_words(&mut self) -> Vec<String> {
        self.events().iter().map(event_word).collect()
    }

    /// Lets time pass, timers firing when they are due; gives what was sent, with the time since the call.
    pub(crate) fn pass(&mut self, duration: Duration) -> Vec<(Duration, String)> {
        let start = self.now;
        let end = self.now + duration;
        let mut sent = Vec::new();
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            let at = self.now - start;
            sent.extend(self.sent_words().into_iter().map(|word| (at, word)));
        }
        self.now = end;
        sent
    }

    /// Goes on to the next message of ours; `None` when there is none in 10 s.
    pub(crate) fn next_sent(&mut self) -> Option<Message> {
        let end = self.now + Duration::from_secs(10);
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            if let Some(message) = self.sent().into_iter().next() {
                return Some(message);
            }
        }
        None
    }

    pub(crate) fn invite(&mut self, flow: Flow) -> (SessionId, Request) {
        let address = |text: &str| NameAddr::new(Uri::parse(text).unwrap());
        let invitation = Invitation {
            flow,
            uri: Uri::parse("sip:bob@198.51.100.7").unwrap(),
            from: address("sip:alice@192.0.2.1"),
            to: address("sip:bob@198.51.100.7"),
            contact: Uri::parse("sip:alice@192.0.2.1:5060").unwrap(),
            max_forwards: None,
            headers: Vec::new(),
            body: None,
            session_expires: None,
            credentials: None,
            reliability: sip::Reliability::Off,
        };
        let session = self.endpoint.invite(self.now, invitation);
        (session, self.last_request())
    }

    pub(crate) fn last_request(&mut self) -> Request {
        let requests = self.sent().into_iter().filter_map(|message| match message {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        });
        requests.last().expect("a request was sent")
    }

    /// The peer's answer to a request of ours.
    pub(crate) fn answer(&mut self, flow: Flow, request: &Request, status: StatusCode) {
        self.answer_as(flow, request, status, "bobtag");
    }

    pub(crate) fn answer_as(&mut self, flow: Flow, request: &Request, status: StatusCode, tag: &str) {
        let mut response = Response::for_request(request, status);
        if status != StatusCode::TRYING {
            response = response.with_to_tag(tag);
        }
        let response = response.with_header("Contact", "<sip:bob@198.51.100.7:5060>");
        self.endpoint.handle_message(self.now, flow, &response.to_bytes());
    }

    /// The session of the INVITE just received.
    pub(crate) fn invited(&mut self) -> SessionId {
        self.events()
            .into_iter()
            .find_map(|event| match event {
                Event::Invite { session, .. } => Some(session),
                _ => None,
            })
            .expect("an INVITE was told")
    }

    pub(crate) fn accept(&mut self, session: SessionId) -> Response {
        let contact = Uri::parse("sip:gateway@192.0.2.1:5060").unwrap();
        self.endpoint.accept(self.now, session, ResponseDraft::new(StatusCode::OK).with_contact(contact));
        match self.sent().pop() {
            Some(Message::Response(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    /// Nothing is left behind once every timer has fired.
    pub(crate) fn assert_empty(&mut self) {
        self.pass(LONG * 3);
        let counters = self.endpoint.counters();
        assert_eq!((counters.client_transactions, counters.server_transactions, counters.sessions), (0, 0, 0));
        assert_eq!(counters.flows, 0);
    }
}

pub(crate) fn word(message: &Message) -> String {
    match message {
        Message::Request(request) => request.method.to_string(),
        Message::Response(response) => response.status.code().to_string(),
    }
}

pub(crate) fn event_word(event: &Event) -> String {
    match event {
        Event::Session { event, .. } => match event {
            SessionEvent::Progress { response } => format!("progress {}", response.status.code()),
            SessionEvent::EarlyOffer { response } => format!("early offer {}", response.status.code()),
            SessionEvent::EarlyAnswer { .. } => "early answer".to_owned(),
            SessionEvent::NoPrack => "no prack".to_owned(),
            SessionEvent::Answered { .. } => "answered".to_owned(),
            SessionEvent::Refused { response, local } => {
                format!("refused {}{}", response.status.code(), if *local { " local" } else { "" })
            }
            SessionEvent::Cancelled { .. } => "cancelled".to_owned(),
            SessionEvent::Confirmed { .. } => "confirmed".to_owned(),
            SessionEvent::Acknowledged { .. } => "acknowledged".to_owned(),
            SessionEvent::Modified { .. } => "modified".to_owned(),
            SessionEvent::ModifyRefused { response, local } => {
                format!("modify refused {}{}", response.status.code(), if *local { " local" } else { "" })
            }
            SessionEvent::Lost { response } => format!("lost {}", response.status.code()),
            SessionEvent::Withdrawn { .. } => "withdrawn".to_owned(),
            SessionEvent::Refreshed { .. } => "refreshed".to_owned(),
            SessionEvent::Expired => "expired".to_owned(),
            SessionEvent::NoAck => "no ack".to_owned(),
            SessionEvent::Bye { .. } => "bye".to_owned(),
            SessionEvent::Request { request, .. } => format!("request {}", request.method),
            SessionEvent::Roamed { request, .. } => format!("roamed {}", request.method),
            SessionEvent::Adrift => "adrift".to_owned(),
            SessionEvent::FlowLost => "flow lost".to_owned(),
            SessionEvent::Ended => "ended".to_owned(),
        },
        Event::Request { request, .. } => format!("request {}", request.method),
        Event::Invite { .. } => "invite".to_owned(),
        Event::Response { response, .. } => format!("response {}", response.status.code()),
        Event::Malformed { answered, .. } => format!("malformed{}", if *answered { " answered" } else { "" }),
        Event::FlowClosed { .. } => "flow closed".to_owned(),
    }
}

/// A request of the peer.
pub(crate) fn request(method: &str, branch: &str, cseq: u32, to_tag: &str, extra: &str) -> String {
    let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    format!(
        "{method} sip:gateway@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:bob@198.51.100.7>;tag=bobtag\r\nTo: <sip:gateway@192.0.2.1>{tag}\r\n\
         Call-ID: call-1\r\nCSeq: {cseq} {method}\r\nContact: <sip:bob@198.51.100.7:5060>\r\n{extra}\r\n"
    )
}

/// The tag we put into To.
pub(crate) fn tag_of(response: &Response) -> String {
    response.headers.to().unwrap().unwrap().tag().unwrap().into_owned()
}
