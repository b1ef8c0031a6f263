//! The media side of a browser: ICE, DTLS-SRTP and Opus on a real socket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use media::{Certificate, Fingerprint, FingerprintHash, Peer, Received, SecureTransport, Setup};
use tokio::net::UdpSocket;

use super::audio::{FRAME, tone};
use super::within;

/// How long one turn waits for a packet before timers are looked at.
const TURN: Duration = Duration::from_millis(20);

pub(crate) struct Browser {
    transport: SecureTransport,
    certificate: Arc<Certificate>,
    socket: UdpSocket,
    encoder: opus::Encoder,
    decoder: opus::Decoder,
    heard: Vec<i16>,
    frame: usize,
}

impl Browser {
    pub(crate) async fn new() -> Self {
        Self::with(std::net::UdpSocket::bind("127.0.0.1:0").unwrap())
    }

    /// At a socket that is bound already.
    pub(crate) fn with(socket: std::net::UdpSocket) -> Self {
        socket.set_nonblocking(true).unwrap();
        let certificate = Arc::new(Certificate::generate().unwrap());
        Self {
            transport: SecureTransport::controlling(Arc::clone(&certificate), "brow".to_owned()),
            certificate,
            socket: UdpSocket::from_std(socket).unwrap(),
            encoder: opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Voip).unwrap(),
            decoder: opus::Decoder::new(8000, opus::Channels::Mono).unwrap(),
            heard: Vec::new(),
            frame: 0,
        }
    }

    /// What a browser offers, as far as the gateway looks at it.
    pub(crate) fn offer(&self) -> String {
        self.describe("actpass")
    }

    /// The answer to the gateway's offer.
    pub(crate) fn answer(&self) -> String {
        self.describe("active")
    }

    fn describe(&self, setup: &str) -> String {
        let fingerprint = self.certificate.fingerprint_sha256().map(|byte| format!("{byte:02X}")).join(":");
        format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
             c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:brow\r\na=ice-pwd:browser-password-24-chars\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\na=setup:{setup}\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n\
             a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n"
        )
    }

    /// Connects to the gateway's description.
    pub(crate) async fn connect(&mut self, description: &[u8]) {
        let text = std::str::from_utf8(description).unwrap();
        let attribute = |name: &str| {
            let prefix = format!("a={name}:");
            text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("{name} in {text}"))
        };
        let fingerprint = attribute("fingerprint").strip_prefix("sha-256 ").unwrap();
        let value = fingerprint.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        self.transport.set_peer(Peer {
            ufrag: attribute("ice-ufrag").to_owned(),
            pwd: attribute("ice-pwd").to_owned(),
            fingerprint: Fingerprint { hash: FingerprintHash::Sha256, value },
            setup: Setup::Passive,
        });
        let candidate: Vec<_> = attribute("candidate").split(' ').collect();
        self.transport.set_candidate(format!("{}:{}", candidate[4], candidate[5]).parse().unwrap());
        self.transport.check();
        within("ICE and DTLS", async {
            while !self.transport.is_connected() {
                self.turn().await;
            }
        })
        .await;
    }

    async fn flush(&mut self) {
        while let Some((to, packet)) = self.transport.poll_transmit() {
            self.socket.send_to(&packet, to).await.unwrap();
        }
    }

    async fn turn(&mut self) {
        self.flush().await;
        let mut packet = [0; 2048];
        let received = tokio::time::timeout(TURN, self.socket.recv_from(&mut packet)).await;
        let now = Instant::now();
        self.transport.handle_timeout(now);
        if let Ok(received) = received {
            let (length, from) = received.unwrap();
            if let Received::Rtp(clear) = self.transport.handle_packet(now, from, &packet[..length])
                && clear[1] & 0x7f == 111
            {
                let mut samples = [0_i16; 960];
                let count = self.decoder.decode(&clear[12..], &mut samples, false).unwrap();
                self.heard.extend_from_slice(&samples[..count]);
            }
        }
        self.flush().await;
    }

    /// Sends frames of a tone.
    pub(crate) async fn say(&mut self, frequency: f64, frames: usize) {
        for _ in 0..frames {
            let payload = self.encoder.encode_vec(&tone(frequency, 48_000, self.frame), 1275).unwrap();
            let number = u16::try_from(self.frame).unwrap();
            let mut packet = vec![0x80, 111];
            packet.extend_from_slice(&number.to_be_bytes());
            packet.extend_from_slice(&(u32::from(number) * 960).to_be_bytes());
            packet.extend_from_slice(&42_u32.to_be_bytes());
            packet.extend_from_slice(&payload);
            let (to, sealed) = self.transport.protect_rtp(&packet).unwrap();
            self.socket.send_to(&sealed, to).await.unwrap();
            self.frame += 1;
        }
    }

    /// What has come within a moment, at 8 kHz.
    #[allow(dead_code, reason = "not for every test that shares this file")]
    pub(crate) async fn overhear(&mut self) -> Vec<i16> {
        self.turn().await;
        std::mem::take(&mut self.heard)
    }

    /// Collects this many frames, at 8 kHz.
    pub(crate) async fn hear(&mut self, frames: usize) -> Vec<i16> {
        within("audio at the browser", async {
            while self.heard.len() < frames * FRAME {
                self.turn().await;
            }
        })
        .await;
        std::mem::take(&mut self.heard)
    }
}
