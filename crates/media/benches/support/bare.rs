//! The floor: the same libopus, G.711 and SRTP calls with the settings the shard makes them with, and nothing around them. No replay
//! window, no reorder buffer, no numbering, no reports. There is no G.722 in it: what is said in that is had for nothing.

use std::hint::black_box;

use bench::Meter;
use media::Codec;
use rtc_dtls::crypto_provider::default_provider;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::voice::LAWS;
use super::{End, Voice, said};

const HEADER: usize = 12;

struct Line {
    /// The sender's own, to make what arrives.
    sealing: Option<Context>,
    opening: Option<Context>,
    replying: Option<Context>,
    decoder: opus::Decoder,
    encoder: opus::Encoder,
    header: [u8; HEADER],
}

/// Packets of one end carried to the other.
pub(crate) struct Bare {
    from: End,
    to: End,
    /// Twice as many samples, of twice the band.
    wide: bool,
    lines: Vec<Line>,
    out: Vec<u8>,
}

impl Bare {
    pub(crate) fn new(calls: usize, from: End, to: End) -> Self {
        let is_wide = |end: End| matches!(end.codec(), Codec::Opus | Codec::G722);
        Self::with_band(calls, from, to, is_wide(from) && is_wide(to))
    }

    /// As [`Self::new`], with the codecs in wideband or not.
    pub(crate) fn with_band(calls: usize, from: End, to: End, wide: bool) -> Self {
        let lines = (0..calls).map(|_| Line::new(from, to, wide)).collect();
        Self { from, to, wide, lines, out: vec![0; 1500] }
    }

    /// What arrives when every call says every frame: by frame and call.
    pub(crate) fn arriving(&mut self, voice: &Voice) -> Vec<Vec<Vec<u8>>> {
        let payloads = voice.payloads(self.from.codec());
        let packets = |frame: usize| {
            let calls = self.lines.iter_mut().enumerate();
            calls.map(|(call, line)| line.arriving(said(payloads, frame, call))).collect()
        };
        (0..payloads.len()).map(packets).collect()
    }

    /// Every call says every frame.
    pub(crate) fn carry(&mut self, meter: &mut Meter, voice: &Voice) -> usize {
        let arriving = self.arriving(voice);
        meter.measure(|| {
            for (frame, packets) in arriving.iter().enumerate() {
                for (call, packet) in packets.iter().enumerate() {
                    self.turn(call, packet, said(&voice.wide, frame, call), |bytes| {
                        black_box(bytes);
                    });
                }
            }
        });
        arriving.len() * self.lines.len()
    }

    /// One packet of a call: opened, decoded, encoded, sealed and sent. `said` is what G.722 would have been decoded to.
    pub(crate) fn turn(&mut self, call: usize, packet: &[u8], said: &[i16], send: impl FnOnce(&[u8])) {
        let (from, to, line) = (self.from.codec(), self.to.codec(), &mut self.lines[call]);
        let (heard, spoken) = (LAWS.of(from), LAWS.of(to));
        let (each, length) = if self.wide { (2, 320) } else { (1, 160) };
        let mut samples = [0_i16; 960];
        let opened = line.opening.as_mut().map(|opening| opening.decrypt_rtp(packet).unwrap());
        let clear = opened.as_deref().unwrap_or(packet);
        let (header, payload) = clear.split_at(HEADER);
        self.out[..HEADER].copy_from_slice(header);
        if from == to {
            self.out[HEADER..HEADER + payload.len()].copy_from_slice(payload);
            return line.reply(&self.out[..HEADER + payload.len()], send);
        }
        let count = match from {
            Codec::Opus => line.decoder.decode(payload, &mut samples, false).unwrap(),
            Codec::Pcmu | Codec::Pcma => {
                for (pair, code) in samples.chunks_mut(each).zip(payload) {
                    pair.fill(heard.decode(*code));
                }
                length
            }
            Codec::G722 => {
                samples[..320].copy_from_slice(said);
                320
            }
        };
        let length = match to {
            Codec::Opus => line.encoder.encode(&samples[..count], &mut self.out[HEADER..]).unwrap(),
            Codec::Pcmu | Codec::Pcma => {
                for (code, sample) in self.out[HEADER..].iter_mut().zip(&samples[..count]) {
                    *code = spoken.encode(*sample);
                }
                count
            }
            Codec::G722 => 160,
        };
        line.reply(&self.out[..HEADER + length], send);
    }
}

impl Line {
    fn new(from: End, to: End, wide: bool) -> Self {
        let rate = if wide { 16_000 } else { 8000 };
        let mut encoder = opus::Encoder::new(rate, opus::Channels::Mono, opus::Application::Voip).unwrap();
        encoder.set_signal(opus::Signal::Voice).unwrap();
        let (bandwidth, bitrate) =
            if wide { (opus::Bandwidth::Wideband, 32_000) } else { (opus::Bandwidth::Narrowband, 26_000) };
        encoder.set_max_bandwidth(bandwidth).unwrap();
        encoder.set_bitrate(opus::Bitrate::Bits(bitrate)).unwrap();
        encoder.set_complexity(i32::from(wide)).unwrap();
        encoder.set_inband_fec(true).unwrap();
        encoder.set_dtx(false).unwrap();
        encoder.set_packet_loss_perc(10).unwrap();
        Self {
            sealing: context(from),
            opening: context(from),
            replying: context(to),
            decoder: opus::Decoder::new(rate, opus::Channels::Mono).unwrap(),
            encoder,
            header: [0x80, 111, 0, 0, 0, 0, 0, 0, 0, 0, 0, 42],
        }
    }

    fn arriving(&mut self, payload: &[u8]) -> Vec<u8> {
        let sequence = u16::from_be_bytes([self.header[2], self.header[3]]).wrapping_add(1);
        self.header[2..4].copy_from_slice(&sequence.to_be_bytes());
        let packet = [&self.header[..], payload].concat();
        match &mut self.sealing {
            Some(sealing) => sealing.encrypt_rtp(&packet).unwrap().to_vec(),
            None => packet,
        }
    }

    fn reply(&mut self, packet: &[u8], send: impl FnOnce(&[u8])) {
        match &mut self.replying {
            Some(replying) => send(&replying.encrypt_rtp(packet).unwrap()),
            None => send(packet),
        }
    }
}

/// The keys that this end and the gateway protect with, the same both ways.
pub(crate) fn context(end: End) -> Option<Context> {
    let (key, profile): (&[u8], _) = match end {
        End::Browser(_) => (&[9; 12], ProtectionProfile::AeadAes128Gcm),
        End::SecureTrunk(_) => (&[9; 14], ProtectionProfile::Aes128CmHmacSha1_80),
        End::Trunk(_) => return None,
    };
    Some(Context::new(&[7; 16], key, profile, None, None, default_provider().unwrap().crypto()).unwrap())
}
