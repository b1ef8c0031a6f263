//! Connected: people talk.

use std::time::Duration;

use super::bench::{Bench, trunks};
use super::{Row, assert_complete, check};
use media::Dtmf;

use crate::call::CallerOffer;
use crate::dialplan::Target;

fn talking() -> Bench {
    Bench::from_agent(&[trunks()]).after(&["start", "b described", "b 200 sdp", "b negotiated", "a described"])
}

const TALKING: &[Row] = &[
    ("the caller hangs up", "a bye", "close a, BYE b Q.850 16, close b, Closing 2s", "Ending: Answered 200 by Caller"),
    ("the callee hangs up", "b bye", "BYE a Q.850 16, close a, close b, Closing 2s", "Ending: Answered 200 by Callee"),
    (
        "the caller's session is gone",
        "a over",
        "close a, BYE b Q.850 16, close b, Closing 2s",
        "Ending: Answered 200 by Caller",
    ),
    (
        "the callee's session is gone",
        "b over",
        "BYE a Q.850 16, close a, close b, Closing 2s",
        "Ending: Answered 200 by Callee",
    ),
    (
        "an operator ends the call",
        "hang-up",
        "BYE a Q.850 16, close a, BYE b Q.850 16, close b, Closing 2s",
        "Ending: Answered 200 by Operator",
    ),
    ("the ACK never came", "no-ack", "close a, BYE b Q.850 41, close b, Closing 2s", "Ending: Failed 200 by System"),
    ("the ACK came", "ack", "", "Connected"),
    ("a body that answers nothing is left alone", "ack sdp", "", "Connected"),
    (
        "the caller's media is dead",
        "a silent",
        "BYE a Q.850 102, close a, BYE b Q.850 102, close b, Closing 2s",
        "Ending: Answered 200 by System",
    ),
    (
        "the callee's media is dead",
        "b silent",
        "BYE a Q.850 102, close a, BYE b Q.850 102, close b, Closing 2s",
        "Ending: Answered 200 by System",
    ),
    (
        "the caller's media fails",
        "a failed",
        "BYE a Q.850 41, close a, BYE b Q.850 41, close b, Closing 2s",
        "Ending: Failed 200 by System",
    ),
    (
        "the callee's media fails",
        "b failed",
        "BYE a Q.850 41, close a, BYE b Q.850 41, close b, Closing 2s",
        "Ending: Failed 200 by System",
    ),
    (
        "a description cannot be used",
        "a rejected",
        "BYE a Q.850 41, close a, BYE b Q.850 41, close b, Closing 2s",
        "Ending: Failed 200 by System",
    ),
    (
        "a caller that lost its connection did not come back",
        "a flow-lost",
        "close a, BYE b Q.850 27, close b, Closing 2s",
        "Ending: Answered 200 by System",
    ),
    (
        "nor did a callee",
        "b flow-lost",
        "BYE a Q.850 27, close a, close b, Closing 2s",
        "Ending: Answered 200 by System",
    ),
    ("the caller's digit goes the way of its media", "a digit", "digit 5 of a", "Connected"),
    ("so does the callee's", "b digit", "digit 5 of b", "Connected"),
    ("an operator dials", "b dial", "digit 12 to b", "Connected"),
    ("to either side", "a dial", "digit 12 to a", "Connected"),
    ("digits in the media are joined there", "a media-digit", "", "Connected"),
    ("media flows", "a connected", "", "Connected"),
    ("a description nobody waits for", "a described", "", "Connected"),
    ("an agreement nobody waits for", "b negotiated", "", "Connected"),
    ("a closed session is noted", "b closed", "", "Connected"),
    (
        "a CANCEL too late is a hang-up",
        "cancelled",
        "close a, BYE b Q.850 16, close b, Closing 2s",
        "Ending: Answered 200 by Caller",
    ),
    ("it does not start again", "start", "", "Connected"),
    ("a late ringing means nothing", "b 180", "", "Connected"),
    ("a second answer means nothing", "b 200 sdp", "", "Connected"),
    ("a refusal after the answer means nothing", "b 486", "", "Connected"),
    ("a late timer means nothing", "timer attempt", "", "Connected"),
    ("a late timer means nothing", "timer no-answer", "", "Connected"),
    ("a late timer means nothing", "timer media-timeout", "", "Connected"),
];

