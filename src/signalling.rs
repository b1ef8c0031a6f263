//! The signalling task: owns the switchboard, feeds it what arrives and carries out what it wants. Waits for its inputs and its
//! timer only, never for a socket or the database. Decides nothing about calls.

mod flows;
mod orders;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::switchboard::{
    Alarm, CallId, CallView, Dialplan, Direction, Directory, Output, ServerState, ServerView, ShardIndex, Switchboard,
    TrunkRegistration, TrunkRegistrationState, Way,
};
use sip::{Flow, Transport};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::gateway::{GatewayTables, OperatorCommand};
use crate::metrics::{self, Figures};
use crate::net::{Inbound, Inbox};
use crate::recorder::Recorder;
use crate::shards::{CommandSender, ShardEvent};
use crate::store::{RecordSender, direction_name, result_name};
use flows::{Flows, Unreachable};
use orders::Orders;

/// Inputs taken from one queue before timers and the other queues get their turn.
const BATCH: usize = 64;

/// How often figures are shown to Prometheus.
const FIGURES: Duration = Duration::from_secs(1);

/// What the signalling task reads.
pub(crate) struct Inputs {
    /// From the network.
    pub(crate) inbound: mpsc::Receiver<Inbound>,
    /// From the media shards.
    pub(crate) media: mpsc::Receiver<ShardEvent>,
    /// From the API and from signals.
    pub(crate) commands: mpsc::Receiver<OperatorCommand>,
    /// From the store.
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    /// From the dialplan's files.
    pub(crate) dialplan: watch::Receiver<Arc<Dialplan>>,
}

/// Where the signalling task writes.
pub(crate) struct Outputs {
    /// SIP over UDP.
    pub(crate) udp: Arc<UdpSocket>,
    /// For connections it opens itself.
    pub(crate) inbox: Inbox,
    /// The media shards, by index.
    pub(crate) shards: Vec<CommandSender>,
    /// What the API shows.
    pub(crate) tables: GatewayTables,
    /// Call records.
    pub(crate) records: RecordSender,
    /// What is written down of calls.
    pub(crate) recorder: Recorder,
    /// How much is still going on, for whoever waits for the end of it.
    pub(crate) activity: watch::Sender<Activity>,
}

/// How much is going on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    /// Running calls.
    pub(crate) calls: usize,
    /// INVITE sessions, those whose BYE is not answered yet included.
    pub(crate) sessions: usize,
    /// Registrations at trunks that are being ended.
    pub(crate) farewells: usize,
}

/// Runs until `stop`.
pub(crate) async fn run(switchboard: Switchboard, mut inputs: Inputs, outputs: Outputs, stop: CancellationToken) {
    let mut task = Signalling::new(switchboard, outputs, stop.clone());
    task.flows.handle_directory(&inputs.directory.borrow());
    let mut figures = interval(FIGURES);
    figures.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut messages, mut events) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    let mut directory_known = true;
    let mut dialplan_known = true;
    loop {
        let deadline = task.deadline();
        tokio::select! {
            () = stop.cancelled() => break,
            _ = inputs.inbound.recv_many(&mut messages, BATCH) => {
                task.handle_news(&mut inputs.directory, &mut inputs.dialplan);
                for message in messages.drain(..) {
                    task.handle_inbound(message);
                }
            }
            _ = inputs.media.recv_many(&mut events, BATCH) => {
                for ShardEvent { shard, event } in events.drain(..) {
                    task.handle_media(shard, event);
                }
            }
            Some(command) = inputs.commands.recv() => {
                task.handle_news(&mut inputs.directory, &mut inputs.dialplan);
                task.handle_operator(command);
            }
            changed = inputs.directory.changed(), if directory_known => match changed {
                Ok(()) => task.handle_directory(Arc::clone(&inputs.directory.borrow_and_update())),
                Err(_) => directory_known = false,
            },
            changed = inputs.dialplan.changed(), if dialplan_known => match changed {
                Ok(()) => task.handle_dialplan(Arc::clone(&inputs.dialplan.borrow_and_update())),
                Err(_) => dialplan_known = false,
            },
            () = wait_until(deadline) => {}
            _ = figures.tick() => task.show_figures(),
        }
        task.handle_timeout();
        task.orders.wake();
    }
    task.show_figures();
}

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

struct Signalling {
    switchboard: Switchboard,
    flows: Flows,
    outputs: Outputs,
    orders: Orders,
    /// Flows found gone while messages were sent; told once everything is sent.
    unreachable: HashSet<Flow>,
    directions: HashMap<CallId, Direction>,
    shown: Figures,
    stop: CancellationToken,
}

