//! What the endpoint tells its user: requests to answer, and what became of each INVITE session.

use std::sync::Arc;

use crate::flow::{ConnectionId, Flow};
use crate::message::{Request, Response};

/// Names a server transaction that still wants its final response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Names an INVITE usage (one leg's signalling), incoming or outgoing, until [`SessionEvent::Ended`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// One thing the endpoint's user must know. Drained with `Endpoint::poll_event`.
#[derive(Debug, Clone)]
pub enum Event {
    /// A request outside any dialog that is not an INVITE. Must be answered with `Endpoint::respond`.
    Request {
        /// Names it for `Endpoint::respond`.
        id: RequestId,
        /// Where it came from.
        flow: Flow,
        /// The request.
        request: Arc<Request>,
    },
    /// A new INVITE. The endpoint has already answered 100 Trying; exactly one of `accept`/`reject` must follow, unless
    /// the session is cancelled first. A challenge (401/407) is a `reject` with its headers.
    Invite {
        /// The session.
        session: SessionId,
        /// Where it came from.
        flow: Flow,
        /// The request.
        request: Arc<Request>,
    },
    /// Something happened to a session.
    Session {
        /// The session.
        session: SessionId,
        /// What happened.
        event: SessionEvent,
    },
    /// The answer (or its absence, as a locally made 408/503) to a request sent with `Endpoint::send_request`.
    Response {
        /// Which request.
        id: OutgoingId,
        /// The response.
        response: Response,
        /// It was made here: the peer did not answer.
        local: bool,
    },
    /// A packet that is not SIP; counted and dropped. `answered` when a 400 could be sent.
    Malformed {
        /// Where it came from.
        flow: Flow,
        /// What is wrong with it.
        reason: String,
        /// Whether a refusal could be sent.
        answered: bool,
    },
    /// A connection closed: bindings on it are gone.
    FlowClosed {
        /// The connection.
        connection: ConnectionId,
    },
}

/// Names a request outside a dialog that this side sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutgoingId(pub u64);

/// What happens to a session. Every session ends with exactly one `Ended`, after which its id is void.
#[derive(Debug, Clone)]
pub enum SessionEvent {
    /// Outgoing: 101-199 arrived (100 is not told).
    Progress {
        /// The response.
        response: Response,
    },
    /// Outgoing: a reliable 101-199 arrived with an offer, as our INVITE made none. `Endpoint::answer_offer` is to acknowledge it.
    EarlyOffer {
        /// The response.
        response: Response,
    },
    /// Outgoing: a 2xx arrived; the endpoint has sent the ACK, unless the 2xx makes the offer: then `Endpoint::answer_offer` is to. Retransmitted 2xx are re-ACKed silently.
    Answered {
        /// The response.
        response: Response,
    },
    /// Outgoing: a final non-2xx arrived, or was made locally (`local`): 408 timer B, 503 transport failure,
    /// 487 when a CANCEL was never answered. `Ended` follows.
    Refused {
        /// The response.
        response: Response,
        /// Whether this side made the response because none came.
        local: bool,
    },
    /// Incoming: CANCEL arrived before the final response; the endpoint has sent 200 to it and 487. `Ended` follows.
    Cancelled {
        /// The request.
        request: Arc<Request>,
    },
    /// Incoming: the PRACK for our reliable response arrived that made an offer (its body: the answer).
    EarlyAnswer {
        /// Its body.
        body: Vec<u8>,
    },
    /// Incoming: no PRACK within 64*T1 of a reliable response of ours; the endpoint has sent 504 (RFC 3262 §3). `Ended` follows.
    NoPrack,
    /// Incoming: the ACK for our 2xx arrived (its body, when it carries one).
    Confirmed {
        /// Its body, usually empty.
        body: Vec<u8>,
    },
    /// The ACK for our 2xx to a re-INVITE arrived (its body: the answer when our 2xx made the offer).
    Acknowledged {
        /// Its body, usually empty.
        body: Vec<u8>,
    },
    /// Our re-INVITE or UPDATE was accepted; the endpoint has sent the ACK.
    Modified {
        /// The response.
        response: Response,
    },
    /// Our re-INVITE or UPDATE was refused, or could not be sent (`local`). The session is as it was before (§14.1).
    ModifyRefused {
        /// The response.
        response: Response,
        /// Whether this side made the response because none came.
        local: bool,
    },
    /// A re-INVITE that refreshed the session was accepted with this answer, to the description that was agreed on already.
    Refreshed {
        /// The response.
        response: Response,
    },
    /// The session was not refreshed in time (RFC 4028 §10), by whoever had to; the endpoint has sent BYE. `Ended` follows.
    Expired,
    /// The peer does not know the session any more (481) or answers nothing in it (408): the endpoint has sent BYE (RFC 3261
    /// §12.2.1.2). `Ended` follows.
    Lost {
        /// The response.
        response: Response,
    },
    /// The peer took its re-INVITE back before it was answered; the endpoint has sent 200 to the CANCEL and 487.
    Withdrawn {
        /// The re-INVITE, void from now on.
        id: RequestId,
    },
    /// No ACK within 64*T1 of our 2xx to the INVITE or a re-INVITE; the endpoint has sent BYE (RFC 3261 §13.3.1.4, §14.2). `Ended`
    /// follows.
    NoAck,
    /// The peer hung up; the endpoint has answered 200. `Ended` follows.
    Bye {
        /// The request.
        request: Arc<Request>,
    },
    /// A request inside the dialog which the user must answer with `Endpoint::respond` (INFO, REFER, UPDATE, re-INVITE,
    /// PRACK with an offer, MESSAGE, NOTIFY ...). The endpoint has already checked CSeq order and glare: no other offer is open.
    Request {
        /// Names it for `Endpoint::respond`.
        id: RequestId,
        /// The request.
        request: Arc<Request>,
    },
    /// A request inside the dialog came over another WebSocket than the session's: its peer's, come back on a new connection, or anybody's
    /// who knows the dialog. To be taken with `Endpoint::admit` or refused with `Endpoint::respond`.
    Roamed {
        /// Names it.
        id: RequestId,
        /// Where it came from.
        flow: Flow,
        /// The request.
        request: Arc<Request>,
    },
    /// The WebSocket under the session closed. The session waits, and so does what is asked of it, until its user calls
    /// `Endpoint::rebind` or `Endpoint::abandon`.
    Adrift,
    /// The flow under the session closed and no other takes its place. `Ended` follows.
    FlowLost,
    /// Nothing more will come for this session.
    Ended,
}
