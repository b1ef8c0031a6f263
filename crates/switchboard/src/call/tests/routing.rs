//! Routing: targets are called, nothing rings.

use super::bench::{Bench, phones, trunks};
use super::{Row, assert_complete, check};
use crate::call::CallerOffer;
use crate::dialplan::Target;

fn reject() -> Target {
    Target::Reject { status: 403, reason: "Not from here".to_owned() }
}

fn to(targets: &[Target]) -> Bench {
    Bench::from_agent(targets)
}

fn preparing() -> Bench {
    to(&[trunks()]).after(&["start"])
}

fn calling() -> Bench {
    to(&[trunks()]).after(&["start", "b described"])
}

const CALLING: &[Row] = &[
    ("100 Trying stops the wait for a sign of life", "b 100", "", "Routing"),
    ("180 is handed on", "b 180", "180", "Ringing"),
    ("181 is told as ringing", "b 181", "180", "Ringing"),
    ("183 without SDP is told as ringing", "b 183", "180", "Ringing"),
    ("183 with SDP goes to the shard first", "b 183 sdp", "take b", "Ringing"),
    ("180 with SDP is early media too", "b 180 sdp", "take b", "Ringing"),
    ("an answer goes to the shard first", "b 200 sdp", "Media 5s, take b", "Answering"),
    (
        "an answer without media is a failure",
        "b 200",
        "Media 5s, 500 Q.850 41, BYE b Q.850 41, close b, Closing 2s",
        "Ending: Failed 500 by System",
    ),
    ("busy is the called party's word", "b 486", "close b, 486 Q.850 17, Closing 2s", "Ending: Busy 486 by Callee"),
    ("so is an unknown number", "b 404", "close b, 404 Q.850 1, Closing 2s", "Ending: Failed 404 by System"),
    ("so is a number that is gone", "b 410", "close b, 410 Q.850 22, Closing 2s", "Ending: Failed 410 by System"),
    ("so is what is forbidden", "b 403", "close b, 403 Q.850 21, Closing 2s", "Ending: Failed 403 by System"),
    ("so is a decline", "b 603", "close b, 603 Q.850 21, Closing 2s", "Ending: Busy 603 by Callee"),
    ("so is absence", "b 480", "close b, 480 Q.850 18, Closing 2s", "Ending: NoAnswer 480 by System"),
    ("a redirection is not followed", "b 302", "close b, 480 Q.850 18, Closing 2s", "Ending: NoAnswer 480 by System"),
    ("a gateway that is overloaded leads to the next", "b 503", "close b, open c, offer to c, Media 5s", "Routing"),
    ("a gateway's own failure leads to the next", "b 500", "close b, open c, offer to c, Media 5s", "Routing"),
    ("a time-out told by the gateway leads to the next", "b 408", "close b, open c, offer to c, Media 5s", "Routing"),
    ("a challenge leads to the next", "b 407", "close b, open c, offer to c, Media 5s", "Routing"),
    (
        "a gateway that cannot be reached leads to the next",
        "b 503 local",
        "close b, open c, offer to c, Media 5s",
        "Routing",
    ),
    (
        "a gateway that never answered leads to the next",
        "b 408 local",
        "close b, open c, offer to c, Media 5s",
        "Routing",
    ),
    (
        "a gateway silent for too long is left for the next",
        "timer attempt",
        "CANCEL b Q.850 102, close b, open c, offer to c, Media 5s",
        "Routing",
    ),
    (
        "nobody answered in time",
        "timer no-answer",
        "CANCEL b Q.850 19, close b, 480 Q.850 19, Closing 2s",
        "Ending: NoAnswer 480 by System",
    ),
    ("the caller gives up", "cancelled", "CANCEL b SIP 487, close b, Closing 2s", "Ending: Cancelled 487 by Caller"),
    (
        "the caller's early BYE is as good as a CANCEL",
        "a bye",
        "CANCEL b SIP 487, close b, Closing 2s",
        "Ending: Cancelled 487 by Caller",
    ),
    (
        "the caller's session is gone",
        "a over",
        "CANCEL b SIP 487, close b, Closing 2s",
        "Ending: Cancelled 487 by Caller",
    ),
    (
        "the caller's connection is lost",
        "a flow-lost",
        "CANCEL b Q.850 18, close b, Closing 2s",
        "Ending: NoAnswer 480 by System",
    ),
    ("a callee's lost connection is told as its refusal", "b flow-lost", "", "Routing"),
    ("the callee's session is gone", "b over", "close b, 480 Q.850 18, Closing 2s", "Ending: NoAnswer 480 by System"),
    (
        "the callee's early BYE is a refusal",
        "b bye",
        "close b, 480 Q.850 18, Closing 2s",
        "Ending: NoAnswer 480 by System",
    ),
    (
        "an operator ends the call",
        "hang-up",
        "480 Q.850 18, CANCEL b Q.850 18, close b, Closing 2s",
        "Ending: NoAnswer 480 by Operator",
    ),
    ("media of the callee fails", "b failed", "CANCEL b, close b, open c, offer to c, Media 5s", "Routing"),
    (
        "media of the caller fails",
        "a failed",
        "500 Q.850 41, CANCEL b Q.850 41, close b, Closing 2s",
        "Ending: Failed 500 by System",
    ),
    (
        "the caller's offer cannot be used",
        "a rejected",
        "488 Q.850 88, CANCEL b Q.850 88, close b, Closing 2s",
        "Ending: Failed 488 by System",
    ),
    ("the callee's description comes once", "b described", "", "Routing"),
    ("nothing was answered yet", "b negotiated", "", "Routing"),
    ("media before the answer means nothing", "b connected", "", "Routing"),
    ("silence before the answer means nothing", "b silent", "", "Routing"),
    ("digits in the media stay there", "b media-digit", "", "Routing"),
    ("a closed session is noted", "b closed", "", "Routing"),
    ("there is nobody to hear a digit", "a digit", "", "Routing"),
    ("nobody is dialled to", "b dial", "", "Routing"),
    ("there is nothing to confirm", "ack", "", "Routing"),
    (
        "the caller acknowledges nothing",
        "no-ack",
        "CANCEL b Q.850 102, close b, Closing 2s",
        "Ending: Failed 504 by System",
    ),
    ("the shards have done their part", "timer media-timeout", "", "Routing"),
    ("it is not ending", "timer closing", "", "Routing"),
];

