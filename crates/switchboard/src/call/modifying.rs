//! Changes of an answered leg's media, such as hold (RFC 3261 §14, RFC 3264 §8): one at a time on each leg, whatever the other leg does.
//! What fails leaves the leg as it was (RFC 6141).

use bytes::Bytes;
use media::{Bandwidth, Command};
use sip::{RequestId, Response, StatusCode};

use super::action::{Action, Actions, CallTimer, Change};
use super::answering::MEDIA_TIMEOUT;
use super::facts::Facts;
use super::leg::{Leg, LegId, Signal};

/// What of a leg's media is being changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Modifying {
    stage: Stage,
    /// An operator holds the call on behalf of this leg.
    held: bool,
    /// The peer has not been told of that, or of its end.
    due: bool,
}

/// How far a change has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Stage {
    /// There is none.
    #[default]
    Idle,
    /// The peer's offer is with the shard.
    Answering(RequestId),
    /// The peer wants an offer, which the shard makes.
    Asked(RequestId),
    /// Our offer went out in a 200: the ACK brings its answer.
    Offered,
    /// The shard makes an offer of ours.
    Preparing,
    /// Our offer is with the peer, or on its way.
    Sent,
    /// The peer's answer is with the shard.
    Taking,
    /// The peer took its wish back while it was with the shard, whose word on it means nothing any more.
    Dropped,
}

impl Stage {
    /// Whether a shard's word is awaited.
    fn is_with_shard(&self) -> bool {
        match self {
            Self::Answering(_) | Self::Asked(_) | Self::Preparing | Self::Taking | Self::Dropped => true,
            Self::Idle | Self::Offered | Self::Sent => false,
        }
    }
}

/// Whether a leg's change waits for a shard's word.
pub(super) fn awaits_shard(leg: &Leg) -> bool {
    leg.modifying.stage.is_with_shard()
}

/// The two that talk; one in the echo test.
pub(super) type Pair = [Option<LegId>; 2];

/// Those who talk to each other: a pair, or the members of a conference.
pub(super) trait Talking: Copy {
    /// Each of them.
    fn legs(self) -> impl Iterator<Item = LegId>;
}

impl Talking for Pair {
    fn legs(self) -> impl Iterator<Item = LegId> {
        self.into_iter().flatten()
    }
}

impl Talking for &[LegId] {
    fn legs(self) -> impl Iterator<Item = LegId> {
        self.iter().copied()
    }
}

/// The caller was answered with an offer: its ACK brings the answer, and until then nothing else is agreed on.
pub(super) fn begin_offered(leg: &mut Leg) {
    leg.modifying.stage = Stage::Offered;
}

/// Whether the answer to our first offer to a leg has not come yet.
pub(crate) fn owes_answer(leg: &Leg) -> bool {
    leg.modifying.stage == Stage::Offered
}

/// What happens to a change while people talk.
pub(super) fn on(leg: LegId, change: Change, talking: impl Talking, facts: &mut Facts, actions: &mut Actions) {
    match change {
        Change::Offered { request, sdp } => offered(leg, request, sdp, talking, facts, actions),
        Change::Withdrawn { request } => withdrawn(leg, request, facts),
        // Whatever else goes on: `replacing`.
        Change::Confirmed { .. } => {}
        Change::Acknowledged { body } => acknowledged(leg, body, talking, facts, actions),
        Change::Accepted { response } => accepted(leg, &response, talking, facts, actions),
        Change::Refreshed { response } => refreshed(leg, &response, facts, actions),
        Change::Refused if stage(leg, facts) == Stage::Sent => settle(leg, talking, facts, actions),
        Change::Refused => {}
        Change::Held { hold } => held(leg, hold, talking, facts, actions),
    }
}

/// What happens to a change while the call is not answered, or no longer: a wish comes again by itself (RFC 3261 §14.1), nothing else is
/// under way.
pub(super) fn untimely(leg: LegId, change: &Change, actions: &mut Actions) {
    if let Change::Offered { request, .. } = change {
        actions.push(refusal(leg, *request, StatusCode::REQUEST_PENDING));
    }
}

