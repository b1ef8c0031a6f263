//! A leg whose place another takes: that of an INVITE with Replaces (RFC 3891), whose offer is answered, or of a phone that was called and
//! has answered. Whoever talked to the old one talks to the new, and the old one is hung up on. Until then everything is as it was.

use bytes::Bytes;
use media::{Bandwidth, Command};
use sip::{Reason, StatusCode};

use super::action::{Action, Actions, CallEvent, Change};
use super::context::Context;
use super::facts::Facts;
use super::leg::{Leg, LegId, Medium, Signal};
use super::modifying;
use crate::output::CallState;

/// What shall take a leg's place.
#[derive(Debug, Clone)]
pub(crate) struct Replacement {
    pub(crate) old: LegId,
    pub(crate) new: Leg,
    /// Its offer; of a leg that is up, its answer to ours. Without one ours goes out in the 200, and the ACK brings its answer (RFC 3261
    /// §13.2.1).
    pub(crate) offer: Option<Bytes>,
}

/// A leg that is taking another's place: media is being agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replacing {
    pub(crate) old: LegId,
    pub(crate) new: LegId,
}

/// Has the new leg's answer made or taken, or an offer to it made.
pub(super) fn begin(
    replacement: Replacement,
    bandwidth: Bandwidth,
    facts: &mut Facts,
    ctx: &Context<'_>,
    actions: &mut Actions,
) -> Replacing {
    let Replacement { old, mut new, offer } = replacement;
    let (id, session) = (new.id, new.id.media());
    if let (Signal::Up, Some(answer)) = (new.signal, &offer) {
        actions.push(Action::Media(Command::HandleAnswer { session, sdp: answer.to_vec() }));
        return Replacing { old, new: id };
    }
    if offer.is_none() {
        modifying::begin_offered(&mut new);
    }
    facts.legs.push(new);
    facts.open_media(id, ctx, actions);
    actions.push(Action::Media(match offer {
        Some(offer) => Command::HandleOffer { session, sdp: offer.to_vec(), bandwidth },
        None => Command::CreateOffer { session, bandwidth },
    }));
    Replacing { old, new: id }
}

/// What a shard says of a leg that is to take another's place.
pub(super) enum Verdict {
    /// Media is agreed on, or will be by its ACK. This goes into its 200, if it is owed one.
    Answer(Vec<u8>),
    /// There will be none: it is refused with this.
    Refuse(StatusCode),
    /// Nothing yet.
    Wait,
}

impl Verdict {
    /// Reads it out of what media told of the leg.
    pub(super) fn of(event: media::Event) -> Self {
        match event {
            media::Event::LocalDescription { sdp, .. } => Self::Answer(sdp),
            media::Event::Rejected { .. } => Self::Refuse(StatusCode::NOT_ACCEPTABLE_HERE),
            media::Event::Failed { .. } => Self::Refuse(StatusCode::SERVER_INTERNAL_ERROR),
            // It was called, and its answer is taken.
            media::Event::Negotiated { .. } => Self::Answer(Vec::new()),
            media::Event::Connected { .. }
            | media::Event::Milestone { .. }
            | media::Event::Changed { .. }
            | media::Event::Digit { .. }
            | media::Event::Silent { .. }
            | media::Event::Closed { .. } => Self::Wait,
        }
    }
}

/// The new leg is answered, unless it has answered itself.
pub(super) fn accept(new: LegId, sdp: Vec<u8>, facts: &mut Facts, actions: &mut Actions) {
    if let Some(leg) = facts.leg_mut(new) {
        if leg.signal == Signal::Incoming {
            actions.push(Action::Accept { leg: new, sdp: sdp.into() });
        }
        leg.signal = Signal::Up;
        leg.state = CallState::Connected;
    }
}

/// A leg that took a place without an offer has answered ours, whatever state the call is in by then.
pub(super) fn on(event: &CallEvent, facts: &mut Facts, actions: &mut Actions) {
    let CallEvent::Change { leg, change: Change::Confirmed { body } } = event else { return };
    let Some(known) = facts.leg(*leg).filter(|leg| modifying::owes_answer(leg) && leg.medium == Medium::Open) else {
        return;
    };
    let session = known.id.media();
    actions.push(Action::Media(Command::HandleAnswer { session, sdp: body.clone() }));
    modifying::settle(*leg, [Some(*leg), None], facts, actions);
}

/// The new leg cannot take the place.
pub(super) fn reject(new: LegId, status: StatusCode, facts: &mut Facts, actions: &mut Actions) {
    if let Some(leg) = facts.leg_mut(new).filter(|leg| leg.signal == Signal::Incoming) {
        leg.signal = Signal::Over;
        leg.state = CallState::Ending;
        actions.push(Action::Reject { leg: new, status, phrase: None, reasons: Vec::new(), retry_after: None });
    }
    facts.release(new, Some(Reason::sip(status.code(), status.reason_phrase())), actions);
}

/// The new leg stands where the old one stood, which is let go. What the old one has begun, the new one may end.
pub(super) fn take_place(Replacing { old, new }: Replacing, facts: &mut Facts, actions: &mut Actions) {
    let at = |id| facts.legs.iter().position(|leg| leg.id == id);
    if let (Some(before), Some(after)) = (at(old), at(new)) {
        facts.legs.swap(before, after);
    }
    let name = |id| facts.leg(id).map(|leg| leg.name.clone());
    if let (Some(before), Some(after)) = (name(old), name(new)) {
        let open = facts.transfers.iter_mut().filter(|transfer| transfer.sip_status.is_none() && transfer.by == before);
        open.for_each(|transfer| transfer.by.clone_from(&after));
    }
    facts.release(old, Some(Reason::sip(200, "Call taken over elsewhere")), actions);
}
