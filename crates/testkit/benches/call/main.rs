//! What a whole call costs in signalling: endpoint and switchboard, without sockets. INVITE, 407 and INVITE with a digest from an agent's
//! WebSocket, an INVITE to the trunk, 180, 200, ACK, BYE of both legs, and whatever timers are left; and the other way round. Media is
//! played. `cargo bench -p patchcord-testkit --bench call`.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod office;

use bench::{Bench, Counting, Meter, Mode};
use office::Office;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let bench = Bench::new("call");
    let sizes = if bench.mode() == Mode::Timed { &[10, 400][..] } else { &[10] };
    for (name, way) in [
        ("Agent to trunk", Office::call_outside as fn(&mut Office, &mut Meter) -> usize),
        ("Trunk to agent", Office::be_called),
    ] {
        let mut group = bench.group(name);
        for calls in sizes {
            group = group.side(&format!("{calls} calls at once"), move || {
                let mut office = Office::new(*calls);
                move |meter: &mut Meter| way(&mut office, meter)
            });
        }
        group.run();
    }
}
