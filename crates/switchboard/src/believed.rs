//! Addresses believed because a session of ours speaks with them, whatever the directory says: where its INVITE went or came from,
//! and where its dialog's Contact and routes send us (RFC 3261 §12.1). The directory's own trunks are `admission`'s.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use sip::{Flow, SessionId};
use smallvec::SmallVec;

/// Addresses one session is believed from: its INVITE's, and a few of the dialogs it forked into.
const MAX_ADDRESSES: usize = 8;

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
        if !known.contains(&address) && known.len() < MAX_ADDRESSES {
            known.push(address);
            *self.counts.entry(address).or_default() += 1;
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
            if let Some(count) = self.counts.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&address);
                }
            }
        }
    }
}
