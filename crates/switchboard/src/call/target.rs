//! Targets made concrete: which phones ring at once, or which gateway addresses are tried one after another.

use std::collections::VecDeque;
use std::time::Duration;

use sip::{Flow, Host, NameAddr, Transport, Uri};

use super::cause::Failure;
use super::clearing::{is_emergency, payer};
use super::context::{Context, Occupation};
use super::facts::Facts;
use super::leg::{Envelope, Leg, LegId, Party, Signal};
use super::preference::in_order;
use super::presenting::{Presentation, present};
use super::seeker::Seeker;
use crate::binding::Binding;
use crate::config::SwitchboardConfig;
use crate::dialplan::Target;
use crate::directory::{Extension, Hop, NumberFormat, Trunk};
use crate::health::{ServerKey, Worth};
use crate::number::e164;
use crate::tolls::{Bar, Pace};

/// Trunk addresses one step may try: bounds the time a caller waits and what a directory can make us send.
const MAX_CANDIDATES: usize = 16;

/// A target, ready to be called.
pub(crate) enum Resolved {
    /// These legs ring at once; phones of these extensions that register later ring too.
    Phones { numbers: Vec<String>, legs: Vec<Leg>, patience: Duration },
    /// These addresses are tried in order.
    Gateways(VecDeque<Candidate>),
    /// The caller hears itself.
    Echo,
    /// The dialplan refuses: no further target is tried.
    Refused(Failure),
    /// Nobody is there: the next target is tried.
    Nobody(Failure),
}

/// One address of one gateway of one trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    trunk: String,
    host: String,
    /// As configured.
    transport: Option<Transport>,
    hop: Hop,
    number: String,
}

/// Where to look when nobody is there.
const NOT_REGISTERED: &str = "look at whether its page is open and signed in (GET /v1/extensions/{id}/registrations)";

/// Where to look when there is no trunk.
const NO_TRUNK: &str = "look at whether the trunk the dialplan names exists and is enabled, and whether its gateways' names resolve to addresses";

/// Where to look when a trunk is full.
const FULL: &str = "look at the trunk's max_channels and at what uses them (GET /v1/calls)";

/// Who a target is, now.
pub(crate) fn resolve(target: &Target, seeker: &Seeker, facts: &Facts, ctx: &mut Context<'_>) -> Resolved {
    match target {
        Target::Extension(number) => phones(std::slice::from_ref(number), seeker, facts, ctx),
        Target::RingGroup(numbers) => phones(numbers, seeker, facts, ctx),
        Target::NumberAssignment => match seeker.assigned.clone() {
            Some(number) => phones(&[number], seeker, facts, ctx),
            None => Resolved::Nobody(Failure::new(404, format!("No extension is assigned to {}.", seeker.dialled))),
        },
        Target::Trunks { names, number } => gateways(names, number, ctx),
        Target::Echo => Resolved::Echo,
        Target::Reject { status, reason } => {
            let mut failure = Failure::new(*status, format!("The dialplan refuses the call: {reason}."));
            failure.phrase = Some(reason.clone());
            Resolved::Refused(failure)
        }
    }
}

fn phones(numbers: &[String], seeker: &Seeker, facts: &Facts, ctx: &mut Context<'_>) -> Resolved {
    let mut legs = Vec::new();
    let mut patience = Duration::ZERO;
    let mut why = Failure::new(480, "No phone of the target is registered.");
    let mut expected = false;
    for number in numbers {
        let extension = match callable(number, 0, facts, ctx) {
            Ok(extension) => extension,
            Err(failure) => {
                why = failure;
                continue;
            }
        };
        patience = patience.max(extension.ring_timeout);
        let party = Party::Extension { number: number.clone(), agent: extension.agent_id.clone() };
        let room = ctx.config.max_branches.saturating_sub(legs.len());
        legs.extend(legs_to(number, &party, seeker, facts, ctx).into_iter().take(room));
        expected |= ctx.registrar.expects(number);
        if ctx.registrar.bindings(number).is_empty() {
            why = Failure::new(480, format!("No phone of extension {number} is registered."));
        }
    }
    if legs.is_empty() && !expected {
        let advice = (why.status == 480).then_some(NOT_REGISTERED);
        return Resolved::Nobody(why.with_advice(advice));
    }
    if patience.is_zero() {
        patience = ctx.config.ring_timeout;
    }
    Resolved::Phones { numbers: numbers.to_vec(), legs, patience }
}

