//! New INVITEs: who calls, whether they may, and where the dialplan sends them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sip::{Flow, Reliability, Request, ResponseDraft, SessionId, StatusCode};

use crate::call::{Call, CallEvent, CallerOffer, Facts, Failure, Leg, LegId, Occupation, Party, Signal, is_emergency};
use crate::calls::CallKey;
use crate::dialplan::{Lookup, Origin, Step, Target};
use crate::directory::Agent;
use crate::identity::{Identity, Introduction, user_of};
use crate::number::{e164, with_plus};
use crate::output::{CallId, Direction, ShardIndex};
use crate::perform::{SDP, seconds};
use crate::proven::Authenticated;
use crate::requests::Challenge;
use crate::switchboard::Switchboard;
use crate::tolls::{Bar, Pace};
use crate::trace::{RoutingNote, RoutingStep};

/// A caller whom we know.
struct Caller {
    party: Party,
    from: String,
    display: Option<String>,
    introduction: Introduction,
    to: String,
    assigned: Option<String>,
    steps: Vec<Step>,
    /// The rule of the dialplan that says so.
    rule: Option<String>,
    /// Why its call is refused all the same: it is a call on record, so that people can see what went wrong.
    refused: Option<Failure>,
}

impl Switchboard {
    pub(crate) fn invitation(&mut self, now: Instant, session: SessionId, flow: Flow, request: &Request) {
        if request.headers.get("Replaces").is_some() {
            self.take_over(now, session, flow, request);
            return;
        }
        let admitted = if flow.transport.is_websocket() {
            self.authenticate(now, flow, request, Challenge::Proxy).and_then(|Authenticated { extension, .. }| {
                self.acceptable(request)?;
                self.admit_agent(now, request, &extension.number, extension.agent_id)
            })
        } else {
            let admitted = self.acceptable(request).and_then(|()| self.admit_trunk(now, request, flow));
            admitted.and_then(|caller| self.keep_trunk_pace(now, caller))
        };
        match admitted {
            Ok(caller) => self.begin(now, session, flow, request, caller),
            Err(refusal) => self.endpoint.reject(now, session, *refusal),
        }
    }

