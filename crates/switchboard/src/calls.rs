//! Every running call, found by session, leg, id or timer. Keeps the books that the state machines share: who is busy, which
//! trunk is full, what the API shows.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use sip::{Flow, SessionId};

use crate::believed::Believed;
use crate::call::{Actions, Brought};
use crate::call::{Call, CallTimer, Context, Facts, LegId, Occupation, Party, Usage};
use crate::config::Clock;
use crate::ids::Ids;
use crate::output::{CallId, CallRecord, CallView, ShardIndex};
use crate::picture;

/// Names a call inside the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CallKey(pub(crate) u64);

struct Entry {
    call: Call,
    shard: ShardIndex,
    timers: HashMap<CallTimer, Instant>,
    occupied: Vec<Occupation>,
    /// The extensions with a leg in it.
    present: Vec<String>,
    /// The extensions it rings at, or waits for a phone of.
    ringing: Vec<String>,
    shown: Option<Arc<CallView>>,
}

/// What a SIP session belongs to.
struct Tie {
    key: CallKey,
    leg: LegId,
    /// Whose phone it is with; of a trunk's session `None`.
    extension: Option<String>,
}

/// The running calls.
#[derive(Default)]
pub(crate) struct Calls {
    calls: HashMap<CallKey, Entry>,
    ids: HashMap<CallId, CallKey>,
    legs: HashMap<LegId, CallKey>,
    sessions: HashMap<SessionId, Tie>,
    by_leg: HashMap<LegId, SessionId>,
    timers: BTreeSet<(Instant, CallKey, CallTimer)>,
    ringing: BTreeSet<(String, CallKey)>,
    /// The calls an extension has a leg in, oldest first.
    by_extension: HashMap<String, Vec<CallKey>>,
    pub(crate) usage: Usage,
    pub(crate) believed: Believed,
}

impl Calls {
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn keys(&self) -> Vec<CallKey> {
        let mut keys: Vec<CallKey> = self.calls.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    pub(crate) fn insert(&mut self, key: CallKey, call: Call, shard: ShardIndex) {
        self.ids.insert(call.facts.id.clone(), key);
        let entry = Entry {
            call,
            shard,
            timers: HashMap::new(),
            occupied: Vec::new(),
            present: Vec::new(),
            ringing: Vec::new(),
            shown: None,
        };
        self.calls.insert(key, entry);
    }

    /// Ties a SIP session to a leg.
    pub(crate) fn bind(&mut self, session: SessionId, key: CallKey, leg: LegId) {
        let party = self.facts(key).and_then(|facts| facts.leg(leg)).map(|leg| leg.party.clone());
        self.bind_as(session, key, leg, party.as_ref());
    }

    /// Ties a SIP session to a leg that is new to its call.
    pub(crate) fn bind_as(&mut self, session: SessionId, key: CallKey, leg: LegId, party: Option<&Party>) {
        let extension = match party {
            Some(Party::Extension { number, .. }) => Some(number.clone()),
            Some(Party::Trunk { .. }) | None => None,
        };
        self.sessions.insert(session, Tie { key, leg, extension });
        self.by_leg.insert(leg, session);
    }

    /// Legs go over to another call, with what is left of the time to find somebody who answers.
    pub(crate) fn hand_over(&mut self, legs: &[LegId], from: CallKey, to: CallKey) {
        for leg in legs {
            self.legs.insert(*leg, to);
            if let Some(tie) = self.by_leg.get(leg).and_then(|session| self.sessions.get_mut(session)) {
                tie.key = to;
            }
        }
        for timer in [CallTimer::Attempt, CallTimer::NoAnswer, CallTimer::Media] {
            let at = self.calls.get(&from).and_then(|entry| entry.timers.get(&timer).copied());
            if let Some(at) = at {
                self.clear_timer(from, timer);
                self.set_timer(to, timer, at);
            }
        }
    }

    /// Has a call give up whom an agent's leg has in it.
    pub(crate) fn yield_up(
        &mut self,
        key: CallKey,
        agent: LegId,
        ids: &mut Ids,
        actions: &mut Actions,
    ) -> Option<Brought> {
        self.calls.get_mut(&key)?.call.yield_up(agent, ids, actions)
    }

    /// A SIP session is over: its id is void.
    pub(crate) fn unbind(&mut self, session: SessionId) {
        if let Some(tie) = self.sessions.remove(&session) {
            self.by_leg.remove(&tie.leg);
        }
    }

    pub(crate) fn session_of(&self, leg: LegId) -> Option<SessionId> {
        self.by_leg.get(&leg).copied()
    }

    pub(crate) fn of_session(&self, session: SessionId) -> Option<(CallKey, LegId)> {
        self.sessions.get(&session).map(|tie| (tie.key, tie.leg))
    }

    /// The extension whose phone a session is with, also when its call is over.
    pub(crate) fn extension_of(&self, session: SessionId) -> Option<&str> {
        self.sessions.get(&session)?.extension.as_deref()
    }

    pub(crate) fn of_media(&self, session: media::MediaSessionId) -> Option<(CallKey, LegId)> {
        let leg = LegId(session.0);
        self.legs.get(&leg).map(|key| (*key, leg))
    }

    pub(crate) fn of_id(&self, id: &CallId) -> Option<CallKey> {
        self.ids.get(id).copied()
    }

    pub(crate) fn call(&self, key: CallKey) -> Option<&Call> {
        self.calls.get(&key).map(|entry| &entry.call)
    }

    /// Where a call began.
    pub(crate) fn shard(&self, key: CallKey) -> Option<ShardIndex> {
        self.calls.get(&key).map(|entry| entry.shard)
    }

    /// A leg's phone is reached over another flow now; `returned` when it does not say so in the call itself.
    pub(crate) fn move_leg(&mut self, key: CallKey, leg: LegId, flow: Flow, returned: bool) {
        if let Some(leg) = self.calls.get_mut(&key).and_then(|entry| entry.call.facts.leg_mut(leg)) {
            leg.flow = flow;
            leg.away = false;
            leg.returned = returned;
        }
    }

    pub(crate) fn facts(&self, key: CallKey) -> Option<&Facts> {
        self.calls.get(&key).map(|entry| &entry.call.facts)
    }

    pub(crate) fn facts_mut(&mut self, key: CallKey) -> Option<&mut Facts> {
        self.calls.get_mut(&key).map(|entry| &mut entry.call.facts)
    }

    /// The calls that ring at an extension, or wait for a phone of it.
    pub(crate) fn ringing_at(&self, extension: &str) -> Vec<CallKey> {
        let first = (extension.to_owned(), CallKey(0));
        let of_it = self.ringing.range(first..).take_while(|(number, _)| number == extension);
        of_it.map(|(_, key)| *key).collect()
    }

    /// Sessions held, running calls' and those whose last transaction is still being settled.
    pub(crate) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Has a call do something. `make` builds the context over the shared books.
    pub(crate) fn with<'a, T>(
        &'a mut self,
        key: CallKey,
        make: impl FnOnce(&'a Usage, &'a [Occupation]) -> Context<'a>,
        act: impl FnOnce(&mut Call, &mut Context<'a>) -> T,
    ) -> Option<T> {
        let Entry { call, occupied, .. } = self.calls.get_mut(&key)?;
        Some(act(call, &mut make(&self.usage, occupied)))
    }

    pub(crate) fn set_timer(&mut self, key: CallKey, timer: CallTimer, at: Instant) {
        self.clear_timer(key, timer);
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.timers.insert(timer, at);
            self.timers.insert((at, key, timer));
        }
    }

