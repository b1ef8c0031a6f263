//! How a trunk's dialogs are set up and kept, as the switchboard works from it.

use std::time::Duration;

use sip::Reliability;
use switchboard::{Dialogs, SessionTimer};

use crate::store::{Prack, TrunkDialogs};

pub(super) fn dialogs(stored: TrunkDialogs) -> Dialogs {
    let TrunkDialogs { prack, early_offer, session_timer } = stored;
    Dialogs {
        prack: match prack {
            Prack::Off => Reliability::Off,
            Prack::Supported => Reliability::Supported,
            Prack::Required => Reliability::Required,
        },
        early_offer,
        session_timer: match (session_timer.enabled, session_timer.expires_s) {
            (false, _) => SessionTimer::Off,
            (true, 0) => SessionTimer::Configured,
            (true, seconds) => SessionTimer::Every(Duration::from_secs(seconds.into())),
        },
    }
}
