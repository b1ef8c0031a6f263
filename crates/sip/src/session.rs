//! The INVITE session (RFC 3261 §13-15): one usage of a dialog from the first INVITE to the end of its BYE. Holds the state; what
//! happens to it is in `endpoint/`.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::dialog::Dialog;
use crate::digest::Authorizer;
use crate::early::{Early, Heard, Reliably, Terms, Unanswered};
use crate::flow::Flow;
use crate::message::{Headers, Method, Reason, Response, Uri};
use crate::session_timer::SessionTimer;
use crate::transaction::TimerTable;

/// Names a transaction of the endpoint, client or server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TransactionId(pub(crate) u64);

/// One INVITE usage.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) flow: Flow,
    pub(crate) dialog: Dialog,
    pub(crate) state: State,
    pub(crate) timers: TimerTable,
    /// Whether the INVITE was ours, and so the Call-ID: it decides who waits longer after glare (§14.1).
    pub(crate) owns_call_id: bool,
    pub(crate) keeping: Keeping,
    /// What answers its challenges, when the INVITE was ours.
    pub(crate) authorizer: Option<Box<Authorizer>>,
    /// Of the INVITE.
    pub(crate) terms: Terms,
    /// What was sent reliably before the answer to the peer's INVITE, when that may be.
    pub(crate) reliably: Option<Box<Reliably>>,
}

/// What keeps a session alive: its timer, and what a refresh says of us, which is what we said before (RFC 4028 §7.4).
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    pub(crate) timer: SessionTimer,
    /// When the endpoint is to look at the timer.
    pub(crate) scheduled: Option<Instant>,
    /// Our Contact.
    pub(crate) contact: Option<Uri>,
    /// Our last description that was agreed on, with its Content-Type.
    pub(crate) description: Option<(String, Bytes)>,
    /// Whether the peer allows UPDATE.
    pub(crate) by_update: bool,
}

impl Keeping {
    /// Takes down what a message of the peer allows, when it says so.
    pub(crate) fn note_allowed(&mut self, headers: &Headers) {
        if headers.contains("Allow") {
            self.by_update = headers.allow().contains(&Method::Update);
        }
    }

    /// Takes down what we say of ourselves.
    pub(crate) fn note_said(&mut self, contact: Option<&Uri>, description: Option<&(String, Bytes)>) {
        if let Some(contact) = contact {
            self.contact = Some(contact.clone());
        }
        if let Some(description) = description {
            self.description = Some(description.clone());
        }
    }
}

/// Early dialogs one INVITE may have: far more branches than any carrier rings, and a bound for what responses can make us keep.
const MAX_EARLY: usize = 16;

impl Session {
    /// The dialog with this tag of the peer's: the established one, or an early one.
    pub(crate) fn dialog_with(&mut self, remote_tag: &str) -> Option<&mut Dialog> {
        match &mut self.state {
            State::Calling { .. } => self.early(remote_tag).map(|early| &mut early.dialog),
            State::Incoming { .. } | State::Established(_) | State::Leaving => {
                Some(&mut self.dialog).filter(|dialog| dialog.remote_tag() == remote_tag)
            }
        }
    }

    /// The early dialog with this tag of the peer's.
    pub(crate) fn early(&mut self, remote_tag: &str) -> Option<&mut Early> {
        let State::Calling { early, .. } = &mut self.state else { return None };
        early.iter_mut().find(|early| early.dialog.remote_tag() == remote_tag)
    }

    /// Takes note of the early dialog that a provisional response with a To tag sets up or tells more of (§12.1.2).
    pub(crate) fn note_early(&mut self, response: &Response) -> Heard {
        let terms = self.terms;
        let State::Calling { early, .. } = &mut self.state else { return Heard::Plain };
        let Some(tag) = response.headers.to().ok().flatten().and_then(|to| Some(to.tag()?.into_owned())) else {
            return Heard::Plain;
        };
        let known = early.iter().position(|early| early.dialog.remote_tag() == tag);
        let at = known.unwrap_or(early.len());
        if known.is_none() && early.len() < MAX_EARLY {
            early.push(Early::new(self.dialog.clone()));
        }
        let Some(early) = early.get_mut(at) else { return Heard::Plain };
        early.dialog.establish(response);
        early.hear(terms, response)
    }

    /// Takes out an offer of the peer's that waits for our answer.
    pub(crate) fn take_offered(&mut self, id: TransactionId) -> bool {
        let is_it = |offered: &mut TransactionId| *offered == id;
        match &mut self.state {
            State::Calling { early, .. } => early.iter_mut().any(|early| early.offered.take_if(is_it).is_some()),
            State::Incoming { .. } => {
                self.reliably.as_mut().is_some_and(|reliably| reliably.offered.take_if(is_it).is_some())
            }
            State::Established(established) => established.offered.take_if(is_it).is_some(),
            State::Leaving => false,
        }
    }

