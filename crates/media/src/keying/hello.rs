//! The SRTP profiles of a browser's ClientHello (RFC 5764 §4.1.1), read before the DTLS library sees it: the library takes the first
//! profile of the client's list that it knows, and browsers put AES-CM before the GCM they know as well.

use bytes::BytesMut;

/// `SRTP_AEAD_AES_128_GCM` (RFC 7714 §14.2).
const GCM: u16 = 0x0007;
/// The `use_srtp` extension (RFC 5764 §9).
const USE_SRTP: u16 = 14;
/// A ClientHello with post-quantum keys takes two datagrams; what takes more is left to the library unread.
const MAX_DATAGRAMS: usize = 8;

/// A ClientHello, as far as it has come. Its fragments are taken in order (RFC 6347 §4.2.3); a client whose fragments were lost or
/// mixed up sends them all again.
#[derive(Debug, Default)]
pub(super) struct ClientHello {
    body: Vec<u8>,
    held: Vec<BytesMut>,
}

/// What is known after a datagram.
#[derive(Debug)]
pub(super) enum Reading {
    /// More fragments have to come.
    Incomplete,
    /// Whether the client knows GCM, and the datagrams held so far, for the library.
    Complete { knows_gcm: bool, datagrams: Vec<BytesMut> },
}

impl ClientHello {
    /// Takes a datagram of DTLS records.
    pub(super) fn read(&mut self, datagram: &[u8]) -> Reading {
        self.held.push(BytesMut::from(datagram));
        let knows_gcm = self.collect(datagram).map(|()| profiles(&self.body).is_some_and(|list| list.contains(&GCM)));
        match knows_gcm {
            None if self.held.len() < MAX_DATAGRAMS => Reading::Incomplete,
            _ => Reading::Complete {
                knows_gcm: knows_gcm.unwrap_or_default(),
                datagrams: std::mem::take(&mut self.held),
            },
        }
    }

    /// Adds a datagram's fragments; `Some` once the message is whole.
    fn collect(&mut self, datagram: &[u8]) -> Option<()> {
        let mut records = datagram;
        while !records.is_empty() {
            // Type, version, epoch and sequence number, then the length (RFC 6347 §4.1).
            take(&mut records, 11)?;
            let length = number(&mut records, 2)?;
            let mut fragment = take(&mut records, length)?;
            // Message type, length and number, then the fragment's place (§4.2.2).
            take(&mut fragment, 1)?;
            let whole = number(&mut fragment, 3)?;
            take(&mut fragment, 2)?;
            let offset = number(&mut fragment, 3)?;
            let length = number(&mut fragment, 3)?;
            let part = take(&mut fragment, length)?;
            if offset == 0 {
                self.body.clear();
            }
            if offset == self.body.len() {
                self.body.extend_from_slice(part);
            }
            if self.body.len() >= whole {
                return Some(());
            }
        }
        None
    }
}

/// The profiles a ClientHello offers (RFC 5246 §7.4.1.2, with DTLS's cookie).
fn profiles(mut hello: &[u8]) -> Option<Vec<u16>> {
    // Version and random.
    take(&mut hello, 34)?;
    // Session id, cookie, cipher suites, compression methods.
    for bytes in [1, 1, 2, 1] {
        let length = number(&mut hello, bytes)?;
        take(&mut hello, length)?;
    }
    let length = number(&mut hello, 2)?;
    let mut extensions = take(&mut hello, length)?;
    while !extensions.is_empty() {
        let kind = number(&mut extensions, 2)?;
        let length = number(&mut extensions, 2)?;
        let mut extension = take(&mut extensions, length)?;
        if kind == usize::from(USE_SRTP) {
            let length = number(&mut extension, 2)?;
            let list = take(&mut extension, length)?;
            return Some(list.as_chunks().0.iter().map(|profile| u16::from_be_bytes(*profile)).collect());
        }
    }
    None
}

fn take<'a>(from: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

/// A big-endian number of up to three bytes.
fn number(from: &mut &[u8], bytes: usize) -> Option<usize> {
    Some(take(from, bytes)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ClientHello with these profiles, in fragments of `size` bytes, one to a datagram.
    fn hello(profiles: &[u16], size: usize) -> Vec<Vec<u8>> {
        let list: Vec<u8> = profiles.iter().flat_map(|profile| profile.to_be_bytes()).collect();
        let length = u8::try_from(list.len()).expect("short");
        let extensions =
            [&[0, 23, 0, 0, 0, 14, 0, length + 3, 0, length][..], &list, &[0], &[0, 10, 0, 4, 0, 2, 0, 29]].concat();
        let mut body = [&[0xfe, 0xfd][..], &[7; 32], &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0]].concat();
        body.extend_from_slice(&u16::try_from(extensions.len()).expect("short").to_be_bytes());
        body.extend_from_slice(&extensions);
        let fragment = |(index, part): (usize, &[u8])| {
            let small = |number: usize| u8::try_from(number).expect("short");
            let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, small(index), 0, small(part.len() + 12)];
            record.extend_from_slice(&[1, 0, 0, small(body.len()), 0, 0]);
            record.extend_from_slice(&[0, 0, small(index * size), 0, 0, small(part.len())]);
            record.extend_from_slice(part);
            record
        };
        body.chunks(size).enumerate().map(fragment).collect()
    }

    fn knows_gcm(datagrams: &[Vec<u8>]) -> Option<bool> {
        let mut reader = ClientHello::default();
        datagrams.iter().find_map(|datagram| match reader.read(datagram) {
            Reading::Incomplete => None,
            Reading::Complete { knows_gcm, .. } => Some(knows_gcm),
        })
    }

    #[test]
    fn gcm_is_found_wherever_it_stands_in_the_list() {
        assert_eq!(knows_gcm(&hello(&[0x0001, 0x0008, GCM], 250)), Some(true));
        assert_eq!(knows_gcm(&hello(&[GCM, 0x0001], 250)), Some(true));
        assert_eq!(knows_gcm(&hello(&[0x0001, 0x0002], 250)), Some(false));
    }

    #[test]
    fn a_fragmented_hello_is_read_when_it_is_whole_and_its_datagrams_are_given_back() {
        let parts = hello(&[0x0001, GCM], 20);
        let mut reader = ClientHello::default();
        let (last, first) = parts.split_last().expect("several");
        for part in first {
            assert!(matches!(reader.read(part), Reading::Incomplete));
        }
        let Reading::Complete { knows_gcm, datagrams } = reader.read(last) else { panic!("whole") };
        assert!(knows_gcm);
        assert_eq!(datagrams, parts);
    }

    #[test]
    fn a_hello_that_lost_a_fragment_is_read_when_it_comes_again() {
        let parts = hello(&[0x0001, GCM], 50);
        assert!(parts.len() < MAX_DATAGRAMS / 2);
        let lossy = [&parts[1..], &parts[..]].concat();
        assert_eq!(knows_gcm(&lossy), Some(true));
    }

    #[test]
    fn what_never_gets_whole_is_left_to_the_library() {
        let parts = hello(&[GCM], 50);
        let again = vec![parts[1].clone(); MAX_DATAGRAMS];
        assert_eq!(knows_gcm(&again), Some(false));
        assert_eq!(knows_gcm(&vec![vec![22; 5]; MAX_DATAGRAMS]), Some(false));
    }
}
