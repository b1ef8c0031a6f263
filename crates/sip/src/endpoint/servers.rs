//! The server transactions of what we are asked: named by message (RFC 3261 §17.2.3), answered once, and carrying out what their machines
//! want.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::keys::{MergeKey, ServerKey};
use super::{Endpoint, Part, SessionId};
use crate::flow::{Flow, SIP_PORT, Transport};
use crate::message::{Headers, Method, Request, Response};
use crate::session::TransactionId;
use crate::transaction::{Action, Actions, InviteServer, NonInviteServer, ResponseClass, Timer, TimerTable};

#[derive(Debug, Clone, Copy)]
pub(super) enum ServerMachine {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

#[derive(Debug)]
pub(super) struct ServerTransaction {
    pub(super) machine: ServerMachine,
    /// Where the request came from.
    pub(super) flow: Flow,
    /// Where its responses go.
    pub(super) reply: Flow,
    /// Until its final response: what remains afterwards is small, whatever was sent.
    pub(super) request: Option<Arc<Request>>,
    /// The last response, as long as it may have to be repeated.
    pub(super) last: Option<Bytes>,
    pub(super) key: ServerKey,
    pub(super) merge: Option<MergeKey>,
    /// Our tag in every response but 100.
    pub(super) to_tag: String,
    /// The session it began or belongs to.
    pub(super) session: Option<SessionId>,
    timers: TimerTable,
}

impl Endpoint {
    /// Notes in the topmost Via where a message really came from (§18.2.1, RFC 3581), and gives where its response goes (§18.2.2): to the
    /// port it came from when its sender asks for that by `rport`, else to the port that sender listens on; over a connection back.
    pub(super) fn stamp_via(headers: &mut Headers, flow: Flow) -> Flow {
        headers.change_top_via(|via| via.stamp(flow.peer));
        let Ok(Some(via)) = headers.top_via() else { return flow };
        if flow.transport != Transport::Udp || via.wants_rport() {
            return flow;
        }
        Flow { peer: SocketAddr::new(flow.peer.ip(), via.port.unwrap_or(SIP_PORT)), ..flow }
    }

    /// Makes a server transaction for a new request. `None` when it is the same request come by another way.
    pub(super) fn start_server(
        &mut self,
        flow: Flow,
        reply: Flow,
        request: Request,
        key: ServerKey,
    ) -> (TransactionId, bool) {
        let id = TransactionId(self.next_id());
        let has_tag = request.headers.to().ok().flatten().is_some_and(|to| to.tag().is_some());
        let merge = if has_tag { None } else { MergeKey::of(flow, &request) };
        let merged = merge.as_ref().is_some_and(|merge| self.merges.contains_key(merge));
        let merge = merge.filter(|_| !merged);
        if let Some(merge) = &merge {
            self.merges.insert(*merge, id);
        }
        let machine = if request.method == Method::Invite {
            ServerMachine::Invite(InviteServer::Proceeding)
        } else {
            ServerMachine::NonInvite(NonInviteServer::Trying)
        };
        let to_tag = self.token();
        self.server_keys.insert(key, id);
        let transaction = ServerTransaction {
            machine,
            flow,
            reply,
            request: Some(Arc::new(request)),
            last: None,
            key,
            merge,
            to_tag,
            session: None,
            timers: TimerTable::default(),
        };
        self.servers.insert(id, transaction);
        self.paths.enter(flow, Part::Server(id));
        (id, merged)
    }

    /// Answers a server transaction. Answers after the final one are ignored.
    pub(super) fn answer(&mut self, now: Instant, id: TransactionId, response: &Response) {
        let Some(transaction) = self.servers.get_mut(&id) else { return };
        let class = ResponseClass::of(response.status);
        let reliable = transaction.flow.transport.is_reliable();
        let timers = &self.config.timers;
        let actions = match &mut transaction.machine {
            ServerMachine::Invite(machine) => {
                let (next, actions) = machine.on_answer(class, timers, reliable);
                *machine = next;
                actions
            }
            ServerMachine::NonInvite(machine) => {
                let (next, actions) = machine.on_answer(class, timers, reliable);
                *machine = next;
                actions
            }
        };
        if !actions.is_empty() {
            transaction.last = Some(response.to_bytes());
        }
        self.run_server(now, id, &actions);
        if let Some(transaction) = self.servers.get_mut(&id).filter(|_| response.status.is_final()) {
            transaction.request = None;
            // A stream delivers, and a 2xx to an INVITE is repeated by its session.
            if reliable || matches!(transaction.machine, ServerMachine::Invite(InviteServer::Accepted)) {
                transaction.last = None;
            }
        }
    }

    /// The request of a server transaction arrived again.
    pub(super) fn server_retransmission(&mut self, now: Instant, id: TransactionId) {
        let Some(transaction) = self.servers.get_mut(&id) else { return };
        let (_, actions) = match transaction.machine {
            ServerMachine::Invite(machine) => {
                let (next, actions) = machine.on_retransmission();
                (ServerMachine::Invite(next), actions)
            }
            ServerMachine::NonInvite(machine) => {
                let (next, actions) = machine.on_retransmission();
                (ServerMachine::NonInvite(next), actions)
            }
        };
        self.run_server(now, id, &actions);
    }

    /// An ACK with an INVITE's branch arrived. Whether it was for a failure, and so is used up.
    pub(super) fn server_ack(&mut self, now: Instant, id: TransactionId) -> bool {
        let Some(transaction) = self.servers.get_mut(&id) else { return false };
        let reliable = transaction.flow.transport.is_reliable();
        let ServerMachine::Invite(machine) = &mut transaction.machine else { return false };
        if *machine == InviteServer::Accepted {
            return false;
        }
        let (next, actions) = machine.on_ack(&self.config.timers, reliable);
        *machine = next;
        self.run_server(now, id, &actions);
        true
    }

    pub(super) fn server_timer(&mut self, now: Instant, id: TransactionId, timer: Timer, at: Instant) {
        let Some(transaction) = self.servers.get_mut(&id) else { return };
        if !transaction.timers.fire(timer, at) {
            return;
        }
        let actions = match &mut transaction.machine {
            ServerMachine::Invite(machine) => {
                let (next, actions) = machine.on_timer(timer, &self.config.timers);
                *machine = next;
                actions
            }
            ServerMachine::NonInvite(machine) => {
                let (next, actions) = machine.on_timer(timer);
                *machine = next;
                actions
            }
        };
        self.run_server(now, id, &actions);
    }

    fn run_server(&mut self, now: Instant, id: TransactionId, actions: &Actions) {
        for action in actions {
            let Some(transaction) = self.servers.get_mut(&id) else { return };
            match *action {
                Action::Send => {
                    if let Some(bytes) = transaction.last.clone() {
                        let reply = transaction.reply;
                        self.transmit(reply, bytes);
                    }
                }
                Action::Start(timer, after) => {
                    transaction.timers.start(timer, now + after);
                    self.timers.push(now + after, Part::Server(id), timer);
                }
                Action::Stop(timer) => transaction.timers.stop(timer),
                Action::Terminate => self.remove_server(id),
                // Server machines neither acknowledge nor deliver; without an ACK for a failure nothing more is to be done.
                Action::Acknowledge | Action::Deliver | Action::TimedOut => {}
            }
        }
    }

    pub(super) fn remove_server(&mut self, id: TransactionId) {
        if let Some(transaction) = self.servers.remove(&id) {
            self.server_keys.remove(&transaction.key);
            self.paths.leave(transaction.flow, Part::Server(id));
            if let Some(merge) = transaction.merge {
                self.merges.remove(&merge);
            }
        }
    }
}
