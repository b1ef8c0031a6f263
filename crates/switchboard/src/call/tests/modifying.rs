//! Changes of a leg's media: hold and resume, by the legs and by an operator, and what is in their way.

use super::bench::{Bench, trunks};
use super::{Row, check};
use crate::call::CallerOffer;
use crate::dialplan::Target;

const DEAD: &str = "BYE a Q.850 41, close a, close b, Closing 2s";

fn talking() -> Bench {
    Bench::from_agent(&[trunks()]).after(&["start", "b described", "b 200 sdp", "b negotiated", "a described", "ack"])
}

/// A bench with these events behind it.
fn after(events: &'static [&'static str]) -> impl Fn() -> Bench {
    move || talking().after(events)
}

#[test]
fn a_leg_changes_its_media_and_the_other_is_left_alone() {
    const ROWS: &[Row] = &[
        ("the caller's offer goes to its shard", "a offered", "answer a, Change 5s", "Connected"),
        ("and the callee's", "b offered", "answer b, Change 5s", "Connected"),
        ("who asks for an offer gets one", "b asked", "offer to b, Change 5s", "Connected"),
        ("an operator holds for the agent", "a held", "hold a, offer to a, Change 5s", "Connected"),
        ("what is not held is not resumed", "a resumed", "", "Connected"),
        ("nothing was withdrawn", "a withdrawn", "", "Connected"),
        ("nothing was offered", "a acknowledged sdp", "", "Connected"),
        ("nothing was sent", "a accepted sdp", "", "Connected"),
        ("nothing was sent", "a modify-refused", "", "Connected"),
        ("what media does is shown", "a changed", "", "Connected"),
        ("a callee that lost the call ends it", "b lost", DEAD, "Ending: Answered 200 by System"),
        ("one that never confirms a change too", "b no-ack", DEAD, "Ending: Failed 200 by System"),
    ];
    check(talking, ROWS);
}

#[test]
fn an_offer_is_with_the_shard() {
    const ROWS: &[Row] = &[
        ("the answer goes out and media follows", "b described", "200 to b sdp, adopt b", "Connected"),
        ("one that cannot be used is refused and people talk on", "b rejected", "488 to b", "Connected"),
        ("the other leg does not wait", "a offered", "answer a, Change 5s", "Connected"),
        ("the other's description is not the answer", "a described", "", "Connected"),
        ("the shard is not waited for without end", "timer change-timeout", "500 to b", "Connected"),
        ("it is taken back", "b withdrawn", "", "Connected"),
        ("an operator's hold waits its turn", "b held", "hold b", "Connected"),
        ("the leg hangs up", "b bye", "BYE a Q.850 16, close a, close b, Closing 2s", "Ending: Answered 200 by Callee"),
    ];
    check(after(&["b offered"]), ROWS);
}

#[test]
fn an_offer_taken_back_is_not_answered() {
    const DROPPED: &[&str] = &["b offered", "b withdrawn"];
    check(
        after(DROPPED),
        &[
            ("the shard's answer comes too late", "b described", "", "Connected"),
            ("so does its refusal", "b rejected", "", "Connected"),
            ("another waits until the shard has spoken", "b offered", "491 to b", "Connected"),
            ("or is not waited for any more", "timer change-timeout", "", "Connected"),
        ],
    );
    check(
        || after(DROPPED)().after(&["b described"]),
        &[("then the next one is dealt with", "b offered", "answer b, Change 5s", "Connected")],
    );
}

#[test]
fn who_asked_for_an_offer_answers_it_with_the_ack() {
    check(
        after(&["a asked"]),
        &[
            ("our offer goes out", "a described", "200 to a sdp", "Connected"),
            ("it is taken back", "a withdrawn", "", "Connected"),
            ("the shard is not waited for without end", "timer change-timeout", "500 to a", "Connected"),
        ],
    );
    check(
        after(&["a asked", "a described"]),
        &[
            ("the answer is taken", "a acknowledged sdp", "take a, Change 5s", "Connected"),
            ("without one everything is as it was", "a acknowledged", "", "Connected"),
            ("an operator's hold waits", "a held", "hold a", "Connected"),
            (
                "no ACK ends the call",
                "a no-ack",
                "close a, BYE b Q.850 41, close b, Closing 2s",
                "Ending: Failed 200 by System",
            ),
        ],
    );
    check(
        after(&["a asked", "a described", "a acknowledged sdp"]),
        &[
            ("media agrees", "a negotiated", "", "Connected"),
            ("an answer that cannot be used changes nothing", "a rejected", "", "Connected"),
            ("the next wish waits for that", "a offered", "491 to a", "Connected"),
        ],
    );
}

