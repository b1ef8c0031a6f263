//! The names of a certificate (RFC 5922 §7.1). Believes nothing: whether the certificate is good was checked before.

#![allow(clippy::wildcard_enum_match_arm, reason = "enums of others, which grow")]

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Names taken from one certificate; who has more is not one trunk.
const MOST: usize = 64;

/// Whom a certificate is for, in lower case: DNS names and SIP domains of its subjectAltName; the common name only where it has none.
pub(super) fn of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let names: Vec<String> = match certificate.subject_alternative_name() {
        Ok(Some(alternatives)) => alternatives
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                GeneralName::URI(uri) => domain(uri),
                _ => None,
            })
            .collect(),
        Ok(None) => {
            certificate.subject().iter_common_name().filter_map(|name| Some(name.as_str().ok()?.to_owned())).collect()
        }
        Err(_) => Vec::new(),
    };
    names.into_iter().take(MOST).map(|name| name.to_ascii_lowercase()).collect()
}

/// Whether a certificate is for a SIP domain of this name.
pub(super) fn has_domain(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return false };
    let domains = alternatives.value.general_names.iter().filter_map(|given| match given {
        GeneralName::URI(uri) => domain(uri),
        _ => None,
    });
    domains.into_iter().any(|domain| domain.eq_ignore_ascii_case(name))
}

/// The host of a sip URI that names nobody inside of it.
fn domain(uri: &str) -> Option<String> {
    let uri = sip::Uri::parse(uri).ok()?;
    let whole = uri.scheme() == "sip" && uri.user().is_none();
    uri.host().filter(|_| whole).map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common: &str, alternatives: Vec<SanType>) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = alternatives;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().unwrap())
    }

    fn uri(uri: &str) -> SanType {
        SanType::URI(uri.try_into().unwrap())
    }

    #[test]
    fn the_common_name_counts_only_where_there_is_no_alternative() {
        assert_eq!(of(&certificate("SBC.Example", vec![])), ["sbc.example"]);
        assert_eq!(of(&certificate("sbc.example", vec![dns("Other.example")])), ["other.example"]);
        assert!(of(&certificate("sbc.example", vec![SanType::IpAddress([192, 0, 2, 1].into())])).is_empty());
    }

    #[test]
    fn a_sip_domain_is_a_name_and_a_person_in_it_is_none() {
        let both = certificate(
            "x",
            vec![uri("sip:Carrier.example"), uri("sip:ada@other.example"), uri("https://web.example")],
        );
        assert_eq!(of(&both), ["carrier.example"]);
        assert!(has_domain(&both, "carrier.example"));
        assert!(!has_domain(&both, "other.example") && !has_domain(&both, "web.example"));
    }
}
