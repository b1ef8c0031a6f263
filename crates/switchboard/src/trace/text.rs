//! What a running call's trace says of it in one sentence; an ended call's record has its own.

use super::Trace;
use crate::output::{CallState, LegView};

/// The sentence of a call that goes on.
pub(super) fn of_running(trace: &Trace) -> String {
    let call = &trace.call;
    let last = trace.routing.last().map(|note| note.what.text.as_str()).unwrap_or_default();
    match call.state {
        CallState::Routing => format!("A target is being found for {}: {last}", call.to),
        CallState::Ringing => {
            let ringing: Vec<&str> =
                call.legs.iter().skip(1).filter(|leg| is_there(leg)).map(|leg| &*leg.party).collect();
            format!("It rings at {}.", ringing.join(", "))
        }
        CallState::Ending => "The call is being taken down.".to_owned(),
        CallState::Connected => {
            let talking = call.legs.iter().filter(|leg| leg.state == CallState::Connected);
            let finding = talking.into_iter().find_map(|leg| {
                let is_phone = leg.extension.is_some();
                let name =
                    if is_phone { format!("extension {}", leg.party) } else { format!("{} at the trunk", leg.party) };
                trace.timeline(&leg.id).finding(&name, is_phone)
            });
            match finding {
                Some(finding) => format!("The call is answered; {finding}."),
                None => "The call is answered.".to_owned(),
            }
        }
    }
}

fn is_there(leg: &LegView) -> bool {
    leg.state != CallState::Ending
}
