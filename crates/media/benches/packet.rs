//! One transcoded packet each way through a shard, beside the same libopus, G.711 and SRTP calls made bare; prints both and their
//! ratio. `cargo bench -p patchcord-media --bench packet`.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    dead_code,
    missing_docs
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use media::SocketId;
use rtc_dtls::crypto_provider::default_provider;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use support::{BROWSER_ADDRESS, CARRIER, Call, TRUNK_RTP, linear_to_ulaw, tone, ulaw_to_linear};

/// Packets timed together: ten seconds of speech.
const PACKETS: usize = 500;
/// Odd, so that there is a median.
const ROUNDS: usize = 15;
const FRAME: Duration = Duration::from_millis(20);

fn main() {
    // `cargo test --benches` runs this too; it is enough then that it works.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    let mut shard = ThroughShard::new();
    let mut bare = Bare::new();
    let (mut to_trunk, mut to_browser) = (Pair::default(), Pair::default());
    for round in 0..rounds {
        let speech: Vec<Vec<f64>> = (0..PACKETS).map(|n| voice(round * PACKETS + n)).collect();
        to_trunk.shard.push(shard.browser_to_trunk(&speech));
        to_trunk.bare.push(bare.browser_to_trunk(&speech));
        to_browser.shard.push(shard.trunk_to_browser(&speech));
        to_browser.bare.push(bare.trunk_to_browser(&speech));
    }
    to_trunk.print("browser -> trunk: SRTP in, Opus decoded, PCMU out");
    to_browser.print("trunk -> browser: PCMU in, Opus encoded, SRTP out");
}

/// Something less easy for a codec than one sine: three harmonics of a changing pitch.
fn voice(frame: usize) -> Vec<f64> {
    let pitch = 110.0 + f64::from(u32::try_from(frame / 10 % 8).unwrap()) * 15.0;
    let parts = [tone(pitch, frame), tone(pitch * 3.0, frame), tone(pitch * 7.0, frame)];
    (0..support::FRAME).map(|n| (parts[0][n] + 0.5 * parts[1][n] + 0.2 * parts[2][n]) / 2.0).collect()
}

/// Nanoseconds per packet of each round.
#[derive(Default)]
struct Pair {
    shard: Vec<u64>,
    bare: Vec<u64>,
}

impl Pair {
    fn print(&mut self, what: &str) {
        let (shard, bare) = (median(&mut self.shard), median(&mut self.bare));
        #[allow(clippy::cast_precision_loss)]
        let ratio = shard as f64 / bare as f64;
        println!("{what}\n  shard {shard} ns/packet, bare {bare} ns/packet, ratio {ratio:.2}");
    }
}

fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

fn per_packet(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap() / PACKETS as u64
}

struct ThroughShard {
    call: Call,
}

impl ThroughShard {
    fn new() -> Self {
        Self { call: Call::connected() }
    }

    fn browser_to_trunk(&mut self, speech: &[Vec<f64>]) -> u64 {
        let packets: Vec<Vec<u8>> = speech.iter().map(|samples| self.call.sealed_browser_packet(samples)).collect();
        let inputs = packets.iter().map(|packet| (SocketId::BROWSERS, BROWSER_ADDRESS, packet.as_slice()));
        time(&mut self.call, inputs)
    }

    fn trunk_to_browser(&mut self, speech: &[Vec<f64>]) -> u64 {
        let packets: Vec<Vec<u8>> = speech.iter().map(|samples| self.call.trunk_packet(samples)).collect();
        let inputs = packets.iter().map(|packet| (TRUNK_RTP, CARRIER, packet.as_slice()));
        time(&mut self.call, inputs)
    }
}

