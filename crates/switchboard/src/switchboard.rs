//! The switchboard: routes what arrives to registrar and calls, and collects what they want done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sip::{ConnectionId, Flow};

use crate::config::{Clock, SwitchboardConfig};
use crate::dialplan::Dialplan;
use crate::directory::Directory;
use crate::output::{Operator, OperatorError, Output, ShardIndex};

/// Registrar, location and every call of this process, sans-IO. Drain `poll_output` after every input.
pub struct Switchboard {
    config: SwitchboardConfig,
    clock: Clock,
    directory: Arc<Directory>,
    dialplan: Arc<Dialplan>,
    outputs: VecDeque<Output>,
}

impl Switchboard {
    /// A switchboard without registrations and calls. `seed` feeds every id, tag and nonce.
    #[must_use]
    pub fn new(
        config: SwitchboardConfig,
        clock: Clock,
        _seed: [u8; 32],
        directory: Arc<Directory>,
        dialplan: Arc<Dialplan>,
    ) -> Self {
        Self { config, clock, directory, dialplan, outputs: VecDeque::new() }
    }

    /// Takes one datagram or one framed message.
    pub fn handle_message(&mut self, _now: Instant, _flow: Flow, _bytes: &[u8]) {}

    /// A connection closed.
    pub fn handle_flow_closed(&mut self, _now: Instant, _connection: ConnectionId) {}

    /// A media shard told something.
    pub fn handle_media(&mut self, _now: Instant, _shard: ShardIndex, _event: media::Event) {}

    /// An operator asks for something.
    ///
    /// # Errors
    /// When it names a call that does not run.
    pub fn handle_operator(&mut self, _now: Instant, _operator: Operator) -> Result<(), OperatorError> {
        Ok(())
    }

    /// A new snapshot of agents, trunks and numbers.
    pub fn handle_directory(&mut self, _now: Instant, directory: Arc<Directory>) {
        self.directory = directory;
    }

    /// A new dialplan, for calls from now on.
    pub fn handle_dialplan(&mut self, _now: Instant, dialplan: Arc<Dialplan>) {
        self.dialplan = dialplan;
    }

    /// Time has come to `poll_timeout`.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// The next thing to be done outside.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Figures for `/metrics`.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Calls running now.
    #[must_use]
    pub fn call_count(&self) -> usize {
        0
    }

    /// Bindings registered now.
    #[must_use]
    pub fn binding_count(&self) -> usize {
        0
    }

    /// Whether new calls are refused since `Operator::Drain`.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        false
    }
}

/// What the switchboard has counted since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages over UDP or TCP from addresses of no trunk: dropped.
    pub strangers: u64,
    /// Packets that are not SIP.
    pub malformed: u64,
    /// Challenges sent (401, 407).
    pub challenges: u64,
    /// Credentials that did not verify.
    pub authentication_failures: u64,
    /// REGISTERs answered with 200.
    pub registrations: u64,
    /// Calls begun.
    pub calls: u64,
    /// Calls answered.
    pub answered: u64,
}
