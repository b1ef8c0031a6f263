//! The network, the clock and the shards around one switchboard, all in memory and in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use media::{Codec, Command, Hold, MediaSessionId, MediaState, Statistics};
use sip::{ConnectionId, Flow, Message, Transmit, Transport};
use switchboard::{
    Alarm, BindingView, CallRecord, CallView, Clock, Dialplan, Directory, Output, ServerView, ShardIndex, Switchboard,
    SwitchboardConfig, TraceLimits, Traces, TrunkRegistration, Way,
};

use crate::directory::directory;
use crate::peer::Peer;
use crate::wiring::Wiring;

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
    /// Nothing is answered at all.
    Dead,
    /// Everything works, but answers wait for [`Simulation::shards_catch_up`].
    Slow,
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
    /// What became of them.
    pub wiring: Wiring,
    /// Every picture of a call.
    pub views: Vec<CallView>,
    /// Every call's record.
    pub records: Vec<CallRecord>,
    /// What is written down of every call.
    pub traces: Traces,
    /// The bindings last shown, by extension.
    pub bindings: BTreeMap<String, Vec<BindingView>>,
    /// How registrations at trunks were last shown, by trunk.
    pub trunk_registrations: BTreeMap<String, TrunkRegistration>,
    /// What somebody should look at.
    pub alarms: Vec<Alarm>,
    /// The servers last shown, by trunk.
    pub servers: BTreeMap<String, Vec<ServerView>>,
    /// Connections the switchboard wants closed.
    pub closed: Vec<ConnectionId>,
    /// Every message the switchboard sent, with its time and addressee, whether it arrived or not.
    pub sent: Vec<(Instant, SocketAddr, Message)>,
    /// Decides which messages are lost, by peer and text, in either direction.
    pub loses: Loss,
    directory: Directory,
    /// Who holds each media session.
    holds: BTreeMap<MediaSessionId, Held>,
    /// What shards will tell once they catch up, in order.
    late: VecDeque<(ShardIndex, media::Event)>,
    /// Connections that closed: nothing comes or goes on them any more.
    gone: BTreeSet<ConnectionId>,
    /// Flows found gone while messages were sent.
    unreachable: Vec<Flow>,
}

/// Hold as a simulated shard knows it.
#[derive(Debug, Default)]
struct Held {
    agreed: bool,
    ours: bool,
    theirs: bool,
    proposed: bool,
    told: Hold,
}

/// Whether a message between a peer and the switchboard is lost.
pub type Loss = Box<dyn FnMut(SocketAddr, &str) -> bool>;

/// The switchboard's own address.
const OURS: &str = "203.0.113.1:5060";

impl Simulation {
    /// Extensions 100 to 103 with the secret `secret-<number>`, trunks `main` (198.51.100.1) and `spare` (198.51.100.2), the number
    /// +493011100 at `main` ringing 100, and this dialplan.
    #[must_use]
    pub fn new(dialplan: &str) -> Self {
        Self::with(dialplan, |_, _| {})
    }

    /// As [`Self::new`], with changes to the settings and the directory.
    #[must_use]
    pub fn with(dialplan: &str, change: impl FnOnce(&mut SwitchboardConfig, &mut Directory)) -> Self {
        let now = Instant::now();
        let clock = Clock { instant: now, system: SystemTime::UNIX_EPOCH };
        let plan = Dialplan::parse(&[("stories.toml".to_owned(), dialplan.to_owned())]).expect("a valid dialplan");
        let (mut config, mut directory) = (SwitchboardConfig::default(), directory());
        change(&mut config, &mut directory);
        let switchboard = Switchboard::new(config, clock, [7; 32], Arc::new(directory.clone()), Arc::new(plan));
        Self {
            now,
            switchboard,
            peers: BTreeMap::new(),
            script: MediaScript::default(),
            commands: Vec::new(),
            wiring: Wiring::default(),
            views: Vec::new(),
            records: Vec::new(),
            traces: Traces::new(TraceLimits { ended: 1000, bytes: 16 << 20 }, clock),
            bindings: BTreeMap::new(),
            trunk_registrations: BTreeMap::new(),
            alarms: Vec::new(),
            servers: BTreeMap::new(),
            closed: Vec::new(),
            sent: Vec::new(),
            loses: Box::new(|_, _| false),
            directory,
            holds: BTreeMap::new(),
            late: VecDeque::new(),
            gone: BTreeSet::new(),
            unreachable: Vec::new(),
        }
    }

