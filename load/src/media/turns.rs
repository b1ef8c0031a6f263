//! The media thread: in turns of a quarter of a millisecond, in which it sends what is due, and every fourth of which it takes what has come
//! meanwhile. It never waits for a packet, so that no packet wakes it.

use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::account::{Heard, Survey};
use super::inbox::Inbox;
use super::stream::{Chirp, Side, Stream};
use super::{Key, Order};
use crate::sdp::Codec;

/// Turns come round every 10 ms, the shortest packet there is.
const TURNS: usize = 40;
const TURN: Duration = Duration::from_micros(250);
/// What has come is taken every so many turns.
const BETWEEN_LOOKS: usize = 4;
/// A thread that was kept from working longer than this does not catch up.
const BEHIND: Duration = Duration::from_secs(1);

/// The thread's own things.
pub(super) struct Turns {
    poll: Poll,
    orders: Receiver<Order>,
    /// By their tokens; a place that is free is used again.
    streams: Vec<Option<Box<Stream>>>,
    free: Vec<usize>,
    places: HashMap<Key, usize>,
    /// Whose turn it is when.
    turns: [Vec<usize>; TURNS],
    inbox: Inbox,
    /// What Opus puts a sound off by that the carrier says.
    to_opus: Duration,
    survey: Survey,
    /// Until when somebody is known to be connecting, who should not wait for answers.
    eager_until: Instant,
}

impl Turns {
    pub(super) fn new(poll: Poll, orders: Receiver<Order>, to_opus: Duration) -> Self {
        Self {
            poll,
            orders,
            streams: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            turns: std::array::from_fn(|_| Vec::new()),
            inbox: Inbox::new(),
            to_opus,
            survey: Survey::default(),
            eager_until: Instant::now(),
        }
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        let (mut due, mut turn) = (Instant::now(), 0);
        loop {
            if self.places.is_empty() {
                let Ok(order) = self.orders.recv() else { return };
                if !self.obey(order) {
                    return;
                }
                due = Instant::now();
            }
            while let Ok(order) = self.orders.try_recv() {
                if !self.obey(order) {
                    return;
                }
            }
            let now = Instant::now();
            if now > due + BEHIND {
                due = now;
            }
            let is_eager = now < self.eager_until;
            if turn % BETWEEN_LOOKS == 0 || is_eager {
                self.look(&mut events);
            }
            self.send(due, now, turn);
            // Turns in which there is nothing to do are slept through.
            loop {
                turn = (turn + 1) % TURNS;
                due += TURN;
                let has_streams = self.turns.get(turn).is_some_and(|streams| !streams.is_empty());
                if has_streams || is_eager || turn % BETWEEN_LOOKS == 0 {
                    break;
                }
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    fn send(&mut self, due: Instant, now: Instant, turn: usize) {
        for place in self.turns.get(turn).into_iter().flatten() {
            let Some(stream) = self.streams.get_mut(*place).and_then(Option::as_deref_mut) else { continue };
            if let Some(late) = stream.turn(due, now) {
                self.survey.lateness.note(late);
            }
            if stream.is_connecting() {
                self.eager_until = now + TURN * 2 * u32::try_from(TURNS).unwrap_or_default();
            }
        }
    }

    /// Takes what has come.
    fn look(&mut self, events: &mut Events) {
        // Without a result there are no events.
        drop(self.poll.poll(events, Some(Duration::ZERO)));
        if events.is_empty() {
            return;
        }
        self.inbox.compare_clocks();
        let mut chirps: Vec<(Key, Chirp)> = Vec::new();
        for Token(place) in events.iter().map(mio::event::Event::token) {
            let Some(stream) = self.streams.get_mut(place).and_then(Option::as_deref_mut) else { continue };
            self.inbox.empty(stream.socket.as_raw_fd(), stream.is_v6, |packet| {
                let chirp = stream.receive(packet.at, packet.from, packet.octets);
                chirps.extend(chirp.map(|chirp| (stream.key, chirp)));
            });
        }
        for (key, chirp) in chirps {
            self.time(key, chirp);
        }
    }

    /// Whether it goes on.
    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Open(stream) => self.open(stream),
            Order::Connect(key, remote, speech) => {
                let now = Instant::now();
                if let Some(stream) = self.stream(key) {
                    stream.connect(now, remote, speech);
                }
                self.eager_until = now + TURN * 4 * u32::try_from(TURNS).unwrap_or_default();
            }
            Order::Interrupt(key) => {
                if let Some(stream) = self.stream(key) {
                    stream.interrupt();
                }
            }
            Order::Close(key, answer) => drop(answer.send(self.close(key))),
            Order::Survey(answer) => {
                let mut survey = std::mem::take(&mut self.survey);
                // What closed streams counted goes on being counted.
                self.survey.counted.clone_from(&survey.counted);
                for stream in self.streams.iter().flatten() {
                    survey.counted_by(stream.key.1).count(&stream.heard);
                }
                drop(answer.send(survey));
            }
            Order::Stop => return false,
        }
        true
    }

    fn stream(&mut self, key: Key) -> Option<&mut Stream> {
        let place = self.places.get(&key)?;
        self.streams.get_mut(*place)?.as_deref_mut()
    }

    fn open(&mut self, mut stream: Box<Stream>) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.streams.push(None);
            self.streams.len() - 1
        });
        // A socket that cannot be watched hears nothing, which its account says.
        drop(self.poll.registry().register(&mut stream.socket, Token(place), Interest::READABLE));
        if let Some(emptiest) = self.turns.iter_mut().min_by_key(|turn| turn.len()) {
            emptiest.push(place);
        }
        self.places.insert(stream.key, place);
        if let Some(free) = self.streams.get_mut(place) {
            *free = Some(stream);
        }
    }

    fn close(&mut self, key: Key) -> Heard {
        let Some(place) = self.places.remove(&key) else { return Heard::default() };
        let Some(mut stream) = self.streams.get_mut(place).and_then(Option::take) else { return Heard::default() };
        drop(self.poll.registry().deregister(&mut stream.socket));
        self.turns.iter_mut().for_each(|turn| turn.retain(|it| *it != place));
        self.free.push(place);
        stream.close();
        self.survey.counted_by(key.1).count(&stream.heard);
        stream.heard
    }

    /// Finds when a chirp was sent, and notes what its way took beyond the codec's own delay.
    fn time(&mut self, (call, side): Key, chirp: Chirp) {
        let to_opus = self.to_opus;
        let Some(sender) = self.stream((call, side.other())) else { return };
        let codec = match sender.codec {
            Codec::Opus => sender.delay(),
            Codec::Pcmu if chirp.codec == Codec::Opus => to_opus,
            Codec::Pcmu => Duration::ZERO,
        };
        let Some(way) = sender.way_of(&chirp).map(|way| way - codec.as_secs_f64()) else { return };
        if let Some(stream) = self.stream((call, side)) {
            stream.heard.added.push(way);
        }
        self.survey.added_of(side).push(way);
    }
}

impl Survey {
    fn counted_by(&mut self, side: Side) -> &mut Heard {
        let [agents, carriers] = &mut self.counted;
        match side {
            Side::Agent => agents,
            Side::Carrier => carriers,
        }
    }

    fn added_of(&mut self, side: Side) -> &mut Vec<f64> {
        let [agents, carriers] = &mut self.added;
        match side {
            Side::Agent => agents,
            Side::Carrier => carriers,
        }
    }
}
