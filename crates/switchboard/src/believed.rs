//! Addresses believed because a session of ours speaks with them, whatever the directory says: where its INVITE went or came from,
//! and where its dialog's Contact and routes send us (RFC 3261 §12.1). The directory's own trunks are `admission`'s.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use sip::{Flow, SessionId};
use smallvec::SmallVec;

/// Addresses one session is believed from: its INVITE's, and those of the dialogs it forked into or last moved to.
const MAX_ADDRESSES: usize = 20;

/// The addresses of running sessions, and for a while of those that ended.
#[derive(Debug, Default)]
pub(crate) struct Believed {
    sessions: HashMap<SessionId, SmallVec<[IpAddr; 2]>>,
    /// How many sessions, running or fading, an address has.
    counts: HashMap<IpAddr, usize>,
    /// Addresses of ended sessions, in the order in which they are forgotten.
    fading: VecDeque<(Instant, IpAddr)>,
}

impl Believed {
    /// A session speaks with this peer. Browsers are believed by their connections, not by addresses.
    pub(crate) fn add(&mut self, session: SessionId, flow: Flow) {
        if flow.transport.is_websocket() {
            return;
        }
        let address = flow.peer.ip();
        let known = self.sessions.entry(session).or_default();
        if known.contains(&address) {
            return;
        }
        // The first is the INVITE's and stays.
        let gone = (known.len() >= MAX_ADDRESSES).then(|| known.remove(1));
        known.push(address);
        *self.counts.entry(address).or_default() += 1;
        if let Some(gone) = gone {
            self.release(gone);
        }
    }

    /// A session ended. What its peer still repeats is answered for `after`.
    pub(crate) fn end(&mut self, now: Instant, session: SessionId, after: Duration) {
        let addresses = self.sessions.remove(&session).unwrap_or_default();
        self.fading.extend(addresses.into_iter().map(|address| (now + after, address)));
        self.forget(now);
    }

    /// Whether a session speaks with this address, or did a moment ago.
    pub(crate) fn contains(&mut self, now: Instant, address: IpAddr) -> bool {
        self.forget(now);
        self.counts.contains_key(&address)
    }

    fn forget(&mut self, now: Instant) {
        while let Some((_, address)) = self.fading.pop_front_if(|(until, _)| *until <= now) {
            self.release(address);
        }
    }

    fn release(&mut self, address: IpAddr) {
        if let Some(count) = self.counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some first instant")]
mod tests {
    use std::net::SocketAddr;

    use sip::Transport;

    use super::*;

    fn flow(last: u8) -> Flow {
        Flow {
            transport: Transport::Udp,
            peer: SocketAddr::from(([192, 0, 2, last], 5060)),
            connection: None,
            tls: None,
        }
    }

    #[test]
    fn of_a_peer_that_moves_again_and_again_the_first_and_the_latest_addresses_are_believed() {
        let (mut believed, now) = (Believed::default(), Instant::now());
        let is = |believed: &mut Believed, last| believed.contains(now, flow(last).peer.ip());
        for last in 0..100 {
            believed.add(SessionId(1), flow(last));
        }
        assert!(is(&mut believed, 0) && is(&mut believed, 99) && is(&mut believed, 81) && !is(&mut believed, 80));
        believed.end(now, SessionId(1), Duration::ZERO);
        assert!((0..100).all(|last| !is(&mut believed, last)));
        assert!(believed.sessions.is_empty() && believed.fading.is_empty());
    }

    #[test]
    fn an_address_of_two_sessions_is_believed_until_both_are_over() {
        let (mut believed, now) = (Believed::default(), Instant::now());
        for session in [SessionId(1), SessionId(2)] {
            believed.add(session, flow(1));
        }
        believed.end(now, SessionId(1), Duration::ZERO);
        assert!(believed.contains(now, flow(1).peer.ip()));
        believed.end(now, SessionId(2), Duration::from_secs(32));
        assert!(believed.contains(now + Duration::from_secs(31), flow(1).peer.ip()));
        assert!(!believed.contains(now + Duration::from_secs(32), flow(1).peer.ip()));
    }
}
