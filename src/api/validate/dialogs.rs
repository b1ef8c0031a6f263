//! How a trunk's dialogs may be set up and kept.

use crate::api::fields::Fields;
use crate::store::{Prack, SessionTimer, TrunkDialogs};

/// RFC 4028 §4: no session timer is shorter. In seconds, as is a day.
const SHORTEST: i64 = 90;
const LONGEST: i64 = 86_400;

pub(super) fn dialogs(fields: &mut Fields) -> TrunkDialogs {
    TrunkDialogs {
        prack: fields.choice("prack", "off, supported, required", Prack::Supported),
        early_offer: fields.boolean("early_offer", true),
        session_timer: fields.optional_object("session_timer", session_timer).unwrap_or_default(),
    }
}

fn session_timer(fields: &mut Fields) -> SessionTimer {
    let enabled = fields.boolean("enabled", true);
    let expires_s = fields.integer("expires_s", 0..=LONGEST, 0);
    if (1..SHORTEST).contains(&expires_s) {
        fields.refuse("expires_s", "expected 0, or 90 to 86400");
    }
    SessionTimer { enabled, expires_s: u32::try_from(expires_s).unwrap_or_default() }
}
