//! Replacing: another INVITE, `n`, takes a leg's place. `a`, an agent, called `b`. Who has lost its place comes last, as `c`.

use super::bench::{Bench, phones, trunks};
use super::check;
use crate::call::{CallerOffer, LegId};
use sip::StatusCode;

fn talking() -> Bench {
    Bench::from_agent(&[trunks()]).after(&["start", "b described", "b 200 sdp", "b negotiated", "a described", "ack"])
}

#[test]
fn the_newcomers_answer_is_made_and_everything_is_as_it_was_until_then() {
    check(
        talking,
        &[
            ("in the caller's place", "a is-replaced", "open n, answer n, Place 5s", "Connected"),
            ("in the callee's", "b is-replaced", "open n, answer n, Place 5s", "Connected"),
        ],
    );
    const GONE: &str = "Ending: Answered 200 by Caller";
    check(
        || talking().after(&["a is-replaced"]),
        &[
            ("it takes the place", "n described", "200 to n, bridge n b, BYE c SIP 200, close c", "Connected"),
            ("its offer cannot be used", "n rejected", "488 to n, close n", "Connected"),
            ("its media fails", "n failed", "500 to n, close n", "Connected"),
            ("the shard is silent", "timer place-timeout", "500 to n, close n", "Connected"),
            ("it gives up", "n over", "close n", "Connected"),
            ("or its connection is lost", "n flow-lost", "close n", "Connected"),
            ("who had the place hangs up: it is taken all the same", "a bye", "", "Connected"),
            ("or does not come back", "a flow-lost", "", "Connected"),
            ("or never knew of it", "a lost", "", "Connected"),
            (
                "the other side hangs up",
                "b bye",
                "BYE a Q.850 16, close a, close b, 480 to n, close n, Closing 2s",
                "Ending: Answered 200 by Callee",
            ),
            (
                "an operator ends the call",
                "hang-up",
                "BYE a Q.850 16, close a, BYE b Q.850 16, close b, 480 to n, close n, Closing 2s",
                "Ending: Answered 200 by Operator",
            ),
            ("either side holds meanwhile", "b offered", "answer b, Change 5s", "Connected"),
        ],
    );
    check(
        || talking().after(&["a is-replaced", "a bye"]),
        &[
            ("and is taken", "n described", "200 to n, bridge n b, close c", "Connected"),
            (
                "or not, which is a hang-up",
                "n rejected",
                "488 to n, close n, close a, BYE b Q.850 16, close b, Closing 2s",
                GONE,
            ),
        ],
    );
    check(
        || talking().after(&["b is-replaced"]),
        &[("the callee's place", "n described", "200 to n, bridge n a, BYE c SIP 200, close c", "Connected")],
    );
}

#[test]
fn a_ringing_phones_place_is_taken_by_picking_up() {
    let ringing = || {
        let bench = Bench::from_trunk(CallerOffer::Given("offer".into()), &[phones("100")]);
        bench.after(&["start", "b described", "c described", "b 180", "b is-replaced"])
    };
    check(
        ringing,
        &[
            (
                "it is answered, and the others stop ringing",
                "n described",
                "200 to n, CANCEL b SIP 200, close b, CANCEL c SIP 200, close c, Media 5s, open a, answer a",
                "Answering",
            ),
            ("its offer cannot be used: they ring on", "n rejected", "488 to n, close n", "Ringing"),
            ("the shard is silent", "timer media-timeout", "500 to n, close n", "Ringing"),
            ("it gives up", "n over", "close n", "Ringing"),
            (
                "a phone is quicker",
                "c 200 sdp",
                "CANCEL b SIP 200, close b, 480 to n, close n, Media 5s, take c",
                "Answering",
            ),
        ],
    );
}

#[test]
fn whose_place_cannot_be_taken_says_why() {
    let status = |events: &[&str], leg: usize| {
        let bench = Bench::from_agent(&[trunks()]).after(events);
        let leg = bench.call.facts.legs.get(leg).map_or(LegId(77), |leg| leg.id);
        bench.call.check_replaceable(leg)
    };
    const TALKING: [&str; 6] = ["start", "b described", "b 200 sdp", "b negotiated", "a described", "ack"];
    assert_eq!(status(&TALKING, 0), Ok(()));
    assert_eq!(status(&TALKING, 9), Err(StatusCode::DECLINE));
    assert_eq!(status(&[&TALKING[..], &["a is-replaced"]].concat(), 1), Err(StatusCode::REQUEST_PENDING));
    assert_eq!(status(&[&TALKING[..], &["a refers 102"]].concat(), 1), Err(StatusCode::REQUEST_PENDING));
    assert_eq!(status(&[&TALKING[..], &["b bye"]].concat(), 0), Err(StatusCode::DECLINE));
    assert_eq!(status(&TALKING[..3], 1), Err(StatusCode::REQUEST_PENDING));
    assert_eq!(status(&TALKING[..2], 1), Ok(()));
    assert_eq!(status(&TALKING[..2], 0), Err(StatusCode::CALL_DOES_NOT_EXIST), "the caller's own INVITE");
}

#[test]
fn without_an_offer_ours_goes_out_and_the_acks_answer_is_taken() {
    check(
        talking,
        &[("in the caller's place", "a is-replaced-offerless", "open n, offer to n, Place 5s", "Connected")],
    );
    check(
        || talking().after(&["a is-replaced-offerless"]),
        &[("it takes the place", "n described", "200 to n, bridge n b, BYE c SIP 200, close c", "Connected")],
    );
    check(
        || talking().after(&["a is-replaced-offerless", "n described"]),
        &[
            ("its answer", "n confirmed sdp", "take n", "Connected"),
            (
                "which cannot be used",
                "n rejected",
                "BYE n Q.850 41, close n, BYE b Q.850 41, close b, Closing 2s",
                "Ending: Failed 200 by System",
            ),
        ],
    );
    check(
        || talking().after(&["a is-replaced", "n described"]),
        &[("one that sent an offer has nothing to say", "n confirmed", "", "Connected")],
    );
}
