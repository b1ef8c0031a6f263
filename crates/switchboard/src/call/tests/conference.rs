//! Conference: `a`, an agent, called `b` over a trunk and has `c`, the phone of 102, join them.

use super::bench::{Bench, trunks};
use super::{Row, check};

fn after(events: &'static [&'static str]) -> impl Fn() -> Bench {
    move || {
        let talking = ["start", "b described", "b 200 sdp", "b negotiated", "a described", "ack"];
        Bench::from_agent(&[trunks()]).after(&talking).after(events)
    }
}

#[test]
fn whoever_is_asked_is_called_and_nobody_hears_it() {
    check(
        after(&[]),
        &[
            ("a phone", "a adds 102", "NoAnswer 20s, open c, offer to c, Media 5s", "Conference"),
            ("a number", "a adds trunks", "NoAnswer 20s, open c, offer to c, Media 5s", "Conference"),
            ("on behalf of the other side", "b adds 102", "NoAnswer 20s, open c, offer to c, Media 5s", "Conference"),
            ("the echo test joins nobody", "a adds echo", "", "Connected"),
            ("no phone is there", "a adds 101", "", "Connected"),
            ("the dialplan knows nothing", "a adds nobody", "", "Connected"),
        ],
    );
}

const ASKING: &[Row] = &[
    ("it rings", "c 180", "", "Conference"),
    ("it plays something", "c 183 sdp", "", "Conference"),
    ("it answers", "c 200 sdp", "take c, Media 5s", "Conference"),
    ("it is busy", "c 486", "close c", "Connected"),
    ("it declines", "c 603", "close c", "Connected"),
    ("it hangs up", "c bye", "close c", "Connected"),
    ("its connection is lost for good", "c over", "close c", "Connected"),
    ("it does not answer", "timer no-answer", "CANCEL c Q.850 19, close c", "Connected"),
    ("its media fails", "c failed", "CANCEL c, close c", "Connected"),
    ("an operator takes it back", "dismiss third", "CANCEL c Q.850 16, close c", "Connected"),
    (
        "or lets the other go",
        "dismiss b",
        "BYE b Q.850 16, close b, CANCEL c Q.850 16, close c, BYE a Q.850 16, close a, Closing 2s",
        "Ending: Answered 200 by Operator",
    ),
    (
        "the agent leaves the other alone",
        "a bye",
        "close a, CANCEL c Q.850 16, close c, BYE b Q.850 16, close b, Closing 2s",
        "Ending: Answered 200 by Caller",
    ),
    (
        "the other leaves the agent alone",
        "b bye",
        "close b, CANCEL c Q.850 16, close c, BYE a Q.850 16, close a, Closing 2s",
        "Ending: Answered 200 by Callee",
    ),
    (
        "its session is gone",
        "b over",
        "close b, CANCEL c Q.850 16, close c, BYE a Q.850 16, close a, Closing 2s",
        "Ending: Answered 200 by Callee",
    ),
    (
        "or it does not know the call",
        "b lost",
        "close b, CANCEL c Q.850 41, close c, BYE a Q.850 41, close a, Closing 2s",
        "Ending: Answered 200 by System",
    ),
    (
        "or never sent its ACK",
        "b no-ack",
        "close b, CANCEL c Q.850 41, close c, BYE a Q.850 41, close a, Closing 2s",
        "Ending: Failed 200 by System",
    ),
    (
        "or did not come back",
        "a flow-lost",
        "close a, CANCEL c Q.850 27, close c, BYE b Q.850 27, close b, Closing 2s",
        "Ending: Answered 200 by System",
    ),
    (
        "or has no media",
        "b silent",
        "BYE b Q.850 102, close b, CANCEL c Q.850 102, close c, BYE a Q.850 102, close a, Closing 2s",
        "Ending: Answered 200 by System",
    ),
    (
        "or its media failed",
        "b failed",
        "BYE b Q.850 41, close b, CANCEL c Q.850 41, close c, BYE a Q.850 41, close a, Closing 2s",
        "Ending: Failed 200 by System",
    ),
    ("one who talks has its place taken", "a is-replaced", "open n, answer n, Place 5s", "Conference"),
    ("and holds", "b offered", "answer b, Change 5s", "Conference"),
    ("whose phone rings cannot change anything yet", "c offered", "491 to c", "Conference"),
    ("one is held", "b held", "hold b, offer to b, Change 5s", "Conference"),
    ("the shard does not answer", "timer change-timeout", "", "Conference"),
    ("keys pressed pass", "a digit", "digit 5 of a", "Conference"),
    ("digits are dialled", "b dial", "digit 12 to b", "Conference"),
    (
        "an operator ends the call",
        "hang-up",
        "CANCEL c Q.850 16, close c, BYE a Q.850 16, close a, BYE b Q.850 16, close b, Closing 2s",
        "Ending: Answered 200 by Operator",
    ),
    ("what means nothing here", "ack", "", "Conference"),
];

