//! The media thread with its calls set up: browsers that have shaken hands, and trunks.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::{
    Bandwidth, Certificate, Codec, Command, Event, Fingerprint, FingerprintHash, Keying, MediaSessionId, Peer,
    SecureTransport, Setup,
};
use patchcord::MediaThread;

use super::Kind;
use super::phones::{Phone, Phones, socket};

/// For what only a fault keeps from coming.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Gateway(MediaThread);

impl Gateway {
    /// The thread, and who talks through it.
    pub(crate) fn new(kind: Kind, calls: usize) -> (Self, Phones) {
        let mut gateway = Self(MediaThread::start(Certificate::generate().unwrap()).unwrap());
        let certificate = Arc::new(Certificate::generate().unwrap());
        let mut phones = Vec::new();
        for call in 0..calls {
            let [a, b] = [2 * call, 2 * call + 1].map(|number| MediaSessionId(number as u64));
            let bandwidth = if kind == Kind::Transcoded { Bandwidth::Narrow } else { Bandwidth::Full };
            phones.push(gateway.browser(a, 2 * call + 1, bandwidth, &certificate));
            phones.push(match kind {
                Kind::Transcoded => gateway.trunk(b, 2 * call),
                Kind::Relayed => gateway.browser(b, 2 * call, bandwidth, &certificate),
            });
            gateway.command(Command::Bridge { a, b });
        }
        (gateway, Phones::new(phones))
    }

    pub(crate) fn forget_events(&mut self) {
        while self.0.next_event().is_some() {}
    }

    pub(crate) fn end(self) {
        self.0.end();
    }

    fn command(&mut self, mut command: Command) {
        while let Err(refused) = self.0.command(command) {
            command = refused;
            std::thread::yield_now();
        }
    }

    /// What the thread answers to an offer.
    fn answer(&mut self, session: MediaSessionId, sdp: String, bandwidth: Bandwidth) -> String {
        self.command(Command::HandleOffer { session, sdp: sdp.into_bytes(), bandwidth });
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(Event::LocalDescription { sdp, .. }) = self.0.next_event() {
                return String::from_utf8(sdp).unwrap();
            }
            assert!(Instant::now() < deadline, "no answer");
            std::thread::yield_now();
        }
    }

    fn browser(
        &mut self,
        session: MediaSessionId,
        heard_by: usize,
        bandwidth: Bandwidth,
        own: &Arc<Certificate>,
    ) -> Phone {
        let (codecs, silence_timeout) = (vec![Codec::Opus], Duration::ZERO);
        self.command(Command::Open { session, keying: Keying::DtlsSrtp, codecs, silence_timeout });
        let print = own.fingerprint_sha256().map(|byte| format!("{byte:02X}")).join(":");
        let offer = format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\n\
             c=IN IP4 0.0.0.0\r\na=ice-ufrag:page\r\na=ice-pwd:browser-password-24-chars\r\na=fingerprint:sha-256 {print}\r\n\
             a=setup:actpass\r\na=mid:0\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
             a=rtpmap:110 telephone-event/48000\r\n"
        );
        let answer = self.answer(session, offer, bandwidth);
        let attribute = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let print = attribute("a=fingerprint:sha-256 ");
        let to = port(&attribute("m=audio "));
        let mut transport = SecureTransport::controlling(own.clone(), "page".to_owned());
        transport.set_peer(Peer {
            ufrag: attribute("a=ice-ufrag:"),
            pwd: attribute("a=ice-pwd:"),
            fingerprint: Fingerprint {
                hash: FingerprintHash::Sha256,
                value: print.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect(),
            },
            setup: Setup::Passive,
        });
        transport.set_candidate(to);
        let socket = socket();
        shake_hands(&mut transport, &socket);
        let seal = move |packet: &[u8]| {
            let sealed = transport.protect_rtp(packet).unwrap().1.to_vec();
            // Sixteen bytes of tag: AES-128-GCM was agreed on, which the floor is measured with.
            assert_eq!(sealed.len(), packet.len() + 16);
            sealed
        };
        Phone::new(socket, to, true, heard_by, Box::new(seal))
    }

    fn trunk(&mut self, session: MediaSessionId, heard_by: usize) -> Phone {
        let (keying, codecs) = (Keying::Plain { networks: vec![] }, vec![Codec::Pcmu]);
        self.command(Command::Open { session, keying, codecs, silence_timeout: Duration::ZERO });
        let socket = socket();
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0 101\r\n\
             a=rtpmap:101 telephone-event/8000\r\n",
            socket.local_addr().unwrap().port(),
        );
        let answer = self.answer(session, offer, Bandwidth::Full);
        let line = answer.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap();
        Phone::new(socket, port(line), false, heard_by, Box::new(<[u8]>::to_vec))
    }
}

/// The port at the beginning of what a media line says.
fn port(line: &str) -> SocketAddr {
    ([127, 0, 0, 1], line.split(' ').next().unwrap().parse().unwrap()).into()
}

fn shake_hands(transport: &mut SecureTransport, socket: &UdpSocket) {
    let deadline = Instant::now() + PATIENCE;
    let mut packet = [0; 4096];
    transport.check();
    while !transport.is_connected() {
        while let Some((to, packet)) = transport.poll_transmit() {
            socket.send_to(&packet, to).unwrap();
        }
        if let Ok((length, from)) = socket.recv_from(&mut packet) {
            transport.handle_packet(Instant::now(), from, &packet[..length]);
        } else {
            std::thread::yield_now();
        }
        assert!(Instant::now() < deadline, "no handshake");
    }
    while let Some((to, packet)) = transport.poll_transmit() {
        socket.send_to(&packet, to).unwrap();
    }
}
