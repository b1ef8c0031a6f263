//! SIP statuses and Q.850 causes (RFC 3398 §8.2.6.1, RFC 3326), and what a caller is told of a callee's refusal.

use std::time::Duration;

use sip::{Headers, Reason, Response, StatusCode};

use crate::output::CallResult;

/// Why a target was not reached: what the caller is told unless another target answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) phrase: Option<String>,
    pub(crate) reasons: Vec<String>,
    pub(crate) result: CallResult,
    pub(crate) explanation: String,
    /// When to try again.
    pub(crate) retry_after: Option<Duration>,
    /// Where to look.
    pub(crate) advice: Option<&'static str>,
}

impl Failure {
    /// A refusal of the gateway's own.
    pub(crate) fn new(status: u16, explanation: impl Into<String>) -> Self {
        let explanation = explanation.into();
        let reason = Reason::q850(q850(status), &explanation);
        Self {
            status,
            phrase: None,
            reasons: vec![reason.to_string()],
            result: result(status),
            explanation,
            retry_after: None,
            advice: None,
        }
    }

    /// With where to look.
    pub(crate) fn with_advice(mut self, advice: Option<&'static str>) -> Self {
        self.advice = advice;
        self
    }

    /// A refusal of the gateway's own whose words its caller sees even without looking for a reason.
    pub(crate) fn refusal(status: u16, explanation: impl Into<String>) -> Self {
        let failure = Self::new(status, explanation);
        Self { phrase: Some(failure.explanation.trim_end_matches('.').to_owned()), ..failure }
    }

    /// Nobody picked up in time.
    pub(crate) fn no_answer() -> Self {
        Self {
            phrase: Some("No answer".to_owned()),
            reasons: vec![Reason::q850(19, "No answer").to_string()],
            result: CallResult::NoAnswer,
            ..Self::new(480, "Nobody answered in time.")
        }
    }

    /// What a peer's refusal means to the caller. Its Reason headers are kept.
    pub(crate) fn from_response(response: &Response, local: bool, party: &str) -> Self {
        let code = response.status.code();
        let status = match code {
            // A challenge is between the gateway and the trunk; handed on, the caller's client would answer it.
            401 | 407 => 503,
            300..=399 | 487 => 480,
            _ => code,
        };
        let explanation = match (local, code) {
            (true, 408) => format!("{party} did not respond at all."),
            (true, 503) if response.reason == response.status.reason_phrase() => {
                format!("{party} could not be reached.")
            }
            (true, 503) => format!("{party} could not be reached: {}.", response.reason),
            (false, 401 | 407) => format!("{party} demands authentication{}.", realm_of(response)),
            (false, 486 | 600) => format!("{party} is busy."),
            (false, 603) => format!("{party} declined the call."),
            (false, 404 | 604) => format!("{party} does not know the number."),
            (_, other) => format!("{party} refused the call with {other} {}.", response.reason),
        };
        let mut reasons = reasons(&response.headers);
        if reasons.is_empty() {
            reasons.push(Reason::q850(q850(status), response.status.reason_phrase()).to_string());
        }
        let result = result(status);
        Self { status, phrase: None, reasons, result, explanation, retry_after: None, advice: None }
    }

    pub(crate) fn status_code(&self) -> StatusCode {
        StatusCode::new(self.status).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR)
    }

    /// The Q.850 cause told to the caller.
    pub(crate) fn q850(&self) -> u8 {
        self.reasons.iter().find_map(|r| q850_of(&Reason::parse(r)?)).unwrap_or_else(|| q850(self.status))
    }
}

/// The realm of a challenge, for people.
fn realm_of(challenge: &Response) -> String {
    let headers = ["WWW-Authenticate", "Proxy-Authenticate"];
    let realm =
        headers.iter().flat_map(|name| challenge.headers.auth_params(name)).find_map(|asked| asked.get("realm"));
    let realm = realm.map(|realm| realm.chars().filter(|c| !c.is_control()).take(120).collect::<String>());
    realm.map(|realm| format!(" in the realm \"{realm}\"")).unwrap_or_default()
}

/// The Reason headers of a message, as text.
pub(crate) fn reasons(headers: &Headers) -> Vec<String> {
    // Bounded: a peer cannot make us relay a message full of reasons.
    headers.reasons().iter().take(4).map(ToString::to_string).collect()
}

pub(crate) fn q850_of(reason: &Reason) -> Option<u8> {
    reason.protocol.eq_ignore_ascii_case("Q.850").then(|| reason.cause.and_then(|c| u8::try_from(c).ok())).flatten()
}

/// The cause of a status.
pub(crate) fn q850(status: u16) -> u8 {
    StatusCode::new(status).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR).q850()
}

fn result(status: u16) -> CallResult {
    match status {
        486 | 600 | 603 => CallResult::Busy,
        408 | 480 | 487 => CallResult::NoAnswer,
        _ => CallResult::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: StatusCode) -> Response {
        Response {
            status,
            reason: status.reason_phrase().to_owned(),
            headers: Headers::new(),
            body: bytes::Bytes::new(),
        }
    }

    #[test]
    fn refusals_keep_their_status_and_gain_a_cause() {
        for (status, cause) in [(486, 17), (603, 21), (404, 1), (480, 18), (503, 42)] {
            let failure = Failure::from_response(&response(StatusCode::new(status).unwrap()), false, "it");
            assert_eq!((failure.status, failure.q850()), (status, cause));
        }
    }

    #[test]
    fn an_upstream_reason_is_kept() {
        let mut refused = response(StatusCode::SERVICE_UNAVAILABLE);
        refused.headers.push("Reason", "Q.850;cause=34;text=\"No circuit\"");
        let failure = Failure::from_response(&refused, false, "it");
        assert_eq!((failure.reasons.len(), failure.q850()), (1, 34));
    }

    #[test]
    fn a_trunks_challenge_never_reaches_the_caller() {
        let mut challenge = response(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        challenge.headers.push("Proxy-Authenticate", "Digest realm=\"carrier.example\", nonce=\"a\"");
        let failure = Failure::from_response(&challenge, false, "it");
        assert_eq!(failure.status, 503);
        assert_eq!(failure.explanation, "it demands authentication in the realm \"carrier.example\".");
        assert_eq!(Failure::from_response(&response(StatusCode::UNAUTHORIZED), false, "it").status, 503);
        assert_eq!(Failure::from_response(&response(StatusCode::MOVED_TEMPORARILY), false, "it").status, 480);
    }
}