#[test]
fn while_somebody_is_asked_the_two_are_as_they_were() {
    check(after(&["a adds 102", "c described"]), ASKING);
    check(
        after(&["a adds 102", "c described", "c 200 sdp"]),
        &[
            (
                "media is agreed on: all are in one mix",
                "c negotiated",
                "mix a into 4, mix b into 4, mix c into 4",
                "Conference",
            ),
            ("it cannot be used", "c rejected", "BYE c, close c", "Connected"),
            ("it hangs up at once", "c bye", "close c", "Connected"),
            ("the shard is silent", "timer media-timeout", "BYE c, close c", "Connected"),
            ("an operator takes it back", "dismiss third", "BYE c Q.850 16, close c", "Connected"),
            (
                "one leaves",
                "a bye",
                "close a, BYE c Q.850 16, close c, BYE b Q.850 16, close b, Closing 2s",
                "Ending: Answered 200 by Caller",
            ),
        ],
    );
}

const THREE: &[Row] = &[
    ("the agent leaves", "a bye", "close a, bridge b c", "Connected"),
    ("the other leaves", "b bye", "close b, bridge a c", "Connected"),
    ("who joined leaves", "c bye", "close c, bridge a b", "Connected"),
    ("or is not there any more", "c flow-lost", "close c, bridge a b", "Connected"),
    ("or does not know the call", "c lost", "close c, bridge a b", "Connected"),
    ("or its media is dead", "c silent", "BYE c Q.850 102, close c, bridge a b", "Connected"),
    ("or failed", "c failed", "BYE c Q.850 41, close c, bridge a b", "Connected"),
    ("an operator lets one go", "dismiss c", "BYE c Q.850 16, close c, bridge a b", "Connected"),
    ("one has its place taken", "b is-replaced", "open n, answer n, Place 5s", "Conference"),
    ("one holds", "c offered", "answer c, Change 5s", "Conference"),
    ("a key is pressed", "a digit", "digit 5 of a", "Conference"),
    ("media heard it", "a media-digit", "", "Conference"),
    (
        "one more is asked",
        "c adds 100",
        "NoAnswer 20s, open d, offer to d, Media 5s, open e, offer to e, Media 5s",
        "Conference",
    ),
    (
        "one hands its place on",
        "a refers 100",
        "NOTIFY a 100, NoAnswer 20s, open d, offer to d, Media 5s, open e, offer to e, Media 5s",
        "Conference",
    ),
    ("to the echo test", "a refers echo", "NOTIFY a 100, NOTIFY a 488 at last", "Conference"),
    (
        "an operator ends the call",
        "hang-up",
        "BYE a Q.850 16, close a, BYE b Q.850 16, close b, BYE c Q.850 16, close c, Closing 2s",
        "Ending: Answered 200 by Operator",
    ),
];

#[test]
fn three_talk_and_whoever_leaves_leaves_two() {
    check(after(&["a adds 102", "c described", "c 200 sdp", "c negotiated"]), THREE);
    check(
        after(&["a adds 102", "c described", "c 200 sdp", "c negotiated", "b is-replaced"]),
        &[
            (
                "the newcomer joins the mix",
                "n described",
                "200 to n, mix n into 4, BYE d SIP 200, close d",
                "Conference",
            ),
            ("or cannot", "n rejected", "488 to n, close n", "Conference"),
            ("or the shard is silent", "timer place-timeout", "500 to n, close n", "Conference"),
            ("or it gives up", "n over", "close n", "Conference"),
            ("who had the place leaves: it is taken all the same", "b bye", "", "Conference"),
            ("another leaves: of the two left one has its place taken", "c bye", "close c, bridge a b", "Connected"),
        ],
    );
    check(
        after(&["a adds 102", "c described", "c 200 sdp", "c negotiated", "a refers 100", "d described"]),
        &[
            ("the target rings, and who transfers is told", "d 180", "NOTIFY a 180", "Conference"),
            ("it is busy", "d 486", "close d", "Conference"),
            ("it answers", "d 200 sdp", "close e, take d, Media 5s", "Conference"),
            ("who transfers leaves", "a bye", "close a, bridge b c", "Conference"),
            ("another leaves", "b bye", "close b, bridge a c", "Conference"),
        ],
    );
    check(
        after(&["a adds 102", "c described", "c 200 sdp", "c negotiated", "a refers 100", "d described", "d 200 sdp"]),
        &[(
            "the target takes the place",
            "d negotiated",
            "close a, NOTIFY a 200 at last, Farewell 3s, mix d into 4",
            "Conference",
        )],
    );
}
