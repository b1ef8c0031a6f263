//! How a trunk's gateways are reached inside TLS, and by which names its client certificates are recognised.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{LIST_LIMIT, host};
use crate::api::fields::Fields;
use crate::net::tls::check_pair;
use crate::store::{ClientKey, TrunkTls};

/// Bytes of a PEM text: a chain of several large certificates.
const PEM_LIMIT: usize = 64 * 1024;

fn certificates(text: &str) -> Option<String> {
    let read = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    let fits = text.len() <= PEM_LIMIT && read.is_ok_and(|read| !read.is_empty());
    (!fits).then(|| format!("expected certificates as PEM, up to {PEM_LIMIT} bytes"))
}

fn key(text: &str) -> Option<String> {
    let read = rustls::pki_types::PrivateKeyDer::from_pem_slice(text.as_bytes());
    let fits = text.len() <= PEM_LIMIT && read.is_ok();
    (!fits).then(|| format!("expected a private key without password as PEM, up to {PEM_LIMIT} bytes"))
}

/// A name, or an address, as a certificate has it.
fn server_name(text: &str) -> Option<String> {
    let fits = rustls::pki_types::ServerName::try_from(text).is_ok();
    (!fits).then(|| "expected a host name or an address".into())
}

pub(super) fn tls(fields: &mut Fields) -> TrunkTls {
    fields.object("tls", |tls| {
        let shown = TrunkTls {
            verify: tls.boolean("verify", true),
            server_name: tls.text("server_name", server_name),
            ca_pem: tls.text("ca_pem", certificates),
            client_certificate_pem: tls.text("client_certificate_pem", certificates),
            client_key_pem: tls.text("client_key_pem", key).map(ClientKey),
        };
        match (&shown.client_certificate_pem, &shown.client_key_pem) {
            (Some(certificate), Some(ClientKey(key))) => {
                if let Err(error) = check_pair(certificate, key) {
                    tls.refuse("client_key_pem", format!("does not fit client_certificate_pem: {error}"));
                }
            }
            (None, Some(_)) => tls.refuse("client_certificate_pem", "is required with client_key_pem"),
            (Some(_) | None, None) => {}
        }
        shown
    })
}

pub(super) fn names(inbound: &mut Fields) -> Vec<String> {
    let read = inbound.list("tls_names", LIST_LIMIT, |inbound, place, value| {
        let name = value.as_str().filter(|name| host(name).is_none()).map(str::to_ascii_lowercase);
        if name.is_none() {
            inbound.refuse(place, "expected a host name as a certificate has it, without a wildcard");
        }
        name
    });
    read.unwrap_or_default()
}
