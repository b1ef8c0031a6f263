//! Dialogs (RFC 3261 §12): who talks to whom, by which route, with which sequence numbers. Sends nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::flow::{Flow, Transport};
use crate::message::{CSeq, Host, Method, NameAddr, Request, Response, Uri};

/// What both ends of a dialog share.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    /// From of our requests, our tag included.
    pub(crate) local: NameAddr,
    /// To of our requests, the peer's tag included once it is known.
    pub(crate) remote: NameAddr,
    /// The number of our last request.
    pub(crate) local_sequence: u32,
    /// The number of the peer's last request.
    pub(crate) remote_sequence: Option<u32>,
    /// The peer's Contact.
    pub(crate) remote_target: Uri,
    /// The route set, in the order our requests visit it.
    pub(crate) routes: Vec<NameAddr>,
}

impl Dialog {
    /// The dialog a received INVITE sets up once answered with `local_tag` (§12.1.1). `None` when From, To, Call-ID or CSeq
    /// cannot be read, which the parser has already excluded.
    pub(crate) fn from_invite(request: &Request, local_tag: &str) -> Option<Self> {
        let remote = Arc::unwrap_or_clone(request.headers.from().ok()??);
        let local = Arc::unwrap_or_clone(request.headers.to().ok()??).with_tag(local_tag);
        let remote_target =
            request.headers.contacts().ok().and_then(|contacts| contacts.first().map(|c| c.uri().clone()));
        Some(Self {
            call_id: request.headers.call_id()?.to_owned(),
            local,
            remote_target: remote_target.unwrap_or_else(|| remote.uri.clone()),
            remote,
            local_sequence: 0,
            remote_sequence: Some(request.headers.cseq().ok()??.number),
            routes: request.headers.record_routes().unwrap_or_default(),
        })
    }

    /// The dialog our INVITE may set up; the peer's part of it comes with [`Dialog::establish`].
    pub(crate) fn of_invite(request: &Request) -> Option<Self> {
        Some(Self {
            call_id: request.headers.call_id()?.to_owned(),
            local: Arc::unwrap_or_clone(request.headers.from().ok()??),
            remote: Arc::unwrap_or_clone(request.headers.to().ok()??),
            local_sequence: request.headers.cseq().ok()??.number,
            remote_sequence: None,
            remote_target: request.uri.clone(),
            routes: Vec::new(),
        })
    }

    /// Takes over what a 2xx (or 1xx) to our INVITE says (§12.1.2).
    pub(crate) fn establish(&mut self, response: &Response) {
        if let Ok(Some(to)) = response.headers.to() {
            self.remote = Arc::unwrap_or_clone(to);
        }
        self.refresh_target(response.headers.contacts().ok().and_then(|c| c.first().map(|c| c.uri().clone())));
        self.routes = response.headers.record_routes().unwrap_or_default();
        self.routes.reverse();
    }

    /// A target refresh request or its answer names a new Contact (§12.2).
    pub(crate) fn refresh_target(&mut self, contact: Option<Uri>) {
        if let Some(uri) = contact {
            self.remote_target = uri;
        }
    }

    /// Our tag.
    pub(crate) fn local_tag(&self) -> String {
        self.local.tag().map(std::borrow::Cow::into_owned).unwrap_or_default()
    }

    /// The peer's tag; empty while unknown.
    pub(crate) fn remote_tag(&self) -> String {
        self.remote.tag().map(std::borrow::Cow::into_owned).unwrap_or_default()
    }

    /// A new request within the dialog (§12.2.1.1), without Via. ACK keeps the INVITE's number, given as `sequence`.
    pub(crate) fn request(&mut self, method: Method, sequence: Option<u32>) -> Request {
        let number = sequence.unwrap_or_else(|| {
            self.local_sequence += 1;
            self.local_sequence
        });
        let strict = self.routes.first().filter(|route| !is_loose(route)).map(|route| route.uri.clone());
        let mut request = Request::new(method.clone(), strict.clone().unwrap_or_else(|| self.remote_target.clone()));
        let skipped = usize::from(strict.is_some());
        for route in self.routes.iter().skip(skipped) {
            request.headers.push("Route", route.to_string());
        }
        if strict.is_some() {
            request.headers.push("Route", format!("<{}>", self.remote_target));
        }
        request.headers.push("Max-Forwards", "70");
        request.headers.push("From", self.local.to_string());
        request.headers.push("To", self.remote.to_string());
        request.headers.push("Call-ID", self.call_id.clone());
        request.headers.push("CSeq", CSeq { number, method }.to_string());
        request
    }

