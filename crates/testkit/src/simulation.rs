//! The network, the clock and the shards around one switchboard, all in memory and in order.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use media::{Codec, Command, MediaSessionId, Statistics};
use sip::{ConnectionId, Flow, Ha1, Response, SessionEvent, SessionId, StatusCode, Transport};
use switchboard::{
    Agent, BindingView, CallRecord, CallView, CallerId, Clock, Credential, Dialplan, Directory, Extension, Gateway,
    Number, OnLimit, Output, ShardIndex, Switchboard, SwitchboardConfig, Trunk,
};

use crate::peer::{Heard, Peer};

/// The agents' domain.
pub const REALM: &str = "phone.example.com";

/// How the simulated shards behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MediaScript {
    /// Everything works.
    #[default]
    Works,
    /// Every peer's offer is refused.
    RejectsOffers,
    /// Every peer's answer is refused.
    RejectsAnswers,
    /// Nothing is answered but Close.
    Mute,
}

/// One switchboard among simulated peers.
pub struct Simulation {
    /// The time.
    pub now: Instant,
    /// What is tested.
    pub switchboard: Switchboard,
    /// Peers by address.
    pub peers: BTreeMap<SocketAddr, Peer>,
    /// How shards behave.
    pub script: MediaScript,
    /// Every command to a shard, in order.
    pub commands: Vec<Command>,
    /// Every picture of a call.
    pub views: Vec<CallView>,
    /// Every call's record.
    pub records: Vec<CallRecord>,
    /// The bindings last shown, by extension.
    pub bindings: BTreeMap<String, Vec<BindingView>>,
    /// Connections the switchboard wants closed.
    pub closed: Vec<ConnectionId>,
}

/// The switchboard's own address.
const OURS: &str = "203.0.113.1:5060";

impl Simulation {
    /// Extensions 100 to 103 with the secret `secret-<number>`, trunks `main` (198.51.100.1) and `spare` (198.51.100.2), the number
    /// +4930111 00 at `main` ringing 100, and this dialplan.
    #[must_use]
    pub fn new(dialplan: &str) -> Self {
        let now = Instant::now();
        let clock = Clock { instant: now, system: SystemTime::UNIX_EPOCH };
        let plan = Dialplan::parse(&[("stories.toml".to_owned(), dialplan.to_owned())]).expect("a valid dialplan");
        let config = SwitchboardConfig::default();
        let switchboard = Switchboard::new(config, clock, [7; 32], Arc::new(directory()), Arc::new(plan));
        Self {
            now,
            switchboard,
            peers: BTreeMap::new(),
            script: MediaScript::default(),
            commands: Vec::new(),
            views: Vec::new(),
            records: Vec::new(),
            bindings: BTreeMap::new(),
            closed: Vec::new(),
        }
    }

    /// A browser connects; `number` also numbers its connection.
    pub fn browser(&mut self, number: u8) -> SocketAddr {
        let peer = SocketAddr::from(([192, 0, 2, number], 50_000));
        let connection = Some(ConnectionId(u64::from(number)));
        self.add(peer, Transport::Wss, connection)
    }

    /// A trunk's gateway comes up at 198.51.100.`last`.
    pub fn gateway(&mut self, last: u8) -> SocketAddr {
        self.add(SocketAddr::from(([198, 51, 100, last], 5060)), Transport::Udp, None)
    }

    fn add(&mut self, peer: SocketAddr, transport: Transport, connection: Option<ConnectionId>) -> SocketAddr {
        let ours = OURS.parse().expect("an address");
        let seed = [peer.to_string().len() as u8 ^ peer.port() as u8 ^ self.peers.len() as u8; 32];
        let to = Flow { transport, peer: ours, connection };
        self.peers.insert(peer, Peer::new(to, Flow { transport, peer, connection }, seed));
        peer
    }

    /// A peer.
    pub fn peer(&mut self, address: SocketAddr) -> &mut Peer {
        self.peers.get_mut(&address).expect("a known peer")
    }