impl Signalling {
    fn new(switchboard: Switchboard, mut outputs: Outputs, stop: CancellationToken) -> Self {
        Self {
            switchboard,
            flows: Flows::new(Arc::clone(&outputs.udp), outputs.inbox.clone(), stop.clone()),
            orders: Orders::new(std::mem::take(&mut outputs.shards)),
            outputs,
            unreachable: HashSet::new(),
            directions: HashMap::new(),
            shown: Figures::default(),
            stop,
        }
    }

    fn handle_inbound(&mut self, inbound: Inbound) {
        let now = Instant::now();
        match inbound {
            Inbound::Opened { flow, writer } => self.flows.opened(now, flow, writer),
            Inbound::Message { flow, bytes } => {
                let strangers = self.switchboard.counters().strangers;
                self.switchboard.handle_message(now, flow, &bytes);
                // What is dropped without a word is not worth a note.
                if self.switchboard.counters().strangers == strangers {
                    self.outputs.recorder.message(now, Way::In, flow, &bytes);
                }
            }
            Inbound::Named { connection, names } => self.switchboard.handle_peer_names(connection, names),
            Inbound::Closed { connection, refused } => {
                // First of all, so that what is then sent over a new connection to the same peer does not fail with the old one.
                match (self.flows.closed(connection), refused) {
                    (Some(Unreachable(flow)), Some(why)) => self.switchboard.handle_flow_refused(now, flow, &why),
                    (Some(Unreachable(flow)), None) => self.switchboard.handle_flow_failed(now, flow),
                    (None, _) => {}
                }
                self.switchboard.handle_flow_closed(now, connection);
            }
        }
        self.drain(now);
    }

    fn handle_media(&mut self, shard: ShardIndex, event: media::Event) {
        let now = Instant::now();
        if let media::Event::Closed { statistics, .. } = &event {
            metrics::media_discarded(statistics.packets_discarded, statistics.srtp_failures);
            statistics.time_to_media.into_iter().for_each(metrics::time_to_media);
        }
        self.switchboard.handle_media(now, shard, event);
        self.drain(now);
    }

    fn handle_operator(&mut self, command: OperatorCommand) {
        let now = Instant::now();
        let answer = self.switchboard.handle_operator(now, command.operator);
        self.drain(now);
        if command.reply.send(answer).is_err() {
            tracing::debug!("an operator's command was carried out after its asker had gone");
        }
    }

    /// What was published before an input came holds for it: whoever reads the API's answer may act on it at once.
    fn handle_news(
        &mut self,
        directory: &mut watch::Receiver<Arc<Directory>>,
        dialplan: &mut watch::Receiver<Arc<Dialplan>>,
    ) {
        if directory.has_changed().is_ok_and(|changed| changed) {
            self.handle_directory(Arc::clone(&directory.borrow_and_update()));
        }
        if dialplan.has_changed().is_ok_and(|changed| changed) {
            self.handle_dialplan(Arc::clone(&dialplan.borrow_and_update()));
        }
    }

    fn handle_directory(&mut self, directory: Arc<Directory>) {
        let now = Instant::now();
        self.flows.handle_directory(&directory);
        self.switchboard.handle_directory(now, directory);
        self.drain(now);
    }

    fn handle_dialplan(&mut self, dialplan: Arc<Dialplan>) {
        let now = Instant::now();
        self.switchboard.handle_dialplan(now, dialplan);
        self.drain(now);
    }

    fn deadline(&self) -> Option<Instant> {
        [self.switchboard.poll_timeout(), self.flows.deadline(), self.orders.deadline()].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self) {
        let now = Instant::now();
        if self.switchboard.poll_timeout().is_some_and(|due| due <= now) {
            self.switchboard.handle_timeout(now);
            self.drain(now);
        }
        self.flows.close_unproven(now);
        self.orders.retry();
    }

    /// Carries out everything the switchboard wants, until it wants nothing more.
    fn drain(&mut self, now: Instant) {
        loop {
            while let Some(output) = self.switchboard.poll_output() {
                self.carry_out(now, output);
            }
            let Some(flow) = self.unreachable.iter().next().copied() else { break };
            self.unreachable.remove(&flow);
            self.switchboard.handle_flow_failed(now, flow);
        }
        let activity = Activity {
            calls: self.switchboard.call_count(),
            sessions: self.switchboard.session_count(),
            farewells: self.switchboard.farewell_count(),
        };
        self.outputs.activity.send_if_modified(|shown| std::mem::replace(shown, activity) != activity);
    }

