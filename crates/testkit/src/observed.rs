//! What was seen of the switchboard from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use media::{Command, Hold, MediaSessionId};
use sip::{Message, Method, RequestId, Response, SessionEvent, SessionId};

use crate::peer::Heard;
use crate::simulation::Simulation;

impl Simulation {
    /// Whether the peer's INVITE of this session was answered with a 2xx.
    pub fn is_answered(&mut self, peer: SocketAddr, session: SessionId) -> bool {
        self.events(peer, session).iter().any(|event| matches!(event, SessionEvent::Answered { .. }))
    }

    /// Whether a peer's session was hung up by the switchboard.
    pub fn is_hung_up(&mut self, peer: SocketAddr, session: SessionId) -> bool {
        self.events(peer, session).iter().any(|event| matches!(event, SessionEvent::Bye { .. }))
    }

    /// Whether an INVITE a peer got was taken back.
    pub fn is_cancelled(&mut self, peer: SocketAddr, session: SessionId) -> bool {
        self.events(peer, session).iter().any(|event| matches!(event, SessionEvent::Cancelled { .. }))
    }

    /// The requests of this method that the switchboard sent to a peer, repetitions included.
    pub fn requests_to(&self, peer: SocketAddr, method: &sip::Method) -> Vec<sip::Request> {
        let mine = self.sent.iter().filter(|(_, to, _)| *to == peer);
        mine.filter_map(|(_, _, message)| match message {
            Message::Request(request) if request.method == *method => Some(request.clone()),
            Message::Request(_) | Message::Response(_) => None,
        })
        .collect()
    }

    /// The latest response to a request of a peer that was no INVITE.
    pub fn last_response(&mut self, peer: SocketAddr) -> Response {
        let heard = &self.peer(peer).heard;
        let response = heard.iter().rev().find_map(|heard| match heard {
            Heard::Response(_, response) => Some(response.clone()),
            Heard::Invite(..) | Heard::Session(..) => None,
        });
        response.expect("a response")
    }

    /// The sessions and INVITEs a peer got.
    pub fn invites(&mut self, peer: SocketAddr) -> Vec<(SessionId, sip::Request)> {
        let heard = &self.peer(peer).heard;
        heard
            .iter()
            .filter_map(|heard| match heard {
                Heard::Invite(session, request) => Some((*session, request.clone())),
                Heard::Response(..) | Heard::Session(..) => None,
            })
            .collect()
    }

    /// What happened to one session of a peer.
    pub fn events(&mut self, peer: SocketAddr, session: SessionId) -> Vec<SessionEvent> {
        let heard = &self.peer(peer).heard;
        heard
            .iter()
            .filter_map(|heard| match heard {
                Heard::Session(id, event) if *id == session => Some(event.clone()),
                Heard::Session(..) | Heard::Invite(..) | Heard::Response(..) => None,
            })
            .collect()
    }

    /// The requests a peer got inside its call and may have to answer.
    pub fn asked(&mut self, peer: SocketAddr, session: SessionId) -> Vec<(RequestId, Arc<sip::Request>)> {
        let events = self.events(peer, session).into_iter();
        events
            .filter_map(
                |event| if let SessionEvent::Request { id, request } = event { Some((id, request)) } else { None },
            )
            .collect()
    }

