//! Why a call went as it did, in one sentence for people: what happened, and where to look. The one place that says so; call records and
//! traces quote it.

use std::time::{Duration, Instant};

use super::facts::Facts;
use super::leg::Party;

/// Calls shorter than this say nothing about media: it may have been on its way.
const SETTLED: Duration = Duration::from_secs(2);

/// What to look at when a party refuses a call so, or says nothing at all (`local`).
pub(crate) fn advice(party: &Party, status: u16, local: bool) -> Option<&'static str> {
    match party {
        Party::Trunk { .. } => of_trunk(status, local),
        Party::Extension { .. } => of_phone(status, local),
    }
}

fn of_trunk(status: u16, local: bool) -> Option<&'static str> {
    Some(match (status, local) {
        (408, true) => {
            "look at its gateways' addresses, ports and transport, and whether a firewall lets SIP out and its answers in"
        }
        (503, true) => {
            "nothing listens there, or the way is blocked: look at its gateways' addresses, ports and transport"
        }
        (401 | 407, _) => "look at the user name, password and realm of the trunk",
        (403, _) => {
            "carriers do so when the number presented is not one of the account's, the destination is not allowed, or the gateway's \
             address is not on their list"
        }
        (404 | 410 | 484 | 604, _) => "look at the number and how the trunk writes it (caller_id.format)",
        (415 | 488 | 606, _) => "look at the trunk's codecs and media encryption against what the carrier wants",
        (420 | 421, _) => "look at Require, Supported and Unsupported in its answer",
        (423 | 422, _) => "look at the session timer that the carrier demands (Min-SE)",
        (480, _) => "the called party is not there at the moment",
        (482 | 483, _) => "the call goes round in a circle: look at what the carrier forwards to whom",
        (500..=599, _) => "the trouble is on the carrier's side: its Reason and Warning headers may say more",
        _ => return None,
    })
}

fn of_phone(status: u16, local: bool) -> Option<&'static str> {
    Some(match (status, local) {
        (408 | 503, true) => "its page was closed, its computer sleeps or its network is gone",
        (415 | 488 | 606, _) => "its browser takes none of what it was offered: look at the extension's codecs",
        (480, false) => "its user is away or does not want to be disturbed",
        _ => return None,
    })
}

/// The sentence of a call that is over.
pub(crate) fn of_ended(facts: &Facts, now: Instant) -> String {
    let Some(outcome) = &facts.outcome else { return String::new() };
    let finding = || facts.answered.filter(|at| now.duration_since(*at) >= SETTLED).and_then(|_| of_media(facts));
    match outcome.advice.map(str::to_owned).or_else(finding) {
        Some(more) => format!("{}; {more}.", outcome.explanation.trim_end_matches('.')),
        None => outcome.explanation.clone(),
    }
}

/// Whose media did not arrive, of those who talked.
fn of_media(facts: &Facts) -> Option<String> {
    let talked = |leg: &&super::Leg| facts.is_caller(leg.id) || leg.was_answered;
    facts.legs.iter().filter(talked).find_map(|leg| {
        let is_phone = matches!(leg.party, Party::Extension { .. });
        leg.timeline.finding(&uncapitalized(&leg.party.described()), is_phone)
    })
}

fn uncapitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
