//! The messages of one call in order: the first and the last of them, when there are too many. And those that have no call yet.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use sip::{Flow, Glance, without_secrets};

/// Messages kept of a call's beginning, and of its end. An ordinary call has about 20.
const FIRST: usize = 60;
const LAST: usize = 60;

/// Bytes kept of a call's beginning, and of its end.
const PART: usize = 128 * 1024;

/// The longest text kept of a message; a browser's INVITE with everything in it is shorter.
const MAX_TEXT: usize = 16 * 1024;

/// What a message costs beside its text, in bytes.
const COST: usize = 256;

/// How far back a message is looked for that is the same: a retransmission is never much later.
const RECENT: usize = 16;

/// Messages without a call, and their bytes: those of a few seconds.
const MAX_ASIDE: usize = 512;
const MAX_ASIDE_BYTES: usize = 1024 * 1024;

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To us.
    In,
    /// From us.
    Out,
}

/// One message, with how often it went. It is kept as it was on the wire, and given to nobody but without its secrets: few of the
/// messages kept are ever read.
#[derive(Clone)]
pub struct Entry {
    /// When it went first.
    pub at: Instant,
    /// When it went last.
    pub last_at: Instant,
    /// Which way.
    pub way: Way,
    /// Over what, and who is at the other end.
    pub flow: Flow,
    /// Its Call-ID.
    pub call_id: String,
    /// How often it was repeated.
    pub repeated: u32,
    /// The message with its secrets; the beginning, without them, of one that is very long.
    raw: Box<[u8]>,
    is_cut: bool,
}

impl Entry {
    pub(super) fn new(at: Instant, way: Way, flow: Flow, call_id: String, bytes: &[u8]) -> Self {
        // What is cut has its secrets taken out before: half of one no longer looks like one.
        let mut clean = (bytes.len() > MAX_TEXT).then(|| without_secrets(bytes).into_owned());
        let is_cut = clean.as_ref().is_some_and(|clean| clean.len() > MAX_TEXT);
        if let Some(clean) = &mut clean {
            clean.truncate(MAX_TEXT);
        }
        let raw = clean.map_or_else(|| bytes.into(), Vec::into_boxed_slice);
        Self { at, last_at: at, way, flow, call_id, repeated: 0, raw, is_cut }
    }

    /// Method and Request-URI, or status and phrase.
    #[must_use]
    pub fn summary(&self) -> String {
        Glance::summary_of(&without_secrets(&self.raw)).unwrap_or_default().into_owned()
    }

    /// The whole message without secrets; the beginning of one that is very long.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&without_secrets(&self.raw)).into_owned();
        if self.is_cut {
            text.push_str("\r\n(cut)");
        }
        text
    }

    fn is_same(&self, other: &Self) -> bool {
        self.way == other.way && self.flow.peer == other.flow.peer && self.raw == other.raw
    }

    fn cost(&self) -> usize {
        COST + self.raw.len() + self.call_id.len()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, way, flow, repeated, .. } = self;
        let summary = self.summary();
        let mut entry = f.debug_struct("Entry");
        entry
            .field("at", at)
            .field("way", way)
            .field("flow", flow)
            .field("summary", &summary)
            .field("repeated", repeated);
        entry.finish_non_exhaustive()
    }
}

/// The messages of one call.
#[derive(Debug, Clone, Default)]
pub(super) struct Ladder {
    first: Vec<Entry>,
    first_bytes: usize,
    last: VecDeque<Entry>,
    last_bytes: usize,
    /// Whether the beginning is complete.
    is_full: bool,
    left_out: u64,
}

impl Ladder {
    pub(super) fn push(&mut self, entry: Entry) {
        let recent = self.last.iter_mut().rev().chain(self.first.iter_mut().rev()).take(RECENT);
        if let Some(known) = recent.into_iter().find(|known| known.is_same(&entry)) {
            known.repeated = known.repeated.saturating_add(1);
            known.last_at = entry.at;
            return;
        }
        let cost = entry.cost();
        self.is_full |= self.first.len() >= FIRST || self.first_bytes + cost > PART;
        if !self.is_full {
            self.first_bytes += cost;
            self.first.push(entry);
            return;
        }
        self.last_bytes += cost;
        self.last.push_back(entry);
        while self.last.len() > LAST || self.last_bytes > PART {
            let Some(gone) = self.last.pop_front() else { return };
            self.last_bytes = self.last_bytes.saturating_sub(gone.cost());
            self.left_out += 1;
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.first.iter().chain(&self.last)
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    pub(super) fn bytes(&self) -> usize {
        self.first_bytes + self.last_bytes
    }
}

/// Messages that belong to no call yet, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Aside {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Aside {
    pub(super) fn push(&mut self, entry: Entry) {
        self.bytes += entry.cost();
        self.entries.push_back(entry);
        while self.entries.len() > MAX_ASIDE || self.bytes > MAX_ASIDE_BYTES {
            let Some(gone) = self.entries.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(gone.cost());
        }
    }

    /// Those of a call that has come up.
    pub(super) fn take(&mut self, call_id: &str) -> Vec<Entry> {
        if self.entries.iter().all(|entry| entry.call_id != call_id) {
            return Vec::new();
        }
        let all = std::mem::take(&mut self.entries).into_iter();
        let (taken, left): (Vec<Entry>, Vec<Entry>) = all.partition(|entry| entry.call_id == call_id);
        self.entries = left.into();
        self.bytes = self.bytes.saturating_sub(taken.iter().map(Entry::cost).sum());
        taken
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