    pub(crate) fn clear_timer(&mut self, key: CallKey, timer: CallTimer) {
        if let Some(at) = self.calls.get_mut(&key).and_then(|entry| entry.timers.remove(&timer)) {
            self.timers.remove(&(at, key, timer));
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _, _)| *at)
    }

    /// The next timer that has run out.
    pub(crate) fn pop_timer(&mut self, now: Instant) -> Option<(CallKey, CallTimer)> {
        let (_, key, timer) = *self.timers.first().filter(|(at, _, _)| *at <= now)?;
        self.clear_timer(key, timer);
        Some((key, timer))
    }

    /// After an event: brings the books up to date. Gives the picture to show when it changed.
    pub(crate) fn settle(&mut self, key: CallKey, clock: &Clock) -> Option<Arc<CallView>> {
        let entry = self.calls.get_mut(&key)?;
        for leg in &entry.call.facts.legs {
            self.legs.insert(leg.id, key);
        }
        let occupied = if entry.call.is_over() { Vec::new() } else { entry.call.facts.occupies() };
        if entry.occupied != occupied {
            self.usage.exchange(&entry.occupied, &occupied);
            entry.occupied = occupied;
        }
        if entry.ringing != entry.call.phones() {
            for extension in std::mem::take(&mut entry.ringing) {
                self.ringing.remove(&(extension, key));
            }
            entry.ringing = entry.call.phones().to_vec();
            self.ringing.extend(entry.ringing.iter().map(|extension| (extension.clone(), key)));
        }
        let present = if entry.call.is_over() { Vec::new() } else { entry.call.facts.extensions() };
        let before = std::mem::replace(&mut entry.present, present);
        let is_shown = entry.shown.as_ref().is_some_and(|view| picture::is_of(view, &entry.call, clock));
        debug_assert_eq!(is_shown, entry.shown.as_deref() == Some(&picture::of(&entry.call, clock)));
        let news = (!is_shown).then(|| Arc::new(picture::of(&entry.call, clock)));
        if let Some(view) = &news {
            entry.shown = Some(Arc::clone(view));
        }
        if entry.present != before {
            let after = entry.present.clone();
            self.place(key, &before, after);
        }
        news
    }

    /// Keeps in mind in which calls extensions are.
    fn place(&mut self, key: CallKey, before: &[String], after: Vec<String>) {
        for extension in before.iter().filter(|extension| !after.contains(extension)) {
            if let Some(calls) = self.by_extension.get_mut(extension) {
                calls.retain(|known| *known != key);
                if calls.is_empty() {
                    self.by_extension.remove(extension);
                }
            }
        }
        for extension in after.into_iter().filter(|extension| !before.contains(extension)) {
            self.by_extension.entry(extension).or_default().push(key);
        }
    }

    /// The calls an extension has a leg in, oldest first.
    pub(crate) fn of_extension(&self, extension: &str) -> &[CallKey] {
        self.by_extension.get(extension).map_or(&[], Vec::as_slice)
    }

    /// The oldest call that an extension is in.
    pub(crate) fn first_of(&self, extension: &str) -> Option<CallKey> {
        self.of_extension(extension).first().copied()
    }

    /// Takes out a call that is over, as its record.
    pub(crate) fn take_over(&mut self, key: CallKey, now: Instant, clock: &Clock) -> Option<CallRecord> {
        if !self.calls.get(&key)?.call.is_over() {
            return None;
        }
        let entry = self.calls.remove(&key)?;
        for (timer, at) in &entry.timers {
            self.timers.remove(&(*at, key, *timer));
        }
        for leg in &entry.call.facts.legs {
            self.legs.remove(&leg.id);
        }
        self.ids.remove(&entry.call.facts.id);
        Some(picture::record(&entry.call, now, clock))
    }
}
