//! Whatever happens, in whatever order: each call has one record, each opened media session one Close, each INVITE one answer, and
//! nothing is left that would stand in the way of the next call.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use media::{Command, MediaSessionId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sip::{ConnectionId, Flow, Message, Reliability, Response, SessionId, StatusCode, Transport};
use switchboard::{CallState, Directory, Operator, ParticipantState, ShardIndex, TransferMode, TransferTarget};
use testkit::{Heard, MediaScript, Simulation};

const SCRIPTS: [MediaScript; 8] = [
    MediaScript::Works,
    MediaScript::Works,
    MediaScript::Slow,
    MediaScript::Slow,
    MediaScript::RejectsOffers,
    MediaScript::RejectsAnswers,
    MediaScript::Mute,
    MediaScript::Dead,
];
const ANSWERS: [u16; 10] = [180, 183, 200, 200, 404, 480, 486, 500, 503, 603];
/// Whom calls are handed on to: the echo test, phones, trunks, nobody.
const TARGETS: [&str; 6] = ["9196", "100", "101", "102", "+15557654321", "777"];
const INSIDE: [&str; 6] = ["INFO", "UPDATE", "INVITE", "REFER", "BYE", "OPTIONS"];
/// Tags of branches that an INVITE has beside the one that its trunk is.
const FORKS: [&str; 3] = ["left", "middle", "right"];
const RELIABILITIES: [Reliability; 4] =
    [Reliability::Off, Reliability::Supported, Reliability::Supported, Reliability::Required];
const USERS: [&str; 4] = ["100", "100", "101", "102"];

