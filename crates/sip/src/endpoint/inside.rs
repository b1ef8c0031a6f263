//! Requests of ours inside an established session that change nothing of it: INFO (RFC 6086) and the like.

use std::time::Instant;

use bytes::Bytes;

use super::clients::ClientUser;
use super::{Endpoint, OutgoingId, SessionId};
use crate::message::Method;
use crate::session::State;

/// A request to be sent inside a session.
#[derive(Debug, Clone)]
pub struct InsideRequest {
    /// `Info` or another that neither begins, changes nor ends a session.
    pub method: Method,
    /// Headers beyond those of the dialog.
    pub headers: Vec<(String, String)>,
    /// Content-Type and body.
    pub body: Option<(String, Bytes)>,
}

impl Endpoint {
    /// Sends a request inside an established session; [`super::Event::Response`] tells its final response, or that none came. Whatever
    /// that is, the session goes on: nobody is hung up on for what was said beside the call. `None` without such a session.
    pub fn ask(&mut self, now: Instant, session: SessionId, asked: InsideRequest) -> Option<OutgoingId> {
        let id = OutgoingId(self.next_id());
        let usage = self.usages.sessions.get_mut(&session)?;
        let State::Established(_) = usage.state else { return None };
        let flow = usage.dialog.next_hop(usage.flow);
        let mut request = usage.dialog.request(asked.method, None);
        for (name, value) in asked.headers {
            request.headers.push(&name, value);
        }
        if let Some((content_type, body)) = asked.body {
            request = request.with_body(&content_type, body);
        }
        self.start_client(now, flow, request, ClientUser::Inside(session, id));
        Some(id)
    }
}
