//! The keys of one peer, however it tells them: by telephone-events, by tones in its audio, by signalling. Each press is heard once,
//! and its sound is to be kept from the other side.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::detector::ToneDetector;
use super::presses::{Presses, Told};
use super::receiver::{DigitReceiver, LOST_END};
use super::{Heard, event_of};
use crate::codec::{Decoder, LONGEST, Rate};
use crate::command::Codec;

/// How long after our own tone the same key in the peer's audio is its echo: the delay of a line, and what it takes to know a key.
const ECHO: Duration = Duration::from_millis(600);

/// What happens to keys in one packet.
pub(crate) type Changes = SmallVec<[Heard; 2]>;

/// Tones in a peer's audio.
#[derive(Debug)]
struct Listener {
    codec: Codec,
    decoder: Decoder,
    detector: ToneDetector,
    heard_at: Option<Instant>,
}

/// One peer's keys.
#[derive(Debug, Default)]
pub(crate) struct Keypad {
    events: DigitReceiver,
    wants_tones: bool,
    listener: Option<Box<Listener>>,
    presses: Presses,
    /// The key whose tones we sent the peer last, and when.
    sent: Option<(char, Instant)>,
    /// The key that is down in the media was told by signalling before, or is an echo.
    is_repetition: bool,
}

impl Keypad {
    /// Whether keys are to be heard in the audio.
    pub(crate) fn listen_for_tones(&mut self, wanted: bool) {
        self.wants_tones = wanted;
        if !wanted {
            self.listener = None;
        }
    }

    /// Says which key's tones the peer was sent last: what comes back of them over its line is none that it pressed.
    pub(crate) fn expect_echo(&mut self, sent: Option<(char, Instant)>) {
        self.sent = sent;
    }

    /// Takes the payload of a telephone-event packet.
    pub(crate) fn event(&mut self, now: Instant, timestamp: u32, clock_rate: u32, payload: &[u8]) -> Changes {
        let heard = self.events.handle(now, timestamp, clock_rate, payload);
        self.news(now, heard)
    }

    /// Takes a payload of audio, in order.
    pub(crate) fn audio(&mut self, now: Instant, codec: Codec, payload: &[u8]) -> Changes {
        if !self.wants_tones {
            return Changes::new();
        }
        let Some(listener) = self.listener(codec) else { return Changes::new() };
        let mut samples = [0; LONGEST];
        let count = listener.decoder.decode(payload, &mut samples).unwrap_or(0);
        listener.heard_at = Some(now);
        let heard = listener.detector.listen(samples.get(..count).unwrap_or_default());
        let echo = self.sent.filter(|(_, at)| now.saturating_duration_since(*at) <= ECHO).map(|(digit, _)| digit);
        self.without_echo(now, heard, echo)
    }

    fn listener(&mut self, codec: Codec) -> Option<&mut Listener> {
        if self.listener.as_ref().is_none_or(|listener| listener.codec != codec) {
            let decoder = Decoder::with_rate(codec, Rate::Narrow).ok()?;
            let detector = ToneDetector::new();
            self.listener = Some(Box::new(Listener { codec, decoder, detector, heard_at: None }));
        }
        self.listener.as_deref_mut()
    }

    /// Takes a press that signalling told.
    pub(crate) fn told(&mut self, now: Instant, digit: char, duration: Duration) -> Heard {
        let digit = digit.to_ascii_uppercase();
        if event_of(digit).is_some() && self.presses.is_news(now, digit, Told::BySignalling) {
            return Heard::Told(digit, duration);
        }
        Heard::Nothing
    }

    /// Another source begins, with a clock of its own: the release of a key that was down.
    pub(crate) fn restart(&mut self, now: Instant) -> Changes {
        let event = self.events.restart();
        let tone = self.listener.take().and_then(|mut listener| listener.detector.come_up());
        self.news(now, [event, tone.unwrap_or(Heard::Nothing)])
    }

    /// The release of a key whose end never arrived.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Changes {
        let event = self.events.handle_timeout(now);
        let tone = self.listener.as_mut().filter(|listener| listener.deadline().is_some_and(|at| at <= now));
        let tone = tone.and_then(|listener| listener.detector.come_up());
        self.news(now, [event, tone.unwrap_or(Heard::Nothing)])
    }

    /// When [`Self::handle_timeout`] may have something.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let tone = self.listener.as_ref().and_then(|listener| listener.deadline());
        [self.events.deadline(), tone].into_iter().flatten().min()
    }

    /// Whether a key is down: what sounds is its tone.
    pub(crate) fn is_pressed(&self) -> bool {
        self.events.is_pressed() || self.listener.as_ref().is_some_and(|listener| listener.detector.is_down())
    }

    /// Whether what sounds may be a key's tone.
    pub(crate) fn suspects(&self) -> bool {
        self.listener.as_ref().is_some_and(|listener| listener.detector.suspects())
    }

    /// Leaves out what signalling has told before.
    fn news(&mut self, now: Instant, heard: impl IntoIterator<Item = Heard>) -> Changes {
        self.without_echo(now, heard, None)
    }

    fn without_echo(&mut self, now: Instant, heard: impl IntoIterator<Item = Heard>, echo: Option<char>) -> Changes {
        let mut changes = Changes::new();
        for heard in heard {
            let is_news = match heard {
                Heard::Pressed(digit) => {
                    self.is_repetition = echo == Some(digit) || !self.presses.is_news(now, digit, Told::InMedia);
                    !self.is_repetition
                }
                Heard::Released(..) => !std::mem::take(&mut self.is_repetition),
                Heard::Told(..) => true,
                Heard::Nothing => false,
            };
            if is_news {
                changes.push(heard);
            }
        }
        changes
    }
}

impl Listener {
    /// When a key whose audio does not go on has come up.
    fn deadline(&self) -> Option<Instant> {
        self.heard_at.filter(|_| self.detector.is_down()).map(|at| at + LOST_END)
    }
}
