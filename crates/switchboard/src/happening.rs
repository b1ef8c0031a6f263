//! What happens to a call: an event is given to it, what it wants is done, the books are brought up to date, and what changed is told.

use std::time::Instant;

use crate::call::{Actions, Call, CallEvent, Context, LegId};
use crate::calls::CallKey;
use crate::output::Output;
use crate::switchboard::Switchboard;
use crate::trace::{MediaMoment, Note};

impl Switchboard {
    /// Gives a call an event, does what it wants, and brings the books up to date.
    pub(crate) fn call_event(&mut self, now: Instant, key: CallKey, event: CallEvent) {
        self.with_call(now, key, |call, context, actions| call.on(event, context, actions));
    }

    /// Has a call do something, does what it wants, and brings the books up to date.
    pub(crate) fn with_call<T>(
        &mut self,
        now: Instant,
        key: CallKey,
        act: impl FnOnce(&mut Call, &mut Context<'_>, &mut Actions) -> T,
    ) -> Option<T> {
        let mut actions = Actions::new();
        let (config, directory, ids) = (&self.config, &*self.directory, &mut self.ids);
        let (registrar, health) = (&self.registrar, &self.health);
        let tolls = &mut self.tolls;
        let done = self.calls.with(
            key,
            |usage, occupied| Context { now, config, directory, registrar, health, usage, occupied, tolls, ids },
            |call, context| act(call, context, &mut actions),
        );
        for action in actions {
            self.perform(now, key, action);
        }
        self.outputs.extend(self.tolls.alarms.drain(..).map(Output::Alarm));
        self.show(now, key);
        done
    }

    /// Tells what a call has noted down.
    fn tell_notes(&mut self, now: Instant, key: CallKey) {
        let Some(facts) = self.calls.facts_mut(key).filter(|facts| !facts.notes.is_empty()) else { return };
        let (call, notes) = (facts.id.clone(), std::mem::take(&mut facts.notes));
        let told =
            notes.into_iter().map(|note| Output::Noted { call: call.clone(), at: now, note: Note::Routing(note) });
        self.outputs.extend(told);
    }

    /// Notes down what a shard says of a leg's media.
    pub(crate) fn note_media(&mut self, now: Instant, key: CallKey, leg: LegId, event: &media::Event) {
        let Some(moment) = MediaMoment::of(event) else { return };
        let at = if let media::Event::Milestone { at, .. } = event { *at } else { now };
        let Some(facts) = self.calls.facts_mut(key) else { return };
        let call = facts.id.clone();
        if let Some(leg) = facts.leg_mut(leg) {
            leg.timeline.note(&moment);
            let note = Note::Media { leg: leg.name.clone(), moment };
            self.outputs.push_back(Output::Noted { call, at, note });
        }
    }

    /// Brings the books up to date after a call changed, and shows it.
    pub(crate) fn show(&mut self, now: Instant, key: CallKey) {
        if let Some(view) = self.calls.settle(key, &self.clock) {
            self.outputs.push_back(Output::CallChanged(view));
        }
        self.tell_notes(now, key);
        if let Some(record) = self.calls.take_over(key, now, &self.clock) {
            if record.call.answered_at.is_some() {
                self.counters.answered += 1;
            }
            self.outputs.push_back(Output::CallEnded(Box::new(record)));
        }
    }
}