    fn carry_out(&mut self, now: Instant, output: Output) {
        match output {
            Output::Transmit(transmit) => {
                self.outputs.recorder.message(now, Way::Out, transmit.flow, &transmit.bytes);
                if let Err(Unreachable(flow)) = self.flows.send(transmit) {
                    self.unreachable.insert(flow);
                }
            }
            Output::Media { shard, command } => self.orders.send(shard, command),
            Output::CallChanged(call) => self.show_call(call),
            Output::CallEnded(record) => {
                self.directions.remove(&record.call.id);
                let direction = direction_name(record.call.direction);
                metrics::calls_changed(direction, -1.0);
                metrics::call_ended(direction, result_name(record.result));
                tracing::info!(
                    call = record.call.id.0,
                    direction,
                    result = result_name(record.result),
                    status = record.sip_status,
                    explanation = record.explanation,
                    "call ended"
                );
                self.outputs.tables.call_ended(&record.call.id.0);
                self.outputs.recorder.record(&record);
                self.outputs.records.send(*record);
            }
            Output::Noted { call, at, note } => self.outputs.recorder.note(call, at, note),
            Output::BindingsChanged { extension, bindings } => {
                bindings.iter().filter_map(|binding| binding.flow.connection).for_each(|id| self.flows.prove(id));
                let contacts = bindings.len();
                if self.outputs.tables.bindings_changed(&extension, bindings) {
                    tracing::info!(extension, contacts, "registrations changed");
                }
            }
            Output::TrunkRegistration { trunk_id, registration } => self.show_registration(trunk_id, registration),
            Output::Alarm(Alarm::Burst { payer, calls }) => {
                tracing::warn!(agent = payer, calls, "suddenly many calls outside within a minute: is this the agent?");
            }
            Output::GatewayHealth { trunk_id, servers } => self.show_servers(trunk_id, servers),
            Output::CloseConnection(connection) => self.flows.close(connection),
        }
    }

    fn show_registration(&self, trunk: String, registration: TrunkRegistration) {
        match &registration.state {
            TrunkRegistrationState::Failed { status, reason, .. } => {
                tracing::warn!(trunk, status, reason, "a trunk is not registered");
            }
            TrunkRegistrationState::Registered { registrar, .. } => {
                tracing::debug!(trunk, %registrar, "a trunk is registered");
            }
            TrunkRegistrationState::Registering => tracing::info!(trunk, "registering a trunk"),
            TrunkRegistrationState::Unregistered => tracing::info!(trunk, "a trunk is not registered any more"),
        }
        self.outputs.tables.trunk_registration_changed(trunk, registration);
    }

    fn show_servers(&mut self, trunk: String, servers: Vec<ServerView>) {
        let before = self.outputs.tables.servers_changed(trunk.clone(), servers.clone());
        let same =
            |view: &ServerView, other: &ServerView| (view.address, view.transport) == (other.address, other.transport);
        for view in &servers {
            let known = before.iter().find(|known| same(known, view)).map(|known| known.state);
            let (address, transport) = (view.address, view.transport);
            match view.state {
                ServerState::Down if known != Some(ServerState::Down) => {
                    tracing::warn!(trunk, %address, %transport, "a trunk's server is down");
                }
                ServerState::Up if known == Some(ServerState::Down) => {
                    tracing::info!(trunk, %address, %transport, "a trunk's server is up again");
                }
                ServerState::Up | ServerState::Down | ServerState::Unknown => {}
            }
            metrics::server(&trunk, view);
        }
        for gone in before.iter().filter(|known| !servers.iter().any(|view| same(known, view))) {
            metrics::server_gone(&trunk, gone);
        }
    }

    fn show_call(&mut self, call: Arc<CallView>) {
        if self.directions.insert(call.id.clone(), call.direction).is_none() {
            let direction = direction_name(call.direction);
            metrics::calls_changed(direction, 1.0);
            tracing::info!(call = call.id.0, direction, "call begun");
        }
        // Only authenticated agents get as far as a call.
        for leg in call.legs.iter().filter(|leg| matches!(leg.transport, Transport::Ws | Transport::Wss)) {
            self.flows.prove_peer(leg.transport, leg.remote);
        }
        self.outputs.recorder.call(&call);
        self.outputs.tables.call_changed(call);
    }

    fn show_figures(&mut self) {
        let figures = Figures {
            switchboard: self.switchboard.counters(),
            endpoint: self.switchboard.endpoint_counters(),
            bindings: self.switchboard.binding_count(),
            trunks: self.switchboard.trunk_registrations(),
        };
        metrics::switchboard(&figures, &self.shown);
        self.shown = figures;
    }
}

impl Drop for Signalling {
    fn drop(&mut self) {
        // Also reached by a panic: a process without its signalling task must not look alive.
        self.stop.cancel();
    }
}
