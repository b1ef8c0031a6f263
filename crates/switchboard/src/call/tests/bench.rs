//! A call on a bench: events are written as words, what it wants done is read as words.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use media::{Codec, Command, Statistics};
use sip::{ConnectionId, Contact, Flow, Headers, NameAddr, RequestId, Response, StatusCode, Transport};

use crate::call::leg::{Leg, LegId, Party, Signal};
use crate::call::{
    Action, Actions, Adding, Call, CallEvent, CallTimer, CallerOffer, Change, Consult, Consultation, Context, Facts,
    Failure, Meanwhile, Replacement, Seeker, State, Transfer, Transferee, Usage, Whom,
};
use crate::config::{Clock, SwitchboardConfig};
use crate::dialplan::{Step, Target};
use crate::directory::{Directory, Extension, Gateway, Hop, OnLimit, Trunk, TrunkMedia};
use crate::health::Health;
use crate::identity::Introduction;
use crate::ids::Ids;
use crate::output::{CallId, Direction};
use crate::proven::Proof;
use crate::registrar::{Asked, Registrar, Registration};
use crate::tolls::Tolls;

/// One call among everything it may look at: extension 100 with two phones, 101 with none, 102 with one; the trunks `main` and `spare`.
pub(super) struct Bench {
    pub(super) call: Call,
    config: SwitchboardConfig,
    directory: Arc<Directory>,
    registrar: Registrar,
    usage: Usage,
    ids: Ids,
    tolls: Tolls,
    now: Instant,
    running: BTreeSet<CallTimer>,
}

impl Bench {
    /// A browser calls these targets.
    pub(super) fn from_agent(targets: &[Target]) -> Self {
        let party = Party::Extension { number: "103".to_owned(), agent: None };
        Self::new(party, CallerOffer::Given("a's offer".into()), targets)
    }

    /// A trunk calls these targets.
    pub(super) fn from_trunk(offer: CallerOffer, targets: &[Target]) -> Self {
        let (id, name) = ("trk_main".to_owned(), "main".to_owned());
        Self::new(Party::Trunk { id, name, number: "+15550001111".to_owned() }, offer, targets)
    }

    #[allow(clippy::disallowed_methods, reason = "a simulated clock starts somewhere")]
    fn new(party: Party, offer: CallerOffer, targets: &[Target]) -> Self {
        let (now, mut ids) = (Instant::now(), Ids::new([1; 32]));
        let caller = Leg::new(LegId(ids.next()), ids.random("leg_"), party, flow(9), Signal::Incoming);
        let facts = Facts {
            notes: Vec::new(),
            id: CallId("call_1".to_owned()),
            direction: Direction::Internal,
            from: "103".to_owned(),
            from_display: None,
            introduction: Introduction::default(),
            to: "100".to_owned(),
            assigned: None,
            callee_agent: None,
            max_forwards: 69,
            offer,
            started: now,
            ringing: None,
            answered: None,
            legs: vec![caller],
            outcome: None,
            reclaim: None,
            transfers: Vec::new(),
            participants: Vec::new(),
        };
        let step = |target: &Target| Step { target: target.clone(), timeout: Some(Duration::from_secs(20)) };
        Self {
            call: Call::new(facts, Ok(targets.iter().map(step).collect())),
            config: SwitchboardConfig::default(),
            directory: Arc::new(directory()),
            registrar: registrar(now),
            usage: Usage::default(),
            ids,
            tolls: Tolls::new(Clock { instant: now, system: SystemTime::UNIX_EPOCH }),
            now,
            running: BTreeSet::new(),
        }
    }

    /// Among trunks that want digits so.
    pub(super) fn with_dtmf(mut self, dtmf: media::Dtmf) -> Self {
        Arc::make_mut(&mut self.directory).trunks.values_mut().for_each(|trunk| trunk.media.dtmf = dtmf);
        self
    }

    pub(super) fn with_ptime(mut self, ptime: Duration) -> Self {
        Arc::make_mut(&mut self.directory).trunks.values_mut().for_each(|trunk| trunk.media.ptime = ptime);
        self
    }

