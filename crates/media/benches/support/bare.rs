//! The floor: the same libopus, G.711 and SRTP calls with the settings the shard makes them with, and nothing around them. No replay
//! window, no reorder buffer, no numbering, no reports.

use std::hint::black_box;

use rtc_dtls::crypto_provider::default_provider;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::voice::{linear, mu_law};
use super::{Cost, Voice, Way, said};

const HEADER: usize = 12;

struct Line {
    /// The browser's own, to make what arrives.
    sealing: Context,
    opening: Context,
    replying: Context,
    decoder: opus::Decoder,
    encoder: opus::Encoder,
    header: [u8; HEADER],
}

pub(crate) struct Bare {
    /// Twice as many samples each way, of twice the band.
    wide: bool,
    lines: Vec<Line>,
    to_linear: [i16; 256],
    /// A whole table, as fast as G.711 can be.
    to_mu_law: Vec<u8>,
}

impl Bare {
    pub(crate) fn new(calls: usize) -> Self {
        Self::of(calls, false)
    }

    /// Calls in narrowband or in wideband.
    pub(crate) fn of(calls: usize, wide: bool) -> Self {
        Self {
            wide,
            lines: (0..calls).map(|_| Line::new(wide)).collect(),
            to_linear: std::array::from_fn(|code| linear(u8::try_from(code).unwrap())),
            to_mu_law: (0..=u16::MAX).map(|bits| mu_law(bits.cast_signed())).collect(),
        }
    }

    /// Every call says every frame.
    pub(crate) fn carry(&mut self, way: Way, voice: &Voice) -> Cost {
        let payloads = if way == Way::ToBrowser { &voice.pcmu } else { &voice.opus };
        let arriving: Vec<Vec<Vec<u8>>> = (0..payloads.len())
            .map(|frame| {
                let calls = self.lines.iter_mut().enumerate();
                calls.map(|(call, line)| line.arriving(way, said(payloads, frame, call))).collect()
            })
            .collect();
        let Self { wide, lines, to_linear, to_mu_law } = self;
        let (each, length) = if *wide { (2, 320) } else { (1, 160) };
        let mut out = vec![0_u8; 1500];
        let mut samples = [0_i16; 960];
        Cost::of(payloads.len() * lines.len(), || {
            for frame in &arriving {
                for (line, packet) in lines.iter_mut().zip(frame) {
                    match way {
                        Way::ToTrunk => {
                            let clear = line.opening.decrypt_rtp(packet).unwrap();
                            let count = line.decoder.decode(&clear[HEADER..], &mut samples, false).unwrap();
                            out[..HEADER].copy_from_slice(&clear[..HEADER]);
                            for (code, sample) in out[HEADER..].iter_mut().zip(&samples[..count]) {
                                *code = to_mu_law[usize::from(sample.cast_unsigned())];
                            }
                            black_box(&out[..HEADER + count]);
                        }
                        Way::ToBrowser => {
                            for (pair, code) in samples.chunks_mut(each).zip(&packet[HEADER..]) {
                                pair.fill(to_linear[usize::from(*code)]);
                            }
                            out[..HEADER].copy_from_slice(&packet[..HEADER]);
                            let length = line.encoder.encode(&samples[..length], &mut out[HEADER..]).unwrap();
                            black_box(line.replying.encrypt_rtp(&out[..HEADER + length]).unwrap());
                        }
                        Way::Relayed => {
                            let clear = line.opening.decrypt_rtp(packet).unwrap();
                            black_box(line.replying.encrypt_rtp(&clear).unwrap());
                        }
                    }
                }
            }
        })
    }
}

impl Line {
    fn new(wide: bool) -> Self {
        let crypto = default_provider().unwrap();
        let context = || {
            let profile = ProtectionProfile::AeadAes128Gcm;
            Context::new(&[7; 16], &[9; 12], profile, None, None, crypto.crypto()).unwrap()
        };
        let rate = if wide { 16_000 } else { 8000 };
        let mut encoder = opus::Encoder::new(rate, opus::Channels::Mono, opus::Application::Voip).unwrap();
        encoder.set_signal(opus::Signal::Voice).unwrap();
        let (bandwidth, bitrate) =
            if wide { (opus::Bandwidth::Wideband, 32_000) } else { (opus::Bandwidth::Narrowband, 24_000) };
        encoder.set_max_bandwidth(bandwidth).unwrap();
        encoder.set_bitrate(opus::Bitrate::Bits(bitrate)).unwrap();
        encoder.set_complexity(1).unwrap();
        encoder.set_inband_fec(true).unwrap();
        encoder.set_dtx(false).unwrap();
        encoder.set_packet_loss_perc(10).unwrap();
        Self {
            sealing: context(),
            opening: context(),
            replying: context(),
            decoder: opus::Decoder::new(rate, opus::Channels::Mono).unwrap(),
            encoder,
            header: [0x80, 111, 0, 0, 0, 0, 0, 0, 0, 0, 0, 42],
        }
    }

    fn arriving(&mut self, way: Way, payload: &[u8]) -> Vec<u8> {
        let sequence = u16::from_be_bytes([self.header[2], self.header[3]]).wrapping_add(1);
        self.header[2..4].copy_from_slice(&sequence.to_be_bytes());
        let packet = [&self.header[..], payload].concat();
        if way == Way::ToBrowser { packet } else { self.sealing.encrypt_rtp(&packet).unwrap().to_vec() }
    }
}
