//! `GET /v1/calls/{id}/trace`: what a call did, message by message, and in one sentence why it went as it did. As JSON for programs, as
//! text for people. Agents do not see it: it has other parties' messages and addresses.

mod diagram;

use std::net::IpAddr;
use std::time::Instant;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use media::Milestone;
use serde::Serialize;
use sip::{Flow, Transport};
use switchboard::{CallId, MediaMoment, RoutingStep, Trace, Way};
use utoipa::ToSchema;

use super::problem::Refusals;
use super::{ApiState, Problem};
use crate::recorder::Recorder;
use crate::store::{Timestamp, direction_name};

/// Where traces come from, and how the gateway is named in them.
#[derive(Debug, Clone)]
pub struct TraceAccess {
    /// Who wrote them down.
    pub recorder: Recorder,
    /// The gateway's addresses.
    pub own: OwnAddresses,
}

/// The gateway's own signalling addresses, as its peers see them.
#[derive(Debug, Clone, Copy)]
pub struct OwnAddresses {
    /// The address it advertises.
    pub host: IpAddr,
    /// Its port for SIP over UDP.
    pub udp: u16,
    /// Its port for SIP over TCP.
    pub tcp: u16,
}

impl OwnAddresses {
    /// Our end of a flow.
    fn of(&self, flow: Flow) -> String {
        match flow.transport {
            Transport::Udp => std::net::SocketAddr::new(self.host, self.udp).to_string(),
            Transport::Tcp => std::net::SocketAddr::new(self.host, self.tcp).to_string(),
            // Behind a proxy, or at a port that no SIP message names.
            Transport::Tls | Transport::Ws | Transport::Wss => self.host.to_string(),
        }
    }
}

/// What a call did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallTrace {
    /// `call_…`
    call_id: String,
    /// `running` or `ended`.
    state: &'static str,
    /// `inbound`, `outbound` or `internal`.
    direction: &'static str,
    /// Who calls.
    from: String,
    /// What was dialled.
    to: String,
    /// When it came up.
    #[schema(inline)]
    started_at: Timestamp,
    /// Why it went as it did, and where to look; of an ended call what its record says.
    explanation: String,
    /// Every SIP message of all its legs in order, secrets removed.
    messages: Vec<TracedMessage>,
    /// How many messages are missing from the middle of a long call.
    messages_left_out: u64,
    /// How its targets were found, and why the next was taken.
    routing: Vec<TracedStep>,
    /// How the media of its legs came up.
    media: Vec<TracedMoment>,
}

/// A SIP message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TracedMessage {
    /// When it came or went.
    #[schema(inline)]
    at: Timestamp,
    /// The same, in milliseconds from the first thing in the trace.
    offset_ms: f64,
    /// `in` to the gateway, `out` from it.
    direction: &'static str,
    /// `leg_…`
    leg_id: Option<String>,
    /// `udp`, `tcp`, `tls`, `ws` or `wss`.
    transport: String,
    /// Address and port of its sender.
    from: String,
    /// Address and port of who it went to.
    to: String,
    /// Method and Request-URI, or status and phrase.
    summary: String,
    /// How often it was repeated.
    repeated: u32,
    /// When it was repeated last, in milliseconds from the first thing in the trace.
    last_offset_ms: Option<f64>,
    /// The whole message; digest responses and nonces, passwords, media keys and pressed digits are replaced by `(removed)`.
    text: String,
}

/// A step of routing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TracedStep {
    /// When.
    #[schema(inline)]
    at: Timestamp,
    /// Milliseconds from the first thing in the trace.
    offset_ms: f64,
    /// `rule` (of the dialplan), `target`, `attempt` (an INVITE), `skipped`, `failed` or `answered`.
    step: &'static str,
    /// The leg it is about: `leg_…`
    leg_id: Option<String>,
    /// The SIP status that decided it.
    status: Option<u16>,
    /// It in words.
    text: String,
}

/// A step of a leg's media.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TracedMoment {
    /// When.
    #[schema(inline)]
    at: Timestamp,
    /// Milliseconds from the first thing in the trace.
    offset_ms: f64,
    /// `leg_…`
    leg_id: String,
    /// `agreed`, `path_validated`, `dtls_started`, `connected`, `first_received`, `first_sent`, `refused` (a packet), `negotiated`,
    /// `silent`, `rejected` (a description) or `failed`.
    event: &'static str,
    /// It in words.
    text: String,
}

/// Shows what a call did: its SIP messages, its routing, how its media came up, and in one sentence why it went as it did. Of running
/// calls and of the last that ended (`calls.traces_kept`), as long as their memory suffices (`calls.traces_bytes`). Requests that were
/// refused before there was a call, such as those of strangers or with a wrong password, are in no trace. `Accept: text/plain` gets a
/// diagram for people.
#[utoipa::path(get, path = "/calls/{id}/trace", tag = "calls", operation_id = "trace_call",
    params(("id" = String, Path, description = "`call_…`")), security(("api_key" = ["calls:read"])),
    responses((status = 200, description = "The trace",
        content((CallTrace = "application/json"), (String = "text/plain"))), Refusals))]
pub(super) async fn read(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let TraceAccess { recorder, own } = &api.traces;
    let Some(trace) = recorder.trace(CallId(id)).await else { return Err(gone(recorder)) };
    let shown = CallTrace::of(&trace, recorder, own);
    let vary = [(header::VARY, "accept")];
    if prefers_text(&headers) {
        let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        return Ok((vary, kind, diagram::of(&shown)).into_response());
    }
    Ok((vary, Json(shown)).into_response())
}

fn prefers_text(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let kinds =
        accepted.flat_map(|value| value.split(',')).map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let known = ["text/plain", "application/json", "*/*"];
    kinds.into_iter().find(|kind| known.contains(kind)) == Some("text/plain")
}

