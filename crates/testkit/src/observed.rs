//! What was seen of the switchboard from outside.

use std::net::SocketAddr;
use std::time::Duration;

use media::Command;
use sip::{Message, Response, SessionEvent, SessionId};

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

    /// The latest response outside dialogs that a peer heard.
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

    /// The refusal of a peer's INVITE.
    pub fn refusal(&mut self, peer: SocketAddr, session: SessionId) -> Option<Response> {
        self.events(peer, session).into_iter().find_map(|event| match event {
            SessionEvent::Refused { response, .. } => Some(response),
            SessionEvent::Progress { .. }
            | SessionEvent::Answered { .. }
            | SessionEvent::Cancelled { .. }
            | SessionEvent::Confirmed { .. }
            | SessionEvent::NoAck
            | SessionEvent::Bye { .. }
            | SessionEvent::Request { .. }
            | SessionEvent::FlowLost
            | SessionEvent::Ended => None,
        })
    }

    /// Whether every Open had one Close, and nothing is left.
    ///
    /// # Panics
    /// When something is left.
    pub fn assert_all_over(&mut self) {
        self.pass(Duration::from_secs(120));
        let opened = self.commands.iter().filter(|command| matches!(command, Command::Open { .. })).count();
        let closed = self.commands.iter().filter(|command| matches!(command, Command::Close { .. })).count();
        assert_eq!(opened, closed, "each media session is closed once");
        assert_eq!(self.switchboard.call_count(), 0, "no call is left");
        assert_eq!(self.switchboard.session_count(), 0, "no session is left");
        let held = self.switchboard.endpoint_counters();
        assert_eq!(held.sessions, 0, "the endpoint holds no session");
        assert_eq!((held.client_transactions, held.server_transactions), (0, 0), "no transaction is left");
    }
}
