//! The floor of a call with its system calls: packets received, converted and sent on loopback in a bare loop, for the goals of
//! `docs/performance.md`. No shard is in it. `cargo bench -p patchcord-media --bench wire`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "what system calls cost is only known with sockets"
)]

#[allow(dead_code, reason = "shared with the other benchmarks of packets")]
mod support;

use std::net::UdpSocket;
use std::rc::Rc;
use std::time::Duration;

use bench::{Bench, Counting, Meter, Mode};
use media::{Bandwidth, Codec};
use support::{Bare, End, FRAMES, Voice, said};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls at once: as many packets wait in the sockets when they are received.
const CALLS: usize = 50;

fn main() {
    let bench = Bench::new("wire");
    // System calls are not counted in instructions.
    if bench.mode() == Mode::Counted {
        return;
    }
    let seconds = if bench.mode() == Mode::Timed { 21 } else { 2 };
    let narrow = Rc::new(Voice::speak(FRAMES * seconds, true).parts(FRAMES));
    let (browser, trunk) = (End::Browser(Bandwidth::Narrow), End::Trunk(Codec::Pcmu));
    for (name, from, to) in [
        ("Browser to trunk: SRTP and Opus in, PCMU out", browser, trunk),
        ("Trunk to browser: PCMU in, Opus and SRTP out", trunk, browser),
        ("Browser to browser: SRTP in, the same Opus and SRTP out", browser, browser),
    ] {
        let voice = narrow.clone();
        let make = move || {
            let (mut wire, mut round) = (Wire::new(from, to), 0);
            move |meter: &mut Meter| {
                round += 1;
                wire.carry(meter, &voice[round % voice.len()])
            }
        };
        bench.group(name).side("bare with sockets", make).run();
    }
}

/// Both ends, and the sockets between which the loop stands: browsers share one, each trunk leg has its own.
struct Wire {
    lines: Bare,
    caller: UdpSocket,
    receiving: Vec<UdpSocket>,
    sending: Vec<UdpSocket>,
    called: UdpSocket,
}

impl Wire {
    fn new(from: End, to: End) -> Self {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            // A packet that the machine dropped fails the benchmark, and does not have it wait.
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket
        };
        let of = |end| match end {
            End::Browser(_) => {
                let shared = socket();
                (0..CALLS).map(|_| shared.try_clone().unwrap()).collect()
            }
            End::Trunk(_) | End::SecureTrunk(_) => (0..CALLS).map(|_| socket()).collect(),
        };
        let lines = Bare::new(CALLS, from, to);
        Self { lines, caller: socket(), receiving: of(from), sending: of(to), called: socket() }
    }

    fn carry(&mut self, meter: &mut Meter, voice: &Voice) -> usize {
        let to = self.called.local_addr().unwrap();
        let mut buffer = [0; 2048];
        let frames = self.lines.arriving(voice);
        for (frame, packets) in frames.iter().enumerate() {
            for (packet, socket) in packets.iter().zip(&self.receiving) {
                self.caller.send_to(packet, socket.local_addr().unwrap()).unwrap();
            }
            let Self { lines, receiving, sending, .. } = self;
            meter.measure(|| {
                for (call, (receiving, sending)) in receiving.iter().zip(&*sending).enumerate() {
                    let (length, _) = receiving.recv_from(&mut buffer).unwrap();
                    lines.turn(call, &buffer[..length], said(&voice.wide, frame, call), |bytes| {
                        sending.send_to(bytes, to).unwrap();
                    });
                }
            });
            for _ in packets {
                self.called.recv_from(&mut buffer).unwrap();
            }
        }
        frames.len() * CALLS
    }
}
