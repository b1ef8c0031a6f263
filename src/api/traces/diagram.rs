//! A trace as a ladder diagram: a column for the gateway and one for each peer, arrows between them, and in between what routing and media
//! did. For terminals, so nothing in it moves a cursor.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{CallTrace, TracedMessage};

/// Letters of a column.
const COLUMN: usize = 36;

/// Letters of the times at the left.
const MARGIN: usize = 11;

/// Columns at most, the gateway's included; the messages of further peers are listed in words.
const MAX_COLUMNS: usize = 6;

/// Draws a trace.
pub(super) fn of(trace: &CallTrace) -> String {
    let peers = peers(trace);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} ({}, {}) from {} to {}",
        trace.call_id,
        trace.direction,
        trace.state,
        plain(&trace.from),
        plain(&trace.to)
    );
    let _ = writeln!(out, "{}\n", plain(&trace.explanation));
    let names: Vec<String> =
        peers.iter().map(|peer| peer.as_ref().map_or("Patchcord".to_owned(), |(name, _)| name.clone())).collect();
    let transports =
        peers.iter().map(|peer| peer.as_ref().map_or(String::new(), |(_, transport)| transport.clone())).collect();
    for heads in [names, transports] {
        let _ = writeln!(
            out,
            "{}{}",
            " ".repeat(MARGIN),
            heads.iter().map(|head| centred(head)).collect::<String>().trim_end()
        );
    }
    for line in lines(trace, &peers) {
        out.push_str(&line);
        out.push('\n');
    }
    if trace.messages_left_out > 0 {
        let _ = writeln!(out, "\n{} messages of the middle of the call are not kept.", trace.messages_left_out);
    }
    out
}

/// A column: `None` is the gateway's, which stands after the first peer's.
type Peer = Option<(String, String)>;

fn peer_of(message: &TracedMessage) -> (String, String) {
    let address = if message.direction == "in" { &message.from } else { &message.to };
    (address.clone(), message.transport.clone())
}

fn peers(trace: &CallTrace) -> Vec<Peer> {
    let mut peers: Vec<Peer> = Vec::new();
    for message in &trace.messages {
        let peer = Some(peer_of(message));
        if !peers.contains(&peer) && peers.len() + 1 < MAX_COLUMNS {
            peers.push(peer);
        }
    }
    peers.insert(peers.len().min(1), None);
    peers
}

/// Everything in order of time; what happened at once in the order of routing, messages, media.
fn lines(trace: &CallTrace, peers: &[Peer]) -> Vec<String> {
    let mut all: BTreeMap<(u64, u8, usize), String> = BTreeMap::new();
    // Whole microseconds, which order as the times do.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let place = |offset_ms: f64| (offset_ms * 1000.0).round() as u64;
    for (at, step) in trace.routing.iter().enumerate() {
        let status = step.status.map_or(String::new(), |status| format!(" [{status}]"));
        let line = format!("{}  routing: {}{status}", time(step.offset_ms), plain(&step.text));
        all.insert((place(step.offset_ms), 1, at), line);
    }
    for (at, message) in trace.messages.iter().enumerate() {
        all.insert((place(message.offset_ms), 0, at), arrow(message, peers));
    }
    for (at, moment) in trace.media.iter().enumerate() {
        let line = format!("{}  media of {}: {}", time(moment.offset_ms), moment.leg_id, plain(&moment.text));
        all.insert((place(moment.offset_ms), 2, at), line);
    }
    all.into_values().collect()
}

fn arrow(message: &TracedMessage, peers: &[Peer]) -> String {
    let repeated =
        if message.repeated > 0 { format!(" (x{})", u64::from(message.repeated) + 1) } else { String::new() };
    let label = format!("{}{repeated}", plain(&message.summary));
    let (ours, theirs) =
        (peers.iter().position(Option::is_none), peers.iter().position(|peer| *peer == Some(peer_of(message))));
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        let (from, to) = (&message.from, &message.to);
        return format!("{}  {from} -> {to}: {label}", time(message.offset_ms));
    };
    let (left, right) = (ours.min(theirs), ours.max(theirs));
    let points_right = (message.direction == "in") == (theirs < ours);
    let mut line = time(message.offset_ms);
    let mut column = 0;
    let half = COLUMN / 2;
    while column < peers.len() {
        line.push_str(&" ".repeat(half));
        if column == left {
            let width = (right - left) * COLUMN - 1;
            line.push('|');
            line.push_str(&shaft(&label, width, points_right));
            line.push('|');
            column = right;
        } else {
            line.push('|');
        }
        line.push_str(&" ".repeat(COLUMN - half - 1));
        column += 1;
    }
    line.trim_end().to_owned()
}

/// `-- label -->` of a width.
fn shaft(label: &str, width: usize, points_right: bool) -> String {
    let room = width.saturating_sub(6);
    let length = label.chars().count();
    let label: String = if length > room {
        label.chars().take(room.saturating_sub(1)).chain(['~']).collect()
    } else {
        label.to_owned()
    };
    let rest = width.saturating_sub(label.chars().count() + 3);
    let (before, after) = (rest / 2, rest - rest / 2);
    let (before, after) = ("-".repeat(before), "-".repeat(after));
    if points_right { format!("{before} {label} {after}>") } else { format!("<{before} {label} {after}") }
}

fn centred(text: &str) -> String {
    let text: String = text.chars().take(COLUMN - 1).collect();
    format!("{text:^COLUMN$}")
}

/// Seconds, as wide as the margin.
fn time(offset_ms: f64) -> String {
    format!("{:>width$.4}", offset_ms / 1000.0, width = MARGIN)
}

/// What a peer wrote, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}