/// A leg to each phone of an extension that is there now.
pub(super) fn legs_to(number: &str, party: &Party, seeker: &Seeker, facts: &Facts, ctx: &mut Context<'_>) -> Vec<Leg> {
    let (registrar, directory) = (ctx.registrar, ctx.directory);
    let mut legs = Vec::new();
    for binding in one_flow_each(registrar.bindings(number)) {
        let mut leg = new_leg(party.clone(), binding.flow, ctx);
        let envelope = to_phone(number, binding.contact().clone(), binding.flow, &directory.realm, seeker, ctx);
        leg.envelope = Some(Envelope { headers: to_phone_of(seeker, facts), ..envelope });
        leg.contact = Some(binding.contact().clone());
        legs.push(leg);
    }
    legs
}

/// Legs to the phones of an extension; those that have `rung` already are left out. `is_called` says whether one of its phones
/// still rings for this very call, which then counts as one call of its agent.
pub(super) fn latecomers(
    number: &str,
    rung: &[Uri],
    is_called: bool,
    seeker: &Seeker,
    facts: &Facts,
    ctx: &mut Context<'_>,
) -> Vec<Leg> {
    let Ok(extension) = callable(number, u32::from(is_called), facts, ctx) else { return Vec::new() };
    let party = Party::Extension { number: number.to_owned(), agent: extension.agent_id.clone() };
    let mut legs = legs_to(number, &party, seeker, facts, ctx);
    legs.retain(|leg| leg.contact.as_ref().is_some_and(|contact| !rung.contains(contact)));
    legs
}

/// A device that registered several flows is called over the latest one only (RFC 5626 §5.3).
fn one_flow_each(bindings: &[Binding]) -> impl Iterator<Item = &Binding> {
    bindings.iter().enumerate().filter_map(|(at, binding)| {
        let device = binding.instance();
        let again = device.is_some() && bindings.iter().skip(at + 1).any(|later| later.instance() == device);
        (!again).then_some(binding)
    })
}

/// The extension, when its agent may be called now; so many of the agent's calls are the one this is about.
fn callable<'a>(number: &str, own: u32, facts: &Facts, ctx: &Context<'a>) -> Result<&'a Extension, Failure> {
    let Some(extension) = ctx.directory.extensions.get(number) else {
        return Err(Failure::new(404, format!("There is no extension {number}.")));
    };
    let Some(id) = &extension.agent_id else { return Ok(extension) };
    let Some(agent) = ctx.directory.agents.get(id).filter(|agent| agent.enabled) else {
        return Err(Failure::new(480, format!("The agent of extension {number} is disabled.")));
    };
    let calls = ctx.taken(&Occupation::Agent(id.clone()), facts).saturating_sub(own);
    if agent.max_concurrent_calls > 0 && calls >= agent.max_concurrent_calls {
        return Err(Failure::new(486, format!("The agent of extension {number} is in another call.")));
    }
    Ok(extension)
}

fn new_leg(party: Party, flow: Flow, ctx: &mut Context<'_>) -> Leg {
    Leg::new(LegId(ctx.ids.next()), ctx.ids.random("leg_"), party, flow, Signal::Idle)
}

fn to_phone(number: &str, contact: Uri, flow: Flow, realm: &str, seeker: &Seeker, ctx: &Context<'_>) -> Envelope {
    let realm = host(realm);
    let mut from = NameAddr::new(Uri::sip(Some(&seeker.number), realm.clone(), None));
    from.display.clone_from(&seeker.display);
    Envelope {
        uri: contact,
        from,
        to: NameAddr::new(Uri::sip(Some(number), realm, None)),
        contact: own_contact(Some(&seeker.number), flow.transport, ctx.config),
        headers: Vec::new(),
        answers_itself: false,
        max_forwards: 0,
    }
}

