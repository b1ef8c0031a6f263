//! What a step of a test came to, in words, and what to change. Looks at nothing but what was seen.

use super::channel::{Heard, NoConnection};
use crate::net::tls::{Fault, Refusal};

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) ok: bool,
    pub(super) detail: String,
    pub(super) advice: Option<String>,
}

impl Verdict {
    pub(super) fn good(detail: impl Into<String>) -> Self {
        Self { ok: true, detail: detail.into(), advice: None }
    }

    fn bad(detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { ok: false, detail: detail.into(), advice: Some(advice.into()) }
    }

    fn but(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

/// What the other end and we know of each other when a request is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Whether it went over UDP.
    pub(super) datagram: bool,
    /// The realm of the credentials that the request could be answered with.
    pub(super) realm: Option<&'a str>,
    /// Whether a REGISTER follows, which tells more of the credentials.
    pub(super) registers: bool,
}

/// The name servers' word on a gateway.
pub(super) fn located(host: &str, found: Result<usize, &str>) -> Verdict {
    match found {
        Ok(0) => Verdict::bad(
            format!("The name servers know no address of {host} that may be used."),
            "Check the host in the gateway's uri and its transport: without a port, SRV records may lead elsewhere. Private addresses are \
             used only where dns.refused_networks allows them.",
        ),
        Ok(1) => Verdict::good("1 server."),
        Ok(servers) => Verdict::good(format!("{servers} servers.")),
        Err(reason) => Verdict::bad(
            format!("{reason}."),
            "Check that this machine reaches its name servers (dns.servers, or /etc/resolv.conf).",
        ),
    }
}

/// What a connection came to.
pub(super) fn connected(outcome: &Result<(), NoConnection>) -> Verdict {
    match outcome {
        Ok(()) => Verdict::good("It takes the connection."),
        Err(NoConnection::Refused) => Verdict::bad(
            "It refuses the TCP connection.",
            "Nothing listens there, or a firewall says no: check the port and the transport (tcp is usually 5060, tls 5061), and whether \
             the carrier offers that transport.",
        ),
        Err(NoConnection::Silent) => Verdict::bad(
            "It does not answer the TCP connection.",
            "A firewall on the way drops it, or the carrier takes connections only from addresses on its IP access list: allow outbound \
             TCP to that port, and put the gateway's public address on that list.",
        ),
        Err(NoConnection::Failed(reason)) => Verdict::bad(
            format!("No TCP connection to it: {reason}."),
            "Check this machine's routes, its IPv6, and its firewall.",
        ),
    }
}

/// A request that could not even be sent.
pub(super) fn unsent(reason: &str) -> Verdict {
    Verdict::bad(
        format!("Nothing can be sent to it: {reason}."),
        "Check this machine's routes, its IPv6, and its firewall.",
    )
}

/// What TLS came to. `name` is the one expected.
pub(super) fn agreed(outcome: &Result<(), Refusal>, name: &str) -> Verdict {
    let Err(Refusal { fault, words }) = outcome else { return Verdict::good("It agrees on TLS.") };
    Verdict::bad(format!("{}.", sentence(words)), tls_advice(*fault, name))
}

fn tls_advice(fault: Fault, name: &str) -> String {
    match fault {
        Fault::Settings => "Correct the trunk's tls settings.".to_owned(),
        Fault::Name => format!(
            "A certificate for {name} was expected: use the host name of the carrier's documents in the gateway's uri, or set \
             tls.server_name to the name that the certificate has."
        ),
        Fault::Issuer => {
            "Set tls.ca_pem to the certificate of the authority that issued it, which a carrier with one of its \
             own hands out."
                .to_owned()
        }
        Fault::Expired => {
            "Check this machine's clock; if that is right the carrier has to renew its certificate.".to_owned()
        }
        Fault::ClientWanted => {
            "Set tls.client_certificate_pem and tls.client_key_pem to a certificate that the carrier knows.".to_owned()
        }
        Fault::ClientRefused => {
            "Give the carrier the certificate of tls.client_certificate_pem or the authority that issued \
             it, and check that it has not expired."
                .to_owned()
        }
        Fault::NotTls => {
            "Something else than TLS listens there: check the port (usually 5061) or use another transport.".to_owned()
        }
        Fault::Other => "Check the port and that the carrier offers TLS 1.2 or 1.3.".to_owned(),
    }
}

/// What OPTIONS came to. `name` is the one expected of a certificate.
pub(super) fn options(heard: &Heard, asked: Asked<'_>, name: &str) -> Verdict {
    let Heard::Answer { status, reason, realms } = heard else { return unanswered(heard, asked, name, "OPTIONS") };
    let said = format!("It answers {status} {reason}.");
    match *status {
        200..=299 => Verdict::good(said),
        401 | 407 if asked.registers => Verdict::good(said),
        401 | 407 => match asked.realm {
            Some(realm) => challenged(&said, realms, realm),
            None => Verdict::good(said)
                .but("It is alive and wants credentials for OPTIONS. If it refuses calls the same way, set auth to what it gave you."),
        },
        403 => Verdict::good(said).but(
            "It is alive but refuses OPTIONS. If it refuses calls too, put the gateway's public address on the carrier's IP access list.",
        ),
        501 => Verdict::good(said).but(NO_OPTIONS),
        408 | 500.. => {
            Verdict::bad(said, "It is there but cannot serve: try again later, and ask the carrier if it stays so.")
        }
        _ => Verdict::good(said).but(NO_OPTIONS),
    }
}

const NO_OPTIONS: &str = "It is alive; it does not take OPTIONS from us, which does no harm to calls.";

/// What REGISTER came to.
pub(super) fn register(heard: &Heard, asked: Asked<'_>, name: &str) -> Verdict {
    let Heard::Answer { status, reason, realms } = heard else { return unanswered(heard, asked, name, "REGISTER") };
    let said = format!("It answers {status} {reason}.");
    match *status {
        200..=299 => Verdict::good(said),
        // That is about how long a registration lasts: the account was accepted, and the registration itself asks again.
        423 => Verdict::good(said),
        401 | 407 => challenged(&said, realms, asked.realm.unwrap_or_default()),
        403 => Verdict::bad(
            said,
            "It knows us and does not let us: check auth.username and auth.password, that the account is active, and that the gateway's public \
             address is on the carrier's IP access list if there is one.",
        ),
        404 => Verdict::bad(
            said,
            "It knows no such account: check auth.username, and the domain, which is that of the gateway's uri unless caller_id.domain or the \
             username has one.",
        ),
        405 | 501 => Verdict::bad(
            said,
            "It is no registrar: set register.enabled to false, or give the carrier's registrar as gateway.",
        ),
        500..=599 | 408 => {
            Verdict::bad(said, "It is there but cannot serve: try again later, and ask the carrier if it stays so.")
        }
        _ => Verdict::bad(said, "Ask the carrier what it misses in the REGISTER of this account."),
    }
}

/// A challenge that stood after all that we could say to it.
fn challenged(said: &str, realms: &[String], ours: &str) -> Verdict {
    match realms.iter().find(|realm| *realm != ours) {
        Some(other) if realms.iter().all(|realm| realm != ours) => Verdict::bad(
            format!("{said} It asks for credentials of the realm \"{other}\", but the trunk's are for \"{ours}\"."),
            format!("Set auth.realm to \"{other}\" and give the password again."),
        ),
        Some(_) | None if realms.is_empty() => Verdict::bad(
            said,
            "It names no way to prove who we are: ask the carrier, or use its recognition by IP address.",
        ),
        Some(_) | None => Verdict::bad(said, "The username or the password is wrong: set auth again."),
    }
}

fn unanswered(heard: &Heard, asked: Asked<'_>, name: &str, request: &str) -> Verdict {
    match heard {
        Heard::Objection(Refusal { fault, words }) => {
            Verdict::bad(format!("{}.", sentence(words)), tls_advice(*fault, name))
        }
        Heard::Unreachable => Verdict::bad(
            format!("The {request} finds nobody: the port is closed."),
            "Check the port in the gateway's uri and the carrier's firewall: nothing listens for SIP over UDP there.",
        ),
        Heard::Closed => Verdict::bad(
            format!("It closes the connection at the {request}."),
            "The carrier may take only addresses on its IP access list: put the gateway's public address there, and check the port.",
        ),
        Heard::Nothing | Heard::Answer { .. } if asked.datagram => Verdict::bad(
            format!("No answer to the {request}."),
            "A firewall drops the request or its answer (allow UDP out and back), the gateway's public address is not on the carrier's IP \
             access list, or the port is wrong.",
        ),
        Heard::Nothing | Heard::Answer { .. } => Verdict::bad(
            format!("It takes the connection, but does not answer the {request}."),
            "Check that SIP is what listens at this port, and that the gateway's public address is on the carrier's IP access list.",
        ),
    }
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: Asked<'static> = Asked { datagram: true, realm: Some("ours.test"), registers: false };

    fn answer(status: u16, realms: &[&str]) -> Heard {
        Heard::Answer { status, reason: "Words".to_owned(), realms: realms.iter().map(ToString::to_string).collect() }
    }

    fn assert_advises(verdict: &Verdict, ok: bool, words: &str) {
        assert_eq!(verdict.ok, ok, "{verdict:?}");
        assert!(verdict.advice.as_deref().is_some_and(|advice| advice.contains(words)), "{verdict:?}");
    }

    fn tls(fault: Fault, words: &str) {
        let refusal = Refusal { fault, words: "its certificate is odd".to_owned() };
        let verdict = agreed(&Err(refusal.clone()), "sip.carrier.test");
        assert_advises(&verdict, false, words);
        assert_eq!(verdict.detail, "Its certificate is odd.");
        let later = options(&Heard::Objection(refusal), UDP, "sip.carrier.test");
        assert_eq!(later, verdict);
    }

    #[test]
    fn a_name_that_leads_nowhere_is_to_be_checked() {
        assert_advises(&located("carrier.test", Ok(0)), false, "host in the gateway's uri");
        assert_advises(&located("carrier.test", Err("they do not answer")), false, "name servers");
        assert_eq!(located("carrier.test", Ok(2)), Verdict::good("2 servers."));
    }

    #[test]
    fn a_refused_connection_has_the_wrong_port_or_transport() {
        assert_advises(&connected(&Err(NoConnection::Refused)), false, "port and the transport");
    }

    #[test]
    fn a_connection_that_is_not_answered_is_a_matter_of_firewalls() {
        assert_advises(&connected(&Err(NoConnection::Silent)), false, "firewall");
    }

    #[test]
    fn a_certificate_of_another_name_says_which_was_expected() {
        tls(Fault::Name, "A certificate for sip.carrier.test was expected");
    }

    #[test]
    fn an_unknown_authority_belongs_into_ca_pem() {
        tls(Fault::Issuer, "tls.ca_pem");
    }

    #[test]
    fn an_expired_certificate_is_the_clock_or_the_carrier() {
        tls(Fault::Expired, "clock");
    }

    #[test]
    fn a_client_certificate_that_is_wanted_is_to_be_set() {
        tls(Fault::ClientWanted, "tls.client_certificate_pem");
    }

    #[test]
    fn a_client_certificate_that_is_refused_is_to_be_made_known() {
        tls(Fault::ClientRefused, "Give the carrier");
    }

    #[test]
    fn silence_over_udp_is_firewall_access_list_or_port() {
        for words in ["firewall", "access list", "port is wrong"] {
            assert_advises(&options(&Heard::Nothing, UDP, ""), false, words);
            assert_advises(&register(&Heard::Nothing, UDP, ""), false, words);
        }
        assert_advises(&options(&Heard::Unreachable, UDP, ""), false, "firewall");
    }

    #[test]
    fn silence_on_a_connection_is_no_sip_or_the_access_list() {
        let asked = Asked { datagram: false, ..UDP };
        assert_advises(&options(&Heard::Nothing, asked, ""), false, "that SIP is what listens");
        assert_advises(&register(&Heard::Closed, asked, ""), false, "access list");
    }

    #[test]
    fn who_takes_no_options_is_alive() {
        for status in [404, 405, 483, 501] {
            assert_advises(&options(&answer(status, &[]), UDP, ""), true, "does not take OPTIONS");
        }
        assert_advises(&options(&answer(403, &[]), UDP, ""), true, "access list");
        let nobody = Asked { realm: None, ..UDP };
        assert_advises(&options(&answer(401, &["x"]), nobody, ""), true, "set auth");
        let registers = Asked { realm: None, registers: true, ..UDP };
        assert_eq!(options(&answer(401, &["x"]), registers, "").advice, None);
    }

    #[test]
    fn who_fails_is_there_but_cannot_serve() {
        for status in [408, 500, 503, 600] {
            assert_advises(&options(&answer(status, &[]), UDP, ""), false, "later");
        }
        assert_advises(&register(&answer(503, &[]), UDP, ""), false, "later");
    }

    #[test]
    fn a_challenge_that_stands_means_a_wrong_username_or_password() {
        for verdict in [register(&answer(401, &["ours.test"]), UDP, ""), options(&answer(407, &["ours.test"]), UDP, "")]
        {
            assert_advises(&verdict, false, "username or the password is wrong");
        }
    }

    #[test]
    fn a_challenge_of_another_realm_says_which_to_set() {
        for verdict in [register(&answer(401, &["x.test"]), UDP, ""), options(&answer(407, &["x.test"]), UDP, "")] {
            assert_advises(&verdict, false, "Set auth.realm to \"x.test\" and give the password again.");
        }
    }

    #[test]
    fn a_forbidden_registration_is_the_account_or_the_access_list() {
        assert_advises(&register(&answer(403, &[]), UDP, ""), false, "account is active");
    }

    #[test]
    fn a_registration_that_is_not_found_has_another_account_or_domain() {
        assert_advises(&register(&answer(404, &[]), UDP, ""), false, "domain");
    }

    #[test]
    fn a_registration_that_is_too_brief_or_accepted_is_fine() {
        for status in [200, 423] {
            let verdict = register(&answer(status, &[]), UDP, "");
            assert_eq!((verdict.ok, verdict.advice), (true, None));
        }
    }
}
