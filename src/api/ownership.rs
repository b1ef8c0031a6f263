//! What an agent may do at the API: with the calls its extension has a leg in, on behalf of that leg. API keys have their scopes instead.
//! The one place that says so: by path, so that no operation below a call can forget to ask.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use switchboard::{CallState, CallView, LegView};

use super::digest::Agent;
use super::principal::Principal;
use super::request::{BODY_LIMIT, too_large};
use super::{ApiState, Problem};

/// How an operation below a call names the leg it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LegUse {
    /// It acts on behalf of a leg: the agent's own, also when it names none.
    Own,
    /// As `Own`; of several that are the agent's it is the one that is away.
    Away,
    /// It is done to a leg: whom the agent talks to, when it names none.
    Other,
    /// It is done to the whole call: by whom it belongs to, not by one of many phones that ring.
    Whole,
    /// It looks.
    None,
}

impl LegUse {
    fn of(method: &Method, operation: &[&str]) -> Self {
        match operation {
            _ if reads(method) => Self::None,
            ["reclaim"] => Self::Away,
            ["dtmf"] => Self::Other,
            ["hold" | "resume" | "transfers" | "participants"] => Self::Own,
            _ => Self::Whole,
        }
    }
}

fn reads(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// Whether a path is one that agents may use.
pub(super) fn is_for_agents(method: &Method, path: &str) -> bool {
    match segments(path).as_slice() {
        ["directory" | "calls"] => reads(method),
        // It has other parties' addresses and messages.
        ["calls", _, "trace", ..] => false,
        ["calls", ..] => true,
        _ => false,
    }
}

/// What follows `/v1`.
fn segments(path: &str) -> Vec<&str> {
    path.trim_start_matches('/').split('/').skip(1).collect()
}

impl Principal {
    /// Whether a call exists for whoever asks.
    pub(super) fn sees(&self, call: &CallView) -> bool {
        match self {
            Self::Key(_) => true,
            Self::Agent(agent) => own(call, agent).next().is_some(),
        }
    }

    /// Whether whoever asks is told where a leg's phone or trunk is.
    pub(super) fn locates(&self, leg: &LegView) -> bool {
        match self {
            Self::Key(_) => true,
            Self::Agent(agent) => is_own(leg, agent),
        }
    }
}

fn is_own(leg: &LegView, agent: &Agent) -> bool {
    leg.extension.as_ref() == Some(&agent.extension)
}

/// The agent's legs that are not over.
fn own<'a>(call: &'a CallView, agent: &'a Agent) -> impl Iterator<Item = &'a LegView> {
    call.legs.iter().filter(|leg| is_own(leg, agent) && leg.state != CallState::Ending)
}

/// The leg an operation is about when it names none.
fn meant<'a>(leg_use: LegUse, call: &'a CallView, agent: &'a Agent) -> Option<&'a LegView> {
    let talks = |leg: &&LegView| leg.state == CallState::Connected;
    match leg_use {
        LegUse::Own => own(call, agent).find(talks).or_else(|| own(call, agent).next()),
        LegUse::Away => own(call, agent).find(|leg| leg.away).or_else(|| meant(LegUse::Own, call, agent)),
        LegUse::Other => {
            let mut others = call.legs.iter().filter(|leg| !is_own(leg, agent)).filter(talks);
            others.next().filter(|_| others.next().is_none())
        }
        LegUse::Whole | LegUse::None => None,
    }
}

/// Lets an agent's requests below a call pass if it has a leg there, about that leg.
pub(super) async fn confine(State(api): State<ApiState>, request: Request, next: Next) -> Response {
    let agent = match request.extensions().get::<Principal>() {
        Some(Principal::Agent(agent)) => agent.clone(),
        Some(Principal::Key(_)) | None => return next.run(request).await,
    };
    match confined(&api, &agent, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn confined(api: &ApiState, agent: &Agent, request: Request) -> Result<Request, Problem> {
    let path = request.uri().path().to_owned();
    let segments = segments(&path);
    let ["calls", id, operation @ ..] = segments.as_slice() else { return Ok(request) };
    // No id has escapes; read here as they are written and below unescaped, they would name one thing here and another there.
    let call = api.gateway.call(id).filter(|call| !path.contains('%') && own(call, agent).next().is_some());
    let call = call.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "not_found", "no running call has this id"))?;
    let leg_use = LegUse::of(request.method(), operation);
    if leg_use == LegUse::None {
        return Ok(request);
    }
    if leg_use == LegUse::Whole && !own(&call, agent).any(|leg| has_part(&call, leg)) {
        return Err(forbidden("the call is not the agent's: it only rings there"));
    }
    let leaves = matches!(operation, ["participants", leg] if own(&call, agent).any(|own| own.id == *leg));
    if leg_use == LegUse::Whole && !leaves && !leads(&call, agent) {
        return Err(forbidden("the call is another agent's, which has this one join it"));
    }
    if let ["transfers", id, ..] = operation
        && let Some(transfer) = call.transfers.iter().find(|transfer| transfer.id == *id)
        && !own(&call, agent).any(|leg| leg.id == transfer.by)
    {
        return Err(forbidden("the transfer is not the agent's"));
    }
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| too_large())?;
    let body = match about_own_leg(&body, leg_use, &call, agent)? {
        Some(changed) => {
            parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(changed.len()));
            changed
        }
        None => body,
    };
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// Whether a leg is one of the two sides already.
fn has_part(call: &CallView, leg: &LegView) -> bool {
    leg.state == CallState::Connected || call.legs.first().is_some_and(|caller| caller.id == leg.id)
}

