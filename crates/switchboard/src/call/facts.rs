//! What is true of a call in every state: its parties, legs and times.

use std::time::{Duration, Instant};

use bytes::Bytes;
use media::{Bandwidth, Codec, Command, Dtmf, Keying};
use sip::{Reason, StatusCode};

use super::action::{Action, Actions, CallEvent};
use super::bandwidth;
use super::cause::Failure;
use super::context::{Context, Occupation};
use super::leg::{Leg, LegId, Medium, Party, Signal};
use super::participant::Participant;
use super::reclaiming::Reclaim;
use crate::dialplan::Step;
use crate::directory::MediaEncryption;
use crate::identity::Introduction;
use crate::output::{CallId, CallResult, CallState, Direction, EndedBy, TransferMode, TransferStatus, TransferView};
use crate::trace::{RoutingNote, RoutingStep};

/// What media does without being told.
const USUAL_PTIME: Duration = Duration::from_millis(20);

/// What a call knows whatever its state.
pub(crate) struct Facts {
    pub(crate) id: CallId,
    pub(crate) direction: Direction,
    /// The caller's number: an extension or E.164.
    pub(crate) from: String,
    /// The caller's display name.
    pub(crate) from_display: Option<String>,
    /// What else its INVITE said of it.
    pub(crate) introduction: Introduction,
    /// What was dialled.
    pub(crate) to: String,
    /// The extension the dialled number of ours is given to.
    pub(crate) assigned: Option<String>,
    /// The agent who took the call.
    pub(crate) callee_agent: Option<String>,
    /// What is left of the caller's Max-Forwards.
    pub(crate) max_forwards: u8,
    pub(crate) offer: CallerOffer,
    pub(crate) started: Instant,
    pub(crate) ringing: Option<Instant>,
    pub(crate) answered: Option<Instant>,
    /// The caller first; never empty.
    pub(crate) legs: Vec<Leg>,
    pub(crate) outcome: Option<Outcome>,
    /// Phones that are called to take a leg's place.
    pub(crate) reclaim: Option<Reclaim>,
    /// Every transfer of the call, the latest last; at most as many as it may have hops.
    pub(crate) transfers: Vec<TransferView>,
    /// Everybody who was asked to join, the latest last; at most as many as the call may have hops.
    pub(crate) participants: Vec<Participant>,
    /// What is to be told of its routing.
    pub(crate) notes: Vec<RoutingNote>,
}

/// The caller's SDP offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallerOffer {
    /// It came with the INVITE.
    Given(Bytes),
    /// The INVITE had none: we offer in the 200, the ACK answers (RFC 3261 §13.2.1), or in a reliable response, and the PRACK does.
    Wanted,
    /// The INVITE had none, and the PRACK has answered ours.
    Answered,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) result: CallResult,
    pub(crate) status: u16,
    pub(crate) q850: Option<u8>,
    pub(crate) ended_by: EndedBy,
    pub(crate) explanation: String,
    /// Where to look.
    pub(crate) advice: Option<&'static str>,
}

impl Facts {
    /// The calling leg.
    pub(crate) fn caller(&self) -> Option<&Leg> {
        self.legs.first()
    }

    pub(crate) fn caller_id(&self) -> LegId {
        self.legs.first().map_or(LegId(0), |leg| leg.id)
    }

    pub(crate) fn is_caller(&self, leg: LegId) -> bool {
        self.caller_id() == leg
    }