    /// With these events behind it.
    pub(super) fn after(mut self, events: &[&str]) -> Self {
        for event in events {
            self.on(event);
        }
        self
    }

    /// Gives the call an event; what it wants done, but for stopped timers.
    pub(super) fn on(&mut self, event: &str) -> String {
        let event = self.event(event);
        if let CallEvent::Timer(timer) = &event {
            self.running.remove(timer);
        }
        let mut actions = Actions::new();
        let (config, directory, registrar) = (&self.config, &*self.directory, &self.registrar);
        let (usage, ids, now, tolls) = (&self.usage, &mut self.ids, self.now, &mut self.tolls);
        self.call.on(
            event,
            &mut Context {
                now,
                config,
                directory,
                registrar,
                health: &Health::default(),
                usage,
                occupied: &[],
                tolls,
                ids,
            },
            &mut actions,
        );
        actions.iter().filter_map(|action| self.words(action)).collect::<Vec<_>>().join(", ")
    }

    /// Where the call stands, and how it ended.
    pub(super) fn state(&self) -> String {
        let name = match &self.call.state {
            State::Routing(_) => "Routing",
            State::Ringing(_) => "Ringing",
            State::Answering(_) => "Answering",
            State::Connected(_) => "Connected",
            State::Transferring(_) => "Transferring",
            State::Conference(_) => "Conference",
            State::Consulting(_) => "Consulting",
            State::Ending(_) => "Ending",
            State::Over => "Over",
        };
        match &self.call.facts.outcome {
            Some(o) => format!("{name}: {:?} {} by {:?}", o.result, o.status, o.ended_by),
            None => name.to_owned(),
        }
    }

    /// A running timer belongs to the state.
    pub(super) fn assert_timers_fit(&self) {
        let allowed: &[CallTimer] = match &self.call.state {
            State::Routing(_) | State::Ringing(_) => &[CallTimer::Attempt, CallTimer::NoAnswer, CallTimer::Media],
            State::Answering(_) => &[CallTimer::Media],
            State::Connected(connected) if connected.replacing.is_some() => {
                &[CallTimer::Change, CallTimer::Farewell, CallTimer::Place]
            }
            State::Connected(_) => &[CallTimer::Change, CallTimer::Farewell],
            State::Transferring(_) | State::Consulting(_) => {
                &[CallTimer::Attempt, CallTimer::NoAnswer, CallTimer::Media, CallTimer::Change, CallTimer::Farewell]
            }
            State::Conference(_) => &[
                CallTimer::Attempt,
                CallTimer::NoAnswer,
                CallTimer::Media,
                CallTimer::Change,
                CallTimer::Place,
                CallTimer::Farewell,
            ],
            State::Ending(_) => &[CallTimer::Closing, CallTimer::Farewell],
            State::Over => &[],
        };
        let left: Vec<_> = self.running.iter().filter(|timer| !allowed.contains(timer)).collect();
        assert!(left.is_empty(), "{left:?} runs on in {}", self.state());
    }

    fn leg(&self, letter: &str) -> LegId {
        if letter == "n" {
            return LegId(1000);
        }
        let at = usize::from(letter.as_bytes()[0] - b'a');
        self.call.facts.legs[at].id
    }

    fn letter(&self, id: LegId) -> char {
        if self.is_newcomer(id) {
            return 'n';
        }
        let at = self.call.facts.legs.iter().position(|leg| leg.id == id).unwrap();
        char::from(b'a' + u8::try_from(at).unwrap())
    }