fn gone(recorder: &Recorder) -> Problem {
    let limits = recorder.limits();
    let detail = match limits.ended {
        0 => "calls are not traced: calls.traces_kept is 0".to_owned(),
        ended => format!(
            "no trace of such a call is kept: there are those of running calls and of the last {ended} that ended \
             (calls.traces_kept), as far as {} bytes suffice (calls.traces_bytes), and none from before the gateway started",
            limits.bytes
        ),
    };
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}

impl CallTrace {
    fn of(trace: &Trace, recorder: &Recorder, own: &OwnAddresses) -> Self {
        let begins = trace.begins().unwrap_or_else(|| recorder.clock().instant);
        let at = |instant: Instant| Timestamp::from(recorder.clock().at(instant));
        let offset = |instant: Instant| milliseconds(begins, instant);
        let message = |(leg, entry): (Option<&str>, &switchboard::Entry)| {
            let (peer, ours) = (entry.flow.peer.to_string(), own.of(entry.flow));
            let (direction, from, to) = match entry.way {
                Way::In => ("in", peer, ours),
                Way::Out => ("out", ours, peer),
            };
            TracedMessage {
                at: at(entry.at),
                offset_ms: offset(entry.at),
                direction,
                leg_id: leg.map(str::to_owned),
                transport: entry.flow.transport.via_token().to_ascii_lowercase(),
                from,
                to,
                summary: entry.summary(),
                repeated: entry.repeated,
                last_offset_ms: (entry.repeated > 0).then(|| offset(entry.last_at)),
                text: entry.text(),
            }
        };
        let step = |note: &switchboard::Timed<switchboard::RoutingNote>| TracedStep {
            at: at(note.at),
            offset_ms: offset(note.at),
            step: step_name(note.what.step),
            leg_id: note.what.leg.clone(),
            status: note.what.status,
            text: note.what.text.clone(),
        };
        let moment = |note: &switchboard::Timed<(String, MediaMoment)>| TracedMoment {
            at: at(note.at),
            offset_ms: offset(note.at),
            leg_id: note.what.0.clone(),
            event: moment_name(&note.what.1),
            text: moment_text(&note.what.1),
        };
        Self {
            call_id: trace.call.id.0.clone(),
            state: if trace.record.is_some() { "ended" } else { "running" },
            direction: direction_name(trace.call.direction),
            from: trace.call.from.clone(),
            to: trace.call.to.clone(),
            started_at: trace.call.started_at.into(),
            explanation: trace.explanation(),
            messages: trace.messages().into_iter().map(message).collect(),
            messages_left_out: trace.left_out(),
            routing: trace.routing.iter().map(step).collect(),
            media: trace.media.iter().map(moment).collect(),
        }
    }
}

/// To the microsecond: on one machine a ladder has many messages in a millisecond.
fn milliseconds(begins: Instant, at: Instant) -> f64 {
    let micros = u32::try_from(at.saturating_duration_since(begins).as_micros()).map_or(f64::from(u32::MAX), f64::from);
    micros / 1000.0
}

fn step_name(step: RoutingStep) -> &'static str {
    match step {
        RoutingStep::Rule => "rule",
        RoutingStep::Target => "target",
        RoutingStep::Attempt => "attempt",
        RoutingStep::Skipped => "skipped",
        RoutingStep::Failed => "failed",
        RoutingStep::Answered => "answered",
    }
}

fn moment_name(moment: &MediaMoment) -> &'static str {
    match moment {
        MediaMoment::Milestone(Milestone::Agreed { .. }) => "agreed",
        MediaMoment::Milestone(Milestone::PathValidated { .. }) => "path_validated",
        MediaMoment::Milestone(Milestone::DtlsStarted) => "dtls_started",
        MediaMoment::Milestone(Milestone::Refused { .. }) => "refused",
        MediaMoment::Milestone(Milestone::FirstReceived) => "first_received",
        MediaMoment::Milestone(Milestone::FirstSent) => "first_sent",
        MediaMoment::Negotiated(_) => "negotiated",
        MediaMoment::Connected(_) => "connected",
        MediaMoment::Silent => "silent",
        MediaMoment::Rejected(_) => "rejected",
        MediaMoment::Failed(_) => "failed",
    }
}

/// As SDP names it.
fn codec_name(codec: media::Codec) -> String {
    format!("{codec:?}").to_uppercase()
}

fn moment_text(moment: &MediaMoment) -> String {
    match moment {
        MediaMoment::Milestone(Milestone::Agreed { codec, remote }) => {
            format!("Both descriptions agree on {}; the peer's names {remote}.", codec_name(*codec))
        }
        MediaMoment::Milestone(Milestone::PathValidated { peer }) => {
            format!("The first valid ICE check came from {peer}.")
        }
        MediaMoment::Milestone(Milestone::DtlsStarted) => "The DTLS handshake began.".to_owned(),
        MediaMoment::Milestone(Milestone::Refused { from, reason }) => {
            format!("A packet from {from} was dropped: {reason}.")
        }
        MediaMoment::Milestone(Milestone::FirstReceived) => "The first audio came.".to_owned(),
        MediaMoment::Milestone(Milestone::FirstSent) => "The first audio was sent.".to_owned(),
        MediaMoment::Negotiated(codec) => {
            format!("The peer's answer was taken: {}.", codec_name(*codec))
        }
        MediaMoment::Connected(peer) => format!("Media works: the peer is at {peer}."),
        MediaMoment::Silent => "Nothing came for the silence time-out.".to_owned(),
        MediaMoment::Rejected(reason) => format!("The peer's description cannot be used: {reason}."),
        MediaMoment::Failed(reason) => format!("Media cannot go on: {reason}."),
    }
}
