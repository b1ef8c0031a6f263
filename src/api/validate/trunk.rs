//! What a trunk may be.

use serde_json::Value;

use super::{LIST_LIMIT, codecs, e164, gateway_uri, host, networks, user};
use crate::api::Problem;
use crate::api::fields::Fields;
use crate::store::{
    CallerId, CallerIdFormat, CodecName, Document, DtmfMode, Gateway, GatewayTransport, Inbound, Trunk, TrunkSettings,
};

pub(in crate::api) fn trunk(body: Value) -> Result<Trunk, Problem> {
    let mut fields = Fields::of(body);
    let g711 = [CodecName::Pcmu, CodecName::Pcma];
    let trunk = Trunk {
        name: fields.required_text("name", user),
        enabled: fields.boolean("enabled", true),
        gateways: Document(fields.objects("gateways", LIST_LIMIT, gateway)),
        inbound: Document(fields.object("inbound", |inbound| Inbound { cidrs: networks(inbound, "cidrs") })),
        media_cidrs: Document(networks(&mut fields, "media_cidrs")),
        codecs: codecs(&mut fields, "pcmu, pcma", &g711, &g711),
        caller_id: Document(fields.object("caller_id", caller_id)),
        dtmf: fields.choice("dtmf", "auto, rfc4733, info, inband", DtmfMode::Auto),
        max_channels: fields.integer("max_channels", 0..=100_000, 0),
        settings: Document(settings(&mut fields)),
    };
    fields.finish(trunk)
}

fn settings(_fields: &mut Fields) -> TrunkSettings {
    TrunkSettings {}
}

fn gateway(fields: &mut Fields) -> Gateway {
    let small = |number: i64| u16::try_from(number).unwrap_or_default();
    Gateway {
        uri: fields.required_text("uri", gateway_uri),
        transport: fields.choice("transport", "udp, tcp, tls", GatewayTransport::Udp),
        priority: small(fields.integer("priority", 0..=65_535, 10)),
        weight: small(fields.integer("weight", 0..=65_535, 100)),
    }
}

fn caller_id(fields: &mut Fields) -> CallerId {
    CallerId {
        fallback: fields.text("fallback", e164),
        domain: fields.text("domain", host),
        format: fields.choice("format", "e164, e164_without_plus", CallerIdFormat::E164),
    }
}
