//! What it costs to refresh a registration, with few and with very many agents registered: endpoint, digest and registrar, without
//! sockets. `cargo bench -p patchcord-testkit --bench register`.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod crowd;

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;

use bench::{Bench, Counting, Meter, Mode};
use crowd::{Counts, Crowd};
use md5::Md5;
use sha2::{Digest, Sha256};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let bench = Bench::new("register");
    let sizes = match bench.mode() {
        Mode::Timed => &[100, 10_000, 50_000, 100_000][..],
        Mode::Counted => &[100, 10_000],
        Mode::Once => &[100],
    };
    // Both rows of a size are about the same agents: to have them all registered takes longest.
    let crowds: Vec<Rc<RefCell<Option<Crowd>>>> = sizes.iter().map(|_| Rc::default()).collect();
    let ways = [("401 and 200", Counts::Both, 3), ("200 alone", Counts::Accepted, 1)];
    for (name, counts, seals) in ways {
        let mut group = bench.group(&format!("Refresh, {name}"));
        for (size, crowd) in sizes.iter().zip(&crowds) {
            let crowd = crowd.clone();
            group = group.side(&format!("{size} registered"), move || {
                crowd.borrow_mut().get_or_insert_with(|| Crowd::new(*size));
                move |meter: &mut Meter| crowd.borrow_mut().as_mut().unwrap().refresh(meter, counts)
            });
            // A refresh that is challenged has its digest checked twice, and a nonce made.
            let floor = move |meter: &mut Meter| meter.repeat(200, || hashes(seals, seals.div_ceil(2)));
            group = group.floor("hashes", move || floor);
        }
        group.run();
    }
}

/// What is hashed: seals of nonces (HMAC-SHA-256), and responses (MD5 twice).
fn hashes(seals: usize, responses: usize) {
    for _ in 0..seals {
        let inner = Sha256::new().chain_update(black_box([0x36; 64])).chain_update(black_box([1; 33])).finalize();
        black_box(Sha256::new().chain_update(black_box([0x5c; 64])).chain_update(inner).finalize());
    }
    for _ in 0..responses {
        let first = Md5::digest(black_box([b'a'; 30]));
        black_box(Md5::new().chain_update(black_box([b'a'; 121])).chain_update([first, first].concat()).finalize());
    }
}