    /// What a peer was told of its transfers: Event, first word of Subscription-State, status.
    pub fn reports(&mut self, peer: SocketAddr) -> Vec<(String, String, u16)> {
        let heard = &self.peer(peer).heard;
        let notified = heard.iter().filter_map(|heard| match heard {
            Heard::Session(_, SessionEvent::Request { request, .. }) if request.method == Method::Notify => {
                Some(request)
            }
            Heard::Session(..) | Heard::Invite(..) | Heard::Response(..) => None,
        });
        notified
            .map(|request| {
                let get = |name: &str| request.headers.get(name).unwrap_or_default().to_owned();
                assert_eq!(get("Content-Type"), "message/sipfrag;version=2.0");
                let fragment = String::from_utf8_lossy(&request.body);
                let status = fragment.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok());
                let state = get("Subscription-State");
                let state = state.split(';').next().unwrap_or_default().to_owned();
                (get("Event"), state, status.expect("a status line"))
            })
            .collect()
    }

    /// What became of a peer's changes of its call: the status of each, 200 for one that was accepted.
    pub fn changes(&mut self, peer: SocketAddr, session: SessionId) -> Vec<u16> {
        let events = self.events(peer, session).into_iter();
        events
            .filter_map(|event| {
                let (SessionEvent::Modified { response }
                | SessionEvent::ModifyRefused { response, .. }
                | SessionEvent::Lost { response }) = event
                else {
                    return None;
                };
                Some(response.status.code())
            })
            .collect()
    }

    /// Who holds each leg of the call shown last, caller first.
    ///
    /// # Panics
    /// When no call was shown.
    #[must_use]
    pub fn holds(&self) -> Vec<Hold> {
        self.views.last().expect("a call").legs.iter().map(|leg| leg.media.hold).collect()
    }

    /// The refusal of a peer's INVITE.
    pub fn refusal(&mut self, peer: SocketAddr, session: SessionId) -> Option<Response> {
        self.events(peer, session)
            .into_iter()
            .find_map(|event| if let SessionEvent::Refused { response, .. } = event { Some(response) } else { None })
    }

    /// Whether each media session was opened before anything else was asked of it, closed once, and then left alone.
    ///
    /// # Panics
    /// When one was not.
    pub fn assert_media_closed(&self) {
        let mut open = BTreeSet::new();
        let mut closed = BTreeSet::new();
        for command in &self.commands {
            match command {
                Command::Open { session, .. } => {
                    assert!(open.insert(*session) && !closed.contains(session), "{session:?} is opened twice");
                }
                Command::Close { session } => {
                    assert!(open.remove(session) && closed.insert(*session), "{session:?} is closed and not open");
                }
                Command::CreateOffer { session, .. }
                | Command::HandleOffer { session, .. }
                | Command::HandleAnswer { session, .. }
                | Command::Adopt { session }
                | Command::Hold { session, .. }
                | Command::Echo { session }
                | Command::Mix { session, .. }
                | Command::Ringback { session }
                | Command::Music { session }
                | Command::SetDtmf { session, .. }
                | Command::SetPacketTime { session, .. }
                | Command::PressDigit { session, .. }
                | Command::SendDigits { session, .. } => assert!(open.contains(session), "{command:?} and not open"),
                Command::Bridge { a, b } => {
                    assert!(open.contains(a) && open.contains(b) && a != b, "{command:?} and not open");
                }
            }
        }
        assert!(open.is_empty(), "{open:?} are never closed");
    }

    /// Whether a media session was opened and not closed.
    #[must_use]
    pub fn is_open(&self, session: MediaSessionId) -> bool {
        !self.commands.iter().any(|command| matches!(command, Command::Close { session: closed } if *closed == session))
    }

    /// Who hears whom by the commands so far: the sessions of legs that are joined with each, itself in the echo test.
    #[must_use]
    pub fn joined(&self) -> BTreeMap<MediaSessionId, BTreeSet<MediaSessionId>> {
        self.wiring.joined()
    }

    /// Whether no INVITE got two different final responses.
    ///
    /// # Panics
    /// When one did.
    pub fn assert_one_final_response_each(&self) {
        let mut finals = BTreeMap::new();
        for (_, to, message) in &self.sent {
            let Message::Response(response) = message else { continue };
            let (Ok(Some(cseq)), Ok(Some(via))) = (response.headers.cseq(), response.headers.top_via()) else {
                continue;
            };
            if cseq.method == Method::Invite && response.status.is_final() {
                let branch = via.branch().map(std::borrow::Cow::into_owned);
                let first = *finals.entry((*to, branch)).or_insert(response.status);
                assert_eq!(first, response.status, "an INVITE of {to} was answered twice");
            }
        }
    }

    /// Whether every media session was closed, every INVITE answered once, and nothing is left.
    ///
    /// # Panics
    /// When something is left.
    pub fn assert_all_over(&mut self) {
        self.pass(Duration::from_secs(120));
        self.shards_catch_up();
        self.assert_media_closed();
        assert_eq!(self.switchboard.call_count(), 0, "no call is left");
        assert_eq!(self.switchboard.session_count(), 0, "no session is left");
        // A peer may just have refreshed what it alone believes in, and been told so.
        for _ in 0..5 {
            let held = self.switchboard.endpoint_counters();
            if held.client_transactions + held.server_transactions > 0 {
                self.pass(Duration::from_secs(40));
            }
        }
        let held = self.switchboard.endpoint_counters();
        assert_eq!(held.sessions, 0, "the endpoint holds no session");
        assert_eq!((held.client_transactions, held.server_transactions), (0, 0), "no transaction is left");
        self.assert_one_final_response_each();
    }
}