/// What the caller's trunk has passed on, whichever phone gets the call in the end; and who transfers it there (RFC 3892).
fn to_phone_of(seeker: &Seeker, facts: &Facts) -> Vec<(String, String)> {
    let passed = facts.introduction.passed.iter().filter(|_| facts.is_caller(seeker.leg)).cloned();
    passed.chain(seeker.referred_by.clone().map(|by| ("Referred-By".to_owned(), by))).collect()
}

fn gateways(names: &[String], number: &str, ctx: &mut Context<'_>) -> Resolved {
    let directory = ctx.directory;
    let mut trunks: Vec<&Trunk> = Vec::new();
    for name in names {
        let mut named: Vec<&Trunk> = directory
            .trunks
            .values()
            .filter(|trunk| trunk.enabled && (name == "*" || trunk.name == *name))
            .filter(|trunk| !trunks.iter().any(|known| known.id == trunk.id))
            .collect();
        named.sort_by(|a, b| a.name.cmp(&b.name));
        trunks.extend(named);
    }
    let (mut candidates, mut down, mut left_alone) = (VecDeque::new(), Vec::new(), false);
    for trunk in trunks {
        for gateway in in_order(&trunk.gateways, |gateway| (gateway.priority, gateway.weight), ctx.ids) {
            for hop in in_order(&gateway.hops, |hop| (hop.priority, hop.weight), ctx.ids) {
                let candidate = Candidate {
                    trunk: trunk.id.clone(),
                    host: gateway.host.clone(),
                    transport: gateway.transport,
                    hop: *hop,
                    number: number.to_owned(),
                };
                match candidate.worth(ctx) {
                    Worth::Alive => candidates.push_back(candidate),
                    Worth::Down => down.push(candidate),
                    // For their sake nobody waits for help.
                    Worth::LeftAlone if is_emergency(number, ctx.config) => down.push(candidate),
                    Worth::LeftAlone => left_alone = true,
                }
            }
        }
    }
    // They may have come back and not been asked yet.
    candidates.extend(down);
    candidates.truncate(MAX_CANDIDATES);
    if candidates.is_empty() {
        let failure = if left_alone {
            Failure::new(503, LEFT_ALONE)
        } else {
            Failure::new(503, "No trunk is there to carry the call.").with_advice(Some(NO_TRUNK))
        };
        return Resolved::Nobody(failure);
    }
    Resolved::Gateways(candidates)
}

/// What a call is told that only servers could carry which said not to be asked now.
const LEFT_ALONE: &str = "The trunk's servers asked not to be called for a while.";

impl Candidate {
    /// The leg to this address, or why the trunk cannot take one more call.
    pub(crate) fn leg(&self, seeker: &Seeker, facts: &Facts, ctx: &mut Context<'_>) -> Result<Leg, Failure> {
        let directory = ctx.directory;
        let Some(trunk) = directory.trunks.get(&self.trunk) else {
            return Err(Failure::new(503, "The trunk was removed."));
        };
        let is_emergency = is_emergency(&self.number, ctx.config);
        if !is_emergency && self.worth(ctx) == Worth::LeftAlone {
            return Err(Failure::new(503, LEFT_ALONE));
        }
        let calls = ctx.taken(&Occupation::Trunk(trunk.id.clone()), facts);
        if !is_emergency && trunk.limits.max_channels > 0 && calls >= trunk.limits.max_channels {
            let failure = Failure::new(503, format!("All channels of trunk {} are taken.", trunk.name));
            return Err(failure.with_advice(Some(FULL)));
        }
        let Some(uri) = self.uri(trunk.border.caller_id.format) else {
            return Err(Failure::new(
                500,
                format!("The gateway {} of trunk {} is no SIP host.", self.host, trunk.name),
            ));
        };
        if !is_emergency {
            self.keep_pace(trunk, ctx)?;
        }
        let party = Party::Trunk { id: trunk.id.clone(), name: trunk.name.clone(), number: self.number.clone() };
        let mut leg = new_leg(party, self.hop.flow(), ctx);
        leg.forks.is_late = !trunk.dialogs.early_offer;
        let Presentation { from, contact, headers } = present(seeker, facts, trunk, ctx);
        let contact = own_contact(contact.as_deref(), self.hop.transport, ctx.config);
        leg.charged_to = payer(seeker, facts);
        leg.envelope = Some(Envelope {
            to: NameAddr::new(uri.clone()),
            uri,
            headers,
            answers_itself: false,
            from,
            contact,
            max_forwards: 0,
        });
        Ok(leg)
    }

