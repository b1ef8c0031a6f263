//! Transferring: one of two is handed on. `a`, an agent, called `b` over a trunk and transfers it; `c` is the target.

use super::bench::{Bench, trunks};
use super::{Row, check};

const GONE: &str = "Ending: Answered 200 by Callee";

fn after(events: &'static [&'static str]) -> impl Fn() -> Bench {
    move || {
        let talking = ["start", "b described", "b 200 sdp", "b negotiated", "a described", "ack"];
        Bench::from_agent(&[trunks()]).after(&talking).after(events)
    }
}

#[test]
fn who_asks_is_told_at_once_and_the_target_is_called() {
    check(
        after(&[]),
        &[
            ("a phone", "a refers 102", "NOTIFY a 100, NoAnswer 20s, open c, offer to c, Media 5s", "Transferring"),
            ("a number", "a refers trunks", "NOTIFY a 100, NoAnswer 20s, open c, offer to c, Media 5s", "Transferring"),
            ("itself", "a refers echo", "NOTIFY a 100, echo b, NOTIFY a 200 at last, Farewell 3s", "Connected"),
            ("no phone is there", "a refers 101", "NOTIFY a 100, NOTIFY a 480 at last", "Connected"),
            ("the dialplan knows nothing", "a refers nobody", "NOTIFY a 100, NOTIFY a 404 at last", "Connected"),
            (
                "an operator looks by himself",
                "a is-had-transfer 102",
                "NoAnswer 20s, open c, offer to c, Media 5s",
                "Transferring",
            ),
            (
                "the other side",
                "b refers 102",
                "NOTIFY b 100, NoAnswer 20s, open c, offer to c, Media 5s",
                "Transferring",
            ),
        ],
    );
}

const RINGING: &[Row] = &[
    ("the target answers", "c 200 sdp", "take c, Media 5s", "Transferring"),
    ("it rings", "c 180", "NOTIFY a 180, ringback to b", "Transferring"),
    (
        "it plays something, which a phone's caller does not hear",
        "c 183 sdp",
        "NOTIFY a 180, ringback to b",
        "Transferring",
    ),
    ("it is busy", "c 486", "close c, NOTIFY a 486 at last", "Connected"),
    ("it declines", "c 603", "close c, NOTIFY a 603 at last", "Connected"),
    ("it hangs up", "c bye", "close c, NOTIFY a 480 at last", "Connected"),
    ("it does not answer", "timer no-answer", "CANCEL c Q.850 19, close c, NOTIFY a 480 at last", "Connected"),
    ("its media fails", "c failed", "CANCEL c, close c, NOTIFY a 500 at last", "Connected"),
    ("who transfers hangs up, and has done its part", "a bye", "close a", "Transferring"),
    ("or its session is gone", "a over", "close a", "Transferring"),
    ("or it does not know the call", "a lost", "close a", "Transferring"),
    ("or never sent its ACK", "a no-ack", "close a", "Transferring"),
    ("it lost its connection and did not come back", "a flow-lost", "close a", "Transferring"),
    ("its media is dead", "a silent", "BYE a Q.850 102, close a", "Transferring"),
    ("its media fails", "a failed", "BYE a Q.850 41, close a", "Transferring"),
    (
        "who is transferred hangs up",
        "b bye",
        "NOTIFY a 487 at last, Farewell 3s, close b, CANCEL c Q.850 16, close c, Closing 2s",
        GONE,
    ),
    (
        "or is gone",
        "b over",
        "NOTIFY a 487 at last, Farewell 3s, close b, CANCEL c Q.850 16, close c, Closing 2s",
        GONE,
    ),
    (
        "or is silent",
        "b silent",
        "NOTIFY a 487 at last, Farewell 3s, BYE b Q.850 102, close b, CANCEL c Q.850 102, close c, Closing 2s",
        "Ending: Answered 200 by System",
    ),
    (
        "an operator ends the call",
        "hang-up",
        "NOTIFY a 487 at last, Farewell 3s, BYE b Q.850 16, close b, CANCEL c Q.850 16, close c, Closing 2s",
        "Ending: Answered 200 by Operator",
    ),
    (
        "who is transferred lost its connection and did not come back",
        "b flow-lost",
        "NOTIFY a 487 at last, Farewell 3s, close b, CANCEL c Q.850 27, close c, Closing 2s",
        "Ending: Answered 200 by System",
    ),
    ("either side holds", "b offered", "answer b, Change 5s", "Transferring"),
    ("either side resumes", "a asked", "offer to a, Change 5s", "Transferring"),
    ("an operator holds", "a held", "hold a, offer to a, Change 5s", "Transferring"),
    ("the target may not yet", "c offered", "491 to c", "Transferring"),
    ("a digit is pressed", "b digit", "digit 5 of b", "Transferring"),
    ("a late CANCEL means nothing", "cancelled", "", "Transferring"),
    ("a late ACK means nothing", "ack", "", "Transferring"),
    ("a report was answered", "a notified", "", "Transferring"),
];

#[test]
fn a_phone_rings() {
    check(after(&["a refers 102", "c described"]), RINGING);
}

#[test]
fn who_heard_it_ring_is_joined_again_when_nobody_answers() {
    check(
        after(&["a refers 102", "c described", "c 180"]),
        &[
            ("it rings on, which is known", "c 180", "", "Transferring"),
            ("it is busy", "c 486", "close c, NOTIFY a 486 at last, bridge a b", "Connected"),
            ("it answers without media", "c 200", "BYE c, close c, NOTIFY a 500 at last, bridge a b", "Connected"),
        ],
    );
}