    /// `b 183 sdp`, `cancelled`, `a over` ... : see the tables.
    fn event(&self, text: &str) -> CallEvent {
        let words: Vec<&str> = text.split(' ').collect();
        match words.as_slice() {
            ["start"] => CallEvent::Start,
            ["cancelled"] => CallEvent::Cancelled { reasons: Vec::new() },
            ["ack"] => CallEvent::Confirmed { body: Vec::new() },
            ["ack", "sdp"] => CallEvent::Confirmed { body: b"a's answer".to_vec() },
            ["no-ack"] => CallEvent::NoAck { leg: self.leg("a") },
            ["hang-up"] => CallEvent::Hangup,
            ["timer", timer] => CallEvent::Timer(match *timer {
                "attempt" => CallTimer::Attempt,
                "no-answer" => CallTimer::NoAnswer,
                "media-timeout" => CallTimer::Media,
                "change-timeout" => CallTimer::Change,
                "place-timeout" => CallTimer::Place,
                "farewell" => CallTimer::Farewell,
                "closing" => CallTimer::Closing,
                other => panic!("no timer {other}"),
            }),
            [leg, "no-ack"] => CallEvent::NoAck { leg: self.leg(leg) },
            [leg, "lost"] => CallEvent::Lost { leg: self.leg(leg) },
            [
                leg,
                change @ ("offered" | "asked" | "withdrawn" | "acknowledged" | "accepted" | "modify-refused" | "held"
                | "resumed" | "confirmed"),
                rest @ ..,
            ] => CallEvent::Change { leg: self.leg(leg), change: change_event(change, rest == ["sdp"]) },
            [leg, "refers", target] => self.transfer(self.leg(leg), target, Some(7)),
            [leg, "is-had-transfer", target] => self.transfer(self.leg(leg), target, None),
            [leg, "asks", target] => self.consultation(self.leg(leg), target),
            [leg, "adds", target] => self.adding(self.leg(leg), target),
            ["dismiss", name] => CallEvent::Dismiss { name: self.name_of(name) },
            ["complete"] => CallEvent::Consult(Consult::Complete),
            ["cancel"] => CallEvent::Consult(Consult::Cancel),
            [leg, "is-replaced"] => self.replacement(self.leg(leg), Some("n's offer".into())),
            [leg, "is-replaced-offerless"] => self.replacement(self.leg(leg), None),
            [leg, "notified"] => CallEvent::Notified { leg: self.leg(leg) },
            [leg, "bye"] => CallEvent::Bye { leg: self.leg(leg), reasons: Vec::new() },
            [leg, "flow-lost"] => CallEvent::FlowLost { leg: self.leg(leg) },
            [leg, "over"] => CallEvent::SessionOver { leg: self.leg(leg) },
            [leg, "digit"] => CallEvent::Digit { leg: self.leg(leg), digit: '5', duration: Duration::from_millis(160) },
            [leg, "dial"] => {
                let (digits, duration) = ("12".to_owned(), Duration::from_millis(100));
                CallEvent::Dial { leg: self.leg(leg), digits, duration }
            }
            [leg, status, rest @ ..] if status.parse::<u16>().is_ok() => {
                self.response(self.leg(leg), status.parse().unwrap(), rest)
            }
            [leg, event] => CallEvent::Media { leg: self.leg(leg), event: media_event(self.leg(leg), event) },
            other => panic!("no event {other:?}"),
        }
    }

    /// A transfer to a phone with this number, to `trunks`, to `echo`, or to `nobody`; of whomever else is there.
    fn transfer(&self, transferor: LegId, target: &str, sequence: Option<u32>) -> CallEvent {
        let target = match target {
            "trunks" => Ok(trunks()),
            "echo" => Ok(Target::Echo),
            "nobody" => Err(Failure::new(404, "No rule matches.")),
            number => Ok(phones(number)),
        };
        let (transferee, meanwhile) = match self.call.transferee(transferor).unwrap() {
            Transferee::Other(other) => (other, Meanwhile::Ringing),
            Transferee::Place => (self.call.facts.leg(transferor).unwrap(), Meanwhile::Talk),
        };
        let seeker = Seeker {
            leg: transferee.id,
            transferor: Some(transferor),
            meanwhile,
            number: transferee.party.shown().to_owned(),
            display: None,
            agent: None,
            dialled: "wherever".to_owned(),
            assigned: None,
            referred_by: None,
        };
        let steps = target.map(|target| vec![Step { target, timeout: Some(Duration::from_secs(20)) }]);
        CallEvent::Transfer(Box::new(Transfer {
            id: "trf_1".to_owned(),
            mode: crate::output::TransferMode::Blind,
            transferor,
            sequence,
            seeker,
            steps,
        }))
    }