    /// A trunk takes so many calls a second.
    fn keep_pace(&self, trunk: &Trunk, ctx: &mut Context<'_>) -> Result<(), Failure> {
        let most = trunk.limits.max_cps;
        ctx.tolls.take(ctx.now, Pace::To(trunk.id.clone()), most).map_err(|wait| {
            ctx.tolls.bar(Bar::TrunkPace);
            let why = format!("Trunk {} takes {most} calls a second, and has got them.", trunk.name);
            Failure { retry_after: Some(wait), ..Failure::new(503, why) }
        })
    }

    fn worth(&self, ctx: &Context<'_>) -> Worth {
        ctx.health.worth(ctx.now, &ServerKey::new(&self.trunk, self.hop.flow()))
    }

    fn uri(&self, format: NumberFormat) -> Option<Uri> {
        gateway_uri(&self.host, self.transport, Some(&written(&self.number, format)))
    }
}

/// `sip:<user>@<host as configured>`: providers refuse their own address in its place.
pub(crate) fn gateway_uri(host: &str, transport: Option<Transport>, user: Option<&str>) -> Option<Uri> {
    let at = Uri::parse(&format!("sip:{host}")).ok()?;
    let mut uri = Uri::sip(user, at.host()?.clone(), at.port());
    let token = match transport {
        Some(Transport::Tcp) => "tcp",
        Some(Transport::Tls) => "tls",
        Some(Transport::Udp | Transport::Ws | Transport::Wss) | None => return Some(uri),
    };
    if let Some(params) = uri.params_mut() {
        params.set("transport", Some(token));
    }
    Some(uri)
}

/// A number in the trunk's format; what is no E.164 number stays as it is.
pub(super) fn written(number: &str, format: NumberFormat) -> String {
    match (format, number.strip_prefix('+')) {
        (NumberFormat::E164WithoutPlus, Some(digits)) => digits.to_owned(),
        (NumberFormat::E164, None) if number.starts_with("00") => e164(number).unwrap_or_else(|| number.to_owned()),
        (NumberFormat::E164 | NumberFormat::E164WithoutPlus, _) => number.to_owned(),
    }
}

/// Our Contact towards a peer.
pub(crate) fn own_contact(user: Option<&str>, transport: Transport, config: &SwitchboardConfig) -> Uri {
    let port = match transport {
        Transport::Tcp => Some(config.advertised_tcp_port),
        Transport::Tls => config.advertised_tls_port,
        Transport::Udp | Transport::Ws | Transport::Wss => Some(config.advertised_port),
    };
    let mut uri = Uri::sip(user, config.advertised_host.clone(), port);
    let token = match transport {
        Transport::Udp => return uri,
        Transport::Tcp => "tcp",
        // Deprecated by RFC 3261 §26.2.2, and what every carrier writes and takes.
        Transport::Tls => "tls",
        // RFC 7118 §5.2.3 defines `ws` for both; `wss` is what clients write and take.
        Transport::Ws => "ws",
        Transport::Wss => "wss",
    };
    if let Some(params) = uri.params_mut() {
        params.set("transport", Some(token));
    }
    uri
}

/// A configured host name; one that is none reads as `invalid`.
pub(super) fn host(text: &str) -> Host {
    Host::parse(text).unwrap_or_else(|| Host::Name("invalid".into()))
}