#[test]
fn a_gateway_that_was_called() {
    check(calling, CALLING);
    assert_complete(&[CALLING, &[("", "start", "", "")]]);
}

#[test]
fn a_call_starts() {
    let rows: &[(&[Target], Row)] = &[
        (
            &[trunks()],
            ("a gateway is offered media first", "start", "NoAnswer 20s, open b, offer to b, Media 5s", "Routing"),
        ),
        (
            &[phones("100")],
            (
                "every phone of an extension is called at once",
                "start",
                "NoAnswer 20s, open b, offer to b, Media 5s, open c, offer to c, Media 5s",
                "Routing",
            ),
        ),
        (
            &[phones("101")],
            ("no phone is registered", "start", "480 Q.850 18, Closing 2s", "Over: NoAnswer 480 by System"),
        ),
        (
            &[phones("199")],
            ("there is no such extension", "start", "404 Q.850 1, Closing 2s", "Over: Failed 404 by System"),
        ),
        (
            &[phones("101"), phones("102")],
            ("an absent target leads to the next", "start", "NoAnswer 20s, open b, offer to b, Media 5s", "Routing"),
        ),
        (
            &[Target::RingGroup(vec!["100".to_owned(), "101".to_owned(), "102".to_owned()])],
            (
                "a group rings every phone there is",
                "start",
                "NoAnswer 20s, open b, offer to b, Media 5s, open c, offer to c, Media 5s, open d, offer to d, Media 5s",
                "Routing",
            ),
        ),
        (
            &[Target::NumberAssignment],
            ("the number is assigned to nobody", "start", "404 Q.850 1, Closing 2s", "Over: Failed 404 by System"),
        ),
        (&[Target::Echo], ("the echo test answers by itself", "start", "Media 5s, open a, answer a", "Answering")),
        (&[reject()], ("the dialplan refuses", "start", "403 Q.850 21, Closing 2s", "Over: Failed 403 by System")),
        (
            &[phones("101"), reject()],
            ("the dialplan's last word counts", "start", "403 Q.850 21, Closing 2s", "Over: Failed 403 by System"),
        ),
        (
            &[Target::Trunks { names: vec!["none".to_owned()], number: "1".to_owned() }],
            ("no trunk of that name exists", "start", "503 Q.850 42, Closing 2s", "Over: Failed 503 by System"),
        ),
    ];
    for (targets, row) in rows {
        let mut bench = to(targets);
        let done = bench.on(row.1);
        assert_eq!((done.as_str(), bench.state().as_str()), (row.2, row.3), "{}", row.0);
        bench.assert_timers_fit();
    }
}