    /// As a transfer, but the target is asked first.
    fn consultation(&self, asking: LegId, target: &str) -> CallEvent {
        let CallEvent::Transfer(transfer) = self.transfer(asking, target, None) else { panic!("no transfer") };
        let Transfer { id, seeker: waiting, steps, .. } = *transfer;
        let agent = Seeker { leg: asking, number: "103".to_owned(), ..waiting.clone() };
        CallEvent::Consult(Consult::Begin(Box::new(Consultation { id, agent, waiting, steps })))
    }

    /// Somebody who is to join, called `leg_third`.
    fn adding(&self, by: LegId, target: &str) -> CallEvent {
        self.call.check_open_to(by, 1, 8).unwrap();
        let CallEvent::Consult(Consult::Begin(asked)) = self.consultation(by, target) else { unreachable!() };
        let seeker = Seeker { leg: by, meanwhile: Meanwhile::Talk, ..asked.agent };
        let (name, whom) = ("leg_third".to_owned(), Whom::Called(asked.steps));
        CallEvent::Add(Box::new(Adding { name, seeker, whom }))
    }

    /// A leg's name by its letter, or that of whoever is asked to join.
    fn name_of(&self, name: &str) -> String {
        if name == "third" {
            return "leg_third".to_owned();
        }
        self.call.facts.leg(self.leg(name)).unwrap().name.clone()
    }

    /// An INVITE that wants a leg's place, from the same party.
    fn replacement(&self, old: LegId, offer: Option<bytes::Bytes>) -> CallEvent {
        self.call.check_replaceable(old).unwrap();
        let party = self.call.facts.leg(old).unwrap().party.clone();
        let new = Leg::new(LegId(1000), "leg_new".to_owned(), party, flow(7), Signal::Incoming);
        CallEvent::Replace(Box::new(Replacement { old, new, offer }))
    }

    fn response(&self, leg: LegId, status: u16, rest: &[&str]) -> CallEvent {
        let status = StatusCode::new(status).unwrap();
        let body = if rest == ["sdp"] { format!("{}'s answer", self.letter(leg)) } else { String::new() };
        let reason = status.reason_phrase().to_owned();
        let response = Response { status, reason, headers: Headers::new(), body: body.into() };
        match status.class() {
            1 => CallEvent::Progress { leg, response },
            2 => CallEvent::Answered { leg, response },
            _ => CallEvent::Refused { leg, response, local: rest == ["local"] },
        }
    }

    fn is_newcomer(&self, leg: LegId) -> bool {
        leg == LegId(1000)
    }

