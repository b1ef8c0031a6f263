//! Requests too large for a datagram go over TCP to the same hop, and back to UDP where nobody takes the connection (RFC 3261 §18.1.1).
//! Responses go where their requests came from, whatever their size.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::clients::{ClientKey, ClientMachine};
use super::{Endpoint, Part};
use crate::flow::{Flow, Transport};
use crate::message::{Method, Request};
use crate::session::TransactionId;
use crate::transaction::TimerTable;

/// The largest request sent as a datagram while the path's MTU is not known.
const LARGEST_DATAGRAM: usize = 1300;

/// How long a peer that took no connection is spared further ones: each may cost the caller seconds.
const SPARED: Duration = Duration::from_secs(600);

impl Endpoint {
    /// Has a request whose bytes are too many for a datagram go over TCP. Where it goes, and the flow it was meant for when that is another.
    pub(super) fn route_by_size(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &mut Request,
        bytes: &mut Bytes,
    ) -> (Flow, Option<Flow>) {
        // A CANCEL goes where its INVITE went.
        let may_move = flow.transport == Transport::Udp && request.method != Method::Cancel;
        if !may_move || bytes.len() <= LARGEST_DATAGRAM || self.paths.takes_datagrams_only(now, flow.peer) {
            return (flow, None);
        }
        let over = Flow { transport: Transport::Tcp, ..flow };
        request.headers.change_top_via(|via| {
            via.transport = over.transport.via_token().into();
            via.port = self.config.port(over.transport);
        });
        *bytes = request.to_bytes();
        (over, Some(flow))
    }

    /// Sends a request as a datagram after all whose connection came to nothing. Whether there was one to send: once, and only as long as
    /// its peer was not heard.
    pub(super) fn return_to_udp(&mut self, now: Instant, id: TransactionId, refused: bool) -> bool {
        let moved = self.clients.get(&id).filter(|transaction| transaction.heard_from.is_none());
        let Some(flow) = moved.and_then(|transaction| transaction.moved_from) else { return false };
        if refused {
            self.paths.note_datagrams_only(now + SPARED, flow.peer);
        }
        let (branch, via) = self.via(flow);
        let Some(transaction) = self.clients.get_mut(&id) else { return false };
        let (machine, actions) = ClientMachine::start(&transaction.request.method, &self.config.timers, flow);
        transaction.request.headers.change_top_via(|top| *top = via);
        transaction.bytes = transaction.request.to_bytes();
        transaction.machine = machine;
        transaction.timers = TimerTable::default();
        transaction.moved_from = None;
        let key = ClientKey { branch, method: transaction.request.method.clone() };
        let (before, over) =
            (std::mem::replace(&mut transaction.key, key.clone()), std::mem::replace(&mut transaction.flow, flow));
        self.client_keys.remove(&before);
        self.client_keys.insert(key, id);
        self.paths.leave(over, Part::Client(id));
        self.paths.enter(flow, Part::Client(id));
        self.run_client(now, id, &actions, None);
        true
    }
}