#[test]
fn media_is_being_prepared() {
    check(
        preparing,
        &[
            ("its description goes out with the INVITE", "b described", "INVITE b, Attempt 4s", "Routing"),
            (
                "a shard without a port leads to the next gateway",
                "b failed",
                "close b, open c, offer to c, Media 5s",
                "Routing",
            ),
            (
                "a silent shard leads to the next gateway",
                "timer media-timeout",
                "close b, open c, offer to c, Media 5s",
                "Routing",
            ),
            (
                "nothing was sent that could be cancelled",
                "cancelled",
                "close b, Closing 2s",
                "Ending: Cancelled 487 by Caller",
            ),
            (
                "an operator ends the call",
                "hang-up",
                "480 Q.850 18, close b, Closing 2s",
                "Ending: NoAnswer 480 by Operator",
            ),
        ],
    );
}

#[test]
fn phones_are_called_at_once() {
    let phones =
        || Bench::from_trunk(CallerOffer::Wanted, &[phones("100")]).after(&["start", "b described", "c described"]);
    check(
        phones,
        &[
            ("one rings", "b 180", "180", "Ringing"),
            ("a phone's early media is not heard: the other may answer", "b 183 sdp", "180", "Ringing"),
            (
                "the first answer takes the call from the other",
                "c 200 sdp",
                "CANCEL b SIP 200, close b, Media 5s, take c",
                "Answering",
            ),
            ("a busy phone leaves the other calling", "b 486", "close b", "Routing"),
            ("a phone that vanished leaves the other calling", "b 503 local", "close b", "Routing"),
            (
                "a decline ends the call for all",
                "b 603",
                "close b, CANCEL c SIP 603, close c, 603 Q.850 21, Closing 2s",
                "Ending: Busy 603 by Callee",
            ),
            (
                "nobody answered in time",
                "timer no-answer",
                "CANCEL b Q.850 19, close b, CANCEL c Q.850 19, close c, 480 Q.850 19, Closing 2s",
                "Ending: NoAnswer 480 by System",
            ),
            (
                "the caller gives up",
                "cancelled",
                "CANCEL b SIP 487, close b, CANCEL c SIP 487, close c, Closing 2s",
                "Ending: Cancelled 487 by Caller",
            ),
        ],
    );
}

#[test]
fn the_last_gateway_was_called() {
    let last = || calling().after(&["b 503", "c described"]);
    check(
        last,
        &[
            (
                "its failure is the caller's",
                "c 500",
                "close c, 500 Q.850 41, Closing 2s",
                "Ending: Failed 500 by System",
            ),
            (
                "its silence is the caller's",
                "timer attempt",
                "CANCEL c Q.850 102, close c, 503 Q.850 42, Closing 2s",
                "Ending: Failed 503 by System",
            ),
            ("its answer is", "c 200 sdp", "Media 5s, take c", "Answering"),
            ("what the first gateway says now is too late", "b 486", "", "Routing"),
        ],
    );
}