#[test]
fn a_trunks_early_media_is_heard_by_who_is_transferred() {
    check(
        after(&["a refers trunks", "c described", "c 183 sdp"]),
        &[
            ("once it is agreed on", "c negotiated", "NOTIFY a 183, bridge b c", "Transferring"),
            ("else it rings", "c rejected", "NOTIFY a 180, ringback to b", "Transferring"),
            ("it answers meanwhile: both answers count", "c 200 sdp", "take c, Media 5s", "Transferring"),
        ],
    );
    check(
        after(&["a refers trunks", "c described", "c 183 sdp", "c negotiated"]),
        &[
            ("the answer needs no new media", "c 200", "bridge b c, NOTIFY a 200 at last, Farewell 3s", "Connected"),
            ("a refusal joins the two again", "c 486", "close c, NOTIFY a 486 at last, bridge a b", "Connected"),
        ],
    );
}

#[test]
fn an_answer_is_with_the_shard() {
    check(
        after(&["a refers 102", "c described", "c 180", "c 200 sdp"]),
        &[
            ("agreed", "c negotiated", "bridge b c, NOTIFY a 200 at last, Farewell 3s", "Connected"),
            ("it cannot be used", "c rejected", "BYE c, close c, NOTIFY a 488 at last, bridge a b", "Connected"),
            ("its media fails", "c failed", "BYE c, close c, NOTIFY a 500 at last, bridge a b", "Connected"),
            ("it hangs up at once", "c bye", "close c, NOTIFY a 480 at last, bridge a b", "Connected"),
            (
                "the shard is silent",
                "timer media-timeout",
                "BYE c, close c, NOTIFY a 500 at last, bridge a b",
                "Connected",
            ),
            ("who transfers hangs up", "a bye", "close a", "Transferring"),
            (
                "who is transferred hangs up",
                "b bye",
                "NOTIFY a 487 at last, Farewell 3s, close b, BYE c Q.850 16, close c, Closing 2s",
                GONE,
            ),
        ],
    );
    check(
        after(&["a refers 102", "c described", "c 200 sdp", "a bye"]),
        &[
            ("then nobody is told", "c negotiated", "bridge b c", "Connected"),
            (
                "who is left is told why",
                "c rejected",
                "BYE c, close c, BYE b Q.850 88, close b, Closing 2s",
                "Ending: Answered 200 by System",
            ),
        ],
    );
}

#[test]
fn who_left_before_nobody_answered_gets_nobody_back() {
    const LEFT: &[&str] = &["a refers 102", "c described", "c 180", "a bye"];
    check(
        after(LEFT),
        &[
            ("busy", "c 486", "close c, BYE b Q.850 17, close b, Closing 2s", "Ending: Answered 200 by System"),
            (
                "no answer",
                "timer no-answer",
                "CANCEL c Q.850 19, close c, BYE b Q.850 19, close b, Closing 2s",
                "Ending: Answered 200 by System",
            ),
            ("an answer is an answer", "c 200 sdp", "take c, Media 5s", "Transferring"),
        ],
    );
}

#[test]
fn who_transferred_is_hung_up_on_when_it_knows() {
    const DONE: &[&str] = &["a refers 102", "c described", "c 200 sdp", "c negotiated"];
    check(
        after(DONE),
        &[
            ("it confirms", "a notified", "BYE a Q.850 16, close a", "Connected"),
            ("it does not", "timer farewell", "BYE a Q.850 16, close a", "Connected"),
            ("it hangs up first", "a bye", "close a", "Connected"),
            ("its session is gone", "a over", "close a", "Connected"),
            ("it lost its connection and did not come back", "a flow-lost", "close a", "Connected"),
            ("its media is nobody's matter any more", "a silent", "", "Connected"),
            ("nor is that it fails", "a failed", "", "Connected"),
            ("it cannot change anything", "a offered", "491 to a", "Connected"),
            (
                "the others hang up: it still goes its own way",
                "c bye",
                "BYE b Q.850 16, close b, close c, Closing 2s",
                GONE,
            ),
            ("the others change their media", "b offered", "answer b, Change 5s", "Connected"),
            ("the target does", "c offered", "answer c, Change 5s", "Connected"),
            ("digits find their way", "c digit", "digit 5 of c", "Connected"),
        ],
    );
    check(
        || after(DONE)().after(&["c bye", "b closed", "c closed"]),
        &[
            ("and is hung up on then", "a notified", "BYE a Q.850 16, close a", GONE),
            ("or when time is up", "timer farewell", "BYE a Q.850 16, close a", GONE),
            ("or when the call has waited long enough", "timer closing", "BYE a Q.850 16, close a, Closing 2s", GONE),
        ],
    );
    check(
        || after(DONE)().after(&["c bye", "b closed", "c closed", "timer closing"]),
        &[("and nothing is waited for twice", "timer closing", "", "Over: Answered 200 by Callee")],
    );
    check(
        after(&["a is-had-transfer 102", "c described", "c 200 sdp"]),
        &[("at once when it did not ask", "c negotiated", "bridge b c, BYE a Q.850 16, close a", "Connected")],
    );
}

#[test]
fn the_target_transfers_on_while_the_first_still_departs() {
    const CHAIN: &[&str] =
        &["a refers 102", "c described", "c 200 sdp", "c negotiated", "c refers trunks", "d described", "d 180"];
    check(
        after(CHAIN),
        &[
            ("the first goes", "a notified", "BYE a Q.850 16, close a", "Transferring"),
            ("the next answers", "d 200 sdp", "take d, Media 5s", "Transferring"),
            ("or does not", "d 486", "close d, NOTIFY c 486 at last, bridge b c", "Connected"),
        ],
    );
}
