//! What a leg that transfers is told about it (RFC 3515: an implicit subscription), and its farewell: once it has confirmed the last
//! report, or has not for a while, it is hung up on. A BYE that overtakes that report would leave its client in doubt.
//!
//! A leg that hangs up first is told nothing more. Its subscription is a usage of its own that its BYE leaves alone (RFC 5057 §4.2), but
//! clients in browsers forget the dialog with the call and would answer 481, which ends the subscription as well (RFC 6665 §4.1.3).

use std::time::Duration;

use sip::{Reason, StatusCode};

use super::action::{Action, Actions, CallEvent, CallTimer};
use super::facts::Facts;
use super::leg::{LegId, Signal};

/// How long a last report may stay unanswered before the leg is hung up on.
const FAREWELL: Duration = Duration::from_secs(3);

/// A leg's transfers, as far as it asks for them itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Referring {
    subscription: Option<Subscription>,
    /// The leg has no part in the call any more; a BYE is still owed.
    departing: bool,
}

/// A transfer that is reported on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Subscription {
    /// The CSeq number of its REFER.
    sequence: u32,
    told: StatusCode,
}

/// One report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// Tells the transfers of a dialog apart: the CSeq number of the REFER. The first one's reports need none (RFC 3515 §2.4.6), but a
    /// client with two under way, one of them about to be refused, takes none without.
    pub(crate) id: u32,
    /// What the target said.
    pub(crate) status: StatusCode,
    /// Nothing follows.
    pub(crate) last: bool,
}

impl Referring {
    /// Whether the leg only waits for its BYE.
    pub(crate) fn is_departing(&self) -> bool {
        self.departing
    }
}

/// A leg's REFER was accepted: it is told at once how things stand (RFC 3515 §2.4.4).
pub(super) fn subscribe(leg: LegId, sequence: u32, facts: &mut Facts, actions: &mut Actions) {
    let Some(known) = facts.leg_mut(leg) else { return };
    known.referring.subscription = Some(Subscription { sequence, told: StatusCode::TRYING });
    let report = Report { id: sequence, status: StatusCode::TRYING, last: false };
    actions.push(Action::Notify { leg, report });
}

/// Tells a leg what its target says, once each.
pub(super) fn report(leg: LegId, status: StatusCode, facts: &mut Facts, actions: &mut Actions) {
    let Some(known) = facts.leg_mut(leg).filter(|leg| leg.signal == Signal::Up) else { return };
    let Some(subscription) = known.referring.subscription.as_mut().filter(|known| known.told != status) else { return };
    subscription.told = status;
    let sequence = subscription.sequence;
    let report = Report { id: sequence, status, last: false };
    actions.push(Action::Notify { leg, report });
}

/// Tells a leg how its transfer ended; whether it is there to hear it.
pub(super) fn conclude(leg: LegId, status: StatusCode, facts: &mut Facts, actions: &mut Actions) -> bool {
    let Some(known) = facts.leg_mut(leg) else { return false };
    let Some(Subscription { sequence, .. }) = known.referring.subscription.take() else { return false };
    if known.signal != Signal::Up {
        return false;
    }
    let report = Report { id: sequence, status, last: true };
    actions.push(Action::Notify { leg, report });
    true
}

/// Lets a leg go whose transfer ended the call for it.
pub(super) fn part(leg: LegId, status: StatusCode, facts: &mut Facts, actions: &mut Actions) {
    if !conclude(leg, status, facts, actions) {
        facts.release(leg, Some(farewell()), actions);
        return;
    }
    if let Some(leg) = facts.leg_mut(leg) {
        leg.referring.departing = true;
    }
    actions.push(Action::SetTimer(CallTimer::Farewell, FAREWELL));
}

/// Sees to the legs that depart, whatever else the call is about.
pub(super) fn on(event: &CallEvent, facts: &mut Facts, actions: &mut Actions) {
    if let CallEvent::Timer(CallTimer::Farewell) = event {
        release_all(facts, actions);
    }
    let gone = |leg: &super::Leg| leg.signal == Signal::Over;
    let confirmed = |leg: LegId| matches!(event, CallEvent::Notified { leg: notified } if *notified == leg);
    for leg in departing(facts) {
        if confirmed(leg) || facts.leg(leg).is_some_and(gone) {
            let_go(leg, facts, actions);
        }
    }
}

/// Hangs up on every leg that departs; whether there was one.
pub(super) fn release_all(facts: &mut Facts, actions: &mut Actions) -> bool {
    let all = departing(facts);
    for leg in &all {
        let_go(*leg, facts, actions);
    }
    !all.is_empty()
}

fn departing(facts: &Facts) -> Vec<LegId> {
    facts.legs.iter().filter(|leg| leg.referring.departing).map(|leg| leg.id).collect()
}

fn let_go(leg: LegId, facts: &mut Facts, actions: &mut Actions) {
    if let Some(leg) = facts.leg_mut(leg) {
        leg.referring.departing = false;
    }
    facts.release(leg, Some(farewell()), actions);
    if departing(facts).is_empty() {
        actions.push(Action::ClearTimer(CallTimer::Farewell));
    }
}

fn farewell() -> Reason {
    Reason::q850(16, "Call transferred")
}
