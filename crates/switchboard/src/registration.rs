//! REGISTER requests (RFC 3261 §10.3, RFC 5626 §6): from an authenticated request to the registrar, and back as a response.

use std::time::{Duration, Instant};

use sip::{Contacts, Flow, Request, ResponseDraft, StatusCode};

use crate::config::SwitchboardConfig;
use crate::directory::Directory;
use crate::ids::Ids;
use crate::proven::Authenticated;
use crate::registrar::{Asked, RegisterError, Registrar, Registration};

/// Contacts one REGISTER may bring: far beyond any client, and small enough to answer.
const MAX_CONTACTS: usize = 10;

/// Carries out an authenticated REGISTER and gives its response and whether bindings changed.
pub(crate) fn register(
    registrar: &mut Registrar,
    agent: &Authenticated,
    request: &Request,
    flow: Flow,
    now: Instant,
    config: &SwitchboardConfig,
    ids: &mut Ids,
) -> (ResponseDraft, bool) {
    let Authenticated { extension, proof } = agent;
    let Ok(contacts) = request.headers.contacts() else { return (*bad("Malformed Contact"), false) };
    let asked = match asked(request, &contacts, config) {
        Ok(asked) => asked,
        Err(refusal) => return (*refusal, false),
    };
    let (Some(call_id), Ok(Some(cseq))) = (request.headers.call_id(), request.headers.cseq()) else {
        return (ResponseDraft::new(StatusCode::BAD_REQUEST), false);
    };
    let named = matches!(&asked, Asked::Contacts(contacts) if contacts.iter().any(|(c, _)| c.reg_id().is_some() && c.instance().is_some()));
    let outbound = named && request.headers.supported().iter().any(|tag| tag.eq_ignore_ascii_case("outbound"));
    let registration = Registration {
        extension: &extension.number,
        proof,
        max_contacts: extension.max_contacts,
        on_limit: extension.on_limit,
        flow,
        call_id,
        cseq: cseq.number,
        user_agent: request.headers.get("User-Agent"),
        asked,
    };
    match registrar.register(now, &registration, || ids.random("reg_")) {
        Ok(changed) => (listing(registrar, &extension.number, outbound, now), changed),
        Err(error @ RegisterError::TooMany) => {
            (ResponseDraft::new(StatusCode::FORBIDDEN).with_reason(error.to_string()), false)
        }
        Err(error @ RegisterError::OutOfOrder) => {
            (ResponseDraft::new(StatusCode::SERVER_INTERNAL_ERROR).with_reason(error.to_string()), false)
        }
    }
}

/// Whether To names the extension in our domain: another domain is 404, another user 403 (RFC 3261 §10.3 steps 1, 4, 5).
pub(crate) fn check_address(request: &Request, directory: &Directory, extension: &str) -> Result<(), StatusCode> {
    let to = request.headers.to().ok().flatten().ok_or(StatusCode::BAD_REQUEST)?;
    let aor = to.uri.aor().ok_or(StatusCode::NOT_FOUND)?;
    if !aor.host.eq_ignore_ascii_case(&directory.realm) {
        return Err(StatusCode::NOT_FOUND);
    }
    if aor.user == extension { Ok(()) } else { Err(StatusCode::FORBIDDEN) }
}

fn bad(reason: &str) -> Box<ResponseDraft> {
    Box::new(ResponseDraft::new(StatusCode::BAD_REQUEST).with_reason(reason))
}

fn asked<'a>(
    request: &Request,
    contacts: &'a Contacts,
    config: &SwitchboardConfig,
) -> Result<Asked<'a>, Box<ResponseDraft>> {
    let header = request.headers.expires().map_err(|_| bad("Malformed Expires"))?;
    let contacts = match contacts {
        Contacts::Any if header == Some(0) => return Ok(Asked::RemoveAll),
        Contacts::Any => return Err(bad("Contact: * needs Expires: 0")),
        Contacts::List(contacts) => contacts,
    };
    if contacts.len() > MAX_CONTACTS {
        return Err(bad("Too many contacts"));
    }
    let mut asked = Vec::with_capacity(contacts.len());
    for contact in contacts {
        let wanted = contact.expires().or(header).map_or(config.default_expires, |s| Duration::from_secs(s.into()));
        if !wanted.is_zero() && wanted < config.min_expires {
            let minimum = config.min_expires.as_secs().to_string();
            return Err(ResponseDraft::new(StatusCode::INTERVAL_TOO_BRIEF).with_header("Min-Expires", minimum).into());
        }
        asked.push((contact, wanted.min(config.max_expires)));
    }
    Ok(Asked::Contacts(asked))
}

fn listing(registrar: &Registrar, extension: &str, outbound: bool, now: Instant) -> ResponseDraft {
    let mut response = ResponseDraft::new(StatusCode::OK);
    for binding in registrar.bindings(extension) {
        response = response.with_header("Contact", binding.answered(now));
    }
    if outbound {
        // RFC 5626 §6: tells the client that its flow is what we registered.
        response = response.with_header("Require", "outbound");
    }
    response
}