    fn words(&mut self, action: &Action) -> Option<String> {
        let q850 = |reasons: &[String]| reasons.first().map_or(String::new(), |text| cause(text));
        let reason = |reason: &Option<sip::Reason>| reason.as_ref().map_or(String::new(), |r| cause(&r.to_string()));
        Some(match action {
            Action::Invite { leg, .. } => format!("INVITE {}", self.letter(*leg)),
            Action::AnswerOffer { leg, tag, .. } => format!("answer to {}{tag}", self.letter(*leg)),
            Action::Progress { status, sdp, .. } => {
                format!("{}{}", status.code(), if sdp.is_some() { " sdp" } else { "" })
            }
            Action::Accept { leg, .. } if self.is_newcomer(*leg) => format!("200 to {}", self.letter(*leg)),
            Action::Accept { .. } => "200".to_owned(),
            Action::Reject { leg, status, .. } if self.is_newcomer(*leg) => {
                format!("{} to {}", status.code(), self.letter(*leg))
            }
            Action::Reject { status, reasons, .. } => format!("{}{}", status.code(), q850(reasons)),
            Action::Respond { leg, status, sdp, .. } => {
                format!("{} to {}{}", status.code(), self.letter(*leg), if sdp.is_some() { " sdp" } else { "" })
            }
            Action::Notify { leg, report } => {
                let last = if report.last { " at last" } else { "" };
                format!("NOTIFY {} {}{last}", self.letter(*leg), report.status.code())
            }
            Action::Modify { leg, .. } => format!("re-INVITE {}", self.letter(*leg)),
            Action::TakeBack { leg } => format!("take back {}", self.letter(*leg)),
            Action::Cancel { leg, reason: why } => format!("CANCEL {}{}", self.letter(*leg), reason(why)),
            Action::Bye { leg, reason: why } => format!("BYE {}{}", self.letter(*leg), reason(why)),
            Action::Inform { leg, digit, .. } => format!("INFO {digit} to {}", self.letter(*leg)),
            Action::Media(command) => self.media_words(command),
            Action::SetTimer(timer, after) => {
                self.running.insert(*timer);
                format!("{timer:?} {}s", after.as_secs())
            }
            Action::ClearTimer(timer) => {
                self.running.remove(timer);
                return None;
            }
        })
    }

    fn media_words(&self, command: &Command) -> String {
        let letter = |session: &media::MediaSessionId| self.letter(LegId(session.0));
        match command {
            Command::Open { session, .. } => format!("open {}", letter(session)),
            Command::CreateOffer { session, .. } => format!("offer to {}", letter(session)),
            Command::HandleOffer { session, .. } => format!("answer {}", letter(session)),
            Command::HandleAnswer { session, .. } => format!("take {}", letter(session)),
            Command::Adopt { session } => format!("adopt {}", letter(session)),
            Command::Hold { session, hold } => format!("{} {}", if *hold { "hold" } else { "resume" }, letter(session)),
            Command::Bridge { a, b } => format!("bridge {} {}", letter(a), letter(b)),
            Command::Echo { session } => format!("echo {}", letter(session)),
            Command::Mix { session, mix } => format!("mix {} into {}", letter(session), mix.0),
            Command::Ringback { session } => format!("ringback to {}", letter(session)),
            Command::Music { session } => format!("music to {}", letter(session)),
            Command::SetPacketTime { session, ptime } => format!("packets of {} {ptime:?}", letter(session)),
            Command::SetDtmf { session, dtmf } => format!("digits of {} {dtmf:?}", letter(session)),
            Command::PressDigit { session, digit, .. } => format!("digit {digit} of {}", letter(session)),
            Command::SendDigits { session, digits, .. } => format!("digit {digits} to {}", letter(session)),
            Command::Close { session } => format!("close {}", letter(session)),
        }
    }
}

/// An event's kind, as listed in `EVENTS`.
pub(super) fn kind(event: &str) -> &str {
    let words: Vec<&str> = event.split(' ').collect();
    match words.as_slice() {
        ["ack", ..] => "confirmed",
        ["timer", timer] => timer,
        [_, status, ..] if status.parse::<u16>().is_ok() => match status.as_bytes()[0] {
            b'1' => "progress",
            b'2' => "answered",
            _ => "refused",
        },
        [_, kind] | [_, kind, "sdp"] | [kind] => kind,
        other => panic!("no event {other:?}"),
    }
}

/// What happens to the one change of these tables.
fn change_event(change: &str, has_sdp: bool) -> Change {
    let request = RequestId(1);
    let body = if has_sdp { "theirs" } else { "" };
    match change {
        "offered" => Change::Offered { request, sdp: Some("theirs".into()) },
        "confirmed" => Change::Confirmed { body: body.into() },
        "asked" => Change::Offered { request, sdp: None },
        "withdrawn" => Change::Withdrawn { request },
        "acknowledged" => Change::Acknowledged { body: body.into() },
        "accepted" => {
            let (status, headers) = (StatusCode::OK, Headers::new());
            Change::Accepted { response: Response { status, reason: String::new(), headers, body: body.into() } }
        }
        "modify-refused" => Change::Refused,
        "held" => Change::Held { hold: true },
        "resumed" => Change::Held { hold: false },
        other => panic!("no change {other}"),
    }
}

