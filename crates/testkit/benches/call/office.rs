//! An office of agents with browsers, and a carrier, around one switchboard; media is played by shards that tell what real ones do. What
//! the switchboard does is measured, and nothing else: what it is given lies ready, and what it gives is dealt with afterwards.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bench::{Meter, descriptions};
use bytes::Bytes;
use media::{Codec, Command, Event, Hears, Keying, MediaSessionId, MediaState, Milestone, Statistics};
use sip::{ConnectionId, Flow, Response, SessionEvent, SessionId, StatusCode, Transport};
use switchboard::{Clock, Dialplan, Number, Output, ShardIndex, Switchboard, SwitchboardConfig};
use testkit::{Heard, Peer, REALM, directory};

const CARRIER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 5060);
const OURS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), 5060);

/// Longer than any transaction is remembered (RFC 3261 §17, timers H to K).
const FORGOTTEN: Duration = Duration::from_secs(40);

const DIALPLAN: &str = include_str!("../../../../dialplan/00-default.toml");

pub(crate) struct Office {
    now: Instant,
    switchboard: Switchboard,
    browsers: Vec<Peer>,
    carrier: Peer,
    /// Agents by their browsers' addresses.
    places: HashMap<SocketAddr, usize>,
    keyings: HashMap<MediaSessionId, Keying>,
    told: Vec<(ShardIndex, Event)>,
    outputs: Vec<Output>,
    ended: usize,
}

impl Office {
    /// So many agents, all registered over WSS, each with a number at the carrier.
    pub(crate) fn new(agents: usize) -> Self {
        let now = Instant::now();
        let mut directory = directory();
        let (agent, extension) = (directory.agents["agt_100"].clone(), directory.extensions["100"].clone());
        let mut browsers = Vec::new();
        for place in 0..agents {
            let (number, id) = (user(place), format!("agt_{}", user(place)));
            directory.agents.insert(id.clone(), switchboard::Agent { id: id.clone(), ..agent.clone() });
            let ha1 = sip::Ha1::new(&number, REALM, &secret(place));
            let credential = switchboard::Credential {
                id: format!("crd_{number}"),
                username: number.clone(),
                extension: number.clone(),
                ha1,
            };
            directory.credentials.insert(number.clone(), credential);
            let of_agent = switchboard::Extension {
                id: format!("ext_{number}"),
                number: number.clone(),
                agent_id: Some(id),
                ..extension.clone()
            };
            directory.extensions.insert(number.clone(), of_agent);
            let e164 = outside(place);
            let assigned = Number {
                id: format!("num_{number}"),
                e164: e164.clone(),
                trunk_id: "trk_main".to_owned(),
                extension: Some(number),
            };
            directory.numbers.insert(e164, assigned);
            browsers.push(browser(place));
        }
        let plan = Dialplan::parse(&[("00-default.toml".to_owned(), DIALPLAN.to_owned())]).unwrap();
        let clock = Clock { instant: now, system: SystemTime::UNIX_EPOCH };
        let config = SwitchboardConfig { max_calls: agents.max(2000), ..SwitchboardConfig::default() };
        let mut office = Self {
            now,
            switchboard: Switchboard::new(config, clock, [7; 32], Arc::new(directory), Arc::new(plan)),
            places: browsers.iter().map(|peer| peer.from_switchboard.peer).zip(0..).collect(),
            browsers,
            carrier: peer(Transport::Udp, CARRIER, None, 1),
            keyings: HashMap::new(),
            told: Vec::new(),
            // No part of the cost is to make room for what is measured.
            outputs: Vec::with_capacity(agents * 64),
            ended: 0,
        };
        office.register();
        office
    }

