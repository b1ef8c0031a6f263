//! A carrier written by hand, for what the simulated peers, well-behaved elements, never do: any Contact, any source, any connection.

use std::net::SocketAddr;

use sip::{Flow, Message, Method, Request, Response, StatusCode, Transport};
use testkit::Simulation;

/// What the carrier calls itself in every dialog.
const TAG: &str = "carrier";

/// A flow over UDP.
pub(crate) fn udp(peer: &str) -> Flow {
    Flow { transport: Transport::Udp, peer: peer.parse().unwrap(), connection: None, tls: None }
}

/// Agent 100's call to a number behind the trunk `main`, as its INVITE reached the carrier.
pub(crate) struct Carrier {
    pub(crate) simulation: Simulation,
    pub(crate) browser: SocketAddr,
    pub(crate) session: sip::SessionId,
    pub(crate) invite: Request,
    /// Where the carrier sends from.
    pub(crate) flow: Flow,
}

impl Carrier {
    pub(crate) fn called() -> Self {
        Self::called_in(Simulation::new(crate::PLAN))
    }

    pub(crate) fn called_in(mut simulation: Simulation) -> Self {
        let browser = simulation.browser(1);
        let session = simulation.call(browser, "100", "+15551234567");
        let (to, invite) = simulation
            .sent
            .iter()
            .rev()
            .find_map(|(_, to, message)| match message {
                Message::Request(request) if *to != browser => Some((*to, request.clone())),
                _ => None,
            })
            .expect("an INVITE went to the trunk");
        Self { simulation, browser, session, invite, flow: udp(&to.to_string()) }
    }

    /// Answers the INVITE with these further header lines.
    pub(crate) fn answer(&mut self, status: StatusCode, headers: &[(&str, &str)]) {
        let mut response = Response::for_request(&self.invite, status).with_to_tag(TAG);
        for (name, value) in headers {
            response = response.with_header(name, *value);
        }
        if status.is_success() {
            response = response.with_body("application/sdp", "v=0 carrier");
        }
        self.tell(&Message::Response(response));
    }

    /// Answers any other request.
    pub(crate) fn respond(&mut self, request: &Request, status: StatusCode) {
        self.tell(&Message::Response(Response::for_request(request, status)));
    }

    /// Sends a request inside the dialog from `flow`.
    pub(crate) fn ask(&mut self, method: Method, sequence: u32) {
        let mut request = Request::new(method.clone(), self.invite.uri.clone());
        let header = |name: &str| self.invite.headers.get(name).unwrap().to_owned();
        let via = format!(
            "SIP/2.0/{} {};branch=z9hG4bKcarrier{method}{sequence}",
            self.flow.transport.via_token(),
            self.flow.peer
        );
        request.headers.push("Via", via);
        request.headers.push("Max-Forwards", "70");
        request.headers.push("From", format!("{};tag={TAG}", header("To")));
        request.headers.push("To", header("From"));
        request.headers.push("Call-ID", header("Call-ID"));
        request.headers.push("CSeq", format!("{sequence} {method}"));
        self.tell(&Message::Request(request));
    }

    fn tell(&mut self, message: &Message) {
        let now = self.simulation.now;
        self.simulation.switchboard.handle_message(now, self.flow, &message.to_bytes());
        self.simulation.settle();
    }

    /// The last message that went anywhere but to the browser, and where it went.
    pub(crate) fn last(&self) -> (SocketAddr, &Message) {
        let sent = self.simulation.sent.iter().rev();
        sent.filter(|(_, to, _)| *to != self.browser).map(|(_, to, message)| (*to, message)).next().unwrap()
    }

    /// The last request of this method sent to the carrier, and where it went.
    pub(crate) fn last_request(&self, method: &Method) -> Option<(SocketAddr, Request)> {
        self.simulation.sent.iter().rev().find_map(|(_, to, message)| match message {
            Message::Request(request) if *to != self.browser && request.method == *method => {
                Some((*to, request.clone()))
            }
            _ => None,
        })
    }

    /// The status of the last response to the carrier.
    pub(crate) fn last_status(&self) -> u16 {
        match self.last().1 {
            Message::Response(response) => response.status.code(),
            Message::Request(request) => panic!("{}", request.method),
        }
    }
}