fn refusal(leg: LegId, request: RequestId, status: StatusCode) -> Action {
    Action::Respond { leg, request, status, sdp: None, warning: None }
}

fn stage(leg: LegId, facts: &Facts) -> Stage {
    facts.leg(leg).map(|leg| leg.modifying.stage.clone()).unwrap_or_default()
}

fn enter(leg: LegId, stage: Stage, facts: &mut Facts, actions: &mut Actions) {
    if stage.is_with_shard() {
        actions.push(Action::SetTimer(CallTimer::Change, MEDIA_TIMEOUT));
    }
    if let Some(leg) = facts.leg_mut(leg) {
        leg.modifying.stage = stage;
    }
    if !facts.legs.iter().any(|leg| leg.modifying.stage.is_with_shard()) {
        actions.push(Action::ClearTimer(CallTimer::Change));
    }
}

/// A change is over: one of ours that waited for that follows.
pub(super) fn settle(leg: LegId, talking: impl Talking, facts: &mut Facts, actions: &mut Actions) {
    enter(leg, Stage::Idle, facts, actions);
    propose(leg, talking, facts, actions);
}

/// Offers a leg what is due to it, unless something else is under way.
fn propose(leg: LegId, talking: impl Talking, facts: &mut Facts, actions: &mut Actions) {
    let is_free = |leg: &&mut Leg| leg.modifying.due && leg.modifying.stage == Stage::Idle && leg.signal == Signal::Up;
    let Some(free) = facts.leg_mut(leg).filter(is_free) else { return };
    free.modifying.due = false;
    let bandwidth = bandwidth(leg, talking, facts);
    actions.push(Action::Media(Command::CreateOffer { session: leg.media(), bandwidth }));
    enter(leg, Stage::Preparing, facts, actions);
}

/// What the others can use: the best that one of them can.
fn bandwidth(leg: LegId, talking: impl Talking, facts: &Facts) -> Bandwidth {
    let others = talking.legs().filter(|other| *other != leg);
    others.map(|other| facts.bandwidth_of(other)).max().unwrap_or(Bandwidth::Full)
}

fn offered(
    leg: LegId,
    request: RequestId,
    sdp: Option<Bytes>,
    talking: impl Talking,
    facts: &mut Facts,
    actions: &mut Actions,
) {
    match stage(leg, facts) {
        Stage::Idle => {}
        Stage::Sent => {
            // It waits behind this one, or met a 491. Made anew afterwards, it says what is true then.
            actions.push(Action::TakeBack { leg });
            if let Some(leg) = facts.leg_mut(leg) {
                leg.modifying.due = true;
            }
        }
        Stage::Answering(_) | Stage::Asked(_) | Stage::Offered | Stage::Preparing | Stage::Taking | Stage::Dropped => {
            actions.push(refusal(leg, request, StatusCode::REQUEST_PENDING));
            return;
        }
    }
    let (session, bandwidth) = (leg.media(), bandwidth(leg, talking, facts));
    match sdp {
        Some(sdp) => {
            actions.push(Action::Media(Command::HandleOffer { session, sdp: sdp.to_vec(), bandwidth }));
            enter(leg, Stage::Answering(request), facts, actions);
        }
        None => {
            actions.push(Action::Media(Command::CreateOffer { session, bandwidth }));
            enter(leg, Stage::Asked(request), facts, actions);
        }
    }
}

fn withdrawn(leg: LegId, request: RequestId, facts: &mut Facts) {
    if let Some(leg) = facts.leg_mut(leg)
        && matches!(leg.modifying.stage, Stage::Answering(id) | Stage::Asked(id) if id == request)
    {
        leg.modifying.stage = Stage::Dropped;
    }
}

