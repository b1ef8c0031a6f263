//! Tones and their levels, and a trunk's RTP (PCMU).

use std::net::SocketAddr;

use rtc_srtp::context::Context;
use tokio::net::UdpSocket;

use super::within;

/// Samples of 20 ms at 8 kHz.
pub(crate) const FRAME: usize = 160;

const AMPLITUDE: f64 = 8000.0;

/// 20 ms of a tone at this sample rate.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub(crate) fn tone(frequency: f64, rate: usize, frame: usize) -> Vec<i16> {
    let length = rate / 50;
    (frame * length..(frame + 1) * length)
        .map(|n| ((n as f64 / rate as f64 * frequency * std::f64::consts::TAU).sin() * AMPLITUDE) as i16)
        .collect()
}

/// The level of a frequency in 8 kHz audio against the tone's own, by a single Fourier coefficient.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn level_db(samples: &[i16], frequency: f64) -> f64 {
    let step = frequency * std::f64::consts::TAU / 8000.0;
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        real += f64::from(*sample) * (step * n as f64).cos();
        imaginary += f64::from(*sample) * (step * n as f64).sin();
    }
    20.0 * (2.0 * real.hypot(imaginary) / samples.len() as f64 / AMPLITUDE).log10()
}

/// The audio side of a trunk's gateway.
pub(crate) struct TrunkAudio {
    socket: UdpSocket,
    frame: usize,
    /// What seals and opens its RTP, when that is SRTP.
    srtp: Option<(Context, Context)>,
}

impl TrunkAudio {
    pub(crate) async fn new() -> Self {
        Self { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(), frame: 0, srtp: None }
    }

    /// At a socket that is bound already.
    pub(crate) fn with(socket: std::net::UdpSocket) -> Self {
        socket.set_nonblocking(true).unwrap();
        Self { socket: UdpSocket::from_std(socket).unwrap(), frame: 0, srtp: None }
    }

    /// Speaks SRTP from now on: seals with the one and opens with the other.
    pub(crate) fn encrypt(&mut self, seals: Context, opens: Context) {
        self.srtp = Some((seals, opens));
    }

    /// Seals with another key from now on.
    pub(crate) fn rekey(&mut self, seals: Context) {
        self.srtp.as_mut().unwrap().0 = seals;
    }

    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    /// Its offer or answer: PCMU alone.
    pub(crate) fn description(&self) -> String {
        let port = self.socket.local_addr().unwrap().port();
        format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n")
    }

    /// Sends frames of a tone to where this description says.
    pub(crate) async fn say(&mut self, description: &[u8], frequency: f64, frames: usize) {
        let to = rtp_address(description);
        for _ in 0..frames {
            let mut packet = vec![0x80, 0];
            let number = u16::try_from(self.frame).unwrap();
            packet.extend_from_slice(&number.to_be_bytes());
            packet.extend_from_slice(&(u32::from(number) * 160).to_be_bytes());
            packet.extend_from_slice(&u32::from(self.port()).to_be_bytes());
            packet.extend(tone(frequency, 8000, self.frame).into_iter().map(linear_to_ulaw));
            if let Some((seals, _)) = &mut self.srtp {
                packet = seals.encrypt_rtp(&packet).unwrap().to_vec();
            }
            self.socket.send_to(&packet, to).await.unwrap();
            self.frame += 1;
        }
    }

    /// Collects this many frames.
    pub(crate) async fn hear(&mut self, frames: usize) -> Vec<i16> {
        let mut samples = Vec::new();
        within("audio at the trunk", async {
            while samples.len() < frames * FRAME {
                let mut packet = [0; 2048];
                let (length, _) = self.socket.recv_from(&mut packet).await.unwrap();
                let mut packet = packet[..length].to_vec();
                if let Some((_, opens)) = &mut self.srtp {
                    packet = opens.decrypt_rtp(&packet).expect("authentic").to_vec();
                }
                if packet[1] & 0x7f == 0 {
                    samples.extend(packet[12..].iter().map(|code| ulaw_to_linear(*code)));
                }
            }
        })
        .await;
        samples
    }
}

/// Where a description wants its RTP.
fn rtp_address(description: &[u8]) -> SocketAddr {
    let text = std::str::from_utf8(description).unwrap();
    let host = text.lines().find_map(|line| line.strip_prefix("c=IN IP4 ")).unwrap();
    let port = text.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap().split(' ').next().unwrap();
    format!("{host}:{port}").parse().unwrap()
}

fn ulaw_to_linear(code: u8) -> i16 {
    let code = !code;
    let magnitude = (((i16::from(code & 0x0f) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

/// By search, so that it shares nothing with the encoder under test.
fn linear_to_ulaw(sample: i16) -> u8 {
    (0..=255).min_by_key(|code| (i32::from(ulaw_to_linear(*code)) - i32::from(sample)).abs()).unwrap()
}
