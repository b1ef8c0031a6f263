//! Digits in the bodies of INFO: `application/dtmf-relay`, which SIP.js, JsSIP and most trunks write, and `application/dtmf`.

use std::time::Duration;

/// `Signal=` and `Duration=`.
pub(crate) const DTMF_RELAY: &str = "application/dtmf-relay";
/// The digit alone.
pub(crate) const DTMF: &str = "application/dtmf";
/// What is understood, for Accept.
pub(crate) const ACCEPTED: &str = "application/dtmf-relay, application/dtmf";

/// What a digit without a Duration lasts.
const USUAL_DIGIT: Duration = Duration::from_millis(160);
/// The shortest digit a trunk's exchange is sure to hear, and the longest taken from an INFO.
const DIGIT: (Duration, Duration) = (Duration::from_millis(40), Duration::from_secs(5));

/// The digit of a `dtmf-relay` body: `Signal=5` and `Duration=160` (milliseconds).
pub(crate) fn of_relay(body: &[u8]) -> Option<(char, Duration)> {
    let text = std::str::from_utf8(body).ok()?;
    let field = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find(|(known, _)| known.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    };
    let digit = key(field("Signal")?)?;
    let duration = field("Duration").and_then(|ms| ms.parse().ok()).map_or(USUAL_DIGIT, Duration::from_millis);
    Some((digit, duration.clamp(DIGIT.0, DIGIT.1)))
}

/// The digit of a `dtmf` body.
pub(crate) fn of_dtmf(body: &[u8]) -> Option<(char, Duration)> {
    Some((key(std::str::from_utf8(body).ok()?.trim())?, USUAL_DIGIT))
}

/// The `dtmf-relay` body of a digit.
pub(crate) fn relay(digit: char, duration: Duration) -> String {
    let ms = duration.clamp(DIGIT.0, DIGIT.1).as_millis();
    format!("Signal={digit}\r\nDuration={ms}\r\n")
}

/// The digit of its name; some phones write the event's number (RFC 4733 §3.2).
fn key(name: &str) -> Option<char> {
    let digit = match name {
        "10" => '*',
        "11" => '#',
        "12" => 'A',
        "13" => 'B',
        "14" => 'C',
        "15" => 'D',
        name => {
            let mut chars = name.chars();
            chars.next().filter(|_| chars.next().is_none())?.to_ascii_uppercase()
        }
    };
    is_digit(digit).then_some(digit)
}

/// Whether it is a key of a telephone.
pub(crate) fn is_digit(digit: char) -> bool {
    matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_written_is_the_digit_read() {
        for digit in "0123456789*#ABCD".chars() {
            let duration = Duration::from_millis(120);
            assert_eq!(of_relay(relay(digit, duration).as_bytes()), Some((digit, duration)));
        }
        assert_eq!(relay('5', Duration::from_millis(1)), "Signal=5\r\nDuration=40\r\n");
    }

    #[test]
    fn a_body_that_is_no_digit_is_none() {
        for body in ["", "5x", "x", "16", "-1", "\u{665}", "Signal=5"] {
            assert_eq!(of_dtmf(body.as_bytes()), None, "{body}");
        }
        for body in ["", "5", "Signal=", "Signal=x", "Signal=99", "Signal", "Duration=100", "Signals=5"] {
            assert_eq!(of_relay(body.as_bytes()), None, "{body}");
        }
        assert_eq!((of_relay(&[0xff, b'5']), of_dtmf(&[0xff])), (None, None));
    }

    #[test]
    fn numbers_of_events_and_small_letters_are_digits() {
        for (body, digit) in [("5", '5'), (" *\r\n", '*'), ("11", '#'), ("d", 'D'), ("12", 'A'), ("0\n", '0')] {
            assert_eq!(of_dtmf(body.as_bytes()), Some((digit, USUAL_DIGIT)), "{body}");
            assert_eq!(of_relay(format!("Signal={body}").as_bytes()), Some((digit, USUAL_DIGIT)), "{body}");
        }
    }
}
