//! Ending: everybody was told; the shards' last figures are awaited.

use super::bench::{Bench, trunks};
use super::{Row, assert_complete, check};
use crate::dialplan::Target;

fn hung_up() -> Bench {
    let events = ["start", "b described", "b 200 sdp", "b negotiated", "a described", "a bye"];
    Bench::from_agent(&[trunks()]).after(&events)
}

const ENDING: &[Row] = &[
    ("the other session is still awaited", "a closed", "", "Ending: Answered 200 by Caller"),
    ("shards that do not answer are not waited for", "timer closing", "", "Over: Answered 200 by Caller"),
    ("nothing else matters any more", "start", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b 180", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b 200 sdp", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b 486", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "cancelled", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "ack", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "no-ack", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b bye", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b flow-lost", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b over", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b described", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b negotiated", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b rejected", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b connected", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b media-digit", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b silent", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b failed", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b digit", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "b dial", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "timer attempt", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "timer no-answer", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "timer media-timeout", "", "Ending: Answered 200 by Caller"),
    ("nothing else matters any more", "hang-up", "", "Ending: Answered 200 by Caller"),
];

#[test]
fn two_sessions_are_closing() {
    check(hung_up, ENDING);
    assert_complete(&[ENDING]);
}

#[test]
fn the_last_session_closes() {
    check(
        || hung_up().after(&["a closed"]),
        &[("then the call is over", "b closed", "", "Over: Answered 200 by Caller")],
    );
    check(
        || hung_up().after(&["a closed", "b closed"]),
        &[
            ("an ended call wants nothing", "a bye", "", "Over: Answered 200 by Caller"),
            ("an ended call wants nothing", "hang-up", "", "Over: Answered 200 by Caller"),
            ("an ended call wants nothing", "timer closing", "", "Over: Answered 200 by Caller"),
        ],
    );
}

#[test]
fn without_media_a_call_is_over_at_once() {
    let target = Target::Reject { status: 403, reason: "No".to_owned() };
    let bench = Bench::from_agent(&[target]).after(&["start"]);
    assert_eq!(bench.state(), "Over: Failed 403 by System");
}