    /// Delivers everything until nobody has anything to say. Time stands still.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut busy = false;
            while let Some(output) = self.switchboard.poll_output() {
                busy = true;
                self.carry_out(output);
            }
            let now = self.now;
            let mut messages = Vec::new();
            for peer in self.peers.values_mut() {
                peer.listen();
                while let Some(transmit) = peer.endpoint.poll_transmit() {
                    messages.push((peer.from_switchboard, transmit.bytes));
                }
            }
            for (flow, bytes) in messages {
                busy = true;
                self.switchboard.handle_message(now, flow, &bytes);
                while let Some(output) = self.switchboard.poll_output() {
                    self.carry_out(output);
                }
            }
            if !busy {
                return;
            }
        }
        panic!("the simulation does not come to rest");
    }

    /// Lets time pass, timer by timer.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        loop {
            let peers = self.peers.values().filter_map(|peer| peer.endpoint.poll_timeout());
            let next = peers.chain(self.switchboard.poll_timeout()).min().filter(|at| *at <= end);
            let Some(at) = next else { break };
            self.now = self.now.max(at);
            self.switchboard.handle_timeout(self.now);
            for peer in self.peers.values_mut() {
                peer.endpoint.handle_timeout(self.now);
            }
            self.settle();
        }
        self.now = end;
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Transmit(transmit) => {
                let now = self.now;
                if let Some(peer) = self.peers.get_mut(&transmit.flow.peer) {
                    peer.endpoint.handle_message(now, peer.to_switchboard, &transmit.bytes);
                }
            }
            Output::Media { shard, command } => self.play_shard(shard, command),
            Output::CallChanged(view) => self.views.push(view),
            Output::CallEnded(record) => self.records.push(record),
            Output::BindingsChanged { extension, bindings } => {
                self.bindings.insert(extension, bindings);
            }
            Output::CloseConnection(connection) => self.closed.push(connection),
        }
    }

    fn play_shard(&mut self, shard: ShardIndex, command: Command) {
        self.commands.push(command.clone());
        let mute = self.script == MediaScript::Mute;
        let sdp = |session: MediaSessionId| format!("v=0 session {}", session.0).into_bytes();
        let event = match command {
            Command::CreateOffer { session, .. } if !mute => {
                media::Event::LocalDescription { session, sdp: sdp(session), codec: None }
            }
            Command::HandleOffer { session, .. } if !mute && self.script != MediaScript::RejectsOffers => {
                media::Event::LocalDescription { session, sdp: sdp(session), codec: Some(Codec::Opus) }
            }
            Command::HandleAnswer { session, .. } if !mute && self.script != MediaScript::RejectsAnswers => {
                media::Event::Negotiated { session, codec: Codec::Pcmu }
            }
            Command::HandleOffer { session, .. } | Command::HandleAnswer { session, .. } if !mute => {
                media::Event::Rejected { session, reason: "no common codec".to_owned() }
            }
            Command::Close { session } => media::Event::Closed { session, statistics: Statistics::default() },
            Command::Open { .. }
            | Command::CreateOffer { .. }
            | Command::HandleOffer { .. }
            | Command::HandleAnswer { .. }
            | Command::Bridge { .. }
            | Command::Echo { .. }
            | Command::Ringback { .. }
            | Command::SendDigits { .. } => return,
        };
        self.switchboard.handle_media(self.now, shard, event);
    }

    /// Registers a browser as `user` with the right secret; gives the final response.
    pub fn register(&mut self, browser: SocketAddr, user: &str, expires: u32) -> Response {
        let contact = format!("<sip:{user}@b{}.invalid;transport=ws>", browser.ip().to_string().replace('.', "-"));
        let now = self.now;
        self.peer(browser).register(now, user, &contact, expires, None);
        self.settle();
        let challenge = self.last_response(browser);
        assert_eq!(challenge.status, StatusCode::UNAUTHORIZED);
        self.peer(browser).register(now, user, &contact, expires, Some((&challenge, &format!("secret-{user}"))));
        self.settle();
        self.last_response(browser)
    }

    /// Sends an agent's INVITE through its challenge; gives the second session.
    pub fn call(&mut self, browser: SocketAddr, user: &str, to: &str) -> SessionId {
        let now = self.now;
        let (from, to) = (format!("sip:{user}@{REALM}"), format!("sip:{to}@{REALM}"));
        let first = self.peer(browser).invite(now, &from, &to, Some("v=0 browser"), None);
        self.settle();
        let challenge = self.refusal(browser, first).expect("a challenge");
        assert_eq!(challenge.status, StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        let secret = format!("secret-{user}");
        let session = self.peer(browser).invite(now, &from, &to, Some("v=0 browser"), Some((&challenge, &secret)));
        self.settle();
        session
    }

    /// The latest response outside dialogs that a peer heard.
    pub fn last_response(&mut self, peer: SocketAddr) -> Response {
        let heard = &self.peer(peer).heard;
        let response = heard.iter().rev().find_map(|heard| match heard {
            Heard::Response(_, response) => Some(response.clone()),
            Heard::Invite(..) | Heard::Session(..) => None,
        });
        response.expect("a response")
    }

    /// The sessions and INVITEs a peer got.
    pub fn invites(&mut self, peer: SocketAddr) -> Vec<(SessionId, sip::Request)> {
        let heard = &self.peer(peer).heard;
        heard
            .iter()
            .filter_map(|heard| match heard {
                Heard::Invite(session, request) => Some((*session, request.clone())),
                Heard::Response(..) | Heard::Session(..) => None,
            })
            .collect()
    }

    /// What happened to one session of a peer.
    pub fn events(&mut self, peer: SocketAddr, session: SessionId) -> Vec<SessionEvent> {
        let heard = &self.peer(peer).heard;
        heard
            .iter()
            .filter_map(|heard| match heard {
                Heard::Session(id, event) if *id == session => Some(event.clone()),
                Heard::Session(..) | Heard::Invite(..) | Heard::Response(..) => None,
            })
            .collect()
    }

    /// The refusal of a peer's INVITE.
    pub fn refusal(&mut self, peer: SocketAddr, session: SessionId) -> Option<Response> {
        self.events(peer, session).into_iter().find_map(|event| match event {
            SessionEvent::Refused { response, .. } => Some(response),
            SessionEvent::Progress { .. }
            | SessionEvent::Answered { .. }
            | SessionEvent::Cancelled { .. }
            | SessionEvent::Confirmed { .. }
            | SessionEvent::NoAck
            | SessionEvent::Bye { .. }
            | SessionEvent::Request { .. }
            | SessionEvent::FlowLost
            | SessionEvent::Ended => None,
        })
    }

    /// Whether every Open had one Close, and nothing is left.
    ///
    /// # Panics
    /// When something is left.
    pub fn assert_all_over(&mut self) {
        self.pass(Duration::from_secs(120));
        let opened = self.commands.iter().filter(|command| matches!(command, Command::Open { .. })).count();
        let closed = self.commands.iter().filter(|command| matches!(command, Command::Close { .. })).count();
        assert_eq!(opened, closed, "each media session is closed once");
        assert_eq!(self.switchboard.call_count(), 0, "no call is left");
        assert_eq!(self.switchboard.session_count(), 0, "no session is left");
        assert_eq!(self.switchboard.endpoint_counters().sessions, 0, "the endpoint holds no session");
    }
}