/// One run.
struct Chaos {
    random: StdRng,
    simulation: Simulation,
    browsers: Vec<SocketAddr>,
    trunks: [SocketAddr; 2],
    sessions: Vec<(SocketAddr, SessionId)>,
    connections: u64,
    /// How often somebody was seen in a conference.
    conferences: u64,
    /// How often a consultation was completed or cancelled.
    consultations: u64,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let session_expires = Duration::from_secs([0, 90, 1800][random.random_range(0..3)]);
        // In half of the runs an agent may have several calls, and trunks have room for them.
        let mut simulation = Simulation::with(crate::PLAN, |config, directory| {
            restore(config, directory);
            if seed.is_multiple_of(2) {
                directory.agents.values_mut().for_each(|agent| agent.max_concurrent_calls = 0);
                directory.trunks.values_mut().for_each(|trunk| trunk.limits.max_channels = 4);
            }
            config.session_expires = session_expires;
            config.shards = 1 + usize::try_from(seed % 5).unwrap();
        });
        let browsers: Vec<SocketAddr> = (1..=4).map(|number| simulation.browser(number)).collect();
        let trunks = [simulation.gateway(1), simulation.gateway(2)];
        for peer in browsers.iter().chain(&trunks) {
            simulation.peer(*peer).session_expires =
                [None, Some(90), Some(300)][random.random_range(0..3)].map(Duration::from_secs);
            simulation.peer(*peer).reliability = RELIABILITIES[random.random_range(0..RELIABILITIES.len())];
        }
        let mut chaos = Self {
            random,
            simulation,
            browsers,
            trunks,
            sessions: Vec::new(),
            connections: 100,
            conferences: 0,
            consultations: 0,
        };
        for at in 0..chaos.browsers.len() {
            chaos.register_again(at);
        }
        chaos.simulation.settle();
        // A third of the runs lose nothing, a third some of it, a third nearly everything.
        let loss = [0.0, 0.15, 0.6][usize::try_from(seed % 3).unwrap()];
        let mut luck = StdRng::seed_from_u64(chaos.random.random());
        chaos.simulation.loses = Box::new(move |_, _| loss > 0.0 && luck.random_bool(loss));
        chaos
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.random_range(0..from.len())]
    }

    fn step(&mut self) {
        match self.random.random_range(0..54) {
            0 => self.simulation.script = self.pick(&SCRIPTS),
            1 | 2 => self.call_out(),
            3 | 4 => self.call_in(),
            5 => self.simulation.pass(Duration::from_millis(self.random.random_range(0..40_000))),
            // Refreshes fall due, are answered or not, and sessions expire.
            29 => self.simulation.pass(Duration::from_secs(self.random.random_range(30..200))),
            6 | 13 => self.simulation.shards_catch_up(),
            7 => self.lose_flow(),
            8 => self.tell_media(),
            9 => {
                let change = CHANGES[self.random.random_range(0..CHANGES.len())];
                self.simulation.change(change);
            }
            14 => self.simulation.change(|directory| *directory = fresh()),
            10 => self.ask_inside(),
            15 | 16 => self.change_media(),
            17 | 18 => self.answer_change(),
            19 => self.operator_holds(),
            21..=23 => self.refer(),
            30 | 31 => self.take_over(),
            24 => self.operator_transfers(),
            32..=35 => self.operator_adds(),
            36 => self.operator_dismisses(),
            43..=45 => self.consult(),
            46 | 47 => self.operator_settles(),
            25 | 27 | 28 => self.talk(),
            26 => self.dial(),
            37 | 38 => self.reclaim(),
            48 | 49 => self.meet(),
            50 | 51 => self.fork(),
            52 => self.call_into_forks(),
            53 => self.update_early(),
            11 if self.random.random_bool(0.3) => {
                let call = self.simulation.views.last().map(|view| view.id.clone());
                let now = self.simulation.now;
                // An ended call's id is unknown by now, which is an answer too.
                call.map(|call| self.simulation.switchboard.handle_operator(now, Operator::Hangup { call }).ok());
            }
            12 if self.random.random_bool(0.05) => {
                self.simulation.switchboard.handle_operator(self.simulation.now, Operator::Drain).unwrap();
            }
            _ if !self.sessions.is_empty() => self.disturb(),
            _ => {}
        }
        self.simulation.settle();
        self.assert_nobody_is_left_alone();
        for peer in self.browsers.iter().chain(&self.trunks) {
            for (session, _) in self.simulation.invites(*peer) {
                if !self.sessions.contains(&(*peer, session)) {
                    self.sessions.push((*peer, session));
                }
            }
        }
    }

    fn call_out(&mut self) {
        let at = self.random.random_range(0..self.browsers.len());
        let to = self.pick(&["9196", "100", "101", "+15551234567", "+15551234567"]);
        self.call_from(at, to);
    }

    fn call_from(&mut self, at: usize, to: &str) {
        let (browser, user) = (self.browsers[at], USERS[at]);
        let (from, to) = (format!("sip:{user}@{}", testkit::REALM), format!("sip:{to}@{}", testkit::REALM));
        let sdp = self.random.random_bool(0.8).then_some("v=0");
        let now = self.simulation.now;
        let first = self.simulation.peer(browser).invite(now, &from, &to, sdp, None);
        self.simulation.settle();
        if let Some(challenge) = self.simulation.refusal(browser, first) {
            let secret = format!("secret-{user}");
            let answering = Some((&challenge, secret.as_str()));
            let session = self.simulation.peer(browser).invite(now, &from, &to, sdp, answering);
            self.sessions.push((browser, session));
        }
    }

    /// Somebody calls, and whoever rings then picks up.
    fn talk(&mut self) {
        if self.random.random_bool(0.5) {
            self.call_out()
        } else {
            self.call_in()
        }
        self.pick_up();
    }

    fn pick_up(&mut self) {
        self.simulation.settle();
        for peer in self.browsers.clone().into_iter().chain(self.trunks) {
            if let Some((session, _)) = self.simulation.invites(peer).pop() {
                self.simulation.answer(peer, session, StatusCode::OK, Some("v=0 picked up"));
            }
        }
    }

    /// Two agents, each in a call of its own, talk to each other; then one of them may join whom it has.
    fn meet(&mut self) {
        self.simulation.script = MediaScript::Works;
        self.simulation.shards_catch_up();
        self.simulation.change(|directory| {
            *directory = fresh();
            directory.agents.values_mut().for_each(|agent| agent.max_concurrent_calls = 0);
            directory.trunks.values_mut().for_each(|trunk| trunk.limits.max_channels = 0);
        });
        for (at, to) in [(1, "+15551234567"), (2, "+15551234567"), (2, "100")] {
            self.call_from(at, to);
            // What is lost is sent again.
            self.simulation.pass(Duration::from_secs(1));
            self.pick_up();
        }
        match self.random.random_range(0..4) {
            0 => {}
            1 => self.operator_transfers(),
            _ => {
                // The one who is called has its other call where it called itself.
                let agents = [1, 0].map(|at| self.browsers[at]);
                agents.into_iter().any(|agent| self.joins(agent));
            }
        }
    }

    /// Has an agent's two latest calls joined; whether it has two.
    fn joins(&mut self, agent: SocketAddr) -> bool {
        let sessions = self.sessions_of(agent);
        let mut dialogs = sessions
            .iter()
            .filter_map(|session| Some((*session, self.simulation.peer(agent).endpoint.replaces(*session)?)));
        let (Some((first, _)), Some((_, dialog))) = (dialogs.next(), dialogs.next()) else { return false };
        let dialog = dialog.to_string().replace(';', "%3B").replace('=', "%3D");
        let refer_to = format!("<sip:x@{}?Replaces={dialog}>", testkit::REALM);
        let headers = vec![("Refer-To".to_owned(), refer_to)];
        let asked = sip::InsideRequest { method: sip::Method::Refer, headers, body: None };
        let now = self.simulation.now;
        self.simulation.peer(agent).endpoint.ask(now, first, asked).is_some()
    }

    /// The sessions of a peer, the latest first.
    fn sessions_of(&mut self, peer: SocketAddr) -> Vec<SessionId> {
        let called = self.simulation.invites(peer).into_iter().map(|(session, _)| session);
        let mine = self.sessions.iter().filter(|(owner, _)| *owner == peer).map(|(_, session)| *session);
        let mut all: Vec<SessionId> = called.chain(mine).collect();
        all.sort_unstable();
        all.dedup();
        all.reverse();
        all
    }

    fn call_in(&mut self) {
        let (now, trunk) = (self.simulation.now, self.pick(&self.trunks.clone()));
        let sdp = self.random.random_bool(0.8).then_some("v=0");
        let to = "sip:+493011100@203.0.113.1";
        let session = self.simulation.peer(trunk).invite(now, "sip:+1555000111@x.example", to, sdp, None);
        self.sessions.push((trunk, session));
    }

    /// Somebody calls a trunk, several branches of which then say something.
    fn call_into_forks(&mut self) {
        let at = self.random.random_range(0..self.browsers.len());
        self.call_from(at, "+15551234567");
        for _ in 0..4 {
            self.simulation.settle();
            self.fork();
        }
    }

    /// A branch of the INVITE that a trunk got last says something, reliably or not, in turn or not.
    fn fork(&mut self) {
        let trunk = self.pick(&self.trunks.clone());
        let Some((_, invite)) = self.simulation.invites(trunk).pop() else { return };
        let status = StatusCode::new(self.pick(&[180, 183, 183, 183, 199, 200])).unwrap();
        let mut response = Response::for_request(&invite, status).with_to_tag(self.pick(&FORKS));
        response = response.with_header("Contact", format!("<sip:fork@{trunk}>"));
        if status.is_provisional() && self.random.random_bool(0.6) {
            let rseq = self.pick(&["1", "1", "2", "3"]);
            response = response.with_header("Require", "100rel").with_header("RSeq", rseq);
        }
        if self.random.random_bool(0.7) {
            response = response.with_body("application/sdp", self.pick(&["v=0 fork", "v=0 another"]));
        }
        self.say(trunk, &response.to_bytes());
    }

    /// Such a branch offers anew before it answers.
    fn update_early(&mut self) {
        let trunk = self.pick(&self.trunks.clone());
        let Some((_, invite)) = self.simulation.invites(trunk).pop() else { return };
        let header = |name: &str| invite.headers.get(name).unwrap_or_default().to_owned();
        let (from, to, call) = (header("From"), header("To"), header("Call-ID"));
        let (tag, number) = (self.pick(&FORKS), self.random.random_range(1..1000));
        let text = format!(
            "UPDATE sip:gateway@203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP {trunk};branch=z9hG4bKearly{tag}{number}\r\n\
             Max-Forwards: 70\r\nFrom: {to};tag={tag}\r\nTo: {from}\r\nCall-ID: {call}\r\nCSeq: {number} UPDATE\r\n\
             Contact: <sip:fork@{trunk}>\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\nv=0 moved"
        );
        self.say(trunk, text.as_bytes());
    }

    fn say(&mut self, trunk: SocketAddr, bytes: &[u8]) {
        let flow = Flow { transport: Transport::Udp, peer: trunk, connection: None, tls: None };
        let now = self.simulation.now;
        self.simulation.switchboard.handle_message(now, flow, bytes);
    }

    fn lose_flow(&mut self) {
        if self.random.random_bool(0.5) {
            let peer = self.pick(&self.trunks.clone());
            let flow = Flow { transport: Transport::Udp, peer, connection: None, tls: None };
            self.simulation.switchboard.handle_flow_failed(self.simulation.now, flow);
            return;
        }
        let at = self.random.random_range(0..self.browsers.len());
        let browser = self.browsers[at];
        self.connections += 1;
        let old = self.simulation.peer(browser).from_switchboard.connection.unwrap();
        let is_missed = self.random.random_bool(0.8);
        if is_missed {
            self.simulation.disconnect(browser);
            self.simulation.pass(Duration::from_millis(self.random.random_range(0..40_000)));
        }
        // Or its old connection is not known to be gone.
        self.simulation.peer(browser).from_switchboard.connection = Some(ConnectionId(self.connections));
        if self.random.random_bool(0.8) {
            self.register_again(at);
        }
        if !is_missed {
            self.simulation.settle();
            self.simulation.switchboard.handle_flow_closed(self.simulation.now, old);
        }
    }

    /// A browser registers over the connection it has now. An answer may get lost, or the agent be disabled: as it comes.
    fn register_again(&mut self, at: usize) {
        let (browser, user, now) = (self.browsers[at], USERS[at], self.simulation.now);
        let device = if at == 3 { String::new() } else { format!(";+sip.instance=\"<urn:uuid:{at}>\";reg-id=1") };
        let contact = format!("<sip:{user}@b{at}.invalid>{device}");
        self.simulation.peer(browser).register(now, user, &contact, 600, None);
        self.simulation.settle();
        let challenge = self.simulation.peer(browser).heard.iter().rev().find_map(|heard| match heard {
            Heard::Response(_, response) => Some(response.clone()),
            _ => None,
        });
        if let Some(challenge) = challenge.filter(|response| response.status == StatusCode::UNAUTHORIZED) {
            let secret = format!("secret-{user}");
            self.simulation.peer(browser).register(now, user, &contact, 600, Some((&challenge, &secret)));
        }
    }

    fn tell_media(&mut self) {
        let opened: Vec<MediaSessionId> = self
            .simulation
            .commands
            .iter()
            .filter_map(|command| match command {
                Command::Open { session, .. } => Some(*session),
                _ => None,
            })
            .collect();
        if opened.is_empty() {
            return;
        }
        let session = self.pick(&opened);
        let event = match self.random.random_range(0..3) {
            0 => media::Event::Silent { session },
            1 => media::Event::Rejected { session, reason: "chance".to_owned() },
            _ => media::Event::Failed { session, reason: "chance".to_owned() },
        };
        self.simulation.switchboard.handle_media(self.simulation.now, ShardIndex(0), event);
    }

    fn ask_inside(&mut self) {
        let sessions = self.sessions.clone();
        let answered = sessions.into_iter().find(|(peer, session)| self.simulation.is_answered(*peer, *session));
        if let Some((peer, session)) = answered {
            let (method, sequence) = (self.pick(&INSIDE), self.random.random_range(2..1000));
            let digit = "Content-Type: application/dtmf-relay\r\n";
            self.simulation.request_inside(peer, session, method, sequence, digit, "Signal=1\r\n");
        }
    }

    /// A random peer holds, resumes, asks for an offer or sends a refresh, by re-INVITE or UPDATE.
    fn change_media(&mut self) {
        let Some((peer, session)) = self.any_session() else { return };
        let method = self.pick(&[0, 0, 1]);
        let method = if method == 0 { sip::Method::Invite } else { sip::Method::Update };
        let sdp = self.pick(&["v=0 a=sendonly", "v=0 a=inactive", "v=0 a=sendrecv", ""]);
        let body = (!sdp.is_empty()).then(|| ("application/sdp".to_owned(), sdp.into()));
        let contact = sip::Uri::parse("sip:peer@192.0.2.77").unwrap();
        let now = self.simulation.now;
        // Without an answered session nothing is sent, which is well too.
        let endpoint = &mut self.simulation.peer(peer).endpoint;
        endpoint.modify(now, session, sip::Modification { method, contact, body });
    }

    /// An operator has the phones of some agent in a running call called.
    fn reclaim(&mut self) {
        let Some(call) = self.simulation.views.last().map(|view| view.id.clone()) else { return };
        self.simulation.switchboard.handle_operator(self.simulation.now, Operator::Reclaim { call, leg: None }).ok();
        self.simulation.settle();
        if self.random.random_bool(0.5) {
            for peer in self.browsers.clone() {
                if let Some((session, _)) = self.simulation.invites(peer).pop() {
                    self.simulation.answer(peer, session, StatusCode::OK, Some("v=0 reclaimed"));
                }
            }
        }
    }

    /// A random peer answers what it was asked last, one way or another, or a second time.
    fn answer_change(&mut self) {
        let Some((peer, session)) = self.any_session() else { return };
        let Some((id, _)) = self.simulation.asked(peer, session).pop() else { return };
        let status = StatusCode::new(self.pick(&[200, 200, 200, 481, 488, 491, 500, 408])).unwrap();
        let sdp = self.random.random_bool(0.8).then_some("v=0 a=inactive");
        let now = self.simulation.now;
        let peer = self.simulation.peer(peer);
        let draft = peer.draft(status, sdp);
        peer.endpoint.respond(now, id, draft);
    }

    fn operator_holds(&mut self) {
        let Some(view) = self.simulation.views.last() else { return };
        let (call, hold) = (view.id.clone(), self.random.random_bool(0.6));
        let legs: Vec<Option<String>> = view.legs.iter().map(|leg| Some(leg.id.clone())).chain([None]).collect();
        let leg = legs[self.random.random_range(0..legs.len())].clone();
        // Not every call can be held in every state.
        self.simulation.switchboard.handle_operator(self.simulation.now, Operator::Hold { call, leg, hold }).ok();
    }

    /// A random peer that can asks for its call to be handed on, and may answer what it is told of it.
    fn refer(&mut self) {
        let mut sessions = self.sessions.clone();
        if sessions.is_empty() {
            return;
        }
        sessions.rotate_left(self.random.random_range(0..self.sessions.len()));
        let confirms = self.pick(&[Some(200), Some(200), Some(481), None]).and_then(StatusCode::new);
        let target = format!("<sip:{}@{}", self.pick(&TARGETS), testkit::REALM);
        let attended = self.random.random_bool(0.5);
        let now = self.simulation.now;
        let others = sessions.clone();
        for (peer, session) in sessions {
            // To whom it has in another call, when it has one.
            let mut others = others.iter().filter(|(owner, other)| *owner == peer && *other != session);
            let replaces =
                others.find_map(|(_, other)| self.simulation.peer(peer).endpoint.replaces(*other)).filter(|_| attended);
            let replaces = replaces.map(|dialog| dialog.to_string().replace(';', "%3B").replace('=', "%3D"));
            let refer_to =
                format!("{target}{}>", replaces.map(|dialog| format!("?Replaces={dialog}")).unwrap_or_default());
            let headers = vec![("Refer-To".to_owned(), refer_to)];
            let asked = sip::InsideRequest { method: sip::Method::Refer, headers, body: None };
            let peer = self.simulation.peer(peer);
            if peer.endpoint.ask(now, session, asked).is_some() {
                peer.confirms = confirms;
                return;
            }
        }
    }

    /// Somebody sends an INVITE that wants the place of some dialog.
    fn take_over(&mut self) {
        let Some((owner, session)) = self.any_session() else { return };
        let Some(dialog) = self.simulation.peer(owner).endpoint.replaces(session) else { return };
        let peer = if self.random.random_bool(0.5) { owner } else { self.pick(&self.browsers.clone()) };
        let headers = vec![("Replaces".to_owned(), dialog.to_string())];
        self.simulation.peer(peer).headers = headers;
        if self.browsers.contains(&peer) {
            let at = self.browsers.iter().position(|browser| *browser == peer).unwrap();
            self.call_from(at, "+15551234567");
        } else {
            let now = self.simulation.now;
            let to = "sip:+493011100@203.0.113.1";
            let session = self.simulation.peer(peer).invite(now, "sip:+1555000111@x.example", to, Some("v=0"), None);
            self.sessions.push((peer, session));
        }
        self.simulation.peer(peer).headers.clear();
    }

    fn operator_transfers(&mut self) {
        let talking = self.simulation.views.iter().rev().find(|view| view.state == CallState::Connected);
        let Some(view) = talking else { return };
        let call = view.id.clone();
        let legs: Vec<Option<String>> = view.legs.iter().map(|leg| Some(leg.id.clone())).chain([None, None]).collect();
        let leg = legs[self.random.random_range(0..legs.len())].clone();
        let other = self.simulation.views[self.random.random_range(0..self.simulation.views.len())].id.clone();
        let target = if self.random.random_bool(0.5) {
            TransferTarget::Call(other)
        } else {
            TransferTarget::Number(self.pick(&TARGETS).to_owned())
        };
        let mode = self.pick(&[TransferMode::Blind, TransferMode::Attended, TransferMode::Attended]);
        let operator = Operator::Transfer { call, mode, leg, target };
        // Not every call can be transferred in every state.
        self.simulation.switchboard.handle_operator(self.simulation.now, operator).ok();
    }

    fn operator_adds(&mut self) {
        let talking = self.simulation.views.iter().rev().find(|view| view.state == CallState::Connected);
        let Some(view) = talking else { return };
        let call = view.id.clone();
        let legs: Vec<Option<String>> = view.legs.iter().map(|leg| Some(leg.id.clone())).chain([None, None]).collect();
        let leg = legs[self.random.random_range(0..legs.len())].clone();
        let other = self.simulation.views[self.random.random_range(0..self.simulation.views.len())].id.clone();
        let target = if self.random.random_bool(0.3) {
            TransferTarget::Call(other)
        } else {
            TransferTarget::Number(self.pick(&TARGETS).to_owned())
        };
        let now = self.simulation.now;
        let adding = Operator::AddParticipant { call, leg, target };
        // Not every call takes somebody in in every state.
        let is_asked = self.simulation.switchboard.handle_operator(now, adding).is_ok();
        self.simulation.settle();
        if is_asked && self.random.random_bool(0.6) {
            let peers = self.browsers.clone().into_iter().chain(self.trunks);
            let rung =
                peers.filter_map(|peer| Some((peer, self.simulation.invites(peer).pop()?.0))).collect::<Vec<_>>();
            for (peer, session) in rung {
                self.simulation.answer(peer, session, StatusCode::OK, Some("v=0 joins"));
            }
        }
    }

    fn operator_dismisses(&mut self) {
        let Some(view) = self.simulation.views.iter().rev().find(|view| view.participants.len() > 2) else { return };
        let participant = view.participants[self.random.random_range(0..view.participants.len())].id.clone();
        let operator = Operator::RemoveParticipant { call: view.id.clone(), participant };
        // It may have left.
        self.simulation.switchboard.handle_operator(self.simulation.now, operator).ok();
    }

    /// A transfer is completed or cancelled: a consultation that is under way, or one that is over or none.
    fn operator_settles(&mut self) {
        let mut last = BTreeMap::new();
        for view in &self.simulation.views {
            last.insert(view.id.clone(), view.transfers.clone());
        }
        let mut known: Vec<_> = last
            .into_iter()
            .flat_map(|(call, transfers)| transfers.into_iter().map(move |transfer| (call.clone(), transfer)))
            .collect();
        if self.random.random_bool(0.8) {
            known.retain(|(_, transfer)| transfer.status.is_under_way() && transfer.mode == TransferMode::Attended);
        }
        if known.is_empty() {
            return;
        }
        let (call, transfer) = known[self.random.random_range(0..known.len())].clone();
        let operator = if self.random.random_bool(0.5) {
            Operator::CompleteTransfer { call, transfer: transfer.id }
        } else {
            Operator::CancelTransfer { call, transfer: transfer.id }
        };
        let settled = self.simulation.switchboard.handle_operator(self.simulation.now, operator);
        self.consultations += u64::from(settled.is_ok());
    }

    /// An agent who talks asks somebody else, who may pick up; and may be content with it at once.
    fn consult(&mut self) {
        self.talk();
        self.simulation.settle();
        let Some(call) = self.simulation.views.last().map(|view| view.id.clone()) else { return };
        let target = TransferTarget::Number(self.pick(&TARGETS).to_owned());
        let operator = Operator::Transfer { call, mode: TransferMode::Attended, leg: None, target };
        // The call may be over, or nobody have answered it.
        self.simulation.switchboard.handle_operator(self.simulation.now, operator).ok();
        self.simulation.settle();
        if self.random.random_bool(0.7) {
            let peer = self.pick(&self.browsers.iter().chain(&self.trunks).copied().collect::<Vec<_>>());
            if let Some((session, _)) = self.simulation.invites(peer).pop() {
                self.simulation.answer(peer, session, StatusCode::OK, Some("v=0 asked"));
            }
        }
        if self.random.random_bool(0.4) {
            self.operator_settles();
        }
    }

    /// Where people talk there are two of them, and whoever was in a conference hears somebody; unless one of them is being handed on, or
    /// its place taken.
    fn assert_nobody_is_left_alone(&mut self) {
        let mut last = BTreeMap::new();
        for view in &self.simulation.views {
            last.insert(&view.id, view);
        }
        for record in &self.simulation.records {
            last.remove(&record.call.id);
        }
        let is_under_way = |transfer: &switchboard::TransferView| transfer.sip_status.is_none();
        let is_changing = |view: &switchboard::CallView| view.transfers.iter().any(is_under_way);
        // Who has handed somebody on hears nobody until its BYE.
        let departs = |view: &switchboard::CallView| {
            let done = view.transfers.iter().filter(|transfer| transfer.sip_status == Some(200));
            let by: Vec<_> = done.map(|transfer| &transfer.by).collect();
            view.legs.iter().any(|leg| by.contains(&&leg.id) && leg.state != CallState::Ending)
        };
        for view in last.values().filter(|view| view.state == CallState::Connected && !is_changing(view)) {
            let echo = view.to == "9196" || view.transfers.iter().any(|transfer| transfer.target == "9196");
            let is_replaced = view.legs.iter().any(|leg| leg.state == CallState::Routing);
            let talking = view.participants.iter().filter(|it| it.state == ParticipantState::Connected).count();
            assert!(talking > 1 || echo || is_replaced, "one is alone in {view:?}");
        }
        self.assert_nobody_is_left_alone_in_a_mix(last.values().any(|view| is_changing(view) || departs(view)));
    }

    /// Who is in a mix hears somebody; who was in one, too, unless somebody is being handed on, in whatever call.
    fn assert_nobody_is_left_alone_in_a_mix(&mut self, is_changing: bool) {
        let mut mixed = BTreeMap::new();
        for command in &self.simulation.commands {
            match command {
                Command::Mix { session, .. } => drop(mixed.insert(session.0, (*session, true))),
                Command::Bridge { a, b } => {
                    for session in [a, b] {
                        mixed.entry(session.0).and_modify(|(_, is_in)| *is_in = false);
                    }
                }
                Command::Music { session } | Command::Ringback { session } | Command::Echo { session } => {
                    mixed.entry(session.0).and_modify(|(_, is_in)| *is_in = false);
                }
                _ => {}
            }
        }
        for (session, is_in) in mixed.into_values() {
            if (is_in || !is_changing) && self.simulation.is_open(session) {
                assert!(!self.simulation.wiring.heard(session).is_empty(), "{session:?} is alone");
                self.conferences += 1;
            }
        }
    }

    /// Whoever is told of a transfer is told its end once, and nothing after that.
    fn assert_one_last_report_each(&self) {
        let mut ended = BTreeMap::new();
        for (_, to, message) in &self.simulation.sent {
            let sip::Message::Request(request) = message else { continue };
            if request.method != sip::Method::Notify {
                continue;
            }
            let get = |name: &str| request.headers.get(name).unwrap_or_default().to_owned();
            let dialog = (*to, get("Call-ID"), get("From"));
            let last = get("Subscription-State").starts_with("terminated");
            let begins = request.body.starts_with(b"SIP/2.0 100");
            let number: u32 = get("CSeq").split(' ').next().and_then(|number| number.parse().ok()).unwrap();
            match ended.get(&dialog) {
                // Repetitions of an older request are the transport's.
                Some((_, known)) if number <= *known => continue,
                Some((true, _)) | None => assert!(begins, "told without asking: {request:?}"),
                Some((false, _)) => assert!(!begins, "two at once: {request:?}"),
            }
            ended.insert(dialog, (last, number));
        }
    }

    fn any_session(&mut self) -> Option<(SocketAddr, SessionId)> {
        let sessions = self.sessions.clone();
        (!sessions.is_empty()).then(|| self.pick(&sessions))
    }

    /// An operator dials into the latest call; media may have heard digits, too.
    fn dial(&mut self) {
        let Some(view) = self.simulation.views.last().cloned() else { return };
        let leg =
            self.random.random_bool(0.5).then(|| view.legs[self.random.random_range(0..view.legs.len())].id.clone());
        let (now, duration) = (self.simulation.now, Duration::from_millis(100));
        let operator = Operator::SendDigits { call: view.id, leg, digits: "12#".to_owned(), duration };
        // The call may have ended, or not be answered.
        self.simulation.switchboard.handle_operator(now, operator).ok();
    }

    /// What a random peer does to a random session of its own.
    fn disturb(&mut self) {
        let (peer, session) = self.pick(&self.sessions.clone());
        let status = StatusCode::new(self.pick(&ANSWERS)).unwrap();
        let sdp = self.random.random_bool(0.7).then_some("v=0 random");
        let now = self.simulation.now;
        match self.random.random_range(0..6) {
            0 => self.simulation.peer(peer).endpoint.cancel(now, session, None),
            1 => self.simulation.peer(peer).endpoint.bye(now, session, None),
            _ => self.simulation.answer(peer, session, status, sdp),
        }
    }

    /// Takes everything down, in the one way or the other.
    fn end(&mut self) {
        let now = self.simulation.now;
        if self.random.random_bool(0.5) {
            self.simulation.switchboard.handle_operator(now, Operator::HangupAll).unwrap();
        } else {
            let ids: Vec<_> = self.simulation.views.iter().map(|view| view.id.clone()).collect();
            for call in ids {
                self.simulation.switchboard.handle_operator(now, Operator::Hangup { call }).ok();
            }
        }
        self.simulation.assert_all_over();
        for browser in self.browsers.clone() {
            self.connections += 1;
            self.simulation.reconnect(browser, ConnectionId(self.connections));
        }
        // Until nobody is expected back any more, and no peer refreshes what it alone believes in.
        for _ in 0..60 {
            if self.simulation.switchboard.poll_timeout().is_some() {
                self.simulation.pass(Duration::from_secs(60));
            }
        }
        assert_eq!(self.simulation.switchboard.poll_timeout(), None, "no timer is left");
        let mut begun: Vec<_> = self.simulation.views.iter().map(|view| view.id.clone()).collect();
        begun.sort();
        begun.dedup();
        let mut ended: Vec<_> = self.simulation.records.iter().map(|record| record.call.id.clone()).collect();
        ended.sort();
        assert_eq!(begun, ended, "each call has one record");
        self.assert_one_last_report_each();
        assert!(self.simulation.records.iter().all(|record| !record.explanation.is_empty()));
    }

    /// Nothing is taken up any more: every agent's only call and every trunk's only channel are free.
    fn phone_again(&mut self) {
        self.simulation.loses = Box::new(|_, _| false);
        self.simulation.script = MediaScript::Works;
        self.simulation.change(|directory| *directory = fresh());
        for (browser, user) in self.browsers.clone().into_iter().zip(USERS).skip(1) {
            let session = self.simulation.call(browser, user, "9196");
            assert!(self.simulation.is_answered(browser, session), "{user} is free");
            self.simulation.hang_up(browser, session);
        }
        for trunk in self.trunks {
            let before = self.simulation.invites(trunk).len();
            let (browser, user) =
                if trunk == self.trunks[0] { (self.browsers[1], "100") } else { (self.browsers[2], "101") };
            self.simulation.call(browser, user, "+15551234567");
            assert_eq!(self.simulation.invites(trunk).len(), before + 1, "the trunk's channel is free");
        }
        self.simulation.assert_all_over();
    }
}