    fn register(&mut self) {
        let idle = &mut Meter::idle();
        for challenged in [false, true] {
            for (place, browser) in self.browsers.iter_mut().enumerate() {
                let contact = format!("<sip:{}@b{place}.invalid;transport=ws>", user(place));
                let challenge = browser.heard.pop().filter(|_| challenged).map(|heard| response(&heard));
                let secret = secret(place);
                let answering = challenge.as_ref().map(|challenge| (challenge, &*secret));
                browser.register(self.now, &user(place), &contact, 3600, answering);
            }
            self.settle(idle);
        }
        assert_eq!(self.switchboard.binding_count(), self.browsers.len());
    }

    /// Each agent calls a number outside, talks and hangs up, all at once; gives how many did.
    pub(crate) fn call_outside(&mut self, meter: &mut Meter) -> usize {
        self.ended = 0;
        let offer = descriptions::browser("actpass");
        let to = format!("sip:+4989123456@{REALM}");
        let from = |place: usize| format!("sip:{}@{REALM}", user(place));
        for (place, browser) in self.browsers.iter_mut().enumerate() {
            browser.heard.clear();
            browser.invite(self.now, &from(place), &to, Some(&offer), None);
        }
        self.settle(meter);
        let mut sessions = Vec::new();
        for (place, browser) in self.browsers.iter_mut().enumerate() {
            let challenge = refusal(&browser.heard);
            let answering = Some((&challenge, &*secret(place)));
            sessions.push(browser.invite(self.now, &from(place), &to, Some(&offer), answering));
        }
        self.settle(meter);
        self.answer_at_carrier(meter);
        for (session, browser) in sessions.into_iter().zip(&mut self.browsers) {
            assert!(is_answered(browser, session), "the call is not answered");
            browser.endpoint.bye(self.now, session, None);
        }
        self.finish(meter)
    }

    /// Each agent is called from outside, talks and is hung up on, all at once; gives how many were.
    pub(crate) fn be_called(&mut self, meter: &mut Meter) -> usize {
        self.ended = 0;
        let offer = descriptions::trunk();
        let mut sessions = Vec::new();
        self.carrier.heard.clear();
        for place in 0..self.browsers.len() {
            self.browsers[place].heard.clear();
            let to = format!("sip:{}@203.0.113.1", outside(place));
            sessions.push(self.carrier.invite(self.now, "sip:+4989123456@198.51.100.1", &to, Some(&offer), None));
        }
        self.settle(meter);
        let answer = descriptions::browser("active");
        for (status, sdp) in [(StatusCode::RINGING, None), (StatusCode::OK, Some(&*answer))] {
            for browser in &mut self.browsers {
                let invited = invited(browser).expect("an INVITE");
                let draft = browser.draft(status, sdp);
                respond(browser, self.now, invited, draft);
            }
            self.settle(meter);
        }
        for session in sessions {
            assert!(is_answered(&self.carrier, session), "the call is not answered");
            self.carrier.endpoint.bye(self.now, session, None);
        }
        self.finish(meter)
    }

    fn answer_at_carrier(&mut self, meter: &mut Meter) {
        let answer = descriptions::trunk();
        let asked: Vec<SessionId> =
            self.carrier.heard.drain(..).filter_map(|heard| session_of_invite(&heard)).collect();
        assert_eq!(asked.len(), self.browsers.len(), "all calls have got out");
        for (status, sdp) in [(StatusCode::RINGING, None), (StatusCode::OK, Some(&*answer))] {
            for session in &asked {
                let draft = self.carrier.draft(status, sdp);
                respond(&mut self.carrier, self.now, *session, draft);
            }
            self.settle(meter);
        }
    }

    /// Waits until nothing is remembered of the calls: that belongs to what they cost.
    fn finish(&mut self, meter: &mut Meter) -> usize {
        self.settle(meter);
        self.now += FORGOTTEN;
        let (now, outputs) = (self.now, &mut self.outputs);
        meter.measure(|| {
            self.switchboard.handle_timeout(now);
            outputs.extend(std::iter::from_fn(|| self.switchboard.poll_output()));
        });
        for peer in self.browsers.iter_mut().chain([&mut self.carrier]) {
            peer.endpoint.handle_timeout(now);
        }
        self.settle(meter);
        assert_eq!((self.switchboard.call_count(), self.switchboard.session_count()), (0, 0));
        assert_eq!(self.ended, self.browsers.len(), "each call has its record");
        self.ended
    }

