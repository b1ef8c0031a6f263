//! The task that writes down what calls do. The signalling task hands it pieces and never waits for it; who wants to read a trace asks it,
//! and gets what was handed over before.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sip::Flow;
use switchboard::{CallId, CallRecord, CallView, Clock, Note, Trace, TraceLimits, Traces, Way};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Pieces waiting for the recorder, about a second of a busy gateway's. One more is left out of its trace, and counted.
const PIECES_WAITING: usize = 4096;

/// Pieces written down before others get their turn.
const BATCH: usize = 256;

/// How requests begin that no call has.
const OUTSIDE: [&[u8]; 4] = [b"REGISTER ", b"OPTIONS ", b"SUBSCRIBE ", b"PUBLISH "];

/// Something for a trace.
enum Piece {
    Message { at: Instant, way: Way, flow: Flow, bytes: Bytes },
    Call(Arc<CallView>),
    Record(Box<CallRecord>),
    Note { call: CallId, at: Instant, note: Note },
    Ask { call: CallId, reply: oneshot::Sender<Option<Trace>> },
}

/// A way to the recorder.
#[derive(Debug, Clone)]
pub struct Recorder {
    /// `None` when nothing is to be traced.
    pieces: Option<mpsc::Sender<Piece>>,
    limits: TraceLimits,
    clock: Clock,
}

impl Recorder {
    /// Starts the recorder; with no ended calls to keep there is none.
    #[must_use]
    pub fn start(limits: TraceLimits, clock: Clock, stop: CancellationToken) -> Self {
        if limits.ended == 0 {
            return Self { pieces: None, limits, clock };
        }
        let (pieces, waiting) = mpsc::channel(PIECES_WAITING);
        tokio::spawn(record(Traces::new(limits, clock), waiting, stop));
        Self { pieces: Some(pieces), limits, clock }
    }

    /// How much is kept.
    #[must_use]
    pub fn limits(&self) -> TraceLimits {
        self.limits
    }

    /// The clock that traces are told by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// A message came or went. Those that never belong to a call are left out at a look.
    pub(crate) fn message(&self, at: Instant, way: Way, flow: Flow, bytes: &Bytes) {
        if !OUTSIDE.iter().any(|method| bytes.starts_with(method)) {
            self.hand_over(|| Piece::Message { at, way, flow, bytes: bytes.clone() });
        }
    }

    /// A call came up or changed.
    pub(crate) fn call(&self, call: &Arc<CallView>) {
        self.hand_over(|| Piece::Call(Arc::clone(call)));
    }

    /// A call ended.
    pub(crate) fn record(&self, record: &CallRecord) {
        self.hand_over(|| Piece::Record(Box::new(record.clone())));
    }

    /// A call noted something down.
    pub(crate) fn note(&self, call: CallId, at: Instant, note: Note) {
        self.hand_over(|| Piece::Note { call, at, note });
    }

    fn hand_over(&self, piece: impl FnOnce() -> Piece) {
        if let Some(pieces) = &self.pieces
            && pieces.try_send(piece()).is_err()
        {
            crate::metrics::queue_full("trace");
        }
    }

    /// The trace of a call; `None` when it is not kept, any more or at all.
    pub async fn trace(&self, call: CallId) -> Option<Trace> {
        let (reply, answer) = oneshot::channel();
        self.pieces.as_ref()?.send(Piece::Ask { call, reply }).await.ok()?;
        answer.await.ok().flatten()
    }
}

async fn record(mut traces: Traces, mut waiting: mpsc::Receiver<Piece>, stop: CancellationToken) {
    let mut pieces = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            count = waiting.recv_many(&mut pieces, BATCH) => if count == 0 { return },
        }
        for piece in pieces.drain(..) {
            match piece {
                Piece::Message { at, way, flow, bytes } => traces.handle_message(at, way, flow, &bytes),
                Piece::Call(call) => traces.handle_call(&call),
                Piece::Record(record) => traces.handle_record(&record),
                Piece::Note { call, at, note } => traces.handle_note(&call, at, note),
                Piece::Ask { call, reply } => {
                    // Whoever asked may have gone.
                    let _ = reply.send(traces.get(&call).cloned());
                }
            }
        }
        tokio::task::yield_now().await;
    }
}