    /// Where requests of this dialog go. A connection is kept as long as it lives; over UDP [`Self::target`] decides.
    pub(crate) fn next_hop(&self, flow: Flow) -> Flow {
        if flow.transport.is_reliable() { flow } else { self.target(flow) }
    }

    /// Where the first route or the peer's Contact leads, when it is an address that can be reached from here. A peer behind NAT names one
    /// that cannot, and then the source of its messages decides; so it does for a name, which nobody resolves here, but a connection
    /// that the peer opened did not come from the port it listens on. A WebSocket leads nowhere but to itself (RFC 5626 §5.3).
    pub(crate) fn target(&self, flow: Flow) -> Flow {
        if flow.transport.is_websocket() {
            return flow;
        }
        let uri = self.routes.first().map_or(&self.remote_target, |route| &route.uri);
        let port = uri.port().unwrap_or(flow.transport.default_port());
        let transport = uri.param("transport");
        // TCP under sips: is TLS (§26.2.2).
        let secure = uri.scheme() == "sips" && flow.transport == Transport::Tls;
        let token = if secure { Transport::Tcp.via_token() } else { flow.transport.via_token() };
        let same = transport.is_none_or(|transport| transport.eq_ignore_ascii_case(token));
        let ip = match uri.host() {
            Some(Host::Ip(ip)) if same && !is_hidden_behind(*ip, flow.peer.ip()) => *ip,
            Some(_) | None if flow.connection.is_none() => return flow,
            Some(_) | None => flow.peer.ip(),
        };
        Flow { peer: SocketAddr::new(ip, port), connection: None, ..flow }
    }
}

/// RFC 3261 §19.1.1: `lr` marks a loose router.
fn is_loose(route: &NameAddr) -> bool {
    route.uri.params().is_some_and(|params| params.contains("lr"))
}

