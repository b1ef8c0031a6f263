//! The RTP header (RFC 3550 §5.1, extensions §5.3.1) over a byte slice. Copies nothing and allocates nothing.

use thiserror::Error;

/// Why a packet is not RTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum MalformedRtp {
    #[error("shorter than its header says")]
    Short,
    #[error("version is not 2")]
    Version,
    #[error("padding is longer than the payload")]
    Padding,
}

/// The fields of a header that this side writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

impl Header {
    /// Replaces what `buffer` holds by this header; the payload is appended by the caller.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.push(0x80);
        buffer.push((u8::from(self.marker) << 7) | (self.payload_type & 0x7f));
        buffer.extend_from_slice(&self.sequence.to_be_bytes());
        buffer.extend_from_slice(&self.timestamp.to_be_bytes());
        buffer.extend_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// A received packet, taken apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RtpView<'a> {
    pub(crate) header: Header,
    pub(crate) payload: &'a [u8],
}

impl<'a> RtpView<'a> {
    /// Takes a packet apart; CSRCs, the extension and padding are skipped.
    pub(crate) fn parse(packet: &'a [u8]) -> Result<Self, MalformedRtp> {
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3, rest @ ..] = packet else {
            return Err(MalformedRtp::Short);
        };
        if first >> 6 != 2 {
            return Err(MalformedRtp::Version);
        }
        let header = Header {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([*s0, *s1]),
            timestamp: u32::from_be_bytes([*t0, *t1, *t2, *t3]),
            ssrc: u32::from_be_bytes([*c0, *c1, *c2, *c3]),
        };
        let mut payload = rest.get(usize::from(first & 0x0f) * 4..).ok_or(MalformedRtp::Short)?;
        if first & 0x10 != 0 {
            let [_, _, high, low, after @ ..] = payload else {
                return Err(MalformedRtp::Short);
            };
            let words = usize::from(u16::from_be_bytes([*high, *low]));
            payload = after.get(words * 4..).ok_or(MalformedRtp::Short)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*payload.last().ok_or(MalformedRtp::Padding)?);
            let kept = payload.len().checked_sub(padding).filter(|_| padding > 0).ok_or(MalformedRtp::Padding)?;
            payload = payload.get(..kept).ok_or(MalformedRtp::Padding)?;
        }
        Ok(Self { header, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn csrcs_extension_and_padding_are_skipped() {
        let mut packet = vec![0x80 | 0x20 | 0x10 | 2, 0x80 | 111, 0, 7, 0, 0, 0, 9, 1, 2, 3, 4];
        packet.extend_from_slice(&[0; 8]);
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
        packet.extend_from_slice(&[5, 6, 7, 0, 2]);
        let view = RtpView::parse(&packet).expect("valid");
        assert_eq!(view.payload, [5, 6, 7]);
        assert_eq!(
            view.header,
            Header { marker: true, payload_type: 111, sequence: 7, timestamp: 9, ssrc: 0x0102_0304 }
        );
    }

    #[test]
    fn padding_longer_than_the_payload_is_malformed() {
        let packet = [0xa0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 9];
        assert_eq!(RtpView::parse(&packet).err(), Some(MalformedRtp::Padding));
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let header = Header { marker: false, payload_type: 8, sequence: 65_535, timestamp: 1 << 31, ssrc: 77 };
        let mut buffer = Vec::new();
        header.write(&mut buffer);
        buffer.push(42);
        let view = RtpView::parse(&buffer).expect("valid");
        assert_eq!((view.header, view.payload), (header, &[42_u8][..]));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = RtpView::parse(&bytes);
        }
    }
}
