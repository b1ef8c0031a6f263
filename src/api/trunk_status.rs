//! `/v1/trunks/{id}/status`: what the gateway knows of a trunk at this moment, beside what was configured.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use switchboard::{Hop, ServerState, ServerView, Trunk, TrunkRegistration, TrunkRegistrationState};
use utoipa::ToSchema;

use super::problem::Refusals;
use super::{ApiState, Problem};
use crate::store::Timestamp;

/// A trunk as it is at this moment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrunkStatus {
    /// Our registration at the carrier; `null` when the trunk does not register.
    registration: Option<RegistrationStatus>,
    /// In the order of their priority. None of a disabled trunk is called.
    gateways: Vec<GatewayStatus>,
    /// Calls over it, both ways.
    channels_in_use: usize,
}

/// How our registration stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RegistrationStatus {
    /// `registering`, `registered` or `failed`.
    state: &'static str,
    /// Since when, refreshes and further attempts not counted.
    #[schema(inline)]
    since: Timestamp,
    /// Where it was told, while it is registered.
    #[schema(value_type = Option<String>, examples("192.0.2.1:5060"))]
    registrar: Option<SocketAddr>,
    /// When that runs out, unless it is refreshed.
    #[schema(inline)]
    expires_at: Option<Timestamp>,
    /// The SIP status it failed with; `null` when nobody could be asked.
    sip_status: Option<u16>,
    /// What is wrong, in words.
    reason: Option<String>,
    /// When the next attempt follows.
    #[schema(inline)]
    retry_at: Option<Timestamp>,
}

/// A gateway as it is at this moment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GatewayStatus {
    /// As configured.
    uri: String,
    /// `up`: one of its servers answers; `down`: none does, or its name leads nowhere; `unknown`: nobody has asked yet, or asks.
    state: &'static str,
    /// Since when; `null` while nothing is known.
    #[schema(inline)]
    since: Option<Timestamp>,
    /// Why its name leads nowhere, or was not found again lately.
    problem: Option<String>,
    /// Its servers (RFC 3263).
    addresses: Vec<ServerStatus>,
}

/// A server as it is at this moment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServerStatus {
    /// Address and port.
    #[schema(value_type = String, examples("192.0.2.1:5060"))]
    address: SocketAddr,
    /// `udp`, `tcp` or `tls`.
    transport: &'static str,
    /// `up`, `down` or `unknown`.
    state: &'static str,
    /// What it answered to OPTIONS last; `null` when it was not asked, or did not answer.
    last_status: Option<u16>,
    /// How many milliseconds that took.
    #[schema(examples(12.5))]
    rtt_ms: Option<f64>,
}

/// Tells which servers of a trunk are there, whether they answer, and how many calls go over it.
#[utoipa::path(get, path = "/trunks/{id}/status", tag = "trunks", operation_id = "read_trunk_status",
    params(("id" = String, Path, description = "`trk_…`")), security(("api_key" = ["trunks:read"])),
    responses((status = 200, description = "The trunk as it is at this moment", body = TrunkStatus), Refusals))]
pub(super) async fn read(State(api): State<ApiState>, Path(id): Path<String>) -> Result<Json<TrunkStatus>, Problem> {
    let uris = api.store.trunk(&id).await?.value.gateways.0;
    let directory = api.store.directory().borrow().clone();
    let status = api.gateway.trunk_status(&id);
    let gateways = directory.trunks.get(&id).map_or(&[][..], |trunk| &trunk.gateways);
    let gateways = gateways.iter().map(|gateway| {
        let location = api.store.location(gateway);
        let uri = uris.iter().find(|row| row.host() == gateway.host).map(|row| row.uri.clone());
        let known: Vec<_> = gateway.hops.iter().map(|hop| (hop, known(hop, &status.servers))).collect();
        let problem = location.and_then(|location| location.problem);
        let (state, since) = state_of(&known, problem.is_some());
        GatewayStatus {
            uri: uri.unwrap_or_else(|| format!("sip:{}", gateway.host)),
            state: state_name(state),
            since,
            problem,
            addresses: known.into_iter().map(|(hop, view)| server(hop, view)).collect(),
        }
    });
    Ok(Json(TrunkStatus {
        registration: status.registration.as_ref().and_then(registration),
        gateways: gateways.collect(),
        channels_in_use: status.channels_in_use,
    }))
}

