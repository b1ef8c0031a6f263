//! The traces of calls, running and ended: every SIP message of their legs, how they were routed and how their media came up. Held in
//! bounded memory, and without secrets. Beside the switchboard, not part of it: fed with what goes in and comes out of it, so that no call
//! waits for its trace.
//!
//! A message belongs to the call that has a leg with its Call-ID. What comes before there is a call (an INVITE that is challenged) waits
//! aside for a while. What is refused before it becomes a call (strangers, wrong passwords) is kept there only, and shown to nobody.

mod ladder;
mod note;
mod text;
mod timeline;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use sip::{Flow, Glance};

use crate::config::Clock;
use crate::output::{CallId, CallRecord, CallState, CallView};
use ladder::{Aside, Ladder};
pub use ladder::{Entry, Way};
pub use note::{MediaMoment, Note, RoutingNote, RoutingStep};
pub(crate) use timeline::Timeline;

/// Notes of a call, of each kind; a call that is handed on for ever makes no more.
const MAX_NOTES: usize = 128;

/// What a trace costs beside its messages, in bytes.
const TRACE_COST: usize = 2048;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceLimits {
    /// Ended calls; with 0 nothing at all is traced.
    pub ended: usize,
    /// Bytes over all traces, running calls' included.
    pub bytes: usize,
}

/// Something of a trace with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed<T> {
    /// When.
    pub at: Instant,
    /// What.
    pub what: T,
}

/// One call's trace.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The call as it was last seen.
    pub call: Arc<CallView>,
    /// Its record, once it has ended.
    pub record: Option<Arc<CallRecord>>,
    /// How it was routed.
    pub routing: Vec<Timed<RoutingNote>>,
    /// How its media came up, by leg (`leg_…`).
    pub media: Vec<Timed<(String, MediaMoment)>>,
    /// Which call this was to come up.
    number: u64,
    ladder: Ladder,
    /// Which leg has which Call-ID.
    legs: Vec<(String, String)>,
}

/// The traces.
#[derive(Debug)]
pub struct Traces {
    limits: TraceLimits,
    clock: Clock,
    traces: HashMap<CallId, Trace>,
    /// Running calls and ended ones, each in the order in which they came to be so.
    running: BTreeMap<u64, CallId>,
    ended: VecDeque<CallId>,
    by_call_id: HashMap<String, CallId>,
    /// Calls that ever came up.
    begun: u64,
    aside: Aside,
    bytes: usize,
}

impl Trace {
    fn new(call: Arc<CallView>, number: u64) -> Self {
        let (routing, media, legs) = (Vec::new(), Vec::new(), Vec::new());
        Self { call, record: None, routing, media, number, ladder: Ladder::default(), legs }
    }

    /// Its messages in order, each with the id of its leg.
    #[must_use]
    pub fn messages(&self) -> Vec<(Option<&str>, &Entry)> {
        let leg = |entry: &Entry| self.legs.iter().rev().find(|(call_id, _)| *call_id == entry.call_id);
        let mut all: Vec<_> =
            self.ladder.entries().map(|entry| (leg(entry).map(|(_, leg)| leg.as_str()), entry)).collect();
        // What a leg said before it came into the call was taken in late.
        all.sort_by_key(|(_, entry)| entry.at);
        all
    }

    /// How many messages of the middle of a long call are not there any more.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.ladder.left_out()
    }

    /// When the first thing in it happened.
    #[must_use]
    pub fn begins(&self) -> Option<Instant> {
        let notes = self.routing.iter().map(|note| note.at).chain(self.media.iter().map(|note| note.at));
        self.ladder.entries().map(|entry| entry.at).chain(notes).min()
    }

    /// The call in one sentence: of an ended one its record's.
    #[must_use]
    pub fn explanation(&self) -> String {
        match &self.record {
            Some(record) => record.explanation.clone(),
            None => text::of_running(self),
        }
    }

    /// How far the media of a leg has come.
    fn timeline(&self, leg: &str) -> Timeline {
        let mut timeline = Timeline::default();
        self.media.iter().filter(|note| note.what.0 == leg).for_each(|note| timeline.note(&note.what.1));
        timeline
    }
}

impl Traces {
    /// No traces yet.
    #[must_use]
    pub fn new(limits: TraceLimits, clock: Clock) -> Self {
        Self {
            limits,
            clock,
            traces: HashMap::new(),
            running: BTreeMap::new(),
            begun: 0,
            ended: VecDeque::new(),
            by_call_id: HashMap::new(),
            aside: Aside::default(),
            bytes: 0,
        }
    }

