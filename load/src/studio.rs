//! Where speech is recorded: each voice and tone once, whoever says it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::sdp::Codec;
use crate::sound::TONES;
use crate::speech::{Speech, Voice, Wishes};

/// A gateway that asked for more different voices would only have the generator record.
const MOST_VOICES: usize = 32;

/// What has been recorded.
#[derive(Debug)]
pub(crate) struct Studio {
    voices: HashMap<Voice, Recordings>,
    carriers: Vec<Arc<Speech>>,
    usual: Recordings,
}

/// All tones of a voice.
type Recordings = Vec<Arc<Speech>>;

impl Studio {
    /// Records what most gateways ask for, before anybody waits for it.
    pub(crate) fn new() -> opus::Result<Self> {
        let carriers = (0..TONES as u64).map(|call| Arc::new(Speech::pcmu(call))).collect();
        let fec = Wishes { fec: true, ..Wishes::default() };
        let usual = Voice::fulfilling(&fec);
        let narrow = Wishes { max_playback_rate: Some(8000), max_average_bitrate: Some(24_000), ..fec };
        let mut voices = HashMap::new();
        for voice in [usual, Voice::fulfilling(&narrow)] {
            voices.insert(voice, record(voice)?);
        }
        let usual = voices.get(&usual).cloned().unwrap_or_default();
        Ok(Self { voices, carriers, usual })
    }

    /// What a side says in a call to whoever has these wishes.
    pub(crate) fn speech(&mut self, call: u64, codec: Codec, wishes: &Wishes) -> Option<Arc<Speech>> {
        let tones = match codec {
            Codec::Pcmu => &self.carriers,
            Codec::Opus => self.voice(Voice::fulfilling(wishes)),
        };
        tones.get(usize::try_from(call % TONES as u64).unwrap_or_default()).cloned()
    }

    fn voice(&mut self, voice: Voice) -> &Recordings {
        if self.voices.len() < MOST_VOICES && !self.voices.contains_key(&voice) {
            // libopus takes every voice there is; if not, nobody is heard, which the report says.
            self.voices.insert(voice, record(voice).unwrap_or_default());
        }
        self.voices.get(&voice).unwrap_or(&self.usual)
    }
}

fn record(voice: Voice) -> opus::Result<Recordings> {
    let delay = Speech::opus(voice, 0)?.measured_delay()?;
    (0..TONES as u64).map(|call| Speech::opus(voice, call).map(|it| Arc::new(it.delayed_by(delay)))).collect()
}

/// What Opus puts a carrier's sound off by that a gateway encodes at 8 kHz, as it is recorded there.
pub(crate) fn delay_of_a_gateways_opus() -> opus::Result<Duration> {
    Speech::narrow()?.measured_delay()
}