    pub(crate) fn leg(&self, id: LegId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.id == id)
    }

    pub(crate) fn leg_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.id == id)
    }

    pub(crate) fn described(&self, id: LegId) -> String {
        self.leg(id).map_or_else(|| "The callee".to_owned(), |leg| leg.party.described())
    }

    /// Notes down a step of routing.
    pub(crate) fn note_routing(&mut self, step: RoutingStep, leg: Option<LegId>, status: Option<u16>, text: String) {
        let leg = leg.and_then(|leg| self.leg(leg)).map(|leg| leg.name.clone());
        self.notes.push(RoutingNote { step, leg, status, text });
    }

    /// One of those who talk, for explanations.
    pub(super) fn side(&self, leg: LegId) -> String {
        if !self.participants.is_empty() {
            return self.described(leg);
        }
        if self.is_caller(leg) { "The caller".to_owned() } else { "The callee".to_owned() }
    }

    /// The latest transfer is over.
    pub(super) fn settle_transfer(&mut self, status: TransferStatus, said: StatusCode) {
        if let Some(transfer) = self.transfers.last_mut().filter(|known| known.status.is_under_way()) {
            transfer.status = status;
            transfer.sip_status = Some(said.code());
        }
    }

    /// The latest transfer has come further.
    pub(super) fn advance_transfer(&mut self, status: TransferStatus) {
        if let Some(transfer) = self.transfers.last_mut().filter(|known| known.status.is_under_way()) {
            transfer.status = status;
        }
    }

    /// A transfer begins. Each is a hop: a call that is handed on for ever ends like any loop (RFC 3261 §16.3).
    pub(super) fn begin_transfer(
        &mut self,
        id: String,
        mode: TransferMode,
        by: LegId,
        target: &str,
        steps: Result<Vec<Step>, Failure>,
    ) -> Result<Vec<Step>, Failure> {
        let by = self.leg(by).map(|leg| leg.name.clone()).unwrap_or_default();
        let (target, status) = (target.to_owned(), TransferStatus::Trying);
        self.transfers.push(TransferView { id, mode, target, by, status, sip_status: None });
        let left = self.max_forwards.checked_sub(1);
        self.max_forwards = left.ok_or_else(|| Failure::new(483, "The call was transferred too often."))?;
        steps
    }

    /// Takes down what an event says by itself, before the state looks at it.
    pub(crate) fn note(&mut self, event: &CallEvent) {
        match event {
            CallEvent::SessionOver { leg }
            | CallEvent::Refused { leg, .. }
            | CallEvent::Bye { leg, .. }
            | CallEvent::NoAck { leg }
            | CallEvent::Lost { leg }
            | CallEvent::FlowLost { leg } => self.end_signal(*leg),
            CallEvent::Cancelled { .. } => self.end_signal(self.caller_id()),
            CallEvent::Answered { leg, .. } => {
                if let Some(leg) = self.leg_mut(*leg).filter(|leg| leg.signal == Signal::Calling) {
                    leg.signal = Signal::Up;
                    leg.was_answered = true;
                }
            }
            CallEvent::Media { leg, event } => self.note_media(*leg, event),
            CallEvent::Start
            | CallEvent::Progress { .. }
            | CallEvent::Confirmed { .. }
            | CallEvent::Change { .. }
            | CallEvent::Digit { .. }
            | CallEvent::Dial { .. }
            | CallEvent::Transfer(_)
            | CallEvent::Consult(_)
            | CallEvent::Join(_)
            | CallEvent::Add(_)
            | CallEvent::Dismiss { .. }
            | CallEvent::Replace(_)
            | CallEvent::Notified { .. }
            | CallEvent::Phones { .. }
            | CallEvent::Timer(_)
            | CallEvent::Hangup => {}
        }
    }

    fn note_media(&mut self, leg: LegId, event: &media::Event) {
        let Some(leg) = self.leg_mut(leg) else { return };
        match event {
            media::Event::LocalDescription { sdp, codec, .. } => {
                leg.description = Some(Bytes::copy_from_slice(sdp));
                leg.codec = codec.or(leg.codec);
            }
            media::Event::Negotiated { codec, .. } => {
                leg.codec = Some(*codec);
                leg.forks.taken();
            }
            media::Event::Rejected { .. } => leg.forks.rejected(),
            media::Event::Changed { state, .. } => leg.media = *state,
            media::Event::Closed { statistics, .. } => {
                leg.medium = Medium::Closed;
                leg.statistics = Some(*statistics);
            }
            media::Event::Connected { .. }
            | media::Event::Milestone { .. }
            | media::Event::Digit { .. }
            | media::Event::Silent { .. }
            | media::Event::Failed { .. } => {}
        }
    }

    fn end_signal(&mut self, leg: LegId) {
        if let Some(leg) = self.leg_mut(leg) {
            leg.signal = Signal::Over;
            leg.state = CallState::Ending;
        }
    }

    /// Sends a leg's INVITE, with our offer unless the leg is to make it, once.
    pub(super) fn invite(&mut self, id: LegId, actions: &mut Actions) {
        let max_forwards = self.max_forwards;
        let Some(leg) = self.leg_mut(id).filter(|leg| leg.signal == Signal::Idle) else { return };
        let offer = leg.description.clone();
        if offer.is_none() && !leg.forks.is_late {
            return;
        }
        let Some(mut envelope) = leg.envelope.take() else { return };
        leg.signal = Signal::Calling;
        envelope.max_forwards = max_forwards;
        actions.push(Action::Invite { leg: id, flow: leg.flow, envelope: Box::new(envelope), offer });
    }

    /// Opens a leg's media session.
    pub(crate) fn open_media(&mut self, leg: LegId, ctx: &Context<'_>, actions: &mut Actions) {
        let Some(leg) = self.leg_mut(leg).filter(|leg| leg.medium == Medium::Unopened) else { return };
        leg.medium = Medium::Open;
        if let Party::Trunk { id, .. } = &leg.party {
            leg.dtmf = ctx.directory.trunks.get(id).map(|trunk| trunk.media.dtmf).unwrap_or_default();
        }
        let mut ptime = None;
        let (keying, codecs) = match &leg.party {
            Party::Trunk { id, .. } => {
                let trunk = ctx.directory.trunks.get(id);
                ptime = trunk.map(|trunk| trunk.media.ptime);
                let networks = trunk.map(|trunk| trunk.media.networks.clone()).unwrap_or_default();
                let codecs = trunk.map(|trunk| trunk.media.codecs.clone()).unwrap_or_default();
                let encryption = trunk.map(|trunk| trunk.media.encryption).filter(|_| !leg.is_fallback);
                let keying = match encryption.and_then(MediaEncryption::policy) {
                    Some(policy) => Keying::Sdes { networks, policy },
                    None => Keying::Plain { networks },
                };
                (keying, or_default(codecs, &[Codec::Pcmu, Codec::Pcma]))
            }
            Party::Extension { number, .. } => {
                let codecs = ctx.directory.extensions.get(number).map(|ext| ext.codecs.clone()).unwrap_or_default();
                (Keying::DtlsSrtp, or_default(codecs, &[Codec::Opus]))
            }
        };
        actions.push(Action::Media(Command::Open {
            session: leg.id.media(),
            keying,
            codecs,
            silence_timeout: ctx.config.silence_timeout,
        }));
        if let Some(ptime) = ptime.filter(|ptime| *ptime != USUAL_PTIME) {
            actions.push(Action::Media(Command::SetPacketTime { session: leg.id.media(), ptime }));
        }
        if leg.dtmf != Dtmf::default() {
            actions.push(Action::Media(Command::SetDtmf { session: leg.id.media(), dtmf: leg.dtmf }));
        }
    }

    /// Has the caller's description made: the answer to its offer, or an offer when it sent none.
    pub(crate) fn describe_caller(&mut self, bandwidth: Bandwidth, ctx: &Context<'_>, actions: &mut Actions) {
        let caller = self.caller_id();
        if self.leg(caller).is_none_or(|leg| leg.medium != Medium::Unopened) {
            return;
        }
        self.open_media(caller, ctx, actions);
        let session = caller.media();
        actions.push(Action::Media(match &self.offer {
            CallerOffer::Given(sdp) => Command::HandleOffer { session, sdp: sdp.to_vec(), bandwidth },
            CallerOffer::Wanted | CallerOffer::Answered => Command::CreateOffer { session, bandwidth },
        }));
    }

    /// The caller's PRACK, or ACK, has answered our offer.
    pub(super) fn take_answer(&mut self, sdp: Vec<u8>, actions: &mut Actions) {
        self.offer = CallerOffer::Answered;
        actions.push(Action::Media(Command::HandleAnswer { session: self.caller_id().media(), sdp }));
    }

    /// The bandwidth of a leg whose codec is agreed on.
    pub(crate) fn bandwidth_of(&self, leg: LegId) -> Bandwidth {
        self.leg(leg).and_then(|leg| leg.codec).map_or(Bandwidth::Full, bandwidth::of)
    }

    /// Ends a callee's leg, whatever it is owed, and closes its media.
    pub(crate) fn release(&mut self, id: LegId, reason: Option<Reason>, actions: &mut Actions) {
        let is_caller = self.is_caller(id);
        let Some(leg) = self.leg_mut(id) else { return };
        match leg.signal {
            Signal::Calling => actions.push(Action::Cancel { leg: id, reason }),
            Signal::Up => actions.push(Action::Bye { leg: id, reason }),
            // It wanted to take a place that is gone.
            Signal::Incoming if !is_caller => {
                let (status, reasons) = (StatusCode::TEMPORARILY_UNAVAILABLE, Vec::new());
                actions.push(Action::Reject { leg: id, status, phrase: None, reasons, retry_after: None });
            }
            Signal::Idle | Signal::Incoming | Signal::Over => {}
        }
        leg.signal = Signal::Over;
        leg.state = CallState::Ending;
        self.close_media(id, actions);
    }

    /// Closes a leg's media session, once.
    pub(crate) fn close_media(&mut self, id: LegId, actions: &mut Actions) {
        if let Some(leg) = self.leg_mut(id).filter(|leg| leg.medium == Medium::Open) {
            leg.medium = Medium::Closing;
            actions.push(Action::Media(Command::Close { session: id.media() }));
        }
    }

    /// The extensions that have a leg in the call, each once.
    pub(crate) fn extensions(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for leg in self.legs.iter().filter(|leg| !leg.is_over()) {
            if let Party::Extension { number, .. } = &leg.party
                && !all.contains(number)
            {
                all.push(number.clone());
            }
        }
        all
    }

    /// What the call takes up now.
    pub(crate) fn occupies(&self) -> Vec<Occupation> {
        let mut all: Vec<Occupation> = Vec::new();
        for leg in self.legs.iter().filter(|leg| !leg.is_over()) {
            match &leg.party {
                Party::Extension { agent: Some(agent), .. } => {
                    let occupation = Occupation::Agent(agent.clone());
                    // An agent whose two devices ring has one call.
                    if !all.contains(&occupation) {
                        all.push(occupation);
                    }
                }
                Party::Trunk { id, .. } => {
                    all.push(Occupation::Trunk(id.clone()));
                    all.extend(leg.charged_to.clone().map(Occupation::Outside));
                }
                Party::Extension { agent: None, .. } => {}
            }
        }
        all
    }
}

fn or_default(codecs: Vec<Codec>, default: &[Codec]) -> Vec<Codec> {
    if codecs.is_empty() { default.to_vec() } else { codecs }
}