    /// Delivers everything until nobody has anything to say. Time stands still.
    fn settle(&mut self, meter: &mut Meter) {
        loop {
            for output in std::mem::take(&mut self.outputs).drain(..) {
                self.carry_out(output);
            }
            let mut said: Vec<(Flow, Bytes)> = Vec::new();
            for peer in self.browsers.iter_mut().chain([&mut self.carrier]) {
                peer.listen(self.now);
                said.extend(
                    std::iter::from_fn(|| peer.endpoint.poll_transmit()).map(|t| (peer.from_switchboard, t.bytes)),
                );
            }
            let told = std::mem::take(&mut self.told);
            if said.is_empty() && told.is_empty() {
                return;
            }
            let mut outputs = Vec::with_capacity(64 * (said.len() + told.len()));
            let (now, switchboard) = (self.now, &mut self.switchboard);
            meter.measure(|| {
                for (flow, bytes) in &said {
                    switchboard.handle_message(now, *flow, bytes);
                    outputs.extend(std::iter::from_fn(|| switchboard.poll_output()));
                }
                for (shard, event) in told {
                    switchboard.handle_media(now, shard, event);
                    outputs.extend(std::iter::from_fn(|| switchboard.poll_output()));
                }
            });
            self.outputs = outputs;
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Transmit(transmit) => {
                let to = transmit.flow.peer;
                let peer = match self.places.get(&to) {
                    Some(place) => &mut self.browsers[*place],
                    None => &mut self.carrier,
                };
                peer.endpoint.handle_message(self.now, peer.to_switchboard, &transmit.bytes);
            }
            Output::Media { shard, command } => self.play_shard(shard, command),
            Output::CallEnded(_) => self.ended += 1,
            Output::CallChanged(_)
            | Output::Noted { .. }
            | Output::BindingsChanged { .. }
            | Output::TrunkRegistration { .. }
            | Output::Alarm(_)
            | Output::GatewayHealth { .. }
            | Output::CloseConnection(_) => {}
        }
    }

    fn play_shard(&mut self, shard: ShardIndex, command: Command) {
        let described = |session, keying: &Keying, codec| {
            let sdp = if *keying == Keying::DtlsSrtp { descriptions::to_browser() } else { descriptions::to_trunk() };
            Event::LocalDescription { session, sdp, codec }
        };
        let agreed = |session, codec| self.milestone(session, Milestone::Agreed { codec, remote: CARRIER });
        let events = match command {
            Command::Open { session, keying, .. } => {
                self.keyings.insert(session, keying);
                return;
            }
            Command::CreateOffer { session, .. } => vec![described(session, &self.keyings[&session], None)],
            Command::HandleOffer { session, .. } => {
                let codec = self.codec(session);
                vec![agreed(session, codec), described(session, &self.keyings[&session], Some(codec))]
            }
            Command::HandleAnswer { session, .. } => {
                let codec = self.codec(session);
                vec![agreed(session, codec), Event::Negotiated { session, codec }]
            }
            Command::Bridge { a, b } => [a, b].into_iter().flat_map(|session| self.talking(session)).collect(),
            Command::Close { session } => {
                self.keyings.remove(&session);
                vec![Event::Closed { session, statistics: Statistics::default() }]
            }
            Command::Adopt { .. }
            | Command::Hold { .. }
            | Command::Echo { .. }
            | Command::Mix { .. }
            | Command::Ringback { .. }
            | Command::Music { .. }
            | Command::SetDtmf { .. }
            | Command::SetPacketTime { .. }
            | Command::PressDigit { .. }
            | Command::SendDigits { .. } => return,
        };
        self.told.extend(events.into_iter().map(|event| (shard, event)));
    }

