//! What goes from shard to shard: one bounded queue into each, and a wake-up once for each batch. Knows nothing of what it carries but
//! what may be lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use bytes::BytesMut;
use media::{LinkContent, LinkTransmit, MediaSessionId};
use metrics::{Counter, counter};
use mio::Waker;

/// What waits for one shard: what 80 linked calls say in a second. Audio that finds it full is dropped, as on any network, and how
/// a session stands is kept and tried again (`patchcord_queue_full_total{queue="link"}`).
pub(super) const WAITING: usize = 4096;

/// Something for a session.
type Parcel = (MediaSessionId, LinkContent);

/// The ways of one shard to all others, and what they have for it.
#[derive(Debug)]
pub(super) struct Links {
    inbox: Receiver<Parcel>,
    /// By number; its own as well, which is never used.
    others: Vec<Other>,
    sent: Counter,
}

#[derive(Debug)]
struct Other {
    queue: SyncSender<Parcel>,
    waker: Arc<Waker>,
    /// What must arrive and found the queue full, in order. Bounded by what the sessions of this shard have to tell.
    put_off: VecDeque<Parcel>,
    /// It has something since it was woken last.
    to_wake: bool,
}

impl Links {
    /// Joins so many shards, each with each; `wakers` are theirs.
    pub(super) fn mesh(wakers: &[Arc<Waker>]) -> Vec<Self> {
        let (queues, inboxes): (Vec<_>, Vec<_>) = wakers.iter().map(|_| sync_channel(WAITING)).unzip();
        let others = || {
            let each = queues.iter().zip(wakers);
            let other = |(queue, waker): (&SyncSender<Parcel>, &Arc<Waker>)| Other {
                queue: queue.clone(),
                waker: Arc::clone(waker),
                put_off: VecDeque::new(),
                to_wake: false,
            };
            each.map(other).collect()
        };
        let sent = |index: usize| counter!("patchcord_media_link_packets_total", "shard" => index.to_string());
        inboxes
            .into_iter()
            .enumerate()
            .map(|(index, inbox)| Self { inbox, others: others(), sent: sent(index) })
            .collect()
    }

    /// Leaves something for another shard, which is woken by [`Self::wake`]; gives back the buffer of what was dropped.
    pub(super) fn send(&mut self, transmit: LinkTransmit) -> Option<BytesMut> {
        let LinkTransmit { to, content } = transmit;
        let Some(other) = self.others.get_mut(to.shard) else {
            tracing::error!(shard = to.shard, "a link leads to a media shard that does not exist");
            return None;
        };
        other.to_wake = true;
        let is_media = matches!(content, LinkContent::Rtp(_));
        if !is_media && !other.put_off.is_empty() {
            other.put_off.push_back((to.session, content));
            return None;
        }
        match other.queue.try_send((to.session, content)) {
            Ok(()) => {
                if is_media {
                    self.sent.increment(1);
                }
                None
            }
            Err(TrySendError::Full((session, content))) => {
                crate::metrics::queue_full("link");
                match content {
                    LinkContent::Rtp(packet) => Some(packet),
                    content @ (LinkContent::Standing(_) | LinkContent::Opened(_)) => {
                        other.put_off.push_back((session, content));
                        None
                    }
                }
            }
            // Its thread is gone, and the process about to go with it.
            Err(TrySendError::Disconnected(_)) => None,
        }
    }

    /// Tries again what found a queue full, and wakes whoever has got something.
    pub(super) fn wake(&mut self) {
        for other in &mut self.others {
            while let Some(parcel) = other.put_off.pop_front() {
                match other.queue.try_send(parcel) {
                    Ok(()) => other.to_wake = true,
                    Err(TrySendError::Full(parcel)) => {
                        other.put_off.push_front(parcel);
                        break;
                    }
                    Err(TrySendError::Disconnected(_)) => {}
                }
            }
            if std::mem::take(&mut other.to_wake)
                && let Err(error) = other.waker.wake()
            {
                tracing::error!(%error, "a media shard cannot be woken");
            }
        }
    }