/// Whether an agent may decide for all who talk: it is one of two, or the call is its own.
fn leads(call: &CallView, agent: &Agent) -> bool {
    let talking = call.legs.iter().filter(|leg| leg.state == CallState::Connected).count();
    talking <= 2 || own(call, agent).any(|leg| leg.agent_id.is_some() && leg.agent_id == call.agent_id)
}

/// The body with the leg that is meant, when it names none. What is no body of this API is left for the operation to refuse.
fn about_own_leg(body: &Bytes, leg_use: LegUse, call: &CallView, agent: &Agent) -> Result<Option<Bytes>, Problem> {
    let mut fields = if body.is_empty() {
        Map::new()
    } else {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) | Err(_) => return Ok(None),
        }
    };
    match fields.get("leg_id") {
        Some(Value::String(named)) => {
            let is_own = own(call, agent).any(|leg| leg.id == *named);
            if is_own || leg_use == LegUse::Other { Ok(None) } else { Err(forbidden("the leg is not the agent's")) }
        }
        Some(Value::Null) | None => {
            let Some(leg) = meant(leg_use, call, agent) else { return Ok(None) };
            fields.insert("leg_id".to_owned(), Value::String(leg.id.clone()));
            Ok(Some(Bytes::from(Value::Object(fields).to_string())))
        }
        Some(_) => Ok(None),
    }
}

fn forbidden(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_agents_may_use_follows_from_method_and_path_also_for_operations_yet_to_come() {
        let cases = [
            (Method::GET, "/v1/directory", true),
            (Method::POST, "/v1/directory", false),
            (Method::GET, "/v1/calls", true),
            (Method::POST, "/v1/calls", false),
            (Method::GET, "/v1/calls/call_1", true),
            (Method::POST, "/v1/calls/call_1/hold", true),
            (Method::DELETE, "/v1/calls/call_1/anything/at_all", true),
            (Method::GET, "/v1/calls/call_1/trace", false),
            (Method::GET, "/v1/cdrs", false),
            (Method::GET, "/v1/extensions/calls/registrations", false),
            (Method::GET, "/v1//calls", false),
            (Method::GET, "/v1/", false),
        ];
        for (method, path, expected) in cases {
            assert_eq!(is_for_agents(&method, path), expected, "{method} {path}");
        }
    }
}
