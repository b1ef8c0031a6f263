//! Listening to a call: decodes what it says, recognises its tone and its chirps, and remembers when its own side sent what.

use std::collections::VecDeque;
use std::time::Instant;

use super::account::Heard;
use super::sound::{Ear, FRAME, RATE, TONES, share_of_tone};
use super::speech::{Speech, from_mu_law};
use super::stream::Chirp;
use crate::sdp::Codec;

/// Stretches of sound looked at for the call's tone, each of ten packets.
const LOOKED_AT: usize = 10 * FRAME;
/// Packets remembered on the way: more than a round of the shortest.
const REMEMBERED: usize = 256;
/// The longest way a chirp may take and still be found its sender, in seconds.
const LONGEST_WAY: f64 = 1.9;

/// What listening needs.
#[derive(Debug)]
pub(super) struct Listening {
    decoder: opus::Decoder,
    ear: Ear,
    origin: Option<u32>,
    stretch: Vec<i16>,
    /// When the last packets were sent, the latest last.
    sent: VecDeque<Instant>,
}

impl Listening {
    pub(super) fn new() -> opus::Result<Self> {
        let decoder = opus::Decoder::new(u32::try_from(RATE).unwrap_or_default(), opus::Channels::Mono)?;
        Ok(Self { decoder, ear: Ear::new(), origin: None, stretch: Vec::new(), sent: VecDeque::new() })
    }

    /// Its own side sent a packet.
    pub(super) fn note_sent(&mut self, at: Instant) {
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back(at);
    }

    /// Takes a payload; where in it a chirp begins that it completes, and how long it is, in seconds.
    pub(super) fn hear(
        &mut self,
        codec: Codec,
        call: u64,
        timestamp: u32,
        payload: &[u8],
        heard: &mut Heard,
    ) -> Option<(f64, f64)> {
        let mut samples = [0_i16; 6 * FRAME];
        let (count, scale) = match codec {
            Codec::Opus => {
                let Ok(count) = self.decoder.decode(payload, &mut samples, false) else {
                    heard.malformed += 1;
                    return None;
                };
                (count, 6)
            }
            Codec::Pcmu => {
                let decoded = samples.iter_mut().zip(payload);
                (decoded.map(|(sample, code)| *sample = from_mu_law(*code)).count(), 1)
            }
        };
        let samples = samples.get(..count)?;
        let at = u64::from(timestamp.wrapping_sub(*self.origin.get_or_insert(timestamp)) / scale);
        self.recognise(call, samples, heard);
        let place = self.ear.hear(at, samples)?;
        // The chirp is complete now, its beginning came some packets ago.
        Some(((place as f64 - at as f64) / RATE as f64, count as f64 / RATE as f64))
    }

    fn recognise(&mut self, call: u64, samples: &[i16], heard: &mut Heard) {
        self.stretch.extend_from_slice(samples);
        if self.stretch.len() < LOOKED_AT {
            return;
        }
        let power: f64 = self.stretch.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        // The chirp and the pause are no tone; what is loud and neither the tone nor a chirp is another's.
        if self.stretch.chunks(FRAME * 5).all(|part| share_of_tone(part, call) > 0.5) {
            heard.right += 1;
        } else if power > 1e6 * self.stretch.len() as f64 && other_tone(&self.stretch, call) {
            heard.wrong += 1;
        }
        self.stretch.clear();
    }

    /// How long a chirp of this side was on its way, in seconds; `number` packets of `speech` have been sent. It is the way of the packet whose
    /// sending had the chirp completed, so that it does not matter when the others were sent.
    pub(super) fn way_of(&self, chirp: &Chirp, speech: &Speech, number: u64) -> Option<f64> {
        let frame = speech.frame().as_secs_f64();
        let oldest = number - self.sent.len() as u64;
        let sent = |packet: u64| self.sent.get(usize::try_from(packet.checked_sub(oldest)?).ok()?).copied();
        let first =
            (oldest..number).rev().find(|it| speech.begins(*it) && sent(*it).is_some_and(|at| at < chirp.at))?;
        let packets = ((chirp.length - chirp.into) / frame - 1e-6).ceil().max(1.0) - 1.0;
        let completing = std::iter::successors(Some(first), |it| Some(it + 1)).take(packets as usize + 1);
        let completing = completing.take_while(|it| sent(*it).is_some_and(|at| at <= chirp.at)).last()?;
        let late = chirp.at.saturating_duration_since(sent(completing)?).as_secs_f64();
        let way = late + (completing - first) as f64 * frame + chirp.into;
        (way < LONGEST_WAY).then_some(way)
    }
}

/// Whether a stretch is the tone of some other call.
fn other_tone(samples: &[i16], call: u64) -> bool {
    let tones = TONES as u64;
    (0..tones).filter(|other| *other != call % tones).any(|other| share_of_tone(samples, other) > 0.5)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_way_of_a_chirp_is_that_of_the_packet_that_completed_it_however_late_others_were_sent() {
        let (speech, mut listening, begin) = (Speech::pcmu(0), Listening::new().unwrap(), Instant::now());
        let ms = Duration::from_millis;
        // The second packet is sent 7 ms late, the sixth 3 ms.
        for (number, late) in [0, 7, 0, 0, 0, 3, 0].into_iter().enumerate() {
            listening.note_sent(begin + ms(20 * number as u64 + late));
        }
        // The chirp of 100 ms began 5 ms late in the first packet heard, so that the sixth completes it; it came 1 ms after it was sent.
        let chirp = Chirp { at: begin + ms(104), into: -0.095, length: 0.02, codec: Codec::Pcmu };
        let way = listening.way_of(&chirp, &speech, 7).unwrap();
        assert!((way - 0.006).abs() < 1e-6, "{way}");
        let never = Chirp { at: begin, ..chirp };
        assert!(listening.way_of(&never, &speech, 7).is_none());
    }
}
