//! What a trunk may be.

use serde_json::Value;

use super::border::{caller_id, header_rules, pass_headers};
use super::{LIST_LIMIT, codecs, gateway_uri, networks, user};
use crate::api::Problem;
use crate::api::fields::Fields;
use crate::store::{CodecName, Document, DtmfMode, Gateway, GatewayTransport, Inbound, Trunk, TrunkSettings};

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

fn settings(fields: &mut Fields) -> TrunkSettings {
    TrunkSettings {
        trusted: fields.boolean("trusted", false),
        header_rules: header_rules(fields),
        pass_headers: pass_headers(fields),
        max_cps: fields.integer("max_cps", 0..=10_000, 0),
    }
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