/// Whether `announced` is of a private kind that a peer seen as `source` is hidden behind.
fn is_hidden_behind(announced: IpAddr, source: IpAddr) -> bool {
    let is_private = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_loopback() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || (ip.segments()[0] & 0xfe00) == 0xfc00,
    };
    announced.is_ipv4() != source.is_ipv4() || (announced != source && is_private(announced) && !is_private(source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{ConnectionId, Transport};

    fn invite(extra: &str) -> Request {
        let text = format!(
            "INVITE sip:1@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKa\r\nFrom: <sip:2@b>;tag=far\r\n\
             To: <sip:1@a>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\n{extra}\r\n"
        );
        match crate::Message::parse(text.as_bytes()) {
            Ok(crate::Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn dialog(extra: &str) -> Dialog {
        Dialog::from_invite(&invite(extra), "near").expect("dialog")
    }

    fn udp(peer: &str) -> Flow {
        Flow { transport: Transport::Udp, peer: peer.parse().expect("address"), connection: None, tls: None }
    }

    #[test]
    fn requests_of_the_answering_side_count_their_own_sequence() {
        let mut dialog = dialog("Contact: <sip:2@198.51.100.7:5080>\r\n");
        let first = dialog.request(Method::Bye, None);
        assert_eq!(first.headers.get("CSeq"), Some("1 BYE"));
        assert_eq!(first.uri.to_string(), "sip:2@198.51.100.7:5080");
        assert_eq!(first.headers.get("To"), Some("<sip:2@b>;tag=far"));
        assert_eq!(first.headers.get("From"), Some("<sip:1@a>;tag=near"));
        assert_eq!(dialog.request(Method::Ack, Some(1)).headers.get("CSeq"), Some("1 ACK"));
        assert_eq!(dialog.request(Method::Info, None).headers.get("CSeq"), Some("2 INFO"));
    }

    #[test]
    fn loose_routes_are_visited_and_a_strict_one_takes_the_request_uri() {
        let mut loose = dialog(
            "Contact: <sip:2@198.51.100.7>\r\nRecord-Route: <sip:198.51.100.1;lr>\r\nRecord-Route: <sip:198.51.100.2;lr>\r\n",
        );
        let bye = loose.request(Method::Bye, None);
        assert_eq!(bye.uri.to_string(), "sip:2@198.51.100.7");
        let routes: Vec<_> = bye.headers.get_all("Route").collect();
        assert_eq!(routes, ["<sip:198.51.100.1;lr>", "<sip:198.51.100.2;lr>"]);
        assert_eq!(loose.next_hop(udp("198.51.100.9:5060")).peer.to_string(), "198.51.100.1:5060");
        let mut strict = dialog("Contact: <sip:2@198.51.100.7>\r\nRecord-Route: <sip:198.51.100.1>\r\n");
        let bye = strict.request(Method::Bye, None);
        assert_eq!(bye.uri.to_string(), "sip:198.51.100.1");
        assert_eq!(bye.headers.get("Route"), Some("<sip:2@198.51.100.7>"));
    }

    #[test]
    fn a_peer_behind_nat_is_answered_where_it_sends_from() {
        let hidden = dialog("Contact: <sip:2@10.0.0.5:5060>\r\n");
        assert_eq!(hidden.next_hop(udp("203.0.113.9:40000")).peer.to_string(), "203.0.113.9:40000");
        let open = dialog("Contact: <sip:2@198.51.100.7:5070>\r\n");
        assert_eq!(open.next_hop(udp("203.0.113.9:40000")).peer.to_string(), "198.51.100.7:5070");
        let named = dialog("Contact: <sip:2@carrier.example>\r\n");
        assert_eq!(named.next_hop(udp("203.0.113.9:5060")).peer.to_string(), "203.0.113.9:5060");
    }

    #[test]
    fn a_connection_is_kept_and_a_lost_one_opened_again_to_the_contact_but_never_a_websocket() {
        let peer = "203.0.113.9:40000".parse().expect("address");
        let flow = |transport| Flow { transport, peer, connection: Some(ConnectionId(1)), tls: None };
        let open = dialog("Contact: <sip:2@198.51.100.7:5070;transport=tcp>\r\n");
        assert_eq!(open.next_hop(flow(Transport::Tcp)), flow(Transport::Tcp));
        let again = open.target(flow(Transport::Tcp));
        assert_eq!((again.peer.to_string().as_str(), again.connection), ("198.51.100.7:5070", None));
        let named = dialog("Contact: <sip:2@carrier.example;transport=tcp>\r\n");
        let again = named.target(flow(Transport::Tcp));
        assert_eq!((again.peer.to_string().as_str(), again.connection), ("203.0.113.9:5060", None));
        let dialled = Flow { connection: None, ..flow(Transport::Tcp) };
        assert_eq!(named.target(dialled), dialled);
        assert_eq!(open.target(flow(Transport::Wss)), flow(Transport::Wss));
    }

    #[test]
    fn inside_tls_a_contact_without_a_port_is_at_5061_and_the_settings_of_the_connection_stay() {
        let tls = Some(crate::flow::TlsId(7));
        let peer = "203.0.113.9:40000".parse().expect("address");
        let flow = Flow { transport: Transport::Tls, peer, connection: Some(ConnectionId(1)), tls };
        for contact in ["sip:2@198.51.100.7;transport=tls", "sips:2@198.51.100.7", "sips:2@198.51.100.7;transport=tcp"]
        {
            let again = dialog(&format!("Contact: <{contact}>\r\n")).target(flow);
            assert_eq!((again.peer.to_string().as_str(), again.tls), ("198.51.100.7:5061", tls), "{contact}");
        }
        let elsewhere = dialog("Contact: <sip:2@198.51.100.7:5060;transport=tcp>\r\n").target(flow);
        assert_eq!(elsewhere.peer.ip(), peer.ip(), "what is said inside TLS goes on inside TLS");
    }
}
