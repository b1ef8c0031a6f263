#![allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]

use std::time::{Duration, SystemTime};

use sip::Transport;

use super::*;
use crate::output::{CallResult, Direction, EndedBy, LegView};

fn view(number: u64, state: CallState) -> Arc<CallView> {
    Arc::new(CallView {
        id: CallId(format!("call_{number}")),
        direction: Direction::Internal,
        state,
        from: "100".to_owned(),
        to: "101".to_owned(),
        started_at: SystemTime::UNIX_EPOCH,
        answered_at: None,
        agent_id: None,
        trunk_id: None,
        legs: vec![LegView {
            id: format!("leg_{number}"),
            party: "100".to_owned(),
            extension: Some("100".to_owned()),
            agent_id: None,
            trunk_id: None,
            sip_call_id: Some(format!("id-{number}")),
            away: false,
            state,
            codec: None,
            media: media::MediaState::default(),
            transport: Transport::Wss,
            remote: ([192, 0, 2, 1], 1).into(),
        }],
        transfers: Vec::new(),
        participants: Vec::new(),
    })
}

fn record(number: u64) -> CallRecord {
    CallRecord {
        call: Arc::unwrap_or_clone(view(number, CallState::Ending)),
        ringing_at: None,
        ended_at: SystemTime::UNIX_EPOCH,
        result: CallResult::Failed,
        sip_status: 404,
        q850: None,
        ended_by: EndedBy::System,
        explanation: "It failed.".to_owned(),
        statistics: Vec::new(),
    }
}

struct Bench {
    traces: Traces,
    now: Instant,
}

impl Bench {
    fn new(ended: usize, bytes: usize) -> Self {
        let now = Instant::now();
        let clock = Clock { instant: now, system: SystemTime::UNIX_EPOCH };
        Self { traces: Traces::new(TraceLimits { ended, bytes }, clock), now }
    }

    /// A message of a call arrives.
    fn hear(&mut self, number: u64, start: &str, sequence: u32, body: &str) {
        let flow = Flow { transport: Transport::Wss, peer: ([192, 0, 2, 1], 1).into(), connection: None, tls: None };
        self.now += Duration::from_millis(1);
        let text = format!("{start}\r\nCall-ID: id-{number}\r\nCSeq: {sequence} INVITE\r\n\r\n{body}");
        self.traces.handle_message(self.now, Way::In, flow, text.as_bytes());
    }

    fn summaries(&self, number: u64) -> Option<Vec<String>> {
        let trace = self.traces.get(&CallId(format!("call_{number}")))?;
        Some(trace.messages().into_iter().map(|(_, entry)| entry.summary()).collect())
    }
}

#[test]
fn what_came_before_there_was_a_call_becomes_part_of_it_and_what_never_has_one_is_forgotten() {
    let mut bench = Bench::new(10, 1 << 20);
    bench.hear(1, "INVITE sip:a SIP/2.0", 1, "");
    bench.hear(1, "SIP/2.0 407 Proxy Authentication Required", 1, "");
    for stranger in 1000..3000 {
        bench.hear(stranger, "INVITE sip:b SIP/2.0", 1, &"x".repeat(10_000));
    }
    assert!(bench.traces.bytes() <= 1 << 20, "{}", bench.traces.bytes());
    bench.hear(2, "INVITE sip:c SIP/2.0", 1, "");
    bench.hear(2, "SIP/2.0 407 Proxy Authentication Required", 1, "");
    bench.hear(2, "INVITE sip:c SIP/2.0", 2, "");
    bench.traces.handle_call(&view(2, CallState::Routing));
    assert_eq!(bench.summaries(2).unwrap(), ["INVITE sip:c", "407 Proxy Authentication Required", "INVITE sip:c"]);
    bench.traces.handle_call(&view(1, CallState::Routing));
    assert!(bench.summaries(1).unwrap().is_empty(), "others came between");
}

#[test]
fn the_calls_that_ended_first_are_forgotten_first_and_their_call_ids_with_them() {
    let mut bench = Bench::new(2, 1 << 20);
    for number in 1..=3 {
        bench.traces.handle_call(&view(number, CallState::Routing));
        bench.hear(number, "INVITE sip:a SIP/2.0", 1, "");
    }
    for number in [2, 1, 3] {
        bench.traces.handle_record(&record(number));
    }
    assert_eq!([1, 2, 3].map(|number| bench.summaries(number).is_some()), [true, false, true]);
    assert!(!bench.traces.by_call_id.contains_key("id-2"));
    assert_eq!(bench.traces.get(&CallId("call_1".to_owned())).unwrap().explanation(), "It failed.");
    bench.hear(1, "SIP/2.0 200 OK", 2, "");
    assert_eq!(bench.summaries(1).unwrap().len(), 2, "what comes late belongs to it all the same");
}

