//! Cuts a byte stream into SIP messages (RFC 3261 §18.3) and finds CRLF keep-alives (RFC 5626 §4.4.1). Parses nothing but
//! Content-Length.

use bytes::{Buf, Bytes, BytesMut};

use crate::message::MAX_MESSAGE;

/// What a stream holds next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// One whole message, still to be parsed.
    Message(Bytes),
    /// A double CRLF: the peer wants a single CRLF back.
    Ping,
    /// A single CRLF: the answer to a ping of ours. Told when the byte after it arrives, which alone shows that it is no
    /// first half of a ping.
    Pong,
}

/// Why a stream cannot be cut any further. The connection must be closed: where the next message starts is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A message longer than [`crate::MAX_MESSAGE`].
    #[error("message too long")]
    TooLong,
    /// A message without a readable Content-Length.
    #[error("no valid Content-Length")]
    ContentLength,
}

/// Collects the bytes of one connection and gives back whole messages. Also joins messages split over WebSocket messages.
/// Holds at most [`crate::MAX_MESSAGE`] bytes and one push.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    /// Up to where the buffer was searched for the end of the headers.
    searched: usize,
    /// Total length of the message at the front, once its headers are whole.
    length: Option<usize>,
    websocket: bool,
    failed: Option<FramingError>,
}

impl StreamFramer {
    /// For TCP and TLS: every message must carry Content-Length.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For WebSocket: a message without Content-Length ends with the WebSocket message it is in (RFC 7118 §5).
    #[must_use]
    pub fn websocket() -> Self {
        Self { websocket: true, ..Self::default() }
    }

    /// Takes bytes from the connection, or one WebSocket message. Call [`StreamFramer::poll`] until it gives `None` before
    /// the next.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next message or keep-alive; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the stream cannot be cut; then always the same error again.
    pub fn poll(&mut self) -> Result<Option<Framed>, FramingError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let next = self.cut();
        if let Err(error) = next {
            self.failed = Some(error);
            self.buffer.clear();
        }
        next
    }

    /// Whether a message has begun and is not whole: its sender may be slow on purpose.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        self.failed.is_none() && self.buffer.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    fn cut(&mut self) -> Result<Option<Framed>, FramingError> {
        if self.length.is_none() {
            match self.buffer.as_ref() {
                [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return Ok(None),
                [b'\r', b'\n', b'\r', b'\n', ..] => {
                    self.skip(4);
                    return Ok(Some(Framed::Ping));
                }
                [b'\r', b'\n', ..] => {
                    self.skip(2);
                    return Ok(Some(Framed::Pong));
                }
                _ => self.length = self.measure()?,
            }
        }
        match self.length {
            Some(length) if length > MAX_MESSAGE => Err(FramingError::TooLong),
            Some(length) if length <= self.buffer.len() => {
                self.length = None;
                self.searched = 0;
                Ok(Some(Framed::Message(self.buffer.split_to(length).freeze())))
            }
            Some(_) => Ok(None),
            None if self.buffer.len() > MAX_MESSAGE => Err(FramingError::TooLong),
            None => Ok(None),
        }
    }

    fn skip(&mut self, count: usize) {
        self.buffer.advance(count);
        self.searched = 0;
    }

    /// The whole length of the message at the front; `None` while its headers have not ended.
    fn measure(&mut self) -> Result<Option<usize>, FramingError> {
        let Some(head) = self.head_length() else { return Ok(None) };
        let section = self.buffer.get(..head).unwrap_or_default();
        match content_length(section)? {
            Some(body) => head.checked_add(body).map(Some).ok_or(FramingError::TooLong),
            None if self.websocket => Ok(Some(self.buffer.len())),
            None => Err(FramingError::ContentLength),
        }
    }

    /// The length of the headers with the blank line that ends them.
    fn head_length(&mut self) -> Option<usize> {
        loop {
            let rest = self.buffer.get(self.searched..)?;
            let line_end = self.searched + memchr::memchr(b'\n', rest)? + 1;
            match self.buffer.get(line_end..)? {
                [b'\n', ..] => return Some(line_end + 1),
                [b'\r', b'\n', ..] => return Some(line_end + 2),
                // What follows decides, and has not arrived: look at this line break again.
                [] | [b'\r'] => return None,
                _ => self.searched = line_end,
            }
        }
    }
}