/// Feeds packets at their pace on the simulated clock; the timers due between them are part of the cost.
fn time<'a>(call: &mut Call, inputs: impl Iterator<Item = (SocketId, std::net::SocketAddr, &'a [u8])>) -> u64 {
    let mut sent = 0;
    let started = Instant::now();
    for (socket, from, packet) in inputs {
        call.shard.handle_packet(call.now, socket, from, packet);
        call.now += FRAME;
        if call.shard.poll_timeout().is_some_and(|at| at <= call.now) {
            call.shard.handle_timeout(call.now);
        }
        while let Some(transmit) = call.shard.poll_transmit() {
            sent += 1;
            call.shard.recycle(black_box(transmit).bytes);
        }
        while call.shard.poll_event().is_some() {}
    }
    let elapsed = started.elapsed();
    assert!(sent >= PACKETS, "only {sent} of {PACKETS} packets came through");
    per_packet(elapsed)
}

/// The calls themselves, with the settings the shard makes them with.
struct Bare {
    /// Makes the packets; a call of its own, so that the other's numbers have no holes.
    source: Call,
    sealing: Context,
    opening: Context,
    replying: Context,
    decoder: opus::Decoder,
    encoder: opus::Encoder,
    to_linear: [i16; 256],
    to_ulaw: Vec<u8>,
    sequence: u16,
}

impl Bare {
    fn new() -> Self {
        let crypto = default_provider().unwrap();
        let context = || {
            let profile = ProtectionProfile::AeadAes128Gcm;
            Context::new(&[7; 16], &[9; 12], profile, None, None, crypto.crypto()).unwrap()
        };
        let mut encoder = opus::Encoder::new(8000, opus::Channels::Mono, opus::Application::Voip).unwrap();
        encoder.set_signal(opus::Signal::Voice).unwrap();
        encoder.set_max_bandwidth(opus::Bandwidth::Narrowband).unwrap();
        encoder.set_bitrate(opus::Bitrate::Bits(20_000)).unwrap();
        encoder.set_complexity(1).unwrap();
        encoder.set_inband_fec(true).unwrap();
        encoder.set_packet_loss_perc(5).unwrap();
        Self {
            source: Call::connected(),
            sealing: context(),
            opening: context(),
            replying: context(),
            decoder: opus::Decoder::new(8000, opus::Channels::Mono).unwrap(),
            encoder,
            to_linear: std::array::from_fn(|code| ulaw_to_linear(u8::try_from(code).unwrap())),
            // A whole table, as fast as G.711 can be.
            to_ulaw: (0..65_536_u32).map(|bits| linear_to_ulaw(u16::try_from(bits).unwrap().cast_signed())).collect(),
            sequence: 0,
        }
    }

    fn browser_to_trunk(&mut self, speech: &[Vec<f64>]) -> u64 {
        let packets: Vec<_> = speech
            .iter()
            .map(|samples| {
                let packet = self.source.browser_packet(samples);
                self.sealing.encrypt_rtp(&packet).unwrap()
            })
            .collect();
        let mut samples = [0_i16; 960];
        let mut out = Vec::with_capacity(1500);
        let started = Instant::now();
        for packet in &packets {
            let clear = self.opening.decrypt_rtp(packet).unwrap();
            let count = self.decoder.decode(&clear[12..], &mut samples, false).unwrap();
            out.clear();
            out.extend_from_slice(&clear[..12]);
            out.extend(samples[..count].iter().map(|sample| self.to_ulaw[usize::from(sample.cast_unsigned())]));
            black_box(&out);
        }
        per_packet(started.elapsed())
    }

    fn trunk_to_browser(&mut self, speech: &[Vec<f64>]) -> u64 {
        let packets: Vec<Vec<u8>> = speech.iter().map(|samples| self.source.trunk_packet(samples)).collect();
        let mut samples = [0_i16; 160];
        let mut out = vec![0_u8; 1500];
        let started = Instant::now();
        for packet in &packets {
            for (sample, code) in samples.iter_mut().zip(&packet[12..]) {
                *sample = self.to_linear[usize::from(*code)];
            }
            let length = self.encoder.encode(&samples, &mut out[12..]).unwrap();
            out[..12].copy_from_slice(&packet[..12]);
            self.sequence = self.sequence.wrapping_add(1);
            out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
            black_box(self.replying.encrypt_rtp(&out[..12 + length]).unwrap());
        }
        per_packet(started.elapsed())
    }
}
