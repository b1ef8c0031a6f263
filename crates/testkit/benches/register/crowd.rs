//! Very many agents who only register, over WSS and with a digest each, as SIP.js does it: a nonce is of no use any more when the next
//! refresh is due, so each refresh is a request with old credentials, a challenge, and the request again.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bench::Meter;
use sip::{ConnectionId, Flow, Ha1, Message, StatusCode, Transport};
use switchboard::{Clock, Credential, Dialplan, Extension, Output, Switchboard, SwitchboardConfig};
use testkit::{REALM, directory};

/// Agents who refresh in a round.
const REFRESHED: usize = 200;

/// From one round to the next: all of them together are shorter than a binding lives.
const INTERVAL: Duration = Duration::from_millis(1);

pub(crate) struct Crowd {
    now: Instant,
    switchboard: Switchboard,
    phones: Vec<Phone>,
    /// Who is first in the next round.
    first: usize,
    said: Vec<String>,
    outputs: Vec<Output>,
}

/// What a phone has to remember.
struct Phone {
    user: String,
    flow: Flow,
    sequence: u32,
    nonce: String,
}

/// Which of a refresh's two requests counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    Both,
    /// The one whose credentials are good.
    Accepted,
}

impl Crowd {
    /// So many agents, all of them registered.
    pub(crate) fn new(agents: usize) -> Self {
        let now = Instant::now();
        let mut known = directory();
        let extension = known.extensions["100"].clone();
        let mut phones = Vec::with_capacity(agents);
        for place in 0..agents {
            let user = (1_000_000 + place).to_string();
            known.extensions.insert(user.clone(), extension_of(&user, &extension));
            known.credentials.insert(user.clone(), credential_of(&user));
            let host = u32::from(Ipv4Addr::new(10, 0, 0, 0)) + u32::try_from(place).unwrap();
            let connection = Some(ConnectionId(place as u64 + 1));
            let peer = SocketAddr::from((Ipv4Addr::from(host), 50_000));
            let flow = Flow { transport: Transport::Wss, peer, connection, tls: None };
            phones.push(Phone { user, flow, sequence: 0, nonce: String::new() });
        }
        let clock = Clock { instant: now, system: SystemTime::UNIX_EPOCH };
        let config = SwitchboardConfig::default();
        let mut crowd = Self {
            now,
            switchboard: Switchboard::new(config, clock, [7; 32], Arc::new(known), Arc::new(Dialplan::default())),
            phones,
            first: 0,
            said: Vec::new(),
            outputs: Vec::with_capacity(16 * REFRESHED),
        };
        let everybody: Vec<usize> = (0..agents).collect();
        for some in everybody.chunks(REFRESHED) {
            crowd.ask(some, StatusCode::UNAUTHORIZED, &mut Meter::idle());
            crowd.ask(some, StatusCode::OK, &mut Meter::idle());
        }
        assert_eq!(crowd.switchboard.binding_count(), agents);
        crowd
    }

    /// Some of the agents refresh; gives how many.
    pub(crate) fn refresh(&mut self, meter: &mut Meter, counts: Counts) -> usize {
        // From all over the place, so that nobody is still at hand from the round before.
        let (agents, many) = (self.phones.len(), REFRESHED.min(self.phones.len()));
        let some: Vec<usize> = (0..many).map(|n| (self.first + n * (agents / many)) % agents).collect();
        self.first += 1;
        let idle = &mut Meter::idle();
        self.ask(&some, StatusCode::UNAUTHORIZED, if counts == Counts::Both { meter } else { idle });
        self.ask(&some, StatusCode::OK, meter);
        some.len()
    }

    /// A request of each, which is answered with `status`.
    fn ask(&mut self, places: &[usize], status: StatusCode, meter: &mut Meter) {
        self.said.clear();
        for place in places {
            let phone = &mut self.phones[*place];
            self.said.push(phone.request());
        }
        self.now += INTERVAL;
        let Self { now, switchboard, phones, said, outputs, .. } = self;
        meter.measure(|| {
            for (place, text) in places.iter().zip(&*said) {
                switchboard.handle_message(*now, phones[*place].flow, text.as_bytes());
                outputs.extend(std::iter::from_fn(|| switchboard.poll_output()));
            }
        });
        let mut answered = 0;
        for output in outputs.drain(..) {
            let Output::Transmit(transmit) = output else { continue };
            let Ok(Message::Response(response)) = Message::parse(&transmit.bytes) else { panic!("a response") };
            assert_eq!(response.status, status);
            answered += 1;
            let challenge = response.headers.auth_params("WWW-Authenticate").last();
            if let Some(challenge) = challenge {
                let place = usize::try_from(transmit.flow.connection.unwrap().0).unwrap() - 1;
                phones[place].nonce = challenge.get("nonce").unwrap().into_owned();
            }
        }
        assert_eq!(answered, places.len());
    }
}

impl Phone {
    /// A REGISTER as SIP.js writes it, with the latest nonce. When that was used before, it is challenged once more.
    fn request(&mut self) -> String {
        self.sequence += 1;
        let (user, sequence, nonce) = (&self.user, self.sequence, &self.nonce);
        // It digests `a:b:c`, whatever those are.
        let md5 = |a: &str, b: &str, c: &str| Ha1::new(a, b, c).md5.map(|byte| format!("{byte:02x}")).concat();
        let of_request = md5("REGISTER", "sip", REALM);
        let answer = format!("00000001:0a4f113b:auth:{of_request}");
        let response = md5(&md5(user, REALM, &format!("secret-{user}")), nonce, &answer);
        format!(
            "REGISTER sip:{REALM} SIP/2.0\r\nVia: SIP/2.0/WSS df7jal{user}.invalid;branch=z9hG4bK{user}{sequence}\r\n\
             Max-Forwards: 69\r\nTo: <sip:{user}@{REALM}>\r\nFrom: \"Agent {user}\" <sip:{user}@{REALM}>;tag=k3o1{user}\r\n\
             Call-ID: 8gkpb2ej{user}\r\nCSeq: {sequence} REGISTER\r\n\
             Authorization: Digest algorithm=MD5, username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"sip:{REALM}\", \
             response=\"{response}\", qop=auth, cnonce=\"0a4f113b\", nc=00000001\r\n\
             Contact: <sip:{user}@df7jal{user}.invalid;transport=ws>;reg-id=1;\
             +sip.instance=\"<urn:uuid:bb0e8f6a-5d1c-4f7b-9d63-00000{user}>\";expires=600\r\n\
             Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY\r\nSupported: path,gruu,outbound\r\n\
             User-Agent: SIP.js/0.21.2\r\nContent-Length: 0\r\n\r\n"
        )
    }
}

fn extension_of(user: &str, like: &Extension) -> Extension {
    Extension { id: format!("ext_{user}"), number: user.to_owned(), agent_id: None, ..like.clone() }
}

fn credential_of(user: &str) -> Credential {
    let ha1 = Ha1::new(user, REALM, &format!("secret-{user}"));
    Credential { id: format!("crd_{user}"), username: user.to_owned(), extension: user.to_owned(), ha1 }
}
