//! As whom a trunk is called, registered at and called from. Passwords become digests in [`keep_secrets`], where what was kept before is
//! known.

use crate::api::fields::Fields;
use crate::api::{FieldError, Problem};
use crate::store::{Gateway, InboundAuth, Password, Register, Store, Trunk, TrunkAuth};

/// A text that may stand in a digest's `username`: a colon would end it (RFC 7616 §3.4.2).
fn username(text: &str) -> Option<String> {
    let fits = (1..=128).contains(&text.chars().count()) && !text.chars().any(|c| c.is_control() || c == ':');
    (!fits).then(|| "expected 1 to 128 characters without a colon".into())
}

fn realm(text: &str) -> Option<String> {
    super::length(text, 255)
}

/// A carrier chose it.
fn given_password(text: &str) -> Option<String> {
    let fits = (1..=128).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    (!fits).then(|| "expected 1 to 128 characters".into())
}

fn password(fields: &mut Fields, rule: fn(&str) -> Option<String>) -> Option<Password> {
    // Shown, so that what was read can be sent back.
    if !fields.boolean("has_password", true) {
        fields.refuse("has_password", "is not writable; null instead of the object removes the password");
    }
    fields.text("password", rule).map(Password)
}

pub(super) fn auth(fields: &mut Fields, gateways: &[Gateway]) -> Option<TrunkAuth> {
    fields.optional_object("auth", |auth| {
        let named = auth.has("realm");
        let (host, _) = gateways.first().map(|gateway| crate::store::host_and_port(gateway.host())).unzip();
        if !named && host.is_none() {
            auth.refuse("realm", "is required without a gateway");
        }
        TrunkAuth {
            username: auth.required_text("username", username),
            realm: auth.text("realm", realm).or(host.map(str::to_owned)).unwrap_or_default(),
            has_password: true,
            password: password(auth, given_password),
        }
    })
}

pub(super) fn register(fields: &mut Fields, auth: bool, gateways: &[Gateway]) -> Register {
    fields.object("register", |register| {
        let enabled = register.boolean("enabled", false);
        if enabled && !auth {
            register.refuse("enabled", "needs auth: its username is what is registered");
        }
        if enabled && gateways.is_empty() {
            register.refuse("enabled", "needs a gateway to register at");
        }
        Register { enabled, expires_s: register.integer("expires_s", 60..=86_400, Register::default().expires_s) }
    })
}

pub(super) fn inbound_auth(inbound: &mut Fields) -> Option<InboundAuth> {
    inbound.optional_object("auth", |auth| InboundAuth {
        username: auth.required_text("username", username),
        has_password: true,
        password: password(auth, super::secret),
    })
}

/// Has a trunk keep digests of its passwords: of new ones, and as they are of those left out.
pub(crate) fn keep_secrets(store: &Store, current: Option<&Trunk>, mut trunk: Trunk) -> Result<Trunk, Problem> {
    let missing = trunk.seal(current.map(|current| &current.secrets.0), store.realm());
    if missing.is_empty() {
        return Ok(trunk);
    }
    let detail = if current.is_some() {
        "is required: the one kept is for another username, realm or certificate, or there is none"
    } else {
        "is required"
    };
    Err(Problem::invalid(
        missing.iter().map(|at| FieldError { pointer: (*at).into(), detail: detail.into() }).collect(),
    ))
}
