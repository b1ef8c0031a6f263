//! What each state does with each event, as tables: the rule, the event, what is done about it, where the call stands then. The
//! legs are `a`, the caller, and `b`, `c` ... in the order they were called.

mod answering;
mod bench;
mod conference;
mod connected;
mod consulting;
mod ending;
mod modifying;
mod replacing;
mod ringing;
mod routing;
mod transferring;

use bench::Bench;

/// The rule, the event, the actions, the state.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// What can happen to a call but for changes of its media; a state's tables have a row for each.
const EVENTS: [&str; 24] = [
    "start",
    "progress",
    "answered",
    "refused",
    "cancelled",
    "confirmed",
    "no-ack",
    "bye",
    "flow-lost",
    "over",
    "described",
    "negotiated",
    "rejected",
    "connected",
    "media-digit",
    "silent",
    "failed",
    "closed",
    "digit",
    "dial",
    "attempt",
    "no-answer",
    "media-timeout",
    "hang-up",
];

/// Each row on a bench of its own.
fn check(make: impl Fn() -> Bench, rows: &[Row]) {
    for (rule, event, actions, state) in rows {
        let mut bench = make();
        let done = bench.on(event);
        assert_eq!((done.as_str(), bench.state().as_str()), (*actions, *state), "{rule}: on `{event}`");
        bench.assert_timers_fit();
    }
}

/// Whether these tables together know every event.
fn assert_complete(tables: &[&[Row]]) {
    for kind in EVENTS {
        let known = tables.iter().flat_map(|rows| rows.iter()).any(|(_, event, ..)| bench::kind(event) == kind);
        assert!(known, "no row for `{kind}`");
    }
}
