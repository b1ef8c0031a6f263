//! What Prometheus is shown at `/metrics`: the names, in one place. Counts nothing of its own.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use sip::Transport;
use switchboard::{Bar, ServerState, ServerView};

/// Seconds from a leg's SDP to its first media: a browser on the same continent takes 0.1 to 0.3.
const TIME_TO_MEDIA: [f64; 10] = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0];

/// The process has one recorder, however many gateways run in it (tests run several).
static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// Installs the recorder, once, and gives the way to render it.
///
/// # Errors
/// When another recorder is installed already.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let mut recorder = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = recorder.as_ref() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("patchcord_time_to_media_seconds".to_owned()), &TIME_TO_MEDIA)?
        .install_recorder()?;
    describe();
    *recorder = Some(handle.clone());
    Ok(handle)
}

fn describe() {
    describe_gauge!("patchcord_calls_active", "Running calls by direction");
    describe_counter!("patchcord_calls_ended_total", "Ended calls by direction and result");
    describe_gauge!("patchcord_registrations", "Registered contacts");
    describe_gauge!("patchcord_trunk_registrations", "Trunks that register at their carrier, by state");
    describe_gauge!(
        "patchcord_certificate_expires_timestamp_seconds",
        Unit::Seconds,
        "When a listener's certificate expires, by listener"
    );
    describe_gauge!("patchcord_connections", "Open SIP connections by transport");
    describe_counter!("patchcord_connections_refused_total", "Connections refused by limit or origin, by transport");
    describe_counter!(
        "patchcord_framing_failures_total",
        "Connections closed because no message could be cut out of them"
    );
    describe_counter!(
        "patchcord_unproven_closed_total",
        "WebSockets closed because nobody authenticated on them in time"
    );
    describe_counter!("patchcord_sip_messages_received_total", "SIP messages received");
    describe_counter!("patchcord_sip_messages_sent_total", "SIP messages sent");
    describe_counter!("patchcord_sip_messages_malformed_total", "Packets that were no SIP");
    describe_counter!("patchcord_sip_messages_stray_total", "Responses and ACKs that belonged to nothing");
    describe_counter!("patchcord_sip_messages_overloaded_total", "Requests refused because a limit was reached");
    describe_counter!(
        "patchcord_sip_messages_strangers_total",
        "Messages from addresses of no trunk, dropped unanswered"
    );
    describe_counter!("patchcord_tls_handshake_failures_total", "TLS handshakes with trunks that failed, by side");
    describe_counter!("patchcord_sip_challenges_total", "Digest challenges sent");
    describe_counter!("patchcord_sip_authentication_failures_total", "Credentials that did not verify");
    describe_counter!("patchcord_calls_barred_total", "Calls not let through, by rule");
    describe_counter!("patchcord_fraud_bursts_total", "Times an agent made suddenly many calls outside");
    describe_gauge!("patchcord_sip_transactions", "SIP transactions held, by side");
    describe_counter!("patchcord_queue_full_total", "Things dropped or put off because a queue was full, by queue");
    describe_counter!("patchcord_media_packets_received_total", "Datagrams received by a shard");
    describe_counter!("patchcord_media_packets_sent_total", "Datagrams sent by a shard");
    describe_counter!("patchcord_media_packets_unsent_total", "Datagrams a shard's socket did not take");
    describe_counter!("patchcord_media_link_packets_total", "Packets a shard handed to another over a link");
    describe_counter!("patchcord_media_packets_discarded_total", "Media packets discarded in the sessions that ended");
    describe_counter!("patchcord_srtp_failures_total", "SRTP not authentic, or replayed, in the sessions that ended");
    describe_histogram!("patchcord_time_to_media_seconds", Unit::Seconds, "From a leg's SDP to its first media");
    describe_counter!("patchcord_http_requests_total", "HTTP requests by method and status");
    describe_gauge!("patchcord_trunk_server_up", "Whether a trunk's server answers: 1 or 0, NaN while nobody knows");
    describe_gauge!(
        "patchcord_trunk_server_rtt_seconds",
        Unit::Seconds,
        "How long a trunk's server took to answer OPTIONS"
    );
    describe_counter!("patchcord_call_records_lost_total", "Call records that could not be stored");
}

/// Something found a queue full; each queue's own comment says what became of it.
pub(crate) fn queue_full(queue: &'static str) {
    counter!("patchcord_queue_full_total", "queue" => queue).increment(1);
}

/// Until when others believe a listener's certificate.
pub(crate) fn certificate_expires(listener: &'static str, at: SystemTime) {
    let after = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!("patchcord_certificate_expires_timestamp_seconds", "listener" => listener).set(after);
}

/// A connection was refused by a limit or its origin.
pub(crate) fn connection_refused(transport: Transport) {
    counter!("patchcord_connections_refused_total", "transport" => token(transport)).increment(1);
}

/// A TLS handshake with a trunk failed, on a connection `opened` by us or `accepted`.
pub(crate) fn tls_failed(side: &'static str) {
    counter!("patchcord_tls_handshake_failures_total", "side" => side).increment(1);
}

/// A connection's bytes could not be cut into messages.
pub(crate) fn framing_failed(transport: Transport) {
    counter!("patchcord_framing_failures_total", "transport" => token(transport)).increment(1);
}