fn directory() -> Directory {
    let mut directory = Directory { realm: REALM.to_owned(), ..Directory::default() };
    for number in ["100", "101", "102", "103"] {
        let agent = format!("agt_{number}");
        directory.agents.insert(
            agent.clone(),
            Agent {
                id: agent.clone(),
                display_name: format!("Agent {number}"),
                enabled: true,
                caller_id_number: None,
                max_concurrent_calls: 1,
            },
        );
        directory.extensions.insert(
            number.to_owned(),
            Extension {
                id: format!("ext_{number}"),
                number: number.to_owned(),
                agent_id: Some(agent),
                ring_timeout: Duration::from_secs(30),
                max_contacts: 2,
                on_limit: OnLimit::ReplaceOldest,
                codecs: vec![Codec::Opus],
            },
        );
        directory.credentials.insert(
            number.to_owned(),
            Credential {
                id: format!("crd_{number}"),
                username: number.to_owned(),
                extension: number.to_owned(),
                ha1: Ha1::new(number, REALM, &format!("secret-{number}")),
            },
        );
    }
    for (name, last) in [("main", 1u8), ("spare", 2)] {
        let address = SocketAddr::from(([198, 51, 100, last], 5060));
        let gateway = Gateway {
            host: format!("{name}.carrier.example"),
            transport: Transport::Udp,
            addresses: vec![address],
            priority: 1,
            weight: 1,
        };
        let trunk = Trunk {
            id: format!("trk_{name}"),
            name: name.to_owned(),
            enabled: true,
            gateways: vec![gateway],
            inbound_networks: Vec::new(),
            media_networks: Vec::new(),
            codecs: vec![Codec::Pcmu],
            caller_id: CallerId { fallback: Some("+493011100".to_owned()), ..CallerId::default() },
            max_channels: 0,
        };
        directory.trunks.insert(trunk.id.clone(), trunk);
    }
    directory.numbers.insert(
        "+493011100".to_owned(),
        Number {
            id: "num_1".to_owned(),
            e164: "+493011100".to_owned(),
            trunk_id: "trk_main".to_owned(),
            extension: Some("100".to_owned()),
        },
    );
    directory
}