#[test]
fn an_operators_hold_is_media_first_and_a_reinvite_after() {
    check(
        after(&["a held"]),
        &[
            ("our offer is made and sent", "a described", "re-INVITE a", "Connected"),
            ("twice held is held once", "a held", "", "Connected"),
            ("a resume meanwhile is obeyed at once", "a resumed", "resume a", "Connected"),
            ("a wish of the leg meets ours", "a offered", "491 to a", "Connected"),
            ("the other leg has its own", "b offered", "answer b, Change 5s", "Connected"),
            ("the shard is not waited for without end", "timer change-timeout", "", "Connected"),
            ("hang-up", "b bye", "BYE a Q.850 16, close a, close b, Closing 2s", "Ending: Answered 200 by Callee"),
        ],
    );
    check(
        after(&["a held", "a described"]),
        &[
            ("its answer is taken", "a accepted sdp", "take a, Change 5s", "Connected"),
            ("one without answer changes nothing", "a accepted", "", "Connected"),
            ("a refusal leaves people as they were", "a modify-refused", "", "Connected"),
            (
                "a leg's own offer goes first when ours met it",
                "a offered",
                "take back a, answer a, Change 5s",
                "Connected",
            ),
            ("so does its wish for one", "a asked", "take back a, offer to a, Change 5s", "Connected"),
            (
                "a leg that lost the call ends it",
                "a lost",
                "close a, BYE b Q.850 41, close b, Closing 2s",
                "Ending: Answered 200 by System",
            ),
        ],
    );
    check(
        after(&["a held", "a described", "a offered"]),
        &[("and ours follows, made anew", "a described", "200 to a sdp, adopt a, offer to a, Change 5s", "Connected")],
    );
    check(
        after(&["a held", "a described", "a resumed"]),
        &[
            ("what came meanwhile is told next", "a modify-refused", "offer to a, Change 5s", "Connected"),
            ("a hold again is obeyed at once too", "a held", "hold a", "Connected"),
        ],
    );
    check(
        after(&["a held", "a described", "a accepted sdp"]),
        &[
            ("agreed", "a negotiated", "", "Connected"),
            ("an answer that cannot be used changes nothing", "a rejected", "", "Connected"),
        ],
    );
    check(
        after(&["a held", "a described", "a accepted sdp", "a negotiated"]),
        &[("and it ends the same way", "a resumed", "resume a, offer to a, Change 5s", "Connected")],
    );
}

#[test]
fn a_hold_before_the_offerless_callers_ack_waits_for_its_answer() {
    let owing = || {
        let bench = Bench::from_trunk(CallerOffer::Wanted, &[trunks()]);
        bench.after(&["start", "b described", "b 200 sdp", "b negotiated", "a described"])
    };
    check(owing, &[("media obeys at once", "a held", "hold a", "Connected")]);
    check(
        || owing().after(&["a held"]),
        &[("the answer first", "ack sdp", "take a, offer to a, Change 5s", "Connected")],
    );
}

#[test]
fn an_echo_is_held_too() {
    check(
        || Bench::from_agent(&[Target::Echo]).after(&["start", "a described", "ack"]),
        &[
            ("by its caller", "a offered", "answer a, Change 5s", "Connected"),
            ("by an operator", "a held", "hold a, offer to a, Change 5s", "Connected"),
        ],
    );
}

#[test]
fn while_nobody_talks_a_wish_comes_again_and_nothing_else_means_anything() {
    let before: &[&[&str]] = &[
        &[],
        &["start"],
        &["start", "b described"],
        &["start", "b described", "b 180"],
        &["start", "b described", "b 200 sdp"],
        &["start", "b described", "b 200 sdp", "b negotiated", "a described", "a bye"],
    ];
    for events in before {
        let bench = || Bench::from_agent(&[trunks()]).after(events);
        let state = bench().state();
        for wish in ["a offered", "a asked"] {
            let mut bench = bench();
            assert_eq!((bench.on(wish).as_str(), bench.state()), ("491 to a", state.clone()), "{events:?}");
        }
        for change in
            ["withdrawn", "acknowledged sdp", "accepted sdp", "modify-refused", "held", "resumed", "changed", "lost"]
        {
            let mut bench = bench();
            assert_eq!((bench.on(&format!("a {change}")).as_str(), bench.state()), ("", state.clone()), "{events:?}");
        }
    }
}

#[test]
fn a_leg_that_has_no_say_any_more_is_told_to_come_again() {
    let won = || {
        let bench = Bench::from_trunk(CallerOffer::Given("offer".into()), &[super::bench::phones("100")]);
        bench.after(&["start", "b described", "c described", "c 200 sdp", "c negotiated", "a described"])
    };
    check(
        won,
        &[
            ("its wish", "b offered", "491 to b", "Connected"),
            ("its loss", "b lost", "", "Connected"),
            ("an operator", "b held", "", "Connected"),
        ],
    );
}
