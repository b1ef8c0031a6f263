//! Answering: a target took the call; media is agreed on with it, then with the caller.

use super::bench::{Bench, trunks};
use super::{Row, assert_complete, check};
use crate::call::CallerOffer;
use crate::dialplan::Target;

fn callee() -> Bench {
    Bench::from_agent(&[trunks()]).after(&["start", "b described", "b 180", "b 200 sdp"])
}

fn caller() -> Bench {
    callee().after(&["b negotiated"])
}

const CALLEE: &[Row] = &[
    ("its answer is taken: now the caller's offer", "b negotiated", "open a, answer a", "Answering"),
    (
        "its answer cannot be used",
        "b rejected",
        "488 Q.850 88, BYE b Q.850 88, close b, Closing 2s",
        "Ending: Failed 488 by System",
    ),
    (
        "its media fails",
        "b failed",
        "500 Q.850 41, BYE b Q.850 41, close b, Closing 2s",
        "Ending: Failed 500 by System",
    ),
    (
        "the caller's media fails",
        "a failed",
        "500 Q.850 41, BYE b Q.850 41, close b, Closing 2s",
        "Ending: Failed 500 by System",
    ),
    ("the caller gives up", "cancelled", "BYE b SIP 487, close b, Closing 2s", "Ending: Cancelled 487 by Caller"),
    ("the caller's early BYE waits for the end of its session", "a bye", "", "Answering"),
    ("the caller's session is gone", "a over", "BYE b SIP 487, close b, Closing 2s", "Ending: Cancelled 487 by Caller"),
    (
        "the caller's connection is lost",
        "a flow-lost",
        "BYE b Q.850 18, close b, Closing 2s",
        "Ending: NoAnswer 480 by System",
    ),
    ("the callee hangs up at once", "b bye", "480 Q.850 18, close b, Closing 2s", "Ending: NoAnswer 480 by Callee"),
    ("the callee's session is gone", "b over", "480 Q.850 18, close b, Closing 2s", "Ending: NoAnswer 480 by Callee"),
    ("the callee's connection is lost: media may go on", "b flow-lost", "", "Answering"),
    (
        "an operator ends the call",
        "hang-up",
        "480 Q.850 18, BYE b Q.850 18, close b, Closing 2s",
        "Ending: NoAnswer 480 by Operator",
    ),
    (
        "a shard does not answer",
        "timer media-timeout",
        "500 Q.850 41, BYE b Q.850 41, close b, Closing 2s",
        "Ending: Failed 500 by System",
    ),
    ("a late timer means nothing", "timer no-answer", "", "Answering"),
    ("a late timer means nothing", "timer attempt", "", "Answering"),
    ("it does not start again", "start", "", "Answering"),
    ("a late ringing means nothing", "b 180", "", "Answering"),
    ("a second answer means nothing", "b 200 sdp", "", "Answering"),
    ("a refusal after the answer means nothing", "b 486", "", "Answering"),
    ("there is nothing to confirm", "ack", "", "Answering"),
    (
        "the caller acknowledges nothing",
        "no-ack",
        "BYE b Q.850 102, close b, Closing 2s",
        "Ending: Failed 504 by System",
    ),
    ("a description nobody waits for", "b described", "", "Answering"),
    ("media flows already", "b connected", "", "Answering"),
    ("silence means nothing yet", "b silent", "", "Answering"),
    ("digits in the media stay there", "b media-digit", "", "Answering"),
    ("a closed session is noted", "b closed", "", "Answering"),
    ("there is nobody to hear a digit", "a digit", "", "Answering"),
    ("a digit of the callee is not lost", "b digit", "digit 5 of b", "Answering"),
    ("nobody is dialled to yet", "b dial", "", "Answering"),
];

#[test]
fn the_callees_answer_is_with_its_shard() {
    check(callee, CALLEE);
    assert_complete(&[CALLEE]);
}

#[test]
fn the_callers_offer_is_with_its_shard() {
    check(
        caller,
        &[
            ("the caller is answered and both are joined", "a described", "200, bridge a b", "Connected"),
            (
                "the caller's offer cannot be used",
                "a rejected",
                "488 Q.850 88, close a, BYE b Q.850 88, close b, Closing 2s",
                "Ending: Failed 488 by System",
            ),
            (
                "the caller's media fails",
                "a failed",
                "500 Q.850 41, close a, BYE b Q.850 41, close b, Closing 2s",
                "Ending: Failed 500 by System",
            ),
            (
                "the caller gives up",
                "cancelled",
                "close a, BYE b SIP 487, close b, Closing 2s",
                "Ending: Cancelled 487 by Caller",
            ),
            (
                "a shard does not answer",
                "timer media-timeout",
                "500 Q.850 41, close a, BYE b Q.850 41, close b, Closing 2s",
                "Ending: Failed 500 by System",
            ),
            (
                "the callee hangs up at once",
                "b bye",
                "480 Q.850 18, close a, close b, Closing 2s",
                "Ending: NoAnswer 480 by Callee",
            ),
        ],
    );
}

#[test]
fn an_early_answer_and_the_answer_are_both_with_the_shard() {
    let both = || Bench::from_agent(&[trunks()]).after(&["start", "b described", "b 183 sdp", "b 200 sdp"]);
    check(
        both,
        &[
            ("the early answer's fate decides nothing", "b rejected", "", "Answering"),
            ("nor does its success", "b negotiated", "", "Answering"),
        ],
    );
    check(
        || both().after(&["b rejected"]),
        &[
            ("the answer's success does", "b negotiated", "open a, answer a", "Answering"),
            (
                "and so does its failure",
                "b rejected",
                "488 Q.850 88, BYE b Q.850 88, close b, Closing 2s",
                "Ending: Failed 488 by System",
            ),
        ],
    );
}

#[test]
fn an_offerless_caller_gets_our_offer() {
    let offering = || {
        let bench = Bench::from_trunk(CallerOffer::Wanted, &[trunks()]);
        bench.after(&["start", "b described", "b 200 sdp"])
    };
    check(offering, &[("an offer is made for the caller", "b negotiated", "open a, offer to a", "Answering")]);
    check(
        || offering().after(&["b negotiated"]),
        &[("which goes out with the 200", "a described", "200, bridge a b", "Connected")],
    );
}

#[test]
fn the_echo_test_is_answered() {
    check(
        || Bench::from_agent(&[Target::Echo]).after(&["start"]),
        &[
            ("the caller hears itself", "a described", "200, echo a", "Connected"),
            (
                "the caller's offer cannot be used",
                "a rejected",
                "488 Q.850 88, close a, Closing 2s",
                "Ending: Failed 488 by System",
            ),
            ("the caller gives up", "cancelled", "close a, Closing 2s", "Ending: Cancelled 487 by Caller"),
            (
                "a shard does not answer",
                "timer media-timeout",
                "500 Q.850 41, close a, Closing 2s",
                "Ending: Failed 500 by System",
            ),
        ],
    );
    check(
        || Bench::from_agent(&[trunks(), Target::Echo]).after(&["start", "b described", "b 180"]),
        &[
            (
                "it may be the last resort",
                "timer no-answer",
                "CANCEL b Q.850 19, close b, Media 5s, open a, answer a",
                "Answering",
            ),
            ("also for an absent one", "b 480", "close b, Media 5s, open a, answer a", "Answering"),
        ],
    );
}