fn registration(known: &TrunkRegistration) -> Option<RegistrationStatus> {
    let since = known.since.into();
    let nothing = RegistrationStatus {
        state: "registering",
        since,
        registrar: None,
        expires_at: None,
        sip_status: None,
        reason: None,
        retry_at: None,
    };
    match &known.state {
        TrunkRegistrationState::Unregistered => None,
        TrunkRegistrationState::Registering => Some(nothing),
        TrunkRegistrationState::Registered { registrar, expires_at } => {
            let (registrar, expires_at) = (Some(*registrar), Some((*expires_at).into()));
            Some(RegistrationStatus { state: "registered", registrar, expires_at, ..nothing })
        }
        TrunkRegistrationState::Failed { status, reason, retry_at } => Some(RegistrationStatus {
            state: "failed",
            sip_status: *status,
            reason: Some(reason.clone()),
            retry_at: retry_at.map(Timestamp::from),
            ..nothing
        }),
    }
}

/// Whether any gateway of a trunk can be called, for all that is known.
pub(super) fn state(api: &ApiState, trunk: &Trunk) -> &'static str {
    let servers = api.gateway.servers(&trunk.id);
    let states = trunk.gateways.iter().map(|gateway| {
        let known: Vec<_> = gateway.hops.iter().map(|hop| (hop, known(hop, &servers))).collect();
        state_of(&known, api.store.location(gateway).is_some_and(|location| location.problem.is_some())).0
    });
    let states: Vec<_> = states.collect();
    state_name(best(&states).unwrap_or(ServerState::Unknown))
}

fn known<'a>(hop: &Hop, servers: &'a [ServerView]) -> Option<&'a ServerView> {
    servers.iter().find(|view| view.address == hop.address && view.transport == hop.transport)
}

/// The state of a gateway, and since when it has it.
fn state_of(servers: &[(&Hop, Option<&ServerView>)], problem: bool) -> (ServerState, Option<Timestamp>) {
    let states: Vec<_> = servers.iter().map(|(_, view)| view.map_or(ServerState::Unknown, |view| view.state)).collect();
    let Some(state) = best(&states) else {
        return (if problem { ServerState::Down } else { ServerState::Unknown }, None);
    };
    let alike = servers.iter().filter_map(|(_, view)| view.filter(|view| view.state == state)).map(|view| view.since);
    // Up since the first server came up, down since the last one went down.
    let since = match state {
        ServerState::Up => alike.min(),
        ServerState::Down => alike.max(),
        ServerState::Unknown => None,
    };
    (state, since.map(Timestamp::from))
}

fn best(states: &[ServerState]) -> Option<ServerState> {
    [ServerState::Up, ServerState::Unknown, ServerState::Down].into_iter().find(|state| states.contains(state))
}

fn server(hop: &Hop, view: Option<&ServerView>) -> ServerStatus {
    ServerStatus {
        address: hop.address,
        transport: crate::metrics::token(hop.transport),
        state: state_name(view.map_or(ServerState::Unknown, |view| view.state)),
        last_status: view.and_then(|view| view.last_status),
        rtt_ms: view.and_then(|view| view.rtt).map(|rtt| (rtt.as_secs_f64() * 10_000.0).round() / 10.0),
    }
}

fn state_name(state: ServerState) -> &'static str {
    match state {
        ServerState::Up => "up",
        ServerState::Down => "down",
        ServerState::Unknown => "unknown",
    }
}
