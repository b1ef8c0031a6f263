//! What is under way before an INVITE's final response: reliable provisional responses (RFC 3262) both ways, the early dialogs of our own
//! INVITEs (RFC 3261 §12.1.2), and how far offer and answer have come in them (RFC 6337). Holds the state; what happens to it is in
//! `endpoint/`.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::dialog::Dialog;
use crate::endpoint::ResponseDraft;
use crate::flow::Flow;
use crate::message::{Headers, RAck, Request, Response, StatusCode};
use crate::session::TransactionId;

/// The option tag of reliable provisional responses.
pub(crate) const RELIABLY: &str = "100rel";

/// Whether provisional responses are sent reliably (RFC 3262), as the sender of an INVITE wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub enum Reliability {
    /// None is.
    #[default]
    Off,
    /// Those are that matter: the ones with a description.
    Supported,
    /// All are.
    Required,
}

impl Reliability {
    /// What an INVITE with these headers asks for.
    #[must_use]
    pub fn of(headers: &Headers) -> Self {
        let named = |tags: Vec<&str>| tags.iter().any(|tag| tag.eq_ignore_ascii_case(RELIABLY));
        if named(headers.require()) {
            Self::Required
        } else if named(headers.supported()) {
            Self::Supported
        } else {
            Self::Off
        }
    }
}

/// What an INVITE says of how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) reliability: Reliability,
    /// Whether it makes an offer.
    pub(crate) offers: bool,
}

/// How far offer and answer have come in a dialog whose INVITE has no final response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Exchange {
    /// The INVITE's offer has no answer that counts, or it made none.
    #[default]
    Open,
    /// A reliable response made an offer: the answer goes into its PRACK.
    Asked,
    /// There is an answer.
    Agreed,
}

/// An early dialog of an INVITE of ours.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) dialog: Dialog,
    pub(crate) exchange: Exchange,
    /// The reliable response whose offer its user has not answered.
    pub(crate) owed: Option<RAck>,
    /// The peer's UPDATE with an offer that waits for our answer.
    pub(crate) offered: Option<TransactionId>,
    /// The peer does not take PRACK in it.
    pub(crate) is_lost: bool,
    /// RSeq of the last reliable response.
    last: Option<u32>,
}

/// What a provisional response to an INVITE of ours is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// One that may get lost.
    Plain,
    /// The next reliable one: it is to be acknowledged.
    Next(RAck),
    /// The next reliable one, with an offer: its acknowledgement is to carry the answer.
    Offer,
    /// A reliable one that was heard before, or came before its turn: it comes again (RFC 3262 §4).
    OutOfTurn,
}

impl Early {
    pub(crate) fn new(dialog: Dialog) -> Self {
        Self { dialog, exchange: Exchange::Open, owed: None, offered: None, is_lost: false, last: None }
    }

    /// Takes note of a provisional response in this dialog.
    pub(crate) fn hear(&mut self, terms: Terms, response: &Response) -> Heard {
        let is_reliable =
            terms.reliability != Reliability::Off && Reliability::of(&response.headers) == Reliability::Required;
        let number = response.headers.rseq().ok().flatten().filter(|_| is_reliable);
        let (Some(response_number), Ok(Some(cseq))) = (number, response.headers.cseq()) else { return Heard::Plain };
        if self.last.is_some_and(|last| last.checked_add(1) != Some(response_number)) {
            return Heard::OutOfTurn;
        }
        self.last = Some(response_number);
        let rack = RAck { response: response_number, cseq };
        if self.exchange == Exchange::Open && !response.body.is_empty() {
            if !terms.offers {
                self.exchange = Exchange::Asked;
                self.owed = Some(rack);
                return Heard::Offer;
            }
            self.exchange = Exchange::Agreed;
        }
        Heard::Next(rack)
    }
}

/// Responses of ours that wait behind an unacknowledged one.
pub(crate) const MAX_WAITING: usize = 8;

/// What we send reliably to who called us (RFC 3262 §3).
#[derive(Debug, Default)]
pub(crate) struct Reliably {
    /// RSeq of the last response.
    pub(crate) last: Option<u32>,
    /// The one response that waits for its PRACK.
    pub(crate) unacknowledged: Option<Provisional>,
    /// Those that wait behind it.
    pub(crate) waiting: VecDeque<ResponseDraft>,
    /// The 2xx that waits behind a description.
    pub(crate) accepting: Option<Box<ResponseDraft>>,
    /// What is said again each minute.
    pub(crate) repeated: Option<Box<ResponseDraft>>,
    pub(crate) exchange: Exchange,
    /// The peer's PRACK or UPDATE with an offer that waits for our answer.
    pub(crate) offered: Option<TransactionId>,
}

/// A reliable provisional response of ours.
#[derive(Debug)]
pub(crate) struct Provisional {
    /// What its PRACK says.
    pub(crate) rack: RAck,
    pub(crate) flow: Flow,
    pub(crate) bytes: Bytes,
    pub(crate) interval: Duration,
    /// Whether it carries a description.
    pub(crate) describes: bool,
}

impl Reliably {
    /// Whether the next response has to wait.
    pub(crate) fn is_busy(&self) -> bool {
        self.unacknowledged.is_some() || self.offered.is_some()
    }

    /// Whether a 2xx has to wait: the peer must have what was agreed on before it (RFC 3262 §3).
    pub(crate) fn detains(&self) -> bool {
        self.offered.is_some() || self.unacknowledged.as_ref().is_some_and(|response| response.describes)
    }
}

/// A 2xx whose ACK waits for our answer to the offer in it.
#[derive(Debug, Clone)]
pub(crate) struct Unanswered {
    /// Of the INVITE.
    pub(crate) transaction: TransactionId,
    pub(crate) remote_tag: String,
    pub(crate) flow: Flow,
    pub(crate) ack: Request,
}

/// That an early dialog is over, as a proxy would say it (RFC 6228).
pub(crate) fn is_over(invite: &Request, remote_tag: &str) -> Response {
    Response::for_request(invite, StatusCode::EARLY_DIALOG_TERMINATED).with_to_tag(remote_tag)
}