    /// What holds for any caller: room, hops left, a body we can read.
    fn acceptable(&self, request: &Request) -> Result<(), Box<ResponseDraft>> {
        if self.draining || self.calls.len() >= self.config.max_calls {
            let why = if self.draining { "The gateway is stopping." } else { "All lines of the gateway are taken." };
            let seconds = self.config.retry_after.as_secs().to_string();
            return Err(refusal(&Failure::new(503, why)).with_header("Retry-After", seconds).into());
        }
        if request.headers.max_forwards().ok().flatten() == Some(0) {
            return Err(ResponseDraft::new(StatusCode::TOO_MANY_HOPS).into());
        }
        if !request.body.is_empty() && request.headers.content_type().as_deref() != Some(SDP) {
            return Err(ResponseDraft::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).with_header("Accept", SDP).into());
        }
        Ok(())
    }

    fn admit_agent(
        &mut self,
        now: Instant,
        request: &Request,
        extension: &str,
        agent: Option<String>,
    ) -> Result<Caller, Box<ResponseDraft>> {
        let directory = Arc::clone(&self.directory);
        let known = agent.as_ref().and_then(|id| directory.agents.get(id));
        let busy = known.is_some_and(|agent| {
            let calls = self.calls.usage.of(&Occupation::Agent(agent.id.clone()));
            let most = agent.max_concurrent_calls;
            // Who holds all it has may ask somebody about it: one more than it takes.
            most > 0 && calls >= most && !(calls == most && self.holds_everything(&agent.id))
        });
        let display = known.map(|agent| agent.display_name.clone()).filter(|name| !name.is_empty());
        let to = user_of(&request.uri).ok_or_else(|| ResponseDraft::new(StatusCode::ADDRESS_INCOMPLETE))?;
        let (decision, assigned) = self.route_of_agent(extension, &to);
        let is_emergency = is_emergency(&to, &self.config);
        let introduction = self.introduction(request, extension, known);
        let refused = match (&decision, &introduction) {
            (Some(_), _) if is_emergency => None,
            (None, _) => {
                let failure = Failure::new(404, format!("No rule of the dialplan matches {to}."));
                Some(failure.with_advice(Some("look at what was dialled and at the dialplan's rules for agents")))
            }
            (Some(_), Err(refused)) => {
                self.tolls.bar(Bar::CallerId);
                Some(refused.clone())
            }
            (Some(_), Ok(_)) if busy => Some(Failure::new(486, "The agent has no further call free.")),
            (Some(_), Ok(_)) => known.and_then(|agent| self.keep_pace(now, agent).err()),
        };
        Ok(Caller {
            party: Party::Extension { number: extension.to_owned(), agent },
            from: extension.to_owned(),
            display,
            introduction: introduction.unwrap_or_default(),
            assigned,
            to,
            rule: decision.as_ref().map(|decision| decision.rule.clone()),
            steps: decision.map(|decision| decision.steps).unwrap_or_default(),
            refused,
        })
    }

    /// An agent makes so many calls a second.
    fn keep_pace(&mut self, now: Instant, agent: &Agent) -> Result<(), Failure> {
        self.tolls.take(now, Pace::By(agent.id.clone()), agent.max_cps).map_err(|wait| {
            self.tolls.bar(Bar::AgentPace);
            let why = format!("The agent may make {} calls a second, and has made them.", agent.max_cps);
            Failure { retry_after: Some(wait), ..Failure::refusal(503, why) }
        })
    }

    /// What an agent asks for with its call; a number to be shown has to be one of its own.
    fn introduction(&self, request: &Request, extension: &str, agent: Option<&Agent>) -> Result<Introduction, Failure> {
        let own = |number: &str| {
            let number = self.dialplan.e164(number).or_else(|| e164(number)).or_else(|| with_plus(number))?;
            let agent = agent?;
            agent.allowed_caller_ids.iter().chain(&agent.caller_id_number).find(|own| **own == number).cloned()
        };
        Introduction::of_agent(request, extension, own)
            .map_err(|number| Failure::refusal(403, format!("The caller ID {number} is not one of this agent's.")))
    }

    /// Whether an agent holds whoever it talks to, in each of its calls.
    fn holds_everything(&self, agent: &str) -> bool {
        let is_its = |party: &Party| matches!(party, Party::Extension { agent: Some(id), .. } if id == agent);
        let extensions =
            self.directory.extensions.values().filter(|extension| extension.agent_id.as_deref() == Some(agent));
        let calls = extensions.flat_map(|extension| self.calls.of_extension(&extension.number));
        let mut legs = calls.filter_map(|key| self.calls.facts(*key)).flat_map(|facts| &facts.legs);
        legs.all(|leg| leg.is_over() || !is_its(&leg.party) || leg.media.hold != media::Hold::None)
    }

    fn admit_trunk(&mut self, now: Instant, request: &Request, flow: Flow) -> Result<Caller, Box<ResponseDraft>> {
        let raw = self.dialled(flow, request).ok_or_else(|| ResponseDraft::new(StatusCode::ADDRESS_INCOMPLETE))?;
        // As people here dial it, else as carriers write it.
        let dialplan = self.dialplan.clone();
        let e164 = |number: &str| dialplan.e164(number).or_else(|| e164(number));
        // Bare digits are a number of ours before they are anything else.
        let own = with_plus(&raw).filter(|number| self.directory.numbers.contains_key(number));
        let to = own.or_else(|| e164(&raw)).unwrap_or(raw);
        let number = self.directory.numbers.get(&to).cloned();
        let trunk = self.calling_trunk(now, flow, request, number.as_ref())?;
        let Some(trunk) = self.directory.trunks.get(&trunk) else {
            return Err(ResponseDraft::new(StatusCode::FORBIDDEN).into());
        };
        let taken = self.calls.usage.of(&Occupation::Trunk(trunk.id.clone()));
        let full = trunk.limits.max_channels > 0 && taken >= trunk.limits.max_channels;
        let request = &*trunk.border.arriving(request);
        let Identity { number: from, display } = Identity::of(request, trunk.border.trusted, e164);
        // A number of ours counts only when it comes over its own trunk.
        let number = number.as_ref().filter(|number| number.trunk_id == trunk.id);
        let lookup = Lookup {
            origin: Origin::Trunks,
            dialled: &to,
            caller: &from,
            trunk: Some(&trunk.name),
            is_extension: self.directory.extensions.contains_key(&to),
        };
        let (rule, steps) = match (self.dialplan.route(&lookup), number) {
            (Some(decision), _) => (Some(decision.rule), decision.steps),
            (None, Some(_)) => (None, vec![Step { target: Target::NumberAssignment, timeout: None }]),
            (None, None) => (None, Vec::new()),
        };
        check_reliability(Reliability::of(&request.headers), trunk.dialogs.prack)?;
        let refused = if full {
            Some(Failure::new(503, format!("All channels of trunk {} are taken.", trunk.name)))
        } else if steps.is_empty() {
            let failure = Failure::new(404, format!("The number {to} is not in service here."));
            let advice = "look at whether it is among the numbers of this trunk (GET /v1/numbers), and how the carrier writes it";
            Some(failure.with_advice(Some(advice)))
        } else {
            // Before anybody's phone rings for a call that cannot be answered.
            media::refuses_encryption(trunk.media.encryption.policy(), &request.body)
                .map(|why| Failure::new(488, format!("The caller's media description cannot be used: {why}.")))
        };
        Ok(Caller {
            party: Party::Trunk { id: trunk.id.clone(), name: trunk.name.clone(), number: from.clone() },
            display: Some(display),
            introduction: Introduction::of_trunk(request, trunk.border.passed(request)),
            from,
            assigned: number.and_then(|number| number.extension.clone()),
            to,
            rule,
            steps,
            refused,
        })
    }

    /// A trunk's calls come at its pace. Nothing is kept of one too many: a flood of them shall cost little.
    fn keep_trunk_pace(&mut self, now: Instant, caller: Caller) -> Result<Caller, Box<ResponseDraft>> {
        let Party::Trunk { id, name, .. } = &caller.party else { return Ok(caller) };
        let most = self.directory.trunks.get(id).map_or(0, |trunk| trunk.limits.max_cps);
        match self.tolls.take(now, Pace::From(id.clone()), most) {
            Ok(()) => Ok(caller),
            Err(wait) => {
                self.tolls.bar(Bar::TrunkPace);
                let failure = Failure::new(503, format!("Trunk {name} may make {most} calls a second."));
                Err(refusal(&Failure { retry_after: Some(wait), ..failure }).into())
            }
        }
    }

    fn begin(&mut self, now: Instant, session: SessionId, flow: Flow, request: &Request, caller: Caller) {
        let key = CallKey(self.ids.next());
        let mut leg = Leg::new(LegId(self.ids.next()), self.ids.random("leg_"), caller.party, flow, Signal::Incoming);
        leg.sip_call_id = self.endpoint.call_id(session).map(str::to_owned);
        leg.reliability = self.reliability_of(&leg.party, request);
        let (leg_id, party) = (leg.id, leg.party.clone());
        let max_forwards = request.headers.max_forwards().ok().flatten().unwrap_or(70).saturating_sub(1);
        let facts = Facts {
            id: CallId(self.ids.random("call_")),
            direction: direction(&party, &caller.steps),
            from: caller.from.clone(),
            from_display: caller.display,
            introduction: caller.introduction,
            to: caller.to,
            assigned: caller.assigned.clone(),
            callee_agent: None,
            max_forwards,
            offer: if request.body.is_empty() {
                CallerOffer::Wanted
            } else {
                CallerOffer::Given(Bytes::copy_from_slice(&request.body))
            },
            started: now,
            ringing: None,
            answered: None,
            legs: vec![leg],
            outcome: None,
            reclaim: None,
            transfers: Vec::new(),
            participants: Vec::new(),
            notes: vec![rule_note(caller.rule.as_deref(), &caller.steps)],
        };
        let shard = self.choose_shard(&party, &caller.from, caller.assigned.as_deref(), &caller.steps);
        self.counters.calls += 1;
        let steps = caller.refused.map_or(Ok(caller.steps), Err);
        let refused = steps.is_err();
        self.calls.insert(key, Call::new(facts, steps), shard);
        self.calls.bind(session, key, leg_id);
        self.calls.believed.add(session, flow);
        self.believe(session);
        if !refused {
            // Its caller counts from here on: who calls is not free to be called.
            self.show(now, key);
        }
        self.call_event(now, key, CallEvent::Start);
    }

    /// Whether provisional responses to a caller are sent reliably: as its INVITE and its trunk want it, and never to a browser.
    fn reliability_of(&self, caller: &Party, request: &Request) -> Reliability {
        let prack = match caller {
            Party::Trunk { id, .. } => self.directory.trunks.get(id).map_or(Reliability::Off, |it| it.dialogs.prack),
            Party::Extension { .. } => Reliability::Off,
        };
        match (prack, Reliability::of(&request.headers)) {
            (Reliability::Off, _) => Reliability::Off,
            (Reliability::Required, Reliability::Supported) => Reliability::Required,
            (Reliability::Supported | Reliability::Required, asked) => asked,
        }
    }

    /// Where the agent talks already, else by its address of record: two calls of an agent that become one need no link then.
    fn choose_shard(&self, caller: &Party, from: &str, assigned: Option<&str>, steps: &[Step]) -> ShardIndex {
        let named = || {
            steps.iter().find_map(|step| match &step.target {
                Target::Extension(number) => Some(number.as_str()),
                Target::RingGroup(numbers) => numbers.first().map(String::as_str),
                Target::Trunks { .. } | Target::NumberAssignment | Target::Echo | Target::Reject { .. } => None,
            })
        };
        let agent = match caller {
            Party::Extension { .. } => from,
            Party::Trunk { .. } => named().or(assigned).unwrap_or(from),
        };
        if let Some(shard) = self.shard_of(agent) {
            return shard;
        }
        let mut hasher = DefaultHasher::new();
        (agent, &self.directory.realm).hash(&mut hasher);
        let shards = u64::try_from(self.config.shards.max(1)).unwrap_or(1);
        ShardIndex(usize::try_from(hasher.finish() % shards).unwrap_or(0))
    }

    /// Where the media of an extension's first call is.
    fn shard_of(&self, extension: &str) -> Option<ShardIndex> {
        let key = self.calls.first_of(extension)?;
        let legs = self.calls.facts(key).into_iter().flat_map(|facts| &facts.legs);
        let own = legs.filter(|leg| matches!(&leg.party, Party::Extension { number, .. } if number == extension));
        own.filter_map(|leg| self.links.shard(leg.id.media())).next().or_else(|| self.calls.shard(key))
    }

    /// Where a call's new sessions are opened: where it began, as long as one of its legs is there.
    pub(crate) fn home_of(&self, key: CallKey) -> ShardIndex {
        let begun = self.calls.shard(key).unwrap_or(ShardIndex(0));
        let legs = self.calls.facts(key).into_iter().flat_map(|facts| &facts.legs);
        let mut shards = legs.filter_map(|leg| self.links.shard(leg.id.media())).peekable();
        let first = shards.peek().copied();
        if shards.any(|shard| shard == begun) { begun } else { first.unwrap_or(begun) }
    }

    /// Whether the gateway being tried has sent as much as 100 Trying.
    pub(crate) fn attempt_was_heard(&self, key: CallKey) -> bool {
        self.calls.facts(key).is_some_and(|facts| {
            facts
                .legs
                .iter()
                .skip(1)
                .filter(|leg| leg.signal == Signal::Calling)
                .filter_map(|leg| self.calls.session_of(leg.id))
                .any(|session| self.endpoint.was_heard(session))
        })
    }
}

