//! FreeSWITCH's gateways as trunks.

use serde_json::{Value, json};

use super::xml::Element;

/// FreeSWITCH's own default for `expire-seconds`.
const EXPIRE_SECONDS: i64 = 3600;

/// A gateway as a trunk: what `POST /v1/trunks` would be given.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gateway {
    pub(super) name: String,
    pub(super) trunk: Value,
    /// What could not be carried over, and what is to be looked at.
    pub(super) rest: Vec<String>,
    pub(super) place: String,
}

/// Every gateway, in profiles and in users.
pub(super) fn gateways(elements: &[Element]) -> Vec<Gateway> {
    let mut found = Vec::new();
    elements.iter().for_each(|element| search(element, &mut found));
    found
}

fn search(element: &Element, found: &mut Vec<Gateway>) {
    if element.name == "gateway" {
        found.extend(gateway(element));
    }
    element.children.iter().for_each(|child| search(child, found));
}

fn gateway(element: &Element) -> Option<Gateway> {
    let name = element.attribute("name")?.to_owned();
    let mut params = element.settings("params", "param");
    let mut rest = Vec::new();
    let realm = params.remove("realm").unwrap_or_else(|| name.clone());
    let proxy = params.remove("proxy").unwrap_or_else(|| realm.clone());
    let (host, in_proxy) = host_and_transport(&proxy);
    let transport = params.remove("register-transport").or(in_proxy).unwrap_or_else(|| "udp".to_owned());
    let registers = !matches!(params.remove("register").as_deref(), Some("false" | "no" | "0"));
    let expires: i64 = number(params.remove("expire-seconds")).unwrap_or(EXPIRE_SECONDS);
    let username = params.remove("username");
    let username = params.remove("auth-username").or(username).filter(|name| name != "not-used");
    let password = params.remove("password").filter(|password| password != "not-used");
    let auth = username.zip(password);
    let auth = auth.map(|(username, password)| {
        json!({"username": username, "password": password, "realm": host_and_transport(&realm).0})
    });
    let ping = number(params.remove("ping"));
    let trunk = json!({
        "name": trunk_name(&name),
        "gateways": [{"uri": format!("sip:{host}"), "transport": transport.to_ascii_lowercase()}],
        "register": {"enabled": registers && auth.is_some(), "expires_s": expires},
        // What is null has its default.
        "auth": auth,
        "caller_id": {"domain": params.remove("from-domain")},
        "options_ping_s": ping,
    });
    for name in ["register-proxy", "outbound-proxy"] {
        if let Some(other) = params.remove(name).filter(|other| *other != proxy) {
            rest.push(format!("parameter {name}={other}: requests go to {host}"));
        }
    }
    // How FreeSWITCH waits after a failure, and what it puts into a Contact, are decided otherwise here.
    for name in ["retry-seconds", "extension-in-contact", "distinct-to", "cid-type"] {
        params.remove(name);
    }
    rest.extend(params.into_keys().map(|name| format!("parameter {name}")));
    rest.push(
        "its networks: calls from it are believed only while it registers, until inbound.cidrs is set".to_owned(),
    );
    Some(Gateway { name, trunk, rest, place: element.place.clone() })
}

fn number(text: Option<String>) -> Option<i64> {
    text.and_then(|text| text.trim().parse().ok())
}

/// `host[:port]` and the transport of `host:port;transport=tcp`, with or without `sip:` before it.
fn host_and_transport(proxy: &str) -> (String, Option<String>) {
    let bare = proxy.strip_prefix("sip:").or_else(|| proxy.strip_prefix("sips:")).unwrap_or(proxy);
    let mut parts = bare.split(';');
    let host = parts.next().unwrap_or_default().trim().to_owned();
    let transport = parts.find_map(|part| part.trim().strip_prefix("transport=")).map(str::to_owned);
    (host, transport.or_else(|| proxy.starts_with("sips:").then(|| "tls".to_owned())))
}

/// A trunk's name has letters, digits, dots, dashes and underscores.
fn trunk_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.chars().map(|c| if fits(c) { c } else { '-' }).take(64).collect()
}