#[test]
fn traces_take_no_more_memory_than_they_may_whatever_calls_do() {
    let bytes = 2 << 20;
    let mut bench = Bench::new(1000, bytes);
    for number in 0..30 {
        bench.traces.handle_call(&view(number, CallState::Connected));
        for message in 0..130 {
            bench.hear(number, &format!("INVITE sip:{message} SIP/2.0"), message, &"x".repeat(20_000));
        }
        let note = RoutingNote { step: RoutingStep::Target, leg: None, status: None, text: "x".to_owned() };
        for _ in 0..1000 {
            bench.traces.handle_note(&CallId(format!("call_{number}")), bench.now, Note::Routing(note.clone()));
        }
        if number % 2 == 0 {
            bench.traces.handle_record(&record(number));
        }
        let held: usize = bench.traces.traces.values().map(|trace| trace.ladder.bytes() + TRACE_COST).sum();
        assert!(held <= bytes && bench.traces.bytes <= bytes, "{held}, {}", bench.traces.bytes);
    }
    assert!(bench.traces.traces.len() > 3, "and they are used");
    assert_eq!(bench.traces.traces.len(), bench.traces.running.len() + bench.traces.ended.len());
    bench.traces.limits.bytes = 0;
    bench.traces.forget_surplus();
    assert_eq!((bench.traces.bytes, bench.traces.by_call_id.len()), (0, 0), "everything is given back");
}

#[test]
fn a_long_call_keeps_its_beginning_and_its_end() {
    let mut bench = Bench::new(10, 1 << 20);
    bench.traces.handle_call(&view(1, CallState::Connected));
    for message in 0..1000 {
        bench.hear(1, &format!("INVITE sip:{message} SIP/2.0"), message, "");
    }
    let summaries = bench.summaries(1).unwrap();
    assert_eq!((summaries[0].as_str(), summaries.last().unwrap().as_str()), ("INVITE sip:0", "INVITE sip:999"));
    let left_out = bench.traces.get(&CallId("call_1".to_owned())).unwrap().left_out();
    assert_eq!(summaries.len() as u64 + left_out, 1000);
    assert_eq!(summaries[60], "INVITE sip:940");
}

#[test]
fn a_client_that_uses_a_call_id_twice_takes_no_messages_from_a_call_that_has_it() {
    let mut bench = Bench::new(10, 1 << 20);
    bench.traces.handle_call(&view(1, CallState::Connected));
    let mut other = view(2, CallState::Connected);
    Arc::make_mut(&mut other).legs[0].sip_call_id = Some("id-1".to_owned());
    bench.traces.handle_call(&other);
    bench.hear(1, "INVITE sip:a SIP/2.0", 1, "");
    assert_eq!((bench.summaries(1).unwrap().len(), bench.summaries(2).unwrap().len()), (1, 0));
    bench.traces.handle_call(&view(1, CallState::Ending));
    bench.traces.handle_call(&other);
    bench.hear(1, "INVITE sip:b SIP/2.0", 2, "");
    assert_eq!(bench.summaries(2).unwrap().len(), 1, "a leg that went over takes its messages along");
}

#[test]
fn with_no_calls_to_keep_nothing_is_written_down() {
    let mut bench = Bench::new(0, 1 << 20);
    bench.hear(1, "INVITE sip:a SIP/2.0", 1, "");
    bench.traces.handle_call(&view(1, CallState::Routing));
    assert_eq!((bench.summaries(1), bench.traces.bytes()), (None, 0));
}

#[test]
fn no_secret_is_read_in_a_message_wherever_it_is_cut() {
    let mut bench = Bench::new(10, 1 << 22);
    bench.traces.handle_call(&view(1, CallState::Connected));
    // Up to where it is cut lies before the secret, inside it and behind it.
    for pad in (0..60).map(|less| 16 * 1024 - 60 - less).chain([0]) {
        let start =
            format!("INVITE sip:a SIP/2.0\r\nX-Pad: {}\r\nContact: <sip:bob:SECRET-SECRET@host>", "x".repeat(pad));
        bench.hear(1, &start, 1, "a=ice-pwd:SECRET\r\n");
    }
    let trace = bench.traces.get(&CallId("call_1".to_owned())).unwrap();
    let entries = trace.messages();
    assert!(entries.len() > 10 && entries.iter().any(|(_, entry)| entry.text().ends_with("(cut)")));
    for (_, entry) in entries {
        assert!(!entry.text().contains("SECRE"), "{}", entry.text());
        assert!(!format!("{entry:?}").contains("SECRE") && entry.summary() == "INVITE sip:a");
    }
}
