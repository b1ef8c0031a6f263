//! Consulting: `a`, an agent, called `b` over a trunk and asks `c`, while `b` waits.

use super::bench::{Bench, trunks};
use super::{Row, check};

const OVER: &str = "Ending: Answered 200 by Callee";

fn after(events: &'static [&'static str]) -> impl Fn() -> Bench {
    move || {
        let talking = ["start", "b described", "b 200 sdp", "b negotiated", "a described", "ack"];
        Bench::from_agent(&[trunks()]).after(&talking).after(events)
    }
}

#[test]
fn who_waits_hears_music_and_the_target_is_called() {
    check(
        after(&[]),
        &[
            ("a phone", "a asks 102", "music to b, NoAnswer 20s, open c, offer to c, Media 5s", "Consulting"),
            ("a number", "a asks trunks", "music to b, NoAnswer 20s, open c, offer to c, Media 5s", "Consulting"),
            ("the echo test", "a asks echo", "music to b, echo a", "Consulting"),
            ("no phone is there", "a asks 101", "music to b, bridge a b", "Connected"),
            ("the dialplan knows nothing", "a asks nobody", "music to b, bridge a b", "Connected"),
            (
                "the other side asks",
                "b asks 102",
                "music to a, NoAnswer 20s, open c, offer to c, Media 5s",
                "Consulting",
            ),
        ],
    );
}

const CALLING: &[Row] = &[
    ("the target rings: the agent hears it", "c 180", "ringback to a", "Consulting"),
    ("it answers", "c 200 sdp", "take c, Media 5s", "Consulting"),
    ("it is busy", "c 486", "close c, bridge a b", "Connected"),
    ("it declines", "c 603", "close c, bridge a b", "Connected"),
    ("it hangs up", "c bye", "close c, bridge a b", "Connected"),
    ("it does not answer", "timer no-answer", "CANCEL c Q.850 19, close c, bridge a b", "Connected"),
    ("its media fails", "c failed", "CANCEL c, close c, bridge a b", "Connected"),
    ("an operator cancels", "cancel", "CANCEL c Q.850 16, close c, bridge a b", "Connected"),
    ("or completes: the agent stays until it answers", "complete", "", "Transferring"),
    (
        "or ends it all",
        "hang-up",
        "BYE a Q.850 16, close a, BYE b Q.850 16, close b, CANCEL c Q.850 16, close c, Closing 2s",
        "Ending: Answered 200 by Operator",
    ),
    ("the agent hangs up, and has done its part", "a bye", "close a", "Transferring"),
    ("or its session is gone", "a over", "close a", "Transferring"),
    ("or it does not know the call", "a lost", "close a", "Transferring"),
    ("or never sent its ACK", "a no-ack", "close a", "Transferring"),
    ("it lost its connection and did not come back", "a flow-lost", "close a", "Transferring"),
    ("its media is dead", "a silent", "BYE a Q.850 102, close a", "Transferring"),
    ("its media fails", "a failed", "BYE a Q.850 41, close a", "Transferring"),
    ("a late CANCEL of the caller's", "cancelled", "close a", "Transferring"),
    ("who waits hangs up", "b bye", "close b, BYE a Q.850 16, close a, CANCEL c Q.850 16, close c, Closing 2s", OVER),
    ("or is gone", "b over", "close b, BYE a Q.850 16, close a, CANCEL c Q.850 16, close c, Closing 2s", OVER),
    (
        "or is silent",
        "b silent",
        "BYE b Q.850 102, close b, BYE a Q.850 102, close a, CANCEL c Q.850 102, close c, Closing 2s",
        "Ending: Answered 200 by System",
    ),
    ("the agent holds", "a offered", "answer a, Change 5s", "Consulting"),
    ("who waits holds", "b offered", "answer b, Change 5s", "Consulting"),
    ("the target is not answered yet", "c offered", "491 to c", "Consulting"),
    ("the agent presses a key", "a digit", "digit 5 of a", "Consulting"),
    ("an operator dials", "b dial", "digit 12 to b", "Consulting"),
    ("digits of who waits go nowhere", "b media-digit", "", "Consulting"),
];

#[test]
fn while_the_target_is_called() {
    check(after(&["a asks 102", "c described"]), CALLING);
}

#[test]
fn what_the_agent_heard_is_heard_by_who_waits_once_it_is_content() {
    check(
        after(&["a asks 102", "c described", "c 180"]),
        &[
            ("it rings on, for both", "complete", "ringback to b", "Transferring"),
            ("also when the agent just leaves", "a bye", "close a, ringback to b", "Transferring"),
        ],
    );
    check(
        after(&["a asks trunks", "c described", "c 183 sdp", "c negotiated"]),
        &[("early media", "complete", "bridge b c", "Transferring")],
    );
    check(
        after(&["a asks trunks", "c described", "c 183 sdp"]),
        &[("early media that is being agreed on", "complete", "", "Transferring")],
    );
}