    /// The number of our last request in whichever early dialog has come furthest.
    pub(crate) fn counted(&self) -> u32 {
        let State::Calling { early, .. } = &self.state else { return 0 };
        early.iter().map(|early| early.dialog.local_sequence).max().unwrap_or(0)
    }

    /// Every offer of the peer's that waits for our answer.
    pub(crate) fn all_offered(&self) -> Vec<TransactionId> {
        match &self.state {
            State::Calling { early, .. } => early.iter().filter_map(|early| early.offered).collect(),
            State::Incoming { .. } => self.reliably.iter().filter_map(|reliably| reliably.offered).collect(),
            State::Established(established) => established.offered.into_iter().collect(),
            State::Leaving => Vec::new(),
        }
    }

    /// Ends an early dialog; the INVITE goes on, for its other branches and its final response.
    pub(crate) fn end_early(&mut self, remote_tag: &str) {
        if let State::Calling { early, .. } = &mut self.state {
            early.retain(|early| early.dialog.remote_tag() != remote_tag);
        }
    }
}

/// How far a session has come.
#[derive(Debug)]
pub(crate) enum State {
    /// We sent the INVITE and wait for its final response. Each tag that its provisional responses bring is a dialog (§12.1.2).
    Calling { transaction: TransactionId, heard: bool, cancel: Cancel, early: Vec<Early> },
    /// We got the INVITE and owe its final response; `provisional` is the last one sent, repeated each minute.
    Incoming { transaction: TransactionId, provisional: Option<Response> },
    /// Both sides agreed.
    Established(Established),
    /// We sent BYE.
    Leaving,
}

/// What is under way in an established session. At most one offer is open at a time (§14).
#[derive(Debug, Default)]
pub(crate) struct Established {
    /// A 2xx of ours that waits for its ACK.
    pub(crate) unacknowledged: Option<Unacknowledged>,
    /// A 2xx of the peer's whose ACK waits for our answer to the offer in it.
    pub(crate) unanswered: Option<Box<Unanswered>>,
    /// The peer's re-INVITE, or UPDATE with an offer, that waits for our answer.
    pub(crate) offered: Option<TransactionId>,
    /// A change that we want.
    pub(crate) ours: Option<Modifying>,
    /// A change that waits behind a refresh.
    pub(crate) waiting: Option<Box<Modification>>,
}

/// A change of the session that its user wants, sent as a re-INVITE (§14.1) or an UPDATE (RFC 3311).
#[derive(Debug, Clone)]
pub struct Modification {
    /// `Invite` or `Update`; a peer need not know UPDATE (see its Allow).
    pub method: Method,
    /// Our Contact.
    pub contact: Uri,
    /// Content-Type and body: the offer.
    pub body: Option<(String, Bytes)>,
}

impl Modification {
    /// Whether it makes an offer, or a re-INVITE without one asks for it.
    pub(crate) fn offers(&self) -> bool {
        self.method == Method::Invite || self.body.is_some()
    }
}

/// How far a change of ours has come.
#[derive(Debug)]
pub(crate) struct Modifying {
    pub(crate) change: Box<Modification>,
    pub(crate) wanted_by: WantedBy,
    pub(crate) stage: Stage,
    /// How often the peer answered 491.
    pub(crate) collisions: u8,
}

/// Who wants a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WantedBy {
    /// The endpoint's user.
    User,
    /// The session timer: it changes nothing, and nobody is told but of the answer's description.
    Timer,
}

/// See [`Modifying`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// To be sent as soon as no other offer is open.
    Due,
    /// To be sent when the time after a 491 is over.
    BackingOff,
    /// Waits for its final response; `heard` once there was a provisional one.
    Sent { transaction: TransactionId, heard: bool, cancelled: bool },
}

/// What became of the wish to cancel our INVITE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// There is none.
    Unwanted,
    /// Wanted, but nothing was heard yet, so that a CANCEL could overtake the INVITE (§9.1).
    Wanted(Option<Reason>),
    /// Sent.
    Sent,
}

/// A 2xx on its way.
#[derive(Debug, Clone)]
pub(crate) struct Unacknowledged {
    /// The CSeq number of its INVITE.
    pub(crate) sequence: u32,
    pub(crate) flow: Flow,
    pub(crate) bytes: Bytes,
    pub(crate) interval: Duration,
    /// Whether it answers the INVITE that began the session, and not a re-INVITE.
    pub(crate) first: bool,
}
