//! What the media shards are told: in order, and with one waking for all that one turn of the signalling task has for a shard.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ::switchboard::ShardIndex;

use crate::metrics;
use crate::shards::CommandSender;

/// How soon commands are tried again that found their shard's queue full.
const RETRY: Duration = Duration::from_millis(5);

/// The ways to the shards, by index.
pub(super) struct Orders(Vec<Lane>);

struct Lane {
    sender: CommandSender,
    /// Commands that found the queue full, in order. Bounded by what the running calls can ask for.
    put_off: VecDeque<media::Command>,
    /// Whether it was left commands since it was woken.
    is_due: bool,
}

impl Orders {
    pub(super) fn new(senders: Vec<CommandSender>) -> Self {
        Self(senders.into_iter().map(|sender| Lane { sender, put_off: VecDeque::new(), is_due: false }).collect())
    }

    /// Leaves a command. Commands must arrive, and in order: those that find the queue full wait here.
    pub(super) fn send(&mut self, shard: ShardIndex, command: media::Command) {
        let Some(lane) = self.0.get_mut(shard.0) else {
            tracing::error!(shard = shard.0, "a call was given to a media shard that does not exist");
            return;
        };
        lane.is_due = true;
        if !lane.put_off.is_empty() {
            lane.put_off.push_back(command);
        } else if let Err(command) = lane.sender.send(command) {
            metrics::queue_full("shard");
            lane.put_off.push_back(command);
        }
    }

    /// When `retry` is due next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.iter().any(|lane| !lane.put_off.is_empty()).then(|| Instant::now() + RETRY)
    }

    /// Tries again what found a queue full.
    pub(super) fn retry(&mut self) {
        for lane in &mut self.0 {
            while let Some(command) = lane.put_off.pop_front() {
                lane.is_due = true;
                if let Err(command) = lane.sender.send(command) {
                    lane.put_off.push_front(command);
                    break;
                }
            }
        }
    }

    /// Has the shards look after what they were left.
    pub(super) fn wake(&mut self) {
        for lane in &mut self.0 {
            if std::mem::take(&mut lane.is_due) {
                lane.sender.wake();
            }
        }
    }
}