#[test]
fn while_media_is_agreed_on_with_the_target() {
    check(
        after(&["a asks 102", "c described", "c 200 sdp"]),
        &[
            ("it is", "c negotiated", "bridge a c", "Consulting"),
            ("it cannot be", "c rejected", "BYE c, close c, bridge a b", "Connected"),
            ("the shard is silent", "timer media-timeout", "BYE c, close c, bridge a b", "Connected"),
            ("the target hangs up", "c bye", "close c, bridge a b", "Connected"),
            ("an operator cancels", "cancel", "BYE c Q.850 16, close c, bridge a b", "Connected"),
            ("or completes", "complete", "", "Transferring"),
            (
                "who waits hangs up",
                "b bye",
                "close b, BYE a Q.850 16, close a, BYE c Q.850 16, close c, Closing 2s",
                OVER,
            ),
        ],
    );
}

const TALKING: &[Row] = &[
    ("an operator completes", "complete", "bridge b c, BYE a Q.850 16, close a", "Connected"),
    ("or cancels", "cancel", "BYE c Q.850 16, close c, bridge a b", "Connected"),
    (
        "or ends it all",
        "hang-up",
        "BYE a Q.850 16, close a, BYE b Q.850 16, close b, BYE c Q.850 16, close c, Closing 2s",
        "Ending: Answered 200 by Operator",
    ),
    ("the agent hangs up: that completes it", "a bye", "close a, bridge b c", "Connected"),
    ("or is gone", "a over", "close a, bridge b c", "Connected"),
    ("or does not come back", "a flow-lost", "close a, bridge b c", "Connected"),
    ("or is silent", "a silent", "BYE a Q.850 102, close a, bridge b c", "Connected"),
    ("or its media fails", "a failed", "BYE a Q.850 41, close a, bridge b c", "Connected"),
    ("who waits hangs up: the two talk on", "b bye", "close b", "Connected"),
    ("or is gone", "b lost", "close b", "Connected"),
    ("or does not come back", "b flow-lost", "close b", "Connected"),
    ("or is silent", "b silent", "BYE b Q.850 102, close b", "Connected"),
    ("the target hangs up", "c bye", "close c, bridge a b", "Connected"),
    ("or is gone", "c over", "close c, bridge a b", "Connected"),
    ("or does not come back", "c flow-lost", "close c, bridge a b", "Connected"),
    ("or is silent", "c silent", "BYE c Q.850 102, close c, bridge a b", "Connected"),
    ("or its media fails", "c failed", "BYE c Q.850 41, close c, bridge a b", "Connected"),
    ("any of the three holds", "c offered", "answer c, Change 5s", "Consulting"),
    ("the agent too", "a offered", "answer a, Change 5s", "Consulting"),
    ("and who waits", "b offered", "answer b, Change 5s", "Consulting"),
    ("a timer of before", "timer no-answer", "", "Consulting"),
    ("another", "timer media-timeout", "", "Consulting"),
];

#[test]
fn while_the_agent_talks_to_the_target() {
    check(after(&["a asks 102", "c described", "c 200 sdp", "c negotiated"]), TALKING);
}

#[test]
fn a_change_that_the_shard_never_answers_is_refused_and_they_talk_on() {
    check(
        after(&["a asks 102", "c described", "c 200 sdp", "c negotiated", "c offered"]),
        &[
            ("the shard is silent", "timer change-timeout", "500 to c", "Consulting"),
            (
                "it answers after all, when the target waits for nothing else",
                "c described",
                "200 to c sdp, adopt c",
                "Consulting",
            ),
        ],
    );
}

#[test]
fn digits_reach_a_trunk_that_wants_info_from_whom_it_talks_to_alone() {
    let make = || {
        let talking = ["start", "b described", "b 200 sdp", "b negotiated", "a described", "ack"];
        let asking = ["a asks trunks", "c described", "c 200 sdp", "c negotiated"];
        Bench::from_agent(&[trunks()]).with_dtmf(media::Dtmf::Info).after(&talking).after(&asking)
    };
    check(
        make,
        &[
            ("the agent's go to the target", "a media-digit", "INFO 5 to c", "Consulting"),
            ("those of who waits nowhere", "b media-digit", "", "Consulting"),
            ("the target's to the agent, in media", "c media-digit", "", "Consulting"),
        ],
    );
}
