//! The client transactions of our requests: finding them by response (RFC 3261 §17.1.3), and carrying out what their machines want.

use std::time::Instant;

use bytes::Bytes;
use smallvec::SmallVec;

use super::challenges::Clearance;
use super::{Endpoint, OutgoingId, Part, SessionId};
use crate::digest::copy_credentials;
use crate::flow::Flow;
use crate::message::{CSeq, Method, Request, Response, StatusCode, Via};
use crate::session::TransactionId;
use crate::transaction::{Action, Actions, InviteClient, NonInviteClient, ResponseClass, Timer, TimerTable, Timers};

/// A client transaction is named by the branch we made and the method.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ClientKey {
    pub(super) branch: String,
    pub(super) method: Method,
}

/// Who waits for a client transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientUser {
    /// The INVITE of a session.
    Invite(SessionId),
    /// A re-INVITE or UPDATE of a session.
    Modify(SessionId),
    /// The PRACK for a provisional response to a session's INVITE.
    Prack(SessionId),
    /// The BYE of a session.
    Bye(SessionId),
    /// The BYE sent again after the stream of the first was lost.
    LastBye(SessionId),
    /// The CANCEL of a session's INVITE or re-INVITE, whose own answer nobody waits for.
    Cancel(SessionId),
    /// A request inside a session that changes nothing of it.
    Inside(SessionId, OutgoingId),
    /// A request outside dialogs.
    Outgoing(OutgoingId),
    /// Nobody: the BYE to a fork that lost.
    Nobody,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum ClientMachine {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

impl ClientMachine {
    /// The machine of a request to be sent on a flow, and what it wants first.
    pub(super) fn start(method: &Method, timers: &Timers, flow: Flow) -> (Self, Actions) {
        let reliable = flow.transport.is_reliable();
        if *method == Method::Invite {
            let (machine, actions) = InviteClient::start(timers, reliable);
            (Self::Invite(machine), actions)
        } else {
            let (machine, actions) = NonInviteClient::start(timers, reliable);
            (Self::NonInvite(machine), actions)
        }
    }
}

#[derive(Debug)]
pub(super) struct ClientTransaction {
    pub(super) machine: ClientMachine,
    pub(super) flow: Flow,
    /// The flow it was meant for, as long as it goes over TCP because of its size.
    pub(super) moved_from: Option<Flow>,
    pub(super) request: Request,
    pub(super) bytes: Bytes,
    pub(super) key: ClientKey,
    pub(super) user: ClientUser,
    pub(super) timers: TimerTable,
    /// The ACKs sent for 2xx, by To tag, to be repeated when the 2xx is.
    pub(super) acknowledged: SmallVec<[(String, Flow, Bytes); 1]>,
    /// Of an INVITE: the number of the last request of ours in any dialog that its responses have set up.
    pub(super) counted: u32,
    /// Where its last response came from.
    pub(super) heard_from: Option<Flow>,
    pub(super) clearance: Clearance,
}

impl ClientTransaction {
    /// Where further requests to the same hop go: the size of this one is not theirs.
    pub(super) fn hop(&self) -> Flow {
        self.moved_from.unwrap_or(self.flow)
    }

    /// As [`Self::hop`], once the peer has said by its Contact how it wants to be reached.
    pub(super) fn hop_after(&self, response: &Response) -> Flow {
        let contact = response.headers.contacts().ok().and_then(|contacts| contacts.first().map(|c| c.uri().clone()));
        let transport = contact.as_ref().and_then(|uri| uri.param("transport"));
        let is_here = |token: &str| token.eq_ignore_ascii_case(self.flow.transport.via_token());
        if transport.is_some_and(|token| is_here(&token)) { self.flow } else { self.hop() }
    }
}

impl Endpoint {
    /// A Via for a request of ours on a flow.
    pub(super) fn via(&mut self, flow: Flow) -> (String, Via) {
        let branch = format!("{}{}", Via::COOKIE, self.token());
        let mut via =
            Via::new(flow.transport.via_token(), self.config.host.clone(), self.config.port(flow.transport), &branch);
        via.params.set("rport", None);
        (branch, via)
    }

    /// Sends a request, which has no Via yet, in a transaction of its own.
    pub(super) fn start_client(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Request,
        user: ClientUser,
    ) -> TransactionId {
        self.start_cleared(now, flow, request, user, Clearance::default())
    }

    /// As [`Self::start_client`], with credentials of its own, or attempts behind it.
    pub(super) fn start_cleared(
        &mut self,
        now: Instant,
        flow: Flow,
        mut request: Request,
        user: ClientUser,
        mut clearance: Clearance,
    ) -> TransactionId {
        self.authorize(flow, &mut request, user, &mut clearance);
        let (branch, via) = self.via(flow);
        let id = self.start_client_with_via(now, flow, request, user, branch, &via);
        if let Some(transaction) = self.clients.get_mut(&id) {
            transaction.clearance = clearance;
        }
        id
    }

    /// As [`Self::start_client`], with the Via given: a CANCEL has its INVITE's.
    pub(super) fn start_client_with_via(
        &mut self,
        now: Instant,
        flow: Flow,
        mut request: Request,
        user: ClientUser,
        branch: String,
        via: &Via,
    ) -> TransactionId {
        request.headers.push_front("Via", via.to_string());
        request.headers.push("User-Agent", self.config.user_agent.clone());
        let id = TransactionId(self.next_id());
        let key = ClientKey { branch, method: request.method.clone() };
        let mut bytes = request.to_bytes();
        let (flow, moved_from) = self.route_by_size(now, flow, &mut request, &mut bytes);
        let (machine, actions) = ClientMachine::start(&request.method, &self.config.timers, flow);
        self.client_keys.insert(key.clone(), id);
        let transaction = ClientTransaction {
            machine,
            flow,
            moved_from,
            request,
            bytes,
            key,
            user,
            timers: TimerTable::default(),
            acknowledged: SmallVec::new(),
            counted: 0,
            heard_from: None,
            clearance: Clearance::default(),
        };
        self.clients.insert(id, Box::new(transaction));
        self.paths.enter(flow, Part::Client(id));
        self.run_client(now, id, &actions, None);
        if self.paths.is_closed(flow) {
            self.rest(id);
        }
        id
    }

    /// The client transaction a response belongs to.
    pub(super) fn client_of(&self, response: &Response) -> Option<TransactionId> {
        let via = response.headers.top_via().ok()??;
        let method = response.headers.cseq().ok()??.method;
        self.client_keys.get(&ClientKey { branch: via.branch()?.into_owned(), method }).copied()
    }

    /// Lets a client transaction see a response.
    pub(super) fn client_response(&mut self, now: Instant, id: TransactionId, response: &Response) {
        let Some(transaction) = self.clients.get_mut(&id) else { return };
        let class = ResponseClass::of(response.status);
        let reliable = transaction.flow.transport.is_reliable();
        let timers = &self.config.timers;
        let actions = match &mut transaction.machine {
            ClientMachine::Invite(machine) => {
                let (next, actions) = machine.on_response(class, timers, reliable);
                *machine = next;
                actions
            }
            ClientMachine::NonInvite(machine) => {
                let (next, actions) = machine.on_response(class, timers, reliable);
                *machine = next;
                actions
            }
        };
        self.run_client(now, id, &actions, Some(response));
    }

    pub(super) fn client_timer(&mut self, now: Instant, id: TransactionId, timer: Timer, at: Instant) {
        let Some(transaction) = self.clients.get_mut(&id) else { return };
        if !transaction.timers.fire(timer, at) {
            return;
        }
        let timers = &self.config.timers;
        let actions = match &mut transaction.machine {
            ClientMachine::Invite(machine) => {
                let (next, actions) = machine.on_timer(timer, timers);
                *machine = next;
                actions
            }
            ClientMachine::NonInvite(machine) => {
                let (next, actions) = machine.on_timer(timer, timers);
                *machine = next;
                actions
            }
        };
        self.run_client(now, id, &actions, None);
    }

    pub(super) fn run_client(
        &mut self,
        now: Instant,
        id: TransactionId,
        actions: &Actions,
        response: Option<&Response>,
    ) {
        for action in actions {
            let Some(transaction) = self.clients.get_mut(&id) else { return };
            match *action {
                Action::Send => {
                    let (flow, bytes) = (transaction.flow, transaction.bytes.clone());
                    self.transmit(flow, bytes);
                }
                Action::Acknowledge => {
                    let (flow, ack) = (transaction.flow, response.map(|r| failure_ack(&transaction.request, r)));
                    if let Some(ack) = ack {
                        self.transmit(flow, ack.to_bytes());
                    }
                }
                Action::Start(timer, after) => {
                    transaction.timers.start(timer, now + after);
                    self.timers.push(now + after, Part::Client(id), timer);
                }
                Action::Stop(timer) => transaction.timers.stop(timer),
                Action::Deliver => {
                    if let Some(response) = response {
                        let user = transaction.user;
                        self.client_delivers(now, id, user, response);
                    }
                }
                Action::TimedOut => {
                    let user = transaction.user;
                    self.client_fails(now, id, user, StatusCode::REQUEST_TIMEOUT, None);
                }
                Action::Terminate => self.remove_client(id),
            }
        }
    }

    /// The transport failed under a client transaction (§17.1.4): its user gets a 503 of our own, which says why where that is known.
    pub(super) fn fail_client(&mut self, now: Instant, id: TransactionId, why: Option<&str>) {
        let Some(transaction) = self.clients.get(&id) else { return };
        let user = transaction.user;
        let waiting = match transaction.machine {
            ClientMachine::Invite(machine) => {
                matches!(machine, InviteClient::Calling { .. } | InviteClient::Proceeding)
            }
            ClientMachine::NonInvite(machine) => machine != NonInviteClient::Completed,
        };
        if waiting && self.return_to_udp(now, id, why.is_some()) {
            return;
        }
        if waiting {
            self.client_fails(now, id, user, StatusCode::SERVICE_UNAVAILABLE, why);
        }
        self.remove_client(id);
    }

    pub(super) fn remove_client(&mut self, id: TransactionId) {
        if let Some(transaction) = self.clients.remove(&id) {
            self.client_keys.remove(&transaction.key);
            self.paths.leave(transaction.flow, Part::Client(id));
        }
    }
}

/// The ACK for a failure (§17.1.1.3): the INVITE's topmost Via and routes, the response's To.
fn failure_ack(invite: &Request, response: &Response) -> Request {
    let mut ack = Request::new(Method::Ack, invite.uri.clone());
    if let Some(via) = invite.headers.elements("Via").next() {
        ack.headers.push("Via", via);
    }
    for route in invite.headers.get_all("Route") {
        ack.headers.push("Route", route);
    }
    ack.headers.push("Max-Forwards", "70");
    for (name, source) in [("From", &invite.headers), ("To", &response.headers), ("Call-ID", &invite.headers)] {
        ack.headers.push(name, source.get(name).unwrap_or_default());
    }
    let number = invite.headers.cseq().ok().flatten().map_or(1, |cseq| cseq.number);
    ack.headers.push("CSeq", CSeq { number, method: Method::Ack }.to_string());
    copy_credentials(&invite.headers, &mut ack.headers);
    ack
}
