//! Digits: heard once each, whether told by telephone-events (RFC 4733), tones (ITU-T Q.23) or signalling, and sent on the gateway's
//! own clock as the one or the other.

mod detector;
mod keypad;
mod presses;
mod receiver;
mod sender;
mod tones;
mod toning;

use std::time::Duration;

pub(crate) use keypad::Keypad;
pub(crate) use sender::DigitSender;
pub(crate) use toning::TONE_FRAME;

/// What is told of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It went down.
    Pressed(char),
    /// It came up after this long.
    Released(char, Duration),
    /// It was pressed so long, which signalling told at once.
    Told(char, Duration),
    /// An update or a repetition.
    Nothing,
}

/// Between two digits that we send, so that detectors see two (ITU-T Q.24 wants 40 ms at least).
const PAUSE: Duration = Duration::from_millis(60);
/// A key whose release never came.
const LONGEST_PRESS: Duration = Duration::from_secs(30);

/// A key press to be sent.
#[derive(Debug, Clone, Copy)]
struct Press {
    event: u8,
    /// Known from the start for dialled digits, at the release for relayed ones.
    duration: Option<Duration>,
}

/// The DTMF events in order of their codes (RFC 4733 §3.2).
const DIGITS: &[u8; 16] = b"0123456789*#ABCD";

/// The digit of an event code; `None` for events that are not DTMF.
fn digit_of(event: u8) -> Option<char> {
    DIGITS.get(usize::from(event)).map(|digit| char::from(*digit))
}

/// The event code of a digit; lower-case letters are taken too.
fn event_of(digit: char) -> Option<u8> {
    let digit = digit.to_ascii_uppercase();
    DIGITS.iter().position(|known| char::from(*known) == digit).and_then(|code| u8::try_from(code).ok())
}
