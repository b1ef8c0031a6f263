//! The media thread: all streams, each 20 ms, spread over the time between; and what arrives, as soon as it does.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use tokio::sync::oneshot;

use crate::sdp::{Codec, Remote};
use crate::speech::Speech;
use crate::stream::{Chirp, Heard, Side, Stream, Wire};
use crate::studio::{Studio, delay_of_a_gateways_opus};

/// Streams are spread over so many moments of the 20 ms.
const SLOTS: usize = 20;
const SLOT: Duration = Duration::from_millis(1);
const WAKER: Token = Token(usize::MAX);
/// The longest way a chirp may take and still be found its sender.
const LONGEST_WAY: Duration = Duration::from_millis(1900);
/// Which stream: its call and its side.
pub(crate) type Key = (u64, Side);

enum Order {
    Open(Box<Stream>),
    Connect(Key, Remote, Arc<Speech>),
    Interrupt(Key),
    Close(Key, oneshot::Sender<Heard>),
    Stop,
}

/// The media thread, as signalling sees it.
#[derive(Debug)]
pub(crate) struct Media {
    orders: Sender<Order>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
    studio: Mutex<Studio>,
    listen_to_each: u64,
}

/// Why media cannot be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MediaError {
    #[error("opus: {0}")]
    Opus(#[from] opus::Error),
    #[error("sockets: {0}")]
    Sockets(#[from] std::io::Error),
}

impl Media {
    /// Prepares what is said and starts the thread. One call in `listen_to_each` is decoded and listened to.
    pub(crate) fn start(listen_to_each: u64) -> Result<Self, MediaError> {
        let studio = Mutex::new(Studio::new()?);
        let to_opus = delay_of_a_gateways_opus()?;
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (orders, received) = channel();
        let thread = std::thread::Builder::new().name("media".into()).spawn(move || {
            Loop { poll, orders: received, streams: Vec::new(), places: HashMap::new(), to_opus }.run();
        })?;
        Ok(Self { orders, waker, thread: Some(thread), studio, listen_to_each: listen_to_each.max(1) })
    }

    /// Opens a side of a call on a socket that is bound.
    pub(crate) fn open(
        &self,
        key: Key,
        socket: std::net::UdpSocket,
        wire: Wire,
        codec: Codec,
    ) -> Result<(), MediaError> {
        socket.set_nonblocking(true)?;
        let (call, side) = key;
        let listen = call.is_multiple_of(self.listen_to_each);
        let socket = UdpSocket::from_std(socket);
        let stream = Stream::new(Instant::now(), call, side, socket, wire, codec, listen)?;
        self.order(Order::Open(Box::new(stream)));
        Ok(())
    }

    /// Tells a side where the gateway is.
    pub(crate) fn connect(&self, key: Key, remote: Remote, codec: Codec) {
        let speech = self.studio.lock().ok().and_then(|mut studio| studio.speech(key.0, codec, &remote.wishes));
        if let Some(speech) = speech {
            self.order(Order::Connect(key, remote, speech));
        }
    }

    /// Says that a side is not to hear anything for a while: that is no gap.
    pub(crate) fn interrupt(&self, key: Key) {
        self.order(Order::Interrupt(key));
    }

    /// Ends a side; what came of it.
    pub(crate) async fn close(&self, key: Key) -> Heard {
        let (answer, heard) = oneshot::channel();
        self.order(Order::Close(key, answer));
        heard.await.unwrap_or_default()
    }

    fn order(&self, order: Order) {
        // Without the thread there is nothing left to be told, and the waker only fails with it.
        if self.orders.send(order).is_ok() {
            drop(self.waker.wake());
        }
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Loop {
    poll: Poll,
    orders: Receiver<Order>,
    /// By their tokens; a place that is free is used again.
    streams: Vec<Option<Box<Stream>>>,
    places: HashMap<Key, usize>,
    /// What Opus puts a sound off by that the carrier says.
    to_opus: Duration,
}

impl Loop {
    fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        let (start, mut slot) = (Instant::now(), 0_u32);
        loop {
            let due = start + SLOT * slot;
            let now = Instant::now();
            if now >= due {
                self.tick(now, usize::try_from(slot).unwrap_or_default() % SLOTS);
                slot += 1;
                // What is behind is caught up with, but not at the cost of what arrives.
            }
            let wait = due.saturating_duration_since(now);
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != ErrorKind::Interrupted
            {
                return;
            }
            let now = Instant::now();
            for event in &events {
                match event.token() {
                    WAKER => {
                        if !self.obey(now) {
                            return;
                        }
                    }
                    Token(place) => self.receive(place),
                }
            }
        }
    }

    fn tick(&mut self, now: Instant, slot: usize) {
        for stream in self.streams.iter_mut().skip(slot).step_by(SLOTS).flatten() {
            stream.tick(now);
        }
    }

    /// Whether it goes on.
    fn obey(&mut self, now: Instant) -> bool {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Open(stream) => self.open(stream),
                Order::Connect(key, remote, speech) => {
                    if let Some(stream) = self.stream(key) {
                        stream.connect(now, remote, speech);
                    }
                }
                Order::Interrupt(key) => {
                    if let Some(stream) = self.stream(key) {
                        stream.interrupt();
                    }
                }
                Order::Close(key, answer) => drop(answer.send(self.close(key))),
                Order::Stop => return false,
            }
        }
        true
    }

    fn stream(&mut self, key: Key) -> Option<&mut Stream> {
        let place = self.places.get(&key)?;
        self.streams.get_mut(*place)?.as_deref_mut()
    }

    fn open(&mut self, mut stream: Box<Stream>) {
        let free = self.streams.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            self.streams.push(None);
            self.streams.len() - 1
        });
        // A socket that cannot be watched hears nothing, which its account says.
        drop(self.poll.registry().register(&mut stream.socket, Token(place), Interest::READABLE));
        self.places.insert((stream.call, stream.side), place);
        if let Some(free) = self.streams.get_mut(place) {
            *free = Some(stream);
        }
    }

    fn close(&mut self, key: Key) -> Heard {
        let place = self.places.remove(&key);
        let stream = place.and_then(|place| self.streams.get_mut(place)?.take());
        stream.map_or_else(Heard::default, |mut stream| {
            drop(self.poll.registry().deregister(&mut stream.socket));
            stream.heard
        })
    }

    fn receive(&mut self, place: usize) {
        let mut packet = [0_u8; 2048];
        let mut chirps: Vec<(Key, Chirp)> = Vec::new();
        loop {
            let Some(stream) = self.streams.get_mut(place).and_then(Option::as_mut) else { return };
            let received: Result<(usize, SocketAddr), _> = stream.socket.recv_from(&mut packet);
            // The socket is told of by edges: it is read until it is empty.
            let Ok((length, from)) = received else { break };
            let key = (stream.call, stream.side);
            let now = Instant::now();
            chirps
                .extend(packet.get(..length).and_then(|packet| stream.receive(now, from, packet)).map(|it| (key, it)));
        }
        for (key, chirp) in chirps {
            self.time(key, chirp);
        }
    }

    /// Finds when a chirp was sent, and notes what its way took beyond the codec's own delay.
    fn time(&mut self, (call, side): Key, chirp: Chirp) {
        let other = match side {
            Side::Agent => Side::Carrier,
            Side::Carrier => Side::Agent,
        };
        let to_opus = self.to_opus;
        let Some(sender) = self.stream((call, other)) else { return };
        let codec = match sender.codec {
            Codec::Opus => sender.delay(),
            Codec::Pcmu => to_opus,
        }
        .as_secs_f64();
        // `into` is negative: the chirp began in a packet that came before the one that completed it.
        let way = |sent: Instant| (chirp.at - sent).as_secs_f64() + chirp.into - codec;
        let sent = sender.chirps.iter().rev().find(|sent| chirp.at > **sent).copied();
        let way = sent.filter(|sent| chirp.at - *sent < LONGEST_WAY).map(way);
        if let (Some(way), Some(stream)) = (way, self.stream((call, side))) {
            stream.heard.added.push(way);
        }
    }
}