/// Content-Length in a header section; an error when it is no number or said twice with different values.
fn content_length(section: &[u8]) -> Result<Option<usize>, FramingError> {
    let mut found: Option<usize> = None;
    let mut lines = section.split(|b| *b == b'\n').peekable();
    while let Some(line) = lines.next() {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii_end();
        if !name.eq_ignore_ascii_case(b"Content-Length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let mut value = value.get(1..).unwrap_or_default().trim_ascii().to_vec();
        while let Some(folded) = lines.next_if(|next| matches!(next.first(), Some(b' ' | b'\t'))) {
            value.extend_from_slice(folded.trim_ascii());
        }
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(&value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        let number = number.ok_or(FramingError::ContentLength)?;
        if found.is_some_and(|other| other != number) {
            return Err(FramingError::ContentLength);
        }
        found = Some(number);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"\r\n\r\nOPTIONS sip:a SIP/2.0\r\nVia: x\r\nContent-Length : 5\r\n\r\nhello\r\nBYE sip:b SIP/2.0\r\nl:\r\n 0\r\n\r\n\r\n\r\nX";

    fn drain(framer: &mut StreamFramer, into: &mut Vec<Framed>) {
        while let Some(framed) = framer.poll().unwrap() {
            into.push(framed);
        }
    }

    fn expected() -> Vec<Framed> {
        vec![
            Framed::Ping,
            Framed::Message(Bytes::from_static(b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\nContent-Length : 5\r\n\r\nhello")),
            Framed::Pong,
            Framed::Message(Bytes::from_static(b"BYE sip:b SIP/2.0\r\nl:\r\n 0\r\n\r\n")),
            Framed::Ping,
        ]
    }

    #[test]
    fn a_stream_split_at_any_two_bytes_gives_the_same_messages() {
        for first in 0..=STREAM.len() {
            for second in first..=STREAM.len() {
                let (mut framer, mut found) = (StreamFramer::new(), Vec::new());
                for part in [&STREAM[..first], &STREAM[first..second], &STREAM[second..]] {
                    framer.push(part);
                    drain(&mut framer, &mut found);
                }
                assert_eq!(found, expected(), "split at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_stream_of_single_bytes_gives_the_same_messages() {
        let (mut framer, mut found) = (StreamFramer::new(), Vec::new());
        for byte in STREAM {
            framer.push(&[*byte]);
            drain(&mut framer, &mut found);
        }
        assert_eq!(found, expected());
    }

    #[test]
    fn endless_headers_and_huge_bodies_are_refused_for_good() {
        let mut framer = StreamFramer::new();
        framer.push(&vec![b'a'; MAX_MESSAGE + 1]);
        assert_eq!(framer.poll(), Err(FramingError::TooLong));
        framer.push(b"\r\n\r\n");
        assert_eq!(framer.poll(), Err(FramingError::TooLong));
        let mut framer = StreamFramer::new();
        framer.push(b"BYE sip:b SIP/2.0\r\nl: 99999999\r\n\r\n");
        assert_eq!(framer.poll(), Err(FramingError::TooLong));
        let mut framer = StreamFramer::new();
        framer.push(b"BYE sip:b SIP/2.0\r\nl: 99999999999999999999999\r\n\r\n");
        assert_eq!(framer.poll(), Err(FramingError::ContentLength));
    }

    #[test]
    fn only_a_websocket_message_may_lack_content_length() {
        let message = b"BYE sip:b SIP/2.0\r\nCSeq: 1 BYE\r\n\r\nbody";
        let mut framer = StreamFramer::new();
        framer.push(message);
        assert_eq!(framer.poll(), Err(FramingError::ContentLength));
        let mut framer = StreamFramer::websocket();
        framer.push(message);
        assert_eq!(framer.poll(), Ok(Some(Framed::Message(Bytes::from_static(message)))));
    }

    #[test]
    fn a_begun_message_shows_and_keep_alives_are_none() {
        let mut framer = StreamFramer::new();
        framer.push(b"\r\n");
        assert_eq!((framer.poll(), framer.is_mid_message()), (Ok(None), false));
        framer.push(b"BYE sip:b SIP/2.0\r\nl: 1\r\n\r\n");
        assert_eq!(framer.poll(), Ok(Some(Framed::Pong)));
        assert_eq!((framer.poll(), framer.is_mid_message()), (Ok(None), true));
        framer.push(b"x");
        assert!(matches!(framer.poll(), Ok(Some(Framed::Message(_)))));
        assert!(!framer.is_mid_message());
    }

    #[test]
    fn two_different_lengths_are_refused() {
        let mut framer = StreamFramer::new();
        framer.push(b"BYE sip:b SIP/2.0\r\nContent-Length: 0\r\nl: 5\r\n\r\n");
        assert_eq!(framer.poll(), Err(FramingError::ContentLength));
    }
}
