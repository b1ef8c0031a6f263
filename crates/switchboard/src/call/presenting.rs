//! As whom a call presents itself to a trunk: From, P-Asserted-Identity and Privacy (RFC 3323, RFC 3325), Remote-Party-ID, Diversion
//! (RFC 5806) and Identity (RFC 8224). What the trunk's header rules make of it is theirs.

use sip::{Host, NameAddr, Uri};

use super::context::Context;
use super::facts::Facts;
use super::leg::Party;
use super::seeker::Seeker;
use super::target::{host, written};
use crate::directory::{CallerIdHeader, Trunk};
use crate::identity::ANONYMOUS;
use crate::number::is_number;

/// Who calls, in the words of one trunk.
pub(super) struct Presentation {
    pub(super) from: NameAddr,
    /// The user part of our Contact; none for who hides.
    pub(super) contact: Option<String>,
    pub(super) headers: Vec<(String, String)>,
}

/// The numbers a call has to show.
struct Numbers {
    /// Shown to the called.
    shown: String,
    /// Ours, which answers for the call.
    ours: String,
    is_anonymous: bool,
    /// The number of ours that was called before, and how it came to call on (RFC 5806 §3.2).
    diverted: Option<(String, &'static str)>,
}

/// As whom a seeker's call over a trunk presents itself.
pub(super) fn present(seeker: &Seeker, facts: &Facts, trunk: &Trunk, ctx: &Context<'_>) -> Presentation {
    let numbers = numbers(seeker, facts, trunk, ctx);
    let domain = trunk.border.caller_id.domain.as_deref().map_or_else(|| ctx.config.advertised_host.clone(), host);
    let address = |number: &str| {
        NameAddr::new(Uri::sip(Some(&written(number, trunk.border.caller_id.format)), domain.clone(), None))
    };
    let mut headers = Vec::new();
    let mut say = |name: &str, value: String| headers.push((name.to_owned(), value));
    let from = from(&numbers, trunk, &domain, address);
    // Whom they are for may be told a number that others must not see (RFC 3325 §7).
    let vouched = if numbers.is_anonymous || is_in_from(trunk) { &numbers.ours } else { &numbers.shown };
    if is_number(vouched) {
        let is_told = trunk.border.trusted || (!is_in_from(trunk) && !numbers.is_anonymous);
        match trunk.border.caller_id.header {
            CallerIdHeader::From | CallerIdHeader::Asserted if is_told => {
                say("P-Asserted-Identity", address(vouched).to_string());
            }
            CallerIdHeader::RemoteParty if is_told => say("Remote-Party-ID", remote_party(address(vouched), &numbers)),
            CallerIdHeader::From | CallerIdHeader::Asserted | CallerIdHeader::RemoteParty => {}
        }
    }
    if numbers.is_anonymous {
        say("Privacy", "id".to_owned());
    }
    if let Some((number, why)) = &numbers.diverted {
        let diverted = address(number).with_param("reason", Some(why)).with_param("counter", Some("1"));
        say("Diversion", diverted.to_string());
    }
    if let Some(by) = &seeker.referred_by {
        say("Referred-By", by.clone());
    }
    let signed = &facts.introduction.signed;
    // The signature is of the caller's number: who hides it shows it to trusted peers at most.
    if seeker.transferor.is_none() && (trunk.border.trusted || !facts.introduction.is_anonymous) {
        signed.iter().for_each(|(name, value)| say(name, value.clone()));
    }
    let contact = (!numbers.is_anonymous).then(|| from.uri.user().unwrap_or_default().into_owned());
    Presentation { from, contact, headers: trunk.border.leaving(headers) }
}

fn is_in_from(trunk: &Trunk) -> bool {
    match trunk.border.caller_id.header {
        CallerIdHeader::From => true,
        CallerIdHeader::Asserted | CallerIdHeader::RemoteParty => false,
    }
}

fn from(numbers: &Numbers, trunk: &Trunk, domain: &Host, address: impl Fn(&str) -> NameAddr) -> NameAddr {
    if numbers.is_anonymous {
        let nobody = Uri::sip(Some(ANONYMOUS), Host::Name("anonymous.invalid".into()), None);
        return NameAddr::new(nobody).with_display("Anonymous");
    }
    if is_in_from(trunk) {
        return address(&numbers.shown);
    }
    match &trunk.border.caller_id.user {
        // Not a number, whatever it looks like: the carrier knows it as it is written.
        Some(user) => NameAddr::new(Uri::sip(Some(user), domain.clone(), None)),
        None => address(trunk.border.caller_id.fallback.as_deref().unwrap_or(&numbers.shown)),
    }
}

fn remote_party(address: NameAddr, numbers: &Numbers) -> String {
    // Only for a number of ours can we say that it is the caller's.
    let screen = if numbers.shown == numbers.ours { "yes" } else { "no" };
    let privacy = if numbers.is_anonymous { "full" } else { "off" };
    let party = address.with_param("party", Some("calling")).with_param("screen", Some(screen));
    party.with_param("privacy", Some(privacy)).to_string()
}

fn numbers(seeker: &Seeker, facts: &Facts, trunk: &Trunk, ctx: &Context<'_>) -> Numbers {
    let agent = seeker.agent.as_ref().and_then(|agent| ctx.directory.agents.get(agent));
    // What a caller asks for is for the call it makes, not for what others make of it.
    let wish = seeker.transferor.is_none().then_some(&facts.introduction);
    let chosen = wish.and_then(|wish| wish.chosen.clone());
    let own = chosen.or_else(|| agent.and_then(|agent| agent.caller_id_number.clone()));
    let own = own.or_else(|| trunk.border.caller_id.fallback.clone());
    let Some(original) = forwarded(seeker, facts) else {
        let shown = own.unwrap_or_else(|| seeker.number.clone());
        let is_anonymous = wish.is_some_and(|wish| wish.is_anonymous);
        return Numbers { ours: shown.clone(), shown, is_anonymous, diverted: None };
    };
    let came_in = facts.caller().is_some_and(|leg| matches!(leg.party, Party::Trunk { .. }));
    let called = Some(facts.to.clone()).filter(|number| came_in && is_number(number));
    let ours = own.or_else(|| called.clone()).unwrap_or_else(|| seeker.dialled.clone());
    let why = if seeker.transferor.is_some() { "deflection" } else { "unconditional" };
    let diverted = called.or_else(|| Some(ours.clone()).filter(|number| is_number(number))).map(|number| (number, why));
    let passes = trunk.border.caller_id.pass_through;
    let shown = if passes && is_number(original) { original.to_owned() } else { ours.clone() };
    Numbers { shown, ours, is_anonymous: passes && original == ANONYMOUS, diverted }
}

/// The number of who calls from a trunk and is led on to another.
fn forwarded<'a>(seeker: &Seeker, facts: &'a Facts) -> Option<&'a str> {
    match &facts.leg(seeker.leg)?.party {
        Party::Trunk { number, .. } => Some(number),
        Party::Extension { .. } => None,
    }
}