fn media_event(leg: LegId, event: &str) -> media::Event {
    let session = leg.media();
    let reason = "chance".to_owned();
    match event {
        "described" => media::Event::LocalDescription { session, sdp: b"ours".to_vec(), codec: None },
        "negotiated" => media::Event::Negotiated { session, codec: Codec::Pcmu },
        "rejected" => media::Event::Rejected { session, reason },
        "failed" => media::Event::Failed { session, reason },
        "changed" => media::Event::Changed { session, state: media::MediaState::default() },
        "connected" => media::Event::Connected { session, peer: flow(1).peer },
        "media-digit" => media::Event::Digit { session, digit: '5', duration: Duration::from_millis(160) },
        "silent" => media::Event::Silent { session },
        "closed" => media::Event::Closed { session, statistics: Statistics::default() },
        other => panic!("no event {other}"),
    }
}

/// ` SIP 200` of `SIP;cause=200;text="Call completed elsewhere"`.
fn cause(reason: &str) -> String {
    let reason = sip::Reason::parse(reason).unwrap();
    format!(" {} {}", reason.protocol, reason.cause.unwrap())
}

fn flow(connection: u8) -> Flow {
    let peer = SocketAddr::from(([192, 0, 2, connection], 5000));
    Flow { transport: Transport::Wss, peer, connection: Some(ConnectionId(connection.into())), tls: None }
}

fn registrar(now: Instant) -> Registrar {
    let mut registrar = Registrar::default();
    for (extension, connection) in [("100", 1), ("100", 2), ("102", 3)] {
        let address = NameAddr::parse(&format!("<sip:p{connection}@x.invalid>")).unwrap();
        let contact = Contact { address };
        let registration = Registration {
            extension,
            proof: &Proof::some(extension),
            max_contacts: 2,
            on_limit: OnLimit::Reject,
            flow: flow(connection),
            call_id: "c",
            cseq: 1,
            user_agent: None,
            asked: Asked::Contacts(vec![(&contact, Duration::from_secs(600))]),
        };
        registrar.register(now, &registration, || format!("reg_{connection}")).unwrap();
    }
    registrar
}

fn directory() -> Directory {
    let mut directory = Directory { realm: "phone.example.com".to_owned(), ..Directory::default() };
    for number in ["100", "101", "102", "103"] {
        let extension = Extension {
            id: format!("ext_{number}"),
            number: number.to_owned(),
            agent_id: None,
            ring_timeout: Duration::from_secs(30),
            max_contacts: 2,
            on_limit: OnLimit::Reject,
            codecs: vec![Codec::Opus],
        };
        directory.extensions.insert(number.to_owned(), extension);
    }
    for (name, last) in [("main", 1), ("spare", 2)] {
        let gateway = Gateway {
            host: format!("{name}.carrier.example"),
            transport: Some(Transport::Udp),
            hops: vec![Hop::new(Transport::Udp, SocketAddr::from(([198, 51, 100, last], 5060)))],
            priority: 1,
            weight: 1,
        };
        let trunk = Trunk {
            id: format!("trk_{name}"),
            name: name.to_owned(),
            enabled: true,
            gateways: vec![gateway],
            media: TrunkMedia { codecs: vec![Codec::Pcmu], ptime: Duration::from_millis(20), ..TrunkMedia::default() },
            ..Trunk::default()
        };
        directory.trunks.insert(trunk.id.clone(), trunk);
    }
    directory
}

pub(super) fn phones(number: &str) -> Target {
    Target::Extension(number.to_owned())
}

pub(super) fn trunks() -> Target {
    let names = vec!["main".to_owned(), "spare".to_owned()];
    Target::Trunks { names, number: "+15551234567".to_owned() }
}