const CHANGES: [fn(&mut Directory); 10] = [
    |directory| directory.trunks.values_mut().for_each(|trunk| trunk.dialogs.early_offer = !trunk.dialogs.early_offer),
    |directory| directory.trunks.values_mut().for_each(|trunk| trunk.dialogs.prack = Reliability::Required),
    |directory| directory.trunks.values_mut().for_each(|trunk| trunk.dialogs.prack = Reliability::Off),
    |directory| directory.trunks.values_mut().for_each(|trunk| trunk.media.dtmf = media::Dtmf::Info),
    |directory| directory.agents.values_mut().for_each(|agent| agent.enabled = !agent.enabled),
    |directory| directory.trunks.values_mut().for_each(|trunk| trunk.enabled = !trunk.enabled),
    |directory| {
        directory.trunks.remove("trk_main");
    },
    |directory| {
        directory.extensions.remove("100");
    },
    |directory| directory.credentials.clear(),
    |directory| directory.agents.values_mut().for_each(|agent| agent.max_concurrent_calls = 0),
];

/// Each trunk has one channel, so that one not given back would be missed.
fn restore(_: &mut switchboard::SwitchboardConfig, directory: &mut Directory) {
    directory.trunks.values_mut().for_each(|trunk| trunk.limits.max_channels = 1);
}

/// The directory each run starts from.
fn fresh() -> Directory {
    let mut directory = testkit::directory();
    restore(&mut switchboard::SwitchboardConfig::default(), &mut directory);
    directory
}

#[test]
fn every_call_ends_whatever_happens() {
    let (mut conferences, mut consultations, mut links, mut acknowledged) = (0, 0, 0, 0);
    for seed in 0..300 {
        println!("seed {seed}");
        let mut chaos = Chaos::new(seed);
        for _ in 0..60 {
            chaos.step();
        }
        chaos.end();
        conferences += chaos.conferences;
        consultations += chaos.consultations;
        links += chaos.simulation.wiring.linked;
        let is_prack =
            |message: &Message| matches!(message, Message::Request(request) if request.method == sip::Method::Prack);
        acknowledged += chaos.simulation.sent.iter().filter(|(_, _, message)| is_prack(message)).count();
        if !chaos.simulation.switchboard.is_draining() {
            chaos.phone_again();
        }
    }
    assert!(conferences > 300, "chance made {conferences} conferences only");
    assert!(consultations > 50, "chance settled {consultations} consultations only");
    assert!(acknowledged > 100, "{acknowledged} PRACKs only");
    assert!(links > 5, "{links} links in all: too few to say anything of them");
}