    /// What a shard tells until a session's media flows.
    fn talking(&self, session: MediaSessionId) -> Vec<Event> {
        let mut events = Vec::new();
        if self.keyings[&session] == Keying::DtlsSrtp {
            events.push(self.milestone(session, Milestone::PathValidated { peer: CARRIER }));
            events.push(self.milestone(session, Milestone::DtlsStarted));
        }
        let state = MediaState { hears: Hears::Party, ..MediaState::default() };
        events.extend([
            Event::Connected { session, peer: CARRIER },
            Event::Changed { session, state },
            self.milestone(session, Milestone::FirstReceived),
            self.milestone(session, Milestone::FirstSent),
        ]);
        events
    }

    fn milestone(&self, session: MediaSessionId, milestone: Milestone) -> Event {
        Event::Milestone { session, at: self.now, milestone }
    }

    fn codec(&self, session: MediaSessionId) -> Codec {
        if self.keyings[&session] == Keying::DtlsSrtp { Codec::Opus } else { Codec::Pcma }
    }
}

fn user(place: usize) -> String {
    (20_000 + place).to_string()
}

fn secret(place: usize) -> String {
    format!("secret-{place}")
}

fn outside(place: usize) -> String {
    format!("+4930{}", 1_000_000 + place)
}

fn peer(transport: Transport, address: SocketAddr, connection: Option<ConnectionId>, seed: usize) -> Peer {
    let mut seeds = [0; 32];
    seeds[..8].copy_from_slice(&(seed as u64).to_le_bytes());
    let to = Flow { transport, peer: OURS, connection, tls: None };
    Peer::new(to, Flow { transport, peer: address, connection, tls: None }, seeds)
}

/// A page that phones with SIP.js.
fn browser(place: usize) -> Peer {
    let host = u32::from(Ipv4Addr::new(10, 0, 0, 0)) + u32::try_from(place).unwrap();
    let address = SocketAddr::from((Ipv4Addr::from(host), 50_000));
    let mut browser = peer(Transport::Wss, address, Some(ConnectionId(place as u64 + 1)), place + 2);
    browser.headers.push(("User-Agent".to_owned(), "SIP.js/0.21.2".to_owned()));
    browser
}

fn response(heard: &Heard) -> Response {
    match heard {
        Heard::Response(_, response) => response.clone(),
        Heard::Invite(..) | Heard::Session(..) => panic!("no response: {heard:?}"),
    }
}

fn refusal(heard: &[Heard]) -> Response {
    let refused = heard.iter().find_map(|heard| match heard {
        Heard::Session(_, SessionEvent::Refused { response, .. }) => Some(response.clone()),
        Heard::Session(..) | Heard::Invite(..) | Heard::Response(..) => None,
    });
    refused.expect("a challenge")
}

fn session_of_invite(heard: &Heard) -> Option<SessionId> {
    match heard {
        Heard::Invite(session, _) => Some(*session),
        Heard::Session(..) | Heard::Response(..) => None,
    }
}

fn invited(peer: &Peer) -> Option<SessionId> {
    peer.heard.iter().find_map(session_of_invite)
}

fn is_answered(peer: &Peer, session: SessionId) -> bool {
    peer.heard.iter().any(|heard| match heard {
        Heard::Session(of, event) => *of == session && matches!(event, SessionEvent::Answered { .. }),
        Heard::Invite(..) | Heard::Response(..) => false,
    })
}

fn respond(peer: &mut Peer, now: Instant, session: SessionId, draft: sip::ResponseDraft) {
    if draft.status.is_provisional() {
        peer.endpoint.progress(now, session, draft);
    } else {
        peer.endpoint.accept(now, session, draft);
    }
}
