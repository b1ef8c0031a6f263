//! Telephone-events (RFC 4733): digits heard once each, and digits sent on the gateway's own clock.

mod receiver;
mod sender;

pub(crate) use receiver::{DigitReceiver, Heard};
pub(crate) use sender::DigitSender;

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