/// Whether the caller and its trunk agree on reliable provisional responses (RFC 3262 §3).
fn check_reliability(asked: Reliability, prack: Reliability) -> Result<(), Box<ResponseDraft>> {
    match (asked, prack) {
        (Reliability::Required, Reliability::Off) => {
            Err(ResponseDraft::new(StatusCode::BAD_EXTENSION).with_header("Unsupported", "100rel").into())
        }
        (Reliability::Off, Reliability::Required) => {
            Err(ResponseDraft::new(StatusCode::EXTENSION_REQUIRED).with_header("Require", "100rel").into())
        }
        (Reliability::Off | Reliability::Supported | Reliability::Required, _) => Ok(()),
    }
}

/// What the dialplan said.
fn rule_note(rule: Option<&str>, steps: &[Step]) -> RoutingNote {
    let text = match (rule, steps) {
        (Some(rule), _) => format!("The rule {rule} of the dialplan matches."),
        (None, []) => "No rule of the dialplan matches.".to_owned(),
        (None, _) => "No rule of the dialplan matches; the number is one of ours.".to_owned(),
    };
    RoutingNote { step: RoutingStep::Rule, leg: None, status: None, text }
}

fn direction(caller: &Party, steps: &[Step]) -> Direction {
    match caller {
        Party::Trunk { .. } => Direction::Inbound,
        Party::Extension { .. } => {
            let out = steps.iter().any(|step| matches!(step.target, Target::Trunks { .. }));
            if out { Direction::Outbound } else { Direction::Internal }
        }
    }
}

fn refusal(failure: &Failure) -> ResponseDraft {
    let mut draft = ResponseDraft::new(failure.status_code()).with_reason(failure.explanation.trim_end_matches('.'));
    for reason in &failure.reasons {
        draft = draft.with_header("Reason", reason.as_str());
    }
    match failure.retry_after {
        Some(wait) => draft.with_header("Retry-After", seconds(wait).to_string()),
        None => draft,
    }
}