#[test]
fn two_sides_talk() {
    check(talking, TALKING);
    assert_complete(&[TALKING]);
}

#[test]
fn an_offerless_callers_ack_owes_the_answer() {
    let owing = || {
        let bench = Bench::from_trunk(CallerOffer::Wanted, &[trunks()]);
        bench.after(&["start", "b described", "b 200 sdp", "b negotiated", "a described"])
    };
    check(
        owing,
        &[
            ("it brings it", "ack sdp", "take a", "Connected"),
            (
                "it does not",
                "ack",
                "BYE a Q.850 41, close a, BYE b Q.850 41, close b, Closing 2s",
                "Ending: Failed 200 by System",
            ),
            (
                "it never comes",
                "no-ack",
                "close a, BYE b Q.850 41, close b, Closing 2s",
                "Ending: Failed 200 by System",
            ),
        ],
    );
    check(
        || owing().after(&["ack sdp"]),
        &[
            ("the answer is taken", "a negotiated", "", "Connected"),
            (
                "the answer cannot be used",
                "a rejected",
                "BYE a Q.850 41, close a, BYE b Q.850 41, close b, Closing 2s",
                "Ending: Failed 200 by System",
            ),
        ],
    );
}

#[test]
fn a_trunk_that_wants_packets_of_another_length_is_told_so_before_its_media_is_described() {
    check(
        || Bench::from_agent(&[trunks()]).with_ptime(Duration::from_millis(30)),
        &[("start", "start", "NoAnswer 20s, open b, packets of b 30ms, offer to b, Media 5s", "Routing")],
    );
}

#[test]
fn a_trunk_that_wants_info_is_told_digits_by_info() {
    let talking = || Bench::from_agent(&[trunks()]).with_dtmf(Dtmf::Info);
    check(
        talking,
        &[(
            "its media takes no digits",
            "start",
            "NoAnswer 20s, open b, digits of b Info, offer to b, Media 5s",
            "Routing",
        )],
    );
    check(
        || talking().after(&["start", "b described", "b 200 sdp", "b negotiated", "a described"]),
        &[
            ("a digit heard from the caller", "a media-digit", "INFO 5 to b", "Connected"),
            ("one told by the caller is heard first", "a digit", "digit 5 of a", "Connected"),
            ("its own are passed on in media", "b digit", "digit 5 of b", "Connected"),
            ("and not told to itself", "b media-digit", "", "Connected"),
            ("an operator's digits", "b dial", "INFO 1 to b, INFO 2 to b", "Connected"),
            ("those to the caller", "a dial", "digit 12 to a", "Connected"),
        ],
    );
}

#[test]
fn a_caller_talks_to_itself() {
    check(
        || Bench::from_agent(&[Target::Echo]).after(&["start", "a described"]),
        &[
            ("and hangs up", "a bye", "close a, Closing 2s", "Ending: Answered 200 by Caller"),
            ("its digits come back as its voice does", "a digit", "digit 5 of a", "Connected"),
            ("its media is dead", "a silent", "BYE a Q.850 102, close a, Closing 2s", "Ending: Answered 200 by System"),
            (
                "an operator ends the call",
                "hang-up",
                "BYE a Q.850 16, close a, Closing 2s",
                "Ending: Answered 200 by Operator",
            ),
        ],
    );
}

#[test]
fn a_phone_that_lost_the_race_has_no_say() {
    let won = || {
        let bench = Bench::from_trunk(CallerOffer::Given("offer".into()), &[super::bench::phones("100")]);
        bench.after(&["start", "b described", "c described", "c 200 sdp", "c negotiated", "a described"])
    };
    check(
        won,
        &[
            ("its refusal means nothing", "b 486", "", "Connected"),
            ("its end means nothing", "b over", "", "Connected"),
            ("its media means nothing", "b failed", "", "Connected"),
            ("its silence means nothing", "b silent", "", "Connected"),
        ],
    );
}
