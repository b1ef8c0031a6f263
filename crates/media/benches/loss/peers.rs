//! Those who speak and listen: a browser with libopus, a phone with G.711. Both at 8 kHz, where the gateway works.

use std::sync::OnceLock;
use std::time::Duration;

use super::call::{FRAME, Heard};

/// Samples of 20 ms.
pub(crate) const SAMPLES: usize = 160;

/// A browser's Opus towards G.711: what the gateway's answer asks for, at the complexity browsers use.
pub(crate) fn speak_opus(samples: &[i16], fec: bool) -> Vec<Vec<u8>> {
    let mut encoder = opus::Encoder::new(8000, opus::Channels::Mono, opus::Application::Voip).unwrap();
    encoder.set_complexity(9).unwrap();
    encoder.set_bitrate(opus::Bitrate::Bits(24_000)).unwrap();
    encoder.set_inband_fec(fec).unwrap();
    encoder.set_packet_loss_perc(if fec { 5 } else { 0 }).unwrap();
    samples.chunks_exact(SAMPLES).map(|frame| encoder.encode_vec(frame, 1275).unwrap()).collect()
}

pub(crate) fn speak_pcmu(samples: &[i16]) -> Vec<Vec<u8>> {
    static CODES: OnceLock<Vec<u8>> = OnceLock::new();
    // By search, so that it shares nothing with the gateway's own.
    let nearest = |sample: i16| (0..=255).min_by_key(|code| (linear(*code) - i32::from(sample)).abs()).unwrap();
    let codes = CODES.get_or_init(|| (i16::MIN..=i16::MAX).map(nearest).collect());
    let code = |sample: &i16| codes[usize::try_from(i32::from(*sample) - i32::from(i16::MIN)).unwrap()];
    samples.chunks_exact(SAMPLES).map(|frame| frame.iter().map(code).collect()).collect()
}

fn linear(code: u8) -> i32 {
    let code = !code;
    let magnitude = (((i32::from(code & 0x0f) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

/// Whether an Opus packet carries its predecessor once more: one SILK frame (RFC 6716 §3.1) with the second flag (§4.2.3).
pub(crate) fn has_fec(packet: &[u8]) -> bool {
    matches!(packet, [configuration, flags, ..] if configuration >> 3 < 12 && flags & 0x40 != 0)
}

/// What both ways take when nothing is wrong.
const PATHS: Duration = Duration::from_millis(120);
/// What a jitter buffer holds back at least.
const SHORTEST: Duration = Duration::from_millis(40);

/// The delay a jitter buffer settles at that has 97 of 100 packets in time, as a browser's does.
pub(crate) fn buffer(heard: &[Heard]) -> Duration {
    let late = |heard: &Heard| heard.arrived.map(|at| at.saturating_sub(said_at(heard.frame)));
    let mut delays: Vec<Duration> = heard.iter().filter_map(late).collect();
    delays.sort_unstable();
    delays[delays.len() * 97 / 100].saturating_sub(PATHS).max(SHORTEST)
}

fn said_at(frame: usize) -> Duration {
    FRAME * u32::try_from(frame).unwrap()
}

fn played_at(frame: usize, buffer: Duration) -> Duration {
    said_at(frame) + PATHS + buffer
}

/// What is in the buffer when each frame is to be played.
fn in_time(heard: &[Heard], frames: usize, length: Duration) -> Vec<Option<(&Heard, Duration)>> {
    let mut buffer = vec![None; frames];
    for heard in heard {
        if let Some(at) = heard.arrived.filter(|at| *at <= played_at(heard.frame, length))
            && let Some(place) = buffer.get_mut(heard.frame)
        {
            *place = Some((heard, at));
        }
    }
    buffer
}

/// A phone that conceals nothing itself: what is not there in time is silence.
pub(crate) fn listen_pcmu(heard: &[Heard], frames: usize, length: Duration) -> Vec<i16> {
    let sound = |frame: Option<(&Heard, Duration)>| match frame {
        Some((heard, _)) => heard.payload.iter().map(|code| i16::try_from(linear(*code)).unwrap()).collect(),
        None => vec![0; SAMPLES],
    };
    in_time(heard, frames, length).into_iter().flat_map(sound).collect()
}

/// A browser: FEC where the next packet is there already, else libopus's concealment.
pub(crate) fn listen_opus(heard: &[Heard], frames: usize, length: Duration) -> Vec<i16> {
    let mut decoder = opus::Decoder::new(8000, opus::Channels::Mono).unwrap();
    let buffer = in_time(heard, frames, length);
    let mut sound = Vec::with_capacity(frames * SAMPLES);
    for frame in 0..frames {
        let mut samples = [0; SAMPLES];
        let next = buffer.get(frame + 1).copied().flatten().filter(|(_, at)| *at <= played_at(frame, length));
        match (buffer[frame], next) {
            (Some((heard, _)), _) => decoder.decode(&heard.payload, &mut samples, false),
            (None, Some((heard, _))) => decoder.decode(&heard.payload, &mut samples, true),
            (None, None) => decoder.decode(&[], &mut samples, false),
        }
        .unwrap();
        sound.extend_from_slice(&samples);
    }
    sound
}
