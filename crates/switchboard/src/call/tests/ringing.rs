//! Ringing: a target has rung; maybe the caller hears its early media.

use super::bench::{Bench, phones, trunks};
use super::{Row, assert_complete, check};
use crate::call::CallerOffer;

fn ringing() -> Bench {
    Bench::from_agent(&[trunks(), phones("102")]).after(&["start", "b described", "b 180"])
}

const RINGING: &[Row] = &[
    ("180 again is handed on again", "b 180", "180", "Ringing"),
    ("183 without SDP after a 180 says nothing new", "b 183", "", "Ringing"),
    ("early media may come after the ringing", "b 183 sdp", "take b", "Ringing"),
    ("an answer goes to the shard first", "b 200 sdp", "Media 5s, take b", "Answering"),
    ("busy ends the hunt", "b 486", "close b, 486 Q.850 17, Closing 2s", "Ending: Busy 486 by Callee"),
    ("a failure leads to the next gateway", "b 503", "close b, open c, offer to c, Media 5s", "Ringing"),
    ("absence leads to the next target", "b 480", "close b, NoAnswer 20s, open c, offer to c, Media 5s", "Ringing"),
    (
        "nobody answered: the next target is called",
        "timer no-answer",
        "CANCEL b Q.850 19, close b, NoAnswer 20s, open c, offer to c, Media 5s",
        "Ringing",
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
    ("a callee's lost connection is told as its refusal", "b flow-lost", "", "Ringing"),
    (
        "an operator ends the call",
        "hang-up",
        "480 Q.850 18, CANCEL b Q.850 18, close b, Closing 2s",
        "Ending: NoAnswer 480 by Operator",
    ),
    ("media of the callee fails", "b failed", "CANCEL b, close b, open c, offer to c, Media 5s", "Ringing"),
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
    ("a description that nobody asked for", "b described", "", "Ringing"),
    ("an agreement that nobody asked for", "b negotiated", "", "Ringing"),
    ("media before the answer means nothing", "b connected", "", "Ringing"),
    ("silence before the answer means nothing", "b silent", "", "Ringing"),
    ("digits in the media stay there", "b media-digit", "", "Ringing"),
    ("a closed session is noted", "b closed", "", "Ringing"),
    ("there is nobody to hear a digit", "a digit", "", "Ringing"),
    ("nobody is dialled to", "b dial", "", "Ringing"),
    ("there is nothing to confirm", "ack", "", "Ringing"),
    (
        "the caller acknowledges nothing",
        "no-ack",
        "CANCEL b Q.850 102, close b, Closing 2s",
        "Ending: Failed 504 by System",
    ),
    ("it is not ending", "timer closing", "", "Ringing"),
    ("the shards have done their part", "timer media-timeout", "", "Ringing"),
];

#[test]
fn a_gateway_rings() {
    check(ringing, RINGING);
    // A call starts once, and a callee that rings has stopped the wait for its first sign of life.
    assert_complete(&[RINGING, &[("", "start", "", ""), ("", "timer attempt", "", "")]]);
}

#[test]
fn early_media_is_being_agreed_on() {
    let callee = || ringing().after(&["b 183 sdp"]);
    check(
        callee,
        &[
            ("then the caller's offer is answered", "b negotiated", "open a, answer a", "Ringing"),
            ("early media that cannot be used is not yet a failure", "b rejected", "", "Ringing"),
            ("more early media changes nothing", "b 183 sdp", "", "Ringing"),
            ("the answer may leave the description out", "b 200", "Media 5s", "Answering"),
            ("or repeat it", "b 200 sdp", "Media 5s, take b", "Answering"),
            (
                "the caller gives up",
                "cancelled",
                "CANCEL b SIP 487, close b, Closing 2s",
                "Ending: Cancelled 487 by Caller",
            ),
        ],
    );
    let silent = || Bench::from_agent(&[trunks()]).after(&["start", "b described", "b 183 sdp"]);
    check(silent, &[("without early media the caller is told of the ringing", "b rejected", "180", "Ringing")]);
    let caller = || callee().after(&["b negotiated"]);
    check(
        caller,
        &[
            ("then the caller hears it", "a described", "183 sdp, bridge a b", "Ringing"),
            (
                "the caller's offer cannot be used",
                "a rejected",
                "488 Q.850 88, close a, CANCEL b Q.850 88, close b, Closing 2s",
                "Ending: Failed 488 by System",
            ),
            ("a quick answer waits for the caller's description", "b 200", "Media 5s", "Answering"),
        ],
    );
}

#[test]
fn early_media_flows() {
    let flowing = || ringing().after(&["b 183 sdp", "b negotiated", "a described"]);
    check(
        flowing,
        &[
            ("ringing on top of it is handed on, the media goes on", "b 180", "180", "Ringing"),
            ("a digit reaches the announcement", "a digit", "digit 5 of a", "Ringing"),
            ("the callee's digits reach the caller", "b digit", "digit 5 of b", "Ringing"),
            ("the answer without SDP connects at once", "b 200", "Media 5s, 200, bridge a b", "Connected"),
            ("the answer's SDP is taken first", "b 200 sdp", "Media 5s, take b", "Answering"),
            (
                "an announcement may end in a refusal",
                "b 404",
                "close b, 404 Q.850 1, close a, Closing 2s",
                "Ending: Failed 404 by System",
            ),
            (
                "or in nothing",
                "timer no-answer",
                "CANCEL b Q.850 19, close b, NoAnswer 20s, open c, offer to c, Media 5s",
                "Ringing",
            ),
            ("its failure leads to the next gateway", "b 503", "close b, open c, offer to c, Media 5s", "Ringing"),
            (
                "the caller gives up",
                "cancelled",
                "close a, CANCEL b SIP 487, close b, Closing 2s",
                "Ending: Cancelled 487 by Caller",
            ),
        ],
    );
    let next = || flowing().after(&["b 503", "c described"]);
    check(
        next,
        &[
            (
                "a next target that only rings is heard ringing: the caller listens already",
                "c 180",
                "180, ringback to a",
                "Ringing",
            ),
            ("its early media is heard at once", "c 183 sdp", "take c", "Ringing"),
            ("it answers", "c 200 sdp", "Media 5s, take c", "Answering"),
        ],
    );
    check(
        || next().after(&["c 180"]),
        &[
            ("the tone goes on", "c 180", "180", "Ringing"),
            ("early media takes its place", "c 183 sdp", "take c", "Ringing"),
        ],
    );
    let taken = ["c 180", "c 200 sdp", "c negotiated"];
    let mut bench = next().after(&taken[..2]);
    assert_eq!(bench.on(taken[2]), "200, bridge a c", "the caller keeps the description it has");
}

#[test]
fn an_offerless_caller_hears_no_early_media() {
    let ringing = || Bench::from_trunk(CallerOffer::Wanted, &[trunks()]).after(&["start", "b described"]);
    check(ringing, &[("its 183 is told as ringing", "b 183 sdp", "180", "Ringing")]);
}

#[test]
fn phones_ring() {
    let ringing = || {
        let bench = Bench::from_trunk(CallerOffer::Given("a's offer".into()), &[phones("100")]);
        bench.after(&["start", "b described", "c described", "b 180"])
    };
    check(
        ringing,
        &[
            ("the other phone rings too", "c 180", "180", "Ringing"),
            (
                "an answer takes the call from the other",
                "c 200 sdp",
                "CANCEL b SIP 200, close b, Media 5s, take c",
                "Answering",
            ),
            ("a phone that has not rung may be busy", "c 486", "close c", "Ringing"),
            (
                "a decline ends the call for all",
                "b 603",
                "close b, CANCEL c SIP 603, close c, 603 Q.850 21, Closing 2s",
                "Ending: Busy 603 by Callee",
            ),
            ("a phone loses its connection", "b 503 local", "close b", "Ringing"),
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
            (
                "an operator ends the call",
                "hang-up",
                "480 Q.850 18, CANCEL b Q.850 18, close b, CANCEL c Q.850 18, close c, Closing 2s",
                "Ending: NoAnswer 480 by Operator",
            ),
        ],
    );
    let busy = || ringing().after(&["b 486"]);
    check(
        busy,
        &[
            ("all are busy", "c 486", "close c, 486 Q.850 17, Closing 2s", "Ending: Busy 486 by Callee"),
            ("busy says more than absent", "c 480", "close c, 486 Q.850 17, Closing 2s", "Ending: Busy 486 by Callee"),
            ("busy says more than broken", "c 500", "close c, 486 Q.850 17, Closing 2s", "Ending: Busy 486 by Callee"),
        ],
    );
}
