//! The floor: a thread that waits for one packet after another in the order they are said in, and calls libopus, G.711 and SRTP bare.

use std::net::{SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

use rtc_dtls::crypto_provider::default_provider;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::Kind;
use super::phones::{Phone, Phones, socket};
use super::voice::{linear, mu_law};

pub(crate) const NAME: &str = "bare";
const HEADER: usize = 12;
/// A round that lost a packet ends the thread, and with it the benchmark.
const PATIENCE: Duration = Duration::from_secs(20);

/// What carries one way of a call.
struct Line {
    /// By the side that talks.
    opening: [Context; 2],
    sealing: [Context; 2],
    decoder: opus::Decoder,
    encoder: opus::Encoder,
    /// The trunk's; browsers share one.
    trunk: Option<UdpSocket>,
    /// The phones, in the order they talk in.
    ends: [SocketAddr; 2],
}

struct Tables {
    linear: [i16; 256],
    mu_law: Vec<u8>,
}

pub(crate) struct Bare {
    thread: JoinHandle<()>,
    stop: SocketAddr,
}

impl Bare {
    /// The thread, and who talks through it.
    pub(crate) fn new(kind: Kind, calls: usize) -> (Self, Phones) {
        let browsers = UdpSocket::bind("127.0.0.1:0").unwrap();
        let wanted = 4 * 1024 * 1024;
        socket2::SockRef::from(&browsers).set_recv_buffer_size(wanted).unwrap();
        browsers.set_read_timeout(Some(PATIENCE)).unwrap();
        let shared = browsers.local_addr().unwrap();
        let (mut phones, mut lines) = (Vec::new(), Vec::new());
        for call in 0..calls {
            let trunk = (kind == Kind::Transcoded).then(|| UdpSocket::bind("127.0.0.1:0").unwrap());
            if let Some(trunk) = &trunk {
                trunk.set_read_timeout(Some(PATIENCE)).unwrap();
            }
            let far = trunk.as_ref().map_or(shared, |trunk| trunk.local_addr().unwrap());
            let (a, b) = (socket(), socket());
            let ends = [a.local_addr().unwrap(), b.local_addr().unwrap()];
            let mut sealing = context();
            let mut other = context();
            let is_trunk = trunk.is_some();
            let seal = move |packet: &[u8]| sealing.encrypt_rtp(packet).unwrap().to_vec();
            let other = move |packet: &[u8]| {
                if is_trunk { packet.to_vec() } else { other.encrypt_rtp(packet).unwrap().to_vec() }
            };
            phones.push(Phone::new(a, shared, true, 2 * call + 1, Box::new(seal)));
            phones.push(Phone::new(b, far, !is_trunk, 2 * call, Box::new(other)));
            lines.push(Line::new(trunk, ends));
        }
        let thread =
            std::thread::Builder::new().name(NAME.to_owned()).spawn(move || carry(&browsers, &mut lines)).unwrap();
        (Self { thread, stop: shared }, Phones::new(phones))
    }

    pub(crate) fn end(self) {
        socket().send_to(&[], self.stop).unwrap();
        self.thread.join().unwrap();
    }
}

fn context() -> Context {
    let profile = ProtectionProfile::AeadAes128Gcm;
    Context::new(&[7; 16], &[9; 12], profile, None, None, default_provider().unwrap().crypto()).unwrap()
}

impl Line {
    /// With the settings the shard makes them with.
    fn new(trunk: Option<UdpSocket>, ends: [SocketAddr; 2]) -> Self {
        let mut encoder = opus::Encoder::new(8000, opus::Channels::Mono, opus::Application::Voip).unwrap();
        encoder.set_signal(opus::Signal::Voice).unwrap();
        encoder.set_max_bandwidth(opus::Bandwidth::Narrowband).unwrap();
        encoder.set_bitrate(opus::Bitrate::Bits(26_000)).unwrap();
        encoder.set_complexity(0).unwrap();
        encoder.set_inband_fec(true).unwrap();
        encoder.set_dtx(false).unwrap();
        encoder.set_packet_loss_perc(10).unwrap();
        let decoder = opus::Decoder::new(8000, opus::Channels::Mono).unwrap();
        let pair = || [context(), context()];
        Self { opening: pair(), sealing: pair(), decoder, encoder, trunk, ends }
    }
}

/// Until an empty packet comes.
fn carry(browsers: &UdpSocket, lines: &mut [Line]) {
    let tables = Tables {
        linear: std::array::from_fn(|code| linear(u8::try_from(code).unwrap())),
        mu_law: (0..=u16::MAX).map(|bits| mu_law(bits.cast_signed())).collect(),
    };
    let (mut packet, mut out, mut samples) = ([0_u8; 2048], [0_u8; 1500], [0_i16; 960]);
    loop {
        for line in &mut *lines {
            for side in 0..2 {
                let far = line.ends[1 - side];
                let trunk = line.trunk.as_ref();
                let from = if side == 1 { trunk.unwrap_or(browsers) } else { browsers };
                let (length, _) = from.recv_from(&mut packet).unwrap();
                if length == 0 {
                    return;
                }
                let arrived = &packet[..length];
                match (trunk, side) {
                    (None, _) => {
                        let clear = line.opening[side].decrypt_rtp(arrived).unwrap();
                        let sealed = line.sealing[side].encrypt_rtp(&clear).unwrap();
                        browsers.send_to(&sealed, far).unwrap();
                    }
                    (Some(trunk), 0) => {
                        let clear = line.opening[side].decrypt_rtp(arrived).unwrap();
                        let count = line.decoder.decode(&clear[HEADER..], &mut samples, false).unwrap();
                        out[..HEADER].copy_from_slice(&clear[..HEADER]);
                        for (code, sample) in out[HEADER..].iter_mut().zip(&samples[..count]) {
                            *code = tables.mu_law[usize::from(sample.cast_unsigned())];
                        }
                        trunk.send_to(&out[..HEADER + count], far).unwrap();
                    }
                    (Some(_), _) => {
                        for (sample, code) in samples.iter_mut().zip(&arrived[HEADER..]) {
                            *sample = tables.linear[usize::from(*code)];
                        }
                        out[..HEADER].copy_from_slice(&arrived[..HEADER]);
                        let length = line.encoder.encode(&samples[..160], &mut out[HEADER..]).unwrap();
                        let sealed = line.sealing[side].encrypt_rtp(&out[..HEADER + length]).unwrap();
                        browsers.send_to(&sealed, far).unwrap();
                    }
                }
            }
        }
    }
}