/// A WebSocket was closed because nobody authenticated on it.
pub(crate) fn unproven_closed() {
    counter!("patchcord_unproven_closed_total").increment(1);
}

/// A connection came up (`1.0`) or went (`-1.0`).
pub(crate) fn connections_changed(transport: Transport, by: f64) {
    gauge!("patchcord_connections", "transport" => token(transport)).increment(by);
}

/// The running calls of a direction rose (`1.0`) or fell (`-1.0`).
pub(crate) fn calls_changed(direction: &'static str, by: f64) {
    gauge!("patchcord_calls_active", "direction" => direction).increment(by);
}

/// A call ended.
pub(crate) fn call_ended(direction: &'static str, result: &'static str) {
    counter!("patchcord_calls_ended_total", "direction" => direction, "result" => result).increment(1);
}

/// A leg's media came up after this long.
pub(crate) fn time_to_media(took: Duration) {
    histogram!("patchcord_time_to_media_seconds").record(took);
}

/// A session ended with so many packets discarded, so many of them because their SRTP failed.
pub(crate) fn media_discarded(packets: u64, srtp_failures: u64) {
    counter!("patchcord_media_packets_discarded_total").increment(packets);
    counter!("patchcord_srtp_failures_total").increment(srtp_failures);
}

/// An HTTP request was answered.
pub(crate) fn http_request(method: &axum::http::Method, status: axum::http::StatusCode) {
    use axum::http::Method;
    // A client may invent methods; a label must not grow with them.
    let known = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
    let method = if known.contains(method) { method.to_string() } else { "other".to_owned() };
    counter!("patchcord_http_requests_total", "method" => method, "status" => status.as_str().to_owned()).increment(1);
}

/// What is known of a trunk's server.
pub(crate) fn server(trunk: &str, view: &ServerView) {
    let state = match view.state {
        ServerState::Up => 1.0,
        ServerState::Down => 0.0,
        ServerState::Unknown => f64::NAN,
    };
    gauge!("patchcord_trunk_server_up", &server_labels(trunk, view)).set(state);
    let rtt = view.rtt.map_or(f64::NAN, |rtt| rtt.as_secs_f64());
    gauge!("patchcord_trunk_server_rtt_seconds", &server_labels(trunk, view)).set(rtt);
}

/// A server is none of its trunk's any more. The recorder forgets no gauge: it says so.
pub(crate) fn server_gone(trunk: &str, view: &ServerView) {
    gauge!("patchcord_trunk_server_up", &server_labels(trunk, view)).set(f64::NAN);
    gauge!("patchcord_trunk_server_rtt_seconds", &server_labels(trunk, view)).set(f64::NAN);
}

fn server_labels(trunk: &str, view: &ServerView) -> [(&'static str, String); 3] {
    let transport = token(view.transport).to_owned();
    [("trunk", trunk.to_owned()), ("address", view.address.to_string()), ("transport", transport)]
}

/// The switchboard's figures, as far as they moved since `before`.
pub(crate) fn switchboard(now: &Figures, before: &Figures) {
    let moved = |name: &'static str, now: u64, before: u64| counter!(name).increment(now.saturating_sub(before));
    moved("patchcord_sip_messages_received_total", now.endpoint.received, before.endpoint.received);
    moved("patchcord_sip_messages_sent_total", now.endpoint.sent, before.endpoint.sent);
    moved("patchcord_sip_messages_malformed_total", now.endpoint.malformed, before.endpoint.malformed);
    moved("patchcord_sip_messages_stray_total", now.endpoint.stray, before.endpoint.stray);
    moved("patchcord_sip_messages_overloaded_total", now.endpoint.overloaded, before.endpoint.overloaded);
    moved("patchcord_sip_messages_strangers_total", now.switchboard.strangers, before.switchboard.strangers);
    moved("patchcord_sip_challenges_total", now.switchboard.challenges, before.switchboard.challenges);
    let failures = "patchcord_sip_authentication_failures_total";
    moved(failures, now.switchboard.authentication_failures, before.switchboard.authentication_failures);
    let barred = Bar::ALL.iter().zip(now.switchboard.barred.iter().zip(before.switchboard.barred));
    for (bar, (now, before)) in barred {
        counter!("patchcord_calls_barred_total", "rule" => bar.name()).increment(now.saturating_sub(before));
    }
    moved("patchcord_fraud_bursts_total", now.switchboard.bursts, before.switchboard.bursts);
    gauge!("patchcord_sip_transactions", "side" => "client").set(now.endpoint.client_transactions as f64);
    gauge!("patchcord_sip_transactions", "side" => "server").set(now.endpoint.server_transactions as f64);
    gauge!("patchcord_registrations").set(now.bindings as f64);
    for (state, trunks) in
        [("registered", now.trunks.registered), ("registering", now.trunks.registering), ("failed", now.trunks.failed)]
    {
        gauge!("patchcord_trunk_registrations", "state" => state).set(trunks as f64);
    }
}

/// What the switchboard has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) switchboard: switchboard::Counters,
    pub(crate) endpoint: sip::Counters,
    pub(crate) bindings: usize,
    pub(crate) trunks: switchboard::RegistrationCounts,
}

pub(crate) fn token(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::Ws => "ws",
        Transport::Wss => "wss",
    }
}
