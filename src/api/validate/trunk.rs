//! What a trunk may be.

use serde_json::Value;

use super::border::{caller_id, header_rules, pass_headers};
use super::dialogs::dialogs;
use super::{LIST_LIMIT, codecs, gateway_uri, networks, trunk_auth, trunk_tls, user};
use crate::api::fields::Fields;
use crate::api::{Problem, presets};
use crate::store::{
    CodecName, Document, DtmfMode, Gateway, GatewayTransport, Inbound, MediaEncryption, PacketMillis, PingInterval,
    Trunk, TrunkSettings,
};

pub(crate) fn trunk(body: Value) -> Result<Trunk, Problem> {
    let mut fields = Fields::of(presets::filled(body)?);
    let g711 = [CodecName::Pcmu, CodecName::Pcma];
    let all = [CodecName::Pcmu, CodecName::Pcma, CodecName::G722, CodecName::Opus];
    let gateways = fields.objects("gateways", LIST_LIMIT, gateway);
    let trunk = Trunk {
        name: fields.required_text("name", user),
        enabled: fields.boolean("enabled", true),
        settings: Document(settings(&mut fields, &gateways)),
        gateways: Document(gateways),
        inbound: Document(fields.object("inbound", inbound)),
        media_cidrs: Document(networks(&mut fields, "media_cidrs")),
        codecs: codecs(&mut fields, "pcmu, pcma, g722, opus", &all, &g711),
        caller_id: Document(fields.object("caller_id", caller_id)),
        dtmf: fields.choice("dtmf", "auto, rfc4733, info, inband", DtmfMode::Auto),
        max_channels: fields.integer("max_channels", 0..=100_000, 0),
        secrets: Document::default(),
    };
    fields.finish(trunk)
}

fn settings(fields: &mut Fields, gateways: &[Gateway]) -> TrunkSettings {
    let auth = trunk_auth::auth(fields, gateways);
    TrunkSettings {
        media_encryption: fields.choice("media_encryption", "off, optional, required", MediaEncryption::Off),
        register: trunk_auth::register(fields, auth.is_some(), gateways),
        auth,
        tls: trunk_tls::tls(fields),
        trusted: fields.boolean("trusted", false),
        header_rules: header_rules(fields),
        pass_headers: pass_headers(fields),
        ptime_ms: ptime(fields),
        max_cps: fields.integer("max_cps", 0..=10_000, 0),
        dialogs: dialogs(fields),
        options_ping_s: PingInterval(fields.integer("options_ping_s", 0..=3600, PingInterval::default().0)),
    }
}

fn inbound(fields: &mut Fields) -> Inbound {
    Inbound {
        cidrs: networks(fields, "cidrs"),
        tls_names: trunk_tls::names(fields),
        auth: trunk_auth::inbound_auth(fields),
    }
}

fn ptime(fields: &mut Fields) -> PacketMillis {
    let millis = fields.integer("ptime_ms", 10..=40, 20);
    if millis % 10 != 0 {
        fields.refuse("ptime_ms", "expected 10, 20, 30 or 40");
    }
    PacketMillis(u16::try_from(millis).unwrap_or_default())
}

fn gateway(fields: &mut Fields) -> Gateway {
    let small = |number: i64| u16::try_from(number).unwrap_or_default();
    Gateway {
        uri: fields.required_text("uri", gateway_uri),
        transport: fields.choice("transport", "auto, udp, tcp, tls", GatewayTransport::Udp),
        priority: small(fields.integer("priority", 0..=65_535, 10)),
        weight: small(fields.integer("weight", 0..=65_535, 100)),
    }
}