fn acknowledged(leg: LegId, body: Vec<u8>, talking: impl Talking, facts: &mut Facts, actions: &mut Actions) {
    match stage(leg, facts) {
        // Without an answer there is no agreement: everything is as it was.
        Stage::Offered if body.is_empty() => settle(leg, talking, facts, actions),
        Stage::Offered => take(leg, body, facts, actions),
        Stage::Idle
        | Stage::Answering(_)
        | Stage::Asked(_)
        | Stage::Preparing
        | Stage::Sent
        | Stage::Taking
        | Stage::Dropped => {}
    }
}

fn accepted(leg: LegId, response: &Response, talking: impl Talking, facts: &mut Facts, actions: &mut Actions) {
    if stage(leg, facts) != Stage::Sent {
        return;
    }
    if response.body.is_empty() {
        settle(leg, talking, facts, actions);
    } else {
        take(leg, response.body.to_vec(), facts, actions);
    }
}

/// The same again, or where the peer has moved its media to; when something else is under way, that says it too.
fn refreshed(leg: LegId, response: &Response, facts: &mut Facts, actions: &mut Actions) {
    if stage(leg, facts) == Stage::Idle && !response.body.is_empty() {
        take(leg, response.body.to_vec(), facts, actions);
    }
}

fn take(leg: LegId, sdp: Vec<u8>, facts: &mut Facts, actions: &mut Actions) {
    actions.push(Action::Media(Command::HandleAnswer { session: leg.media(), sdp }));
    enter(leg, Stage::Taking, facts, actions);
}

/// Media obeys at once; the peer is told by a re-INVITE.
fn held(leg: LegId, hold: bool, talking: impl Talking, facts: &mut Facts, actions: &mut Actions) {
    let Some(known) = facts.leg_mut(leg).filter(|leg| leg.modifying.held != hold) else { return };
    known.modifying.held = hold;
    known.modifying.due = true;
    actions.push(Action::Media(Command::Hold { session: leg.media(), hold }));
    propose(leg, talking, facts, actions);
}

/// A shard did not answer in time.
pub(super) fn overdue(talking: impl Talking, facts: &mut Facts, actions: &mut Actions) {
    for leg in talking.legs() {
        let stage = stage(leg, facts);
        if let Stage::Answering(request) | Stage::Asked(request) = stage {
            actions.push(refusal(leg, request, StatusCode::SERVER_INTERNAL_ERROR));
        }
        if stage.is_with_shard()
            && let Some(leg) = facts.leg_mut(leg)
        {
            leg.modifying.stage = Stage::Idle;
        }
    }
}

/// Takes a shard's word if it is about a change under way.
pub(super) fn of_shard(
    leg: LegId,
    event: media::Event,
    talking: impl Talking,
    facts: &mut Facts,
    actions: &mut Actions,
) -> Option<media::Event> {
    let status = StatusCode::OK;
    match (stage(leg, facts), event) {
        (Stage::Answering(request), media::Event::LocalDescription { session, sdp, .. }) => {
            actions.push(Action::Respond { leg, request, status, sdp: Some(sdp.into()), warning: None });
            actions.push(Action::Media(Command::Adopt { session }));
            settle(leg, talking, facts, actions);
        }
        (Stage::Asked(request), media::Event::LocalDescription { sdp, .. }) => {
            actions.push(Action::Respond { leg, request, status, sdp: Some(sdp.into()), warning: None });
            enter(leg, Stage::Offered, facts, actions);
        }
        (Stage::Preparing, media::Event::LocalDescription { sdp, .. }) => {
            actions.push(Action::Modify { leg, sdp: sdp.into() });
            enter(leg, Stage::Sent, facts, actions);
        }
        (Stage::Answering(request) | Stage::Asked(request), media::Event::Rejected { reason, .. }) => {
            let status = StatusCode::NOT_ACCEPTABLE_HERE;
            actions.push(Action::Respond { leg, request, status, sdp: None, warning: Some(reason) });
            settle(leg, talking, facts, actions);
        }
        (Stage::Taking, media::Event::Negotiated { .. } | media::Event::Rejected { .. })
        | (Stage::Dropped, media::Event::LocalDescription { .. } | media::Event::Rejected { .. }) => {
            settle(leg, talking, facts, actions);
        }
        (_, event) => return Some(event),
    }
    None
}
