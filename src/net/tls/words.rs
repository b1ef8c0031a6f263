//! Why a TLS handshake failed, for people.

#![allow(clippy::wildcard_enum_match_arm, reason = "enums of others, which grow")]

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// What is wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The trunk's own settings.
    Settings,
    /// Its certificate is for somebody else.
    Name,
    /// Its certificate is of an authority that is not believed.
    Issuer,
    /// Its certificate has expired, or is not valid yet.
    Expired,
    /// It wants a client certificate.
    ClientWanted,
    /// It does not take ours.
    ClientRefused,
    /// It does not speak TLS.
    NotTls,
    /// Anything else.
    Other,
}

/// What was wrong with a server.
pub(super) fn fault(error: &io::Error) -> Fault {
    let Some(error) = tls(error) else { return Fault::Other };
    match error {
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Fault::Name,
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => Fault::Issuer,
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => Fault::Expired,
        Error::AlertReceived(AlertDescription::CertificateRequired) => Fault::ClientWanted,
        Error::AlertReceived(alert) if is_about_certificate(*alert) => Fault::ClientRefused,
        Error::InvalidMessage(_) => Fault::NotTls,
        _ => Fault::Other,
    }
}

/// Why a server of ours could not be agreed with that was to be `name`.
pub(super) fn of_server(error: &io::Error, name: &str) -> String {
    let Some(error) = tls(error) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                "it ends the connection during the TLS handshake".to_owned()
            }
            _ => format!("the TLS connection failed: {error}"),
        };
    };
    match error {
        Error::InvalidCertificate(fault) => format!("its certificate {}", of_certificate(fault, name)),
        Error::AlertReceived(AlertDescription::CertificateRequired) => "it wants a client certificate".to_owned(),
        Error::AlertReceived(alert) if is_about_certificate(*alert) => {
            format!("it refuses our client certificate ({alert:?})")
        }
        Error::AlertReceived(alert) => format!("it ends the TLS handshake with {alert:?}"),
        Error::InvalidMessage(_) => "what it says is no TLS".to_owned(),
        other => format!("TLS cannot be agreed on: {other}"),
    }
}

/// Why a client could not be agreed with.
pub(super) fn of_client(error: &io::Error) -> String {
    match tls(error) {
        Some(Error::InvalidCertificate(fault)) => format!("its client certificate {}", of_certificate(fault, "")),
        Some(error) => error.to_string(),
        None => error.to_string(),
    }
}

/// Whether the other side objects to who we are.
pub(super) fn is_objection(error: &io::Error) -> bool {
    matches!(tls(error), Some(Error::AlertReceived(alert)) if is_about_certificate(*alert))
}

fn tls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

fn is_about_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

fn of_certificate(fault: &CertificateError, name: &str) -> String {
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet".to_owned(),
        CertificateError::UnknownIssuer => "is issued by an authority that is not believed".to_owned(),
        CertificateError::Revoked => "has been revoked".to_owned(),
        CertificateError::NotValidForName => format!("is not for {name}"),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            format!("is not for {name}, it has no name")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!(
                "is not for {name} but for {}",
                presented.iter().take(4).map(|name| plain(name)).collect::<Vec<_>>().join(", ")
            )
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not for this purpose".to_owned()
        }
        CertificateError::BadSignature => "is not signed by who it says".to_owned(),
        other => format!("cannot be used: {other}"),
    }
}

/// rustls shows a name with its kind, as `DnsName("sbc.example")`.
fn plain(shown: &str) -> String {
    let inside = shown.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(shown).trim_matches('"').to_owned()
}