    /// Whether something is to be tried again.
    pub(super) fn has_put_off(&self) -> bool {
        self.others.iter().any(|other| !other.put_off.is_empty())
    }

    /// The next thing that another shard has for this one.
    pub(super) fn receive(&mut self) -> Option<Parcel> {
        self.inbox.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use media::LinkEnd;
    use mio::{Poll, Token};

    use super::*;

    /// Two shards' links, with what wakes them.
    fn pair() -> (Vec<Links>, Vec<Poll>) {
        let polls: Vec<Poll> = (0..2).map(|_| Poll::new().unwrap()).collect();
        let waker = |poll: &Poll| Arc::new(Waker::new(poll.registry(), Token(1)).unwrap());
        let wakers: Vec<Arc<Waker>> = polls.iter().map(waker).collect();
        (Links::mesh(&wakers), polls)
    }

    fn received(links: &mut Links) -> Vec<Parcel> {
        std::iter::from_fn(|| links.receive()).collect()
    }

    fn audio(number: usize) -> LinkTransmit {
        let to = LinkEnd { shard: 1, session: MediaSessionId(7) };
        LinkTransmit { to, content: LinkContent::Rtp(BytesMut::from(&number.to_be_bytes()[..])) }
    }

    /// How a session stands, as a shard says it that opens a link.
    fn standing() -> LinkTransmit {
        use media::{Command, Keying, Music, Shard, ShardConfig};
        let now = std::time::Instant::now();
        let config = ShardConfig {
            certificate: Arc::new(media::Certificate::generate().unwrap()),
            candidates: Vec::new(),
            started: (now, std::time::SystemTime::UNIX_EPOCH),
            max_sessions: 1,
            music: Music::default(),
        };
        let mut shard = Shard::new(config, [1; 32]);
        let keying = Keying::Link { peer: LinkEnd { shard: 1, session: MediaSessionId(7) } };
        let silence_timeout = std::time::Duration::ZERO;
        shard.handle_command(
            now,
            Command::Open { session: MediaSessionId(1), keying, codecs: Vec::new(), silence_timeout },
        );
        shard.poll_link().unwrap()
    }

    #[test]
    fn a_batch_wakes_the_other_thread_once_and_only_that() {
        let (mut links, mut polls) = pair();
        let mut woken = |shard: usize| {
            let mut events = mio::Events::with_capacity(8);
            polls[shard].poll(&mut events, Some(std::time::Duration::ZERO)).unwrap();
            events.iter().count()
        };
        for number in 0..10 {
            assert_eq!(links[0].send(audio(number)), None);
        }
        assert_eq!(woken(1), 0);
        links[0].wake();
        links[0].wake();
        assert_eq!((woken(0), woken(1), woken(1)), (0, 1, 0));
        let received = received(&mut links[1]);
        assert_eq!(received, (0..10).map(|n| (MediaSessionId(7), audio(n).content)).collect::<Vec<_>>());
        links[0].wake();
        assert_eq!(woken(1), 0, "nothing is new");
    }

    #[test]
    fn of_what_finds_the_queue_full_audio_is_dropped_and_the_rest_arrives_later() {
        let (mut links, _polls) = pair();
        for number in 0..WAITING {
            assert_eq!(links[0].send(audio(number)), None);
        }
        let dropped = links[0].send(audio(WAITING));
        assert_eq!(dropped.map(LinkContent::Rtp), Some(audio(WAITING).content), "its buffer comes back");
        assert_eq!(links[0].send(standing()), None);
        assert_eq!(links[0].send(standing()), None);
        links[0].wake();
        assert!(links[0].has_put_off());
        assert_eq!(received(&mut links[1]).len(), WAITING);
        links[0].wake();
        assert!(!links[0].has_put_off());
        assert_eq!(received(&mut links[1]), vec![(MediaSessionId(7), standing().content); 2]);
    }
}
