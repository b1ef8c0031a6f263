//! Why a request was refused, in the words of the refusal.

use sip::Response;

/// The status, and what a Reason header (RFC 3326) says more.
pub(crate) fn of(response: &Response) -> String {
    let mut cause = format!("{} {}", response.status, response.reason);
    let text = response.headers.get("Reason").and_then(|reason| reason.split_once("text=\""));
    if let Some((text, _)) = text.and_then(|(_, rest)| rest.split_once('"')) {
        cause.push_str(&format!(" ({text})"));
    }
    cause
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn refusal(reason: &str) -> Response {
        let text = format!(
            "SIP/2.0 503 Service Unavailable\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n\
             Call-ID: 1\r\nCSeq: 1 INVITE\r\n{reason}Content-Length: 0\r\n\r\n"
        );
        match sip::Message::parse(text.as_bytes()).unwrap() {
            sip::Message::Response(response) => response,
            sip::Message::Request(request) => panic!("{request:?}"),
        }
    }

    #[test]
    fn a_refusal_is_named_by_its_status_and_its_reason() {
        assert_eq!(of(&refusal("")), "503 Service Unavailable");
        let said = refusal("Reason: SIP;cause=503;text=\"no trunk\"\r\n");
        assert_eq!(of(&said), "503 Service Unavailable (no trunk)");
        assert_eq!(of(&refusal("Reason: SIP;text=\"open\r\n")), "503 Service Unavailable");
    }
}