    /// The clock that the traces' times are told by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Bytes held for traces, and for messages that may become part of one.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes + self.aside.bytes()
    }

    /// The trace of a call; `None` when it is not kept any more, or never was.
    #[must_use]
    pub fn get(&self, call: &CallId) -> Option<&Trace> {
        self.traces.get(call)
    }

    /// A message came or went.
    pub fn handle_message(&mut self, at: Instant, way: Way, flow: Flow, bytes: &[u8]) {
        let Some(glance) = Glance::of(bytes).filter(|_| self.limits.ended > 0) else { return };
        let entry = |call_id: &str| Entry::new(at, way, flow, call_id.to_owned(), bytes);
        match self.by_call_id.get(&*glance.call_id).cloned() {
            Some(call) => self.add(&call, entry(&glance.call_id)),
            None if matches!(&*glance.method, "INVITE" | "ACK" | "CANCEL") => self.aside.push(entry(&glance.call_id)),
            None => {}
        }
    }

    /// A call came up or changed.
    pub fn handle_call(&mut self, call: &Arc<CallView>) {
        if self.limits.ended == 0 {
            return;
        }
        let is_new = !self.traces.contains_key(&call.id);
        let trace = self.traces.entry(call.id.clone()).or_insert_with(|| Trace::new(Arc::clone(call), self.begun));
        if is_new {
            self.running.insert(self.begun, call.id.clone());
            self.begun += 1;
            self.bytes += TRACE_COST;
        } else {
            trace.call = Arc::clone(call);
        }
        for leg in &call.legs {
            if let Some(call_id) = &leg.sip_call_id {
                self.tie(&call.id, call_id, &leg.id);
            }
        }
        self.forget_surplus();
    }

    /// A leg's messages are a call's from now on.
    fn tie(&mut self, call: &CallId, call_id: &str, leg: &str) {
        let Some(trace) = self.traces.get_mut(call) else { return };
        if !trace.legs.iter().any(|(known, of)| known == call_id && of == leg) {
            trace.legs.push((call_id.to_owned(), leg.to_owned()));
        }
        match self.by_call_id.get(call_id) {
            Some(known) if known == call => return,
            // A client that uses a Call-ID twice has its messages in the first call that still has it.
            Some(known) if self.traces.get(known).is_some_and(|other| has_now(&other.call, call_id)) => return,
            Some(_) | None => {}
        }
        self.by_call_id.insert(call_id.to_owned(), call.clone());
        for entry in self.aside.take(call_id) {
            self.add(call, entry);
        }
    }

    /// A call noted something down.
    pub fn handle_note(&mut self, call: &CallId, at: Instant, note: Note) {
        let Some(trace) = self.traces.get_mut(call) else { return };
        match note {
            Note::Routing(what) if trace.routing.len() < MAX_NOTES => trace.routing.push(Timed { at, what }),
            Note::Media { leg, moment } if trace.media.len() < MAX_NOTES => {
                trace.media.push(Timed { at, what: (leg, moment) });
            }
            Note::Routing(_) | Note::Media { .. } => return,
        }
        self.bytes += NOTE_COST;
        self.forget_surplus();
    }

    /// A call ended.
    pub fn handle_record(&mut self, record: &CallRecord) {
        let id = &record.call.id;
        let Some(trace) = self.traces.get_mut(id) else { return };
        trace.call = Arc::new(record.call.clone());
        trace.record = Some(Arc::new(record.clone()));
        self.running.remove(&trace.number);
        self.ended.push_back(id.clone());
        self.forget_surplus();
    }

    fn add(&mut self, call: &CallId, entry: Entry) {
        if let Some(trace) = self.traces.get_mut(call) {
            let before = trace.ladder.bytes();
            trace.ladder.push(entry);
            self.bytes = (self.bytes + trace.ladder.bytes()).saturating_sub(before);
            self.forget_surplus();
        }
    }

    /// Forgets the calls that ended first, and if that is not enough, those that began first.
    fn forget_surplus(&mut self) {
        while self.ended.len() > self.limits.ended || self.bytes > self.limits.bytes {
            let Some(oldest) = self.ended.pop_front().or_else(|| Some(self.running.pop_first()?.1)) else { return };
            let Some(trace) = self.traces.remove(&oldest) else { continue };
            let notes = trace.routing.len() + trace.media.len();
            self.bytes = self.bytes.saturating_sub(trace.ladder.bytes() + notes * NOTE_COST + TRACE_COST);
            for (call_id, _) in trace.legs {
                if self.by_call_id.get(&call_id) == Some(&oldest) {
                    self.by_call_id.remove(&call_id);
                }
            }
        }
    }
}

/// What a note costs, in bytes.
const NOTE_COST: usize = 256;

/// Whether a call has a leg of this Call-ID that is not over.
fn has_now(call: &CallView, call_id: &str) -> bool {
    call.legs.iter().any(|leg| leg.sip_call_id.as_deref() == Some(call_id) && leg.state != CallState::Ending)
}

#[cfg(test)]
mod tests;
