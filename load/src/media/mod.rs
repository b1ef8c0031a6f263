//! Media of all calls: one thread that sends and receives it, and the way signalling tells that thread what to do.

mod account;
mod inbox;
mod listening;
mod sound;
mod speech;
mod stream;
mod studio;
mod turns;

use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use mio::Poll;
use mio::net::UdpSocket;
use tokio::sync::oneshot;

use crate::sdp::{Codec, Remote};
use speech::Speech;
use stream::Stream;
use studio::{Studio, delay_of_a_gateways_opus};
use turns::Turns;

pub(crate) use account::{Heard, Histogram, Survey};
pub(crate) use speech::Wishes;
pub(crate) use stream::{Side, Wire};

/// Which stream: its call and its side.
pub(crate) type Key = (u64, Side);

enum Order {
    Open(Box<Stream>),
    Connect(Key, Remote, Arc<Speech>),
    Interrupt(Key),
    Close(Key, oneshot::Sender<Heard>),
    Survey(oneshot::Sender<Survey>),
    Stop,
}

/// Which media there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// One call in so many is decoded and listened to.
    pub(crate) listen_to_each: u64,
    /// Whether any flows at all.
    pub(crate) flows: bool,
    /// How many calls to record for before they begin.
    pub(crate) calls: u64,
}

/// The media thread, as signalling sees it.
#[derive(Debug)]
pub(crate) struct Media {
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
    studio: Mutex<Studio>,
    plan: Plan,
    /// What is described when no media flows; nobody reads it.
    sink: Mutex<Option<std::net::UdpSocket>>,
}

/// Why media cannot be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MediaError {
    #[error("opus: {0}")]
    Opus(#[from] opus::Error),
    #[error("media socket: {0}")]
    Sockets(#[from] std::io::Error),
}

impl Media {
    /// Prepares what is said and starts the thread.
    pub(crate) fn start(plan: Plan) -> Result<Self, MediaError> {
        let mut studio = Studio::default();
        studio.record_ahead(if plan.flows { plan.calls } else { 0 });
        let to_opus = delay_of_a_gateways_opus()?;
        let poll = Poll::new()?;
        let (orders, received) = channel();
        let thread = std::thread::Builder::new().name("media".into()).spawn(move || {
            Turns::new(poll, received, to_opus).run();
        })?;
        Ok(Self { orders, thread: Some(thread), studio: Mutex::new(studio), plan, sink: Mutex::default() })
    }

    /// Opens a side of a call on a socket of its own; where that is.
    pub(crate) fn open(
        &self,
        key: Key,
        address: std::net::IpAddr,
        wire: Wire,
        codec: Codec,
    ) -> Result<SocketAddr, MediaError> {
        let bind = || std::net::UdpSocket::bind((address, 0));
        if !self.plan.flows {
            let Ok(mut sink) = self.sink.lock() else { return Ok(bind()?.local_addr()?) };
            return match &*sink {
                Some(socket) => Ok(socket.local_addr()?),
                None => Ok(sink.insert(bind()?).local_addr()?),
            };
        }
        let socket = bind()?;
        let local = socket.local_addr()?;
        socket.set_nonblocking(true)?;
        inbox::stamp(&socket)?;
        let listen = key.0.is_multiple_of(self.plan.listen_to_each);
        let stream = Stream::new(Instant::now(), key, UdpSocket::from_std(socket), wire, codec, listen)?;
        self.order(Order::Open(Box::new(stream)));
        Ok(local)
    }

    /// Tells a side where the gateway is and how it wants to be spoken to.
    pub(crate) fn connect(&self, key: Key, remote: Remote, codec: Codec) {
        if !self.plan.flows {
            return;
        }
        let speech = self.studio.lock().ok().and_then(|mut studio| studio.speech(key.0, codec, &remote.wishes));
        if let Some(speech) = speech {
            self.order(Order::Connect(key, remote, speech));
        }
    }

    /// Says that a side is not to hear anything for a while: that is no gap.
    pub(crate) fn interrupt(&self, key: Key) {
        self.order(Order::Interrupt(key));
    }

    /// Ends a side; what came of it comes when the thread comes round to it.
    pub(crate) fn closing(&self, key: Key) -> oneshot::Receiver<Heard> {
        let (answer, heard) = oneshot::channel();
        if self.plan.flows {
            self.order(Order::Close(key, answer));
        }
        heard
    }

    /// Ends a side; what came of it.
    pub(crate) async fn close(&self, key: Key) -> Heard {
        self.closing(key).await.unwrap_or_default()
    }

    /// What has been sent and heard by all until now, and what was noted since the last survey.
    pub(crate) async fn survey(&self) -> Survey {
        let (answer, survey) = oneshot::channel();
        self.order(Order::Survey(answer));
        survey.await.unwrap_or_default()
    }

    fn order(&self, order: Order) {
        // Without the thread there is nothing left to be told.
        drop(self.orders.send(order));
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