    /// An administrator changes the directory; the switchboard gets a new snapshot.
    pub fn change(&mut self, change: impl FnOnce(&mut Directory)) {
        change(&mut self.directory);
        self.switchboard.handle_directory(self.now, Arc::new(self.directory.clone()));
        self.settle();
    }

    /// A browser's connection closes.
    pub fn disconnect(&mut self, browser: SocketAddr) {
        let connection = self.peer(browser).from_switchboard.connection.expect("a browser has a connection");
        self.gone.insert(connection);
        self.switchboard.handle_flow_closed(self.now, connection);
        self.settle();
    }

    /// A browser whose connection closed is back on a new one.
    pub fn reconnect(&mut self, browser: SocketAddr, connection: ConnectionId) {
        self.disconnect(browser);
        self.peer(browser).from_switchboard.connection = Some(connection);
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
        let to = Flow { transport, peer: ours, connection, tls: None };
        self.peers.insert(peer, Peer::new(to, Flow { transport, peer, connection, tls: None }, seed));
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
            busy |= self.drain();
            let now = self.now;
            let mut messages = Vec::new();
            for peer in self.peers.values_mut() {
                peer.listen(now);
                while let Some(transmit) = peer.endpoint.poll_transmit() {
                    messages.push((peer.from_switchboard, transmit.bytes));
                }
            }
            for (flow, bytes) in messages {
                busy = true;
                let is_gone = flow.connection.is_some_and(|connection| self.gone.contains(&connection));
                if is_gone || (self.loses)(flow.peer, &String::from_utf8_lossy(&bytes)) {
                    continue;
                }
                self.traces.handle_message(now, Way::In, flow, &bytes);
                self.switchboard.handle_message(now, flow, &bytes);
                self.drain();
            }
            if !busy {
                self.wiring.assert_sound();
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

    /// Carries out everything the switchboard wants; whether that was anything.
    fn drain(&mut self) -> bool {
        let mut busy = false;
        loop {
            while let Some(output) = self.switchboard.poll_output() {
                busy = true;
                self.carry_out(output);
            }
            let Some(flow) = self.unreachable.pop() else { return busy };
            self.switchboard.handle_flow_failed(self.now, flow);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Transmit(transmit) => self.deliver(&transmit),
            Output::Media { shard, command } => self.play_shard(shard, command),
            Output::CallChanged(view) => {
                self.traces.handle_call(&view);
                self.views.push(Arc::unwrap_or_clone(view));
            }
            Output::CallEnded(record) => {
                self.traces.handle_record(&record);
                self.records.push(*record);
            }
            Output::Noted { call, at, note } => self.traces.handle_note(&call, at, note),
            Output::BindingsChanged { extension, bindings } => {
                self.bindings.insert(extension, bindings);
            }
            Output::TrunkRegistration { trunk_id, registration } => {
                self.trunk_registrations.insert(trunk_id, registration);
            }
            Output::Alarm(alarm) => self.alarms.push(alarm),
            Output::GatewayHealth { trunk_id, servers } => {
                self.servers.insert(trunk_id, servers);
            }
            Output::CloseConnection(connection) => self.closed.push(connection),
        }
    }

    fn deliver(&mut self, transmit: &Transmit) {
        let (now, to) = (self.now, transmit.flow.peer);
        self.traces.handle_message(now, Way::Out, transmit.flow, &transmit.bytes);
        self.sent.push((now, to, Message::parse(&transmit.bytes).expect("we write SIP")));
        let Some(peer) = self.peers.get_mut(&to) else { return };
        let is_gone = transmit.flow.connection.is_some_and(|connection| self.gone.contains(&connection));
        if is_gone || peer.from_switchboard.connection != transmit.flow.connection {
            self.unreachable.push(transmit.flow);
        } else if !(self.loses)(to, &String::from_utf8_lossy(&transmit.bytes)) {
            peer.endpoint.handle_message(now, peer.to_switchboard, &transmit.bytes);
        }
    }

    /// Slow shards tell everything they owe.
    pub fn shards_catch_up(&mut self) {
        while let Some((shard, event)) = self.late.pop_front() {
            self.switchboard.handle_media(self.now, shard, event);
            self.settle();
        }
    }

    fn play_shard(&mut self, shard: ShardIndex, command: Command) {
        self.commands.push(command.clone());
        self.wiring.note(shard, &command);
        let mute = matches!(self.script, MediaScript::Mute | MediaScript::Dead);
        if self.script == MediaScript::Works {
            self.note_hold(shard, &command);
        }
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
            Command::PressDigit { session, digit, duration } if !mute => {
                media::Event::Digit { session, digit, duration }
            }
            Command::Close { session } if self.script != MediaScript::Dead => {
                media::Event::Closed { session, statistics: Statistics::default() }
            }
            Command::Open { .. }
            | Command::Close { .. }
            | Command::CreateOffer { .. }
            | Command::HandleOffer { .. }
            | Command::HandleAnswer { .. }
            | Command::Adopt { .. }
            | Command::Hold { .. }
            | Command::Bridge { .. }
            | Command::Echo { .. }
            | Command::Mix { .. }
            | Command::Ringback { .. }
            | Command::Music { .. }
            | Command::SetDtmf { .. }
            | Command::SetPacketTime { .. }
            | Command::PressDigit { .. }
            | Command::SendDigits { .. } => return,
        };
        self.tell(shard, event);
    }

    /// A shard tells in order: what comes after something late is late too.
    fn tell(&mut self, shard: ShardIndex, event: media::Event) {
        if self.script == MediaScript::Slow || !self.late.is_empty() {
            self.late.push_back((shard, event));
        } else {
            self.switchboard.handle_media(self.now, shard, event);
        }
    }

    /// Keeps who holds in mind, by the words a description has for it, and tells when that changes.
    fn note_hold(&mut self, shard: ShardIndex, command: &Command) {
        let holds =
            |sdp: &[u8]| ["sendonly", "inactive"].iter().any(|word| String::from_utf8_lossy(sdp).contains(word));
        let (session, held) = match command {
            Command::HandleOffer { session, sdp, .. } => {
                let held = self.holds.entry(*session).or_default();
                held.proposed = holds(sdp);
                if !held.agreed {
                    held.theirs = held.proposed;
                }
                held.agreed = true;
                (*session, held)
            }
            Command::HandleAnswer { session, sdp } => {
                let held = self.holds.entry(*session).or_default();
                if !held.ours {
                    held.theirs = holds(sdp);
                }
                held.agreed = true;
                (*session, held)
            }
            Command::Adopt { session } => {
                let held = self.holds.entry(*session).or_default();
                held.theirs = held.proposed;
                (*session, held)
            }
            Command::Hold { session, hold } => {
                let held = self.holds.entry(*session).or_default();
                held.ours = *hold;
                (*session, held)
            }
            Command::Open { .. }
            | Command::Close { .. }
            | Command::CreateOffer { .. }
            | Command::Bridge { .. }
            | Command::Echo { .. }
            | Command::Mix { .. }
            | Command::Ringback { .. }
            | Command::Music { .. }
            | Command::SetDtmf { .. }
            | Command::SetPacketTime { .. }
            | Command::PressDigit { .. }
            | Command::SendDigits { .. } => return,
        };
        let hold = Hold::new(held.ours, held.theirs);
        if held.told != hold {
            held.told = hold;
            let state = MediaState { hold, ..MediaState::default() };
            self.tell(shard, media::Event::Changed { session, state });
        }
    }
}
