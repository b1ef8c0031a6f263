//! Where speech is recorded: each voice and tone once, whoever says it, and what most gateways ask for before anybody waits for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::sound::TONES;
use super::speech::{Speech, Voice, Wishes};
use crate::sdp::Codec;

/// A gateway that asked for more different voices would only have the generator record.
const MOST_VOICES: usize = 32;

/// What has been recorded.
#[derive(Debug, Default)]
pub(super) struct Studio {
    voices: HashMap<Voice, Recordings>,
    carriers: HashMap<u64, Arc<Speech>>,
}

/// A voice's tones, and what its codec puts them off by.
#[derive(Debug)]
struct Recordings {
    delay: Duration,
    tones: HashMap<u64, Arc<Speech>>,
}

impl Studio {
    /// Records what is mostly asked for, so that so many calls need not wait for it.
    pub(super) fn record_ahead(&mut self, calls: u64) {
        let fec = Wishes { fec: true, ..Wishes::default() };
        let narrow = Wishes { max_playback_rate: Some(8000), max_average_bitrate: Some(24_000), ..fec };
        for (wishes, call) in
            [narrow, fec].iter().flat_map(|wishes| (0..calls.min(TONES as u64)).map(move |call| (wishes, call)))
        {
            // What could not be recorded is tried again when it is asked for.
            drop(self.speech(call, Codec::Opus, wishes));
        }
    }

    /// What a side says in a call to whoever has these wishes. `None` when libopus does not want to, or too much was asked for.
    pub(super) fn speech(&mut self, call: u64, codec: Codec, wishes: &Wishes) -> Option<Arc<Speech>> {
        let tone = call % TONES as u64;
        match codec {
            Codec::Pcmu => Some(Arc::clone(self.carriers.entry(tone).or_insert_with(|| Arc::new(Speech::pcmu(tone))))),
            Codec::Opus => self.voice(Voice::fulfilling(wishes), tone),
        }
    }

    fn voice(&mut self, voice: Voice, tone: u64) -> Option<Arc<Speech>> {
        if self.voices.len() < MOST_VOICES && !self.voices.contains_key(&voice) {
            let delay = Speech::opus(voice, 0).and_then(|speech| speech.measured_delay()).ok()?;
            self.voices.insert(voice, Recordings { delay, tones: HashMap::new() });
        }
        let recordings = self.voices.get_mut(&voice)?;
        if let Some(speech) = recordings.tones.get(&tone) {
            return Some(Arc::clone(speech));
        }
        let speech = Arc::new(Speech::opus(voice, tone).ok()?.delayed_by(recordings.delay));
        recordings.tones.insert(tone, Arc::clone(&speech));
        Some(speech)
    }
}

/// What Opus puts a carrier's sound off by that a gateway encodes at 8 kHz, as it is recorded there.
pub(super) fn delay_of_a_gateways_opus() -> opus::Result<Duration> {
    Speech::narrow()?.measured_delay()
}
