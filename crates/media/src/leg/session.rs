//! One leg's media session: its description, its wire, its ear and its mouth, and what it has to report.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use smallvec::SmallVec;

use super::ingress::Ingress;
use super::outgoing::Outgoing;
use super::{Arrival, Sink, Wire};
use crate::codec::Rate;
use crate::command::{Bandwidth, Codec, MediaSessionId, MixId, SocketId};
use crate::event::{Event, Hold, MediaState, Statistics};
use crate::link::Standing;
use crate::milestone::{Milestone, Told};
use crate::packer::Target;
use crate::rtcp::Reporter;
use crate::rtp::RtpView;
use crate::sdp::{LocalMedia, Negotiated};

/// What a session is joined with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Join {
    /// Nothing: what it hears is dropped.
    Nothing,
    /// Another session.
    Session(MediaSessionId),
    /// Itself.
    Echo,
    /// Nothing, and it is played music.
    Music,
    /// The others in a mix.
    Mix(MixId),
}

/// Counts and moments of a session.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) silence_timeout: Duration,
    /// When media or a sign of life came last; the silence counts from the agreement on before the first.
    pub(crate) last_heard: Option<Instant>,
    pub(crate) silence_told: bool,
    pub(crate) agreed_at: Option<Instant>,
    pub(crate) first_media: Option<Instant>,
    pub(crate) connected_told: bool,
    pub(crate) failure_told: bool,
    /// The peer wanted to receive once.
    pub(crate) was_wanted: bool,
    /// What media was last said to do.
    pub(crate) state_told: MediaState,
    pub(crate) received: u64,
    pub(crate) discarded: u64,
    /// SRTP that failed; `discarded` does not count it.
    pub(crate) unauthentic: u64,
    pub(crate) told: Told,
}

/// Our side as it will be.
#[derive(Debug)]
pub(crate) enum Proposed {
    /// Once the peer answers our offer.
    Offer(LocalMedia),
    /// Once our answer is sent.
    Answer(LocalMedia, Box<Negotiated>),
}

/// One leg's media.
#[derive(Debug)]
pub(crate) struct MediaSession {
    pub(crate) local: LocalMedia,
    /// A description of ours that does not count yet.
    pub(crate) proposed: Option<Box<Proposed>>,
    /// What was agreed on last.
    pub(crate) agreed: Option<Box<Negotiated>>,
    pub(crate) hold: Hold,
    pub(crate) wire: Wire,
    pub(crate) ingress: Ingress,
    pub(crate) outgoing: Outgoing,
    pub(crate) join: Join,
    pub(crate) reporter: Reporter,
    pub(crate) watch: Watch,
    /// The peer's addresses under which the shard finds this session on the shared port.
    pub(crate) found_at: SmallVec<[SocketAddr; 2]>,
    /// The timer entry that stands for this session; later ones of its own are stale.
    pub(crate) scheduled: Option<Instant>,
}

impl MediaSession {
    /// Takes what both sides agreed on, by an offer of the peer's or of ours.
    pub(crate) fn agree(&mut self, now: Instant, negotiated: Box<Negotiated>, by_peer: bool) {
        // Asked not to send, a peer does not say whether it would like to receive. One that never did holds nobody: it makes an
        // announcement, which is to be heard.
        let is_wish = by_peer || self.local.direction.sends();
        let holds = if is_wish { !negotiated.peer_receives && self.watch.was_wanted } else { self.hold.is_remote() };
        self.watch.was_wanted |= is_wish && negotiated.peer_receives;
        self.hold = Hold::new(self.hold.is_local(), holds);
        self.wire.set_remote(now, &negotiated);
        self.ingress.agree(&negotiated);
        self.outgoing.agree(now, &negotiated);
        if self.watch.agreed_at.is_some() {
            // Who was silent by agreement has time to speak again.
            self.restart_silence(now);
        }
        self.watch.agreed_at.get_or_insert(now);
        self.agreed = Some(negotiated);
    }

    /// The rate of sound worth exchanging with the peer: more than 8 kHz where both sides have said that they want more.
    pub(crate) fn rate(&self) -> Rate {
        match &self.wire {
            Wire::Link(link) => match self.outgoing.target().map(|target| target.codec) {
                Some(codec @ (Codec::Opus | Codec::G722)) => codec.rate().min(link.beyond.rate),
                Some(Codec::Pcmu | Codec::Pcma) | None => Rate::Narrow,
            },
            Wire::Plain(_) | Wire::Secure(_) => {
                self.agreed.as_ref().map_or(Rate::Narrow, |agreed| rate_of(agreed, self.local.bandwidth))
            }
        }
    }

    /// Takes a packet off the wire. RTP in the clear is given back, to be relayed.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        packet: &[u8],
        sink: &mut Sink,
    ) -> Option<BytesMut> {
        let arrival = self.wire.receive(now, socket, from, packet, sink);
        while let Some(outbound) = self.wire.poll_transmit() {
            sink.packets.push_back(outbound);
        }
        match arrival {
            Arrival::Rtp(clear) => {
                let clear = self.admit(now, clear, sink)?;
                self.wire.latch(now, from, &clear);
                return Some(clear);
            }
            Arrival::Rtcp(clear) => {
                if self.reporter.handle(now, self.outgoing.egress.ssrc, &clear) {
                    self.wire.latch_rtcp(now, socket, from);
                    if let Some((lost, round_trip)) = self.reporter.take_report() {
                        self.outgoing.note_report(lost, round_trip);
                    }
                } else {
                    self.watch.discarded += 1;
                }
                sink.recycle(clear);
            }
            // A held or muted browser sends no media, but its consent checks show that it is there (RFC 7675).
            Arrival::Alive => self.note_life(now),
            Arrival::Unauthentic => {
                tracing::trace!(%from, "not authentic");
                self.watch.unauthentic += 1;
                self.watch.told.note_refused(from, "SRTP not authentic, or a replay");
            }
            Arrival::Discarded(reason) => {
                tracing::trace!(reason, %from, "discarded");
                self.watch.discarded += 1;
                self.watch.told.note_refused(from, reason);
            }
        }
        None
    }

    /// Takes RTP in the clear, and gives it back if it is what was agreed on.
    pub(crate) fn admit(&mut self, now: Instant, clear: BytesMut, sink: &mut Sink) -> Option<BytesMut> {
        if !RtpView::parse(&clear).is_ok_and(|view| self.ingress.knows(view.header.payload_type)) {
            self.watch.discarded += 1;
            sink.recycle(clear);
            return None;
        }
        self.watch.received += 1;
        self.watch.first_media.get_or_insert(now);
        self.note_life(now);
        Some(clear)
    }

    /// How it stands for whoever is joined with it; of a link's end, how whoever is beyond does.
    pub(crate) fn standing(&self) -> Standing {
        match &self.wire {
            Wire::Link(link) => link.beyond,
            Wire::Plain(_) | Wire::Secure(_) => Standing {
                holds: self.hold != Hold::None,
                speaks: self.ingress.may_receive(),
                codec: self.outgoing.target().map(|target| target.codec),
                rate: self.rate(),
            },
        }
    }

    /// Whether it neither hears nor is heard, because one side of it holds.
    pub(crate) fn is_held(&self) -> bool {
        self.standing().holds
    }

    /// Whether it stands for a session of another shard.
    pub(crate) fn is_link(&self) -> bool {
        matches!(self.wire, Wire::Link(_))
    }

    fn note_life(&mut self, now: Instant) {
        self.watch.last_heard = Some(now);
        self.watch.silence_told = false;
    }

    /// What has become true since the last time and is to be told.
    pub(crate) fn news(&mut self, now: Instant, session: MediaSessionId, events: &mut impl Extend<Event>) {
        while let Some(milestone) = self.next_milestone() {
            events.extend([Event::Milestone { session, at: now, milestone }]);
        }
        if !self.watch.connected_told
            && self.wire.is_connected()
            && let Some(peer) = self.wire.peer()
        {
            self.watch.connected_told = true;
            events.extend([Event::Connected { session, peer }]);
        }
        if !self.watch.failure_told
            && let Some(reason) = self.wire.failure()
        {
            self.watch.failure_told = true;
            events.extend([Event::Failed { session, reason: reason.to_owned() }]);
        }
    }

    /// What the session has come to that was not told yet. Asked after every packet: a look at a few flags when there is nothing.
    fn next_milestone(&mut self) -> Option<Milestone> {
        if self.is_link() {
            return None;
        }
        let told = &mut self.watch.told;
        if !told.agreed
            && let Some(agreed) = &self.agreed
        {
            told.agreed = true;
            return Some(Milestone::Agreed { codec: agreed.codec, remote: agreed.remote_rtp });
        }
        if let Wire::Secure(secure) = &self.wire {
            if !told.path
                && let Some(peer) = secure.peer()
            {
                told.path = true;
                return Some(Milestone::PathValidated { peer });
            }
            if !told.dtls && secure.has_begun_dtls() {
                told.dtls = true;
                return Some(Milestone::DtlsStarted);
            }
        }
        if !told.received && self.watch.received > 0 {
            told.received = true;
            return Some(Milestone::FirstReceived);
        }
        if !told.sent && self.outgoing.egress.sent().0 > 0 {
            told.sent = true;
            return Some(Milestone::FirstSent);
        }
        told.take_refused()
    }

    /// When the peer counts as gone.
    fn silence_deadline(&self) -> Option<Instant> {
        // Whoever holds need not send (RFC 3264 §8.4). A browser's consent checks go on all the same, and are waited for.
        // Nor whoever has said that it is silent (RFC 3389 §4).
        let may_be_silent = self.hold != Hold::None || !self.ingress.may_receive() || self.ingress.is_quiet();
        if may_be_silent && matches!(self.wire, Wire::Plain(_)) {
            return None;
        }
        if self.watch.silence_told || self.watch.silence_timeout.is_zero() {
            return None;
        }
        let agreed_at = self.watch.agreed_at?;
        let since = self.watch.last_heard.unwrap_or(agreed_at);
        Some(since + self.watch.silence_timeout)
    }

    /// Whether silence is to be told now.
    pub(crate) fn falls_silent(&mut self, now: Instant) -> bool {
        let silent = self.silence_deadline().is_some_and(|deadline| now >= deadline);
        self.watch.silence_told |= silent;
        silent
    }

    /// When this session wants to be looked at again.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let keying = match &self.wire {
            Wire::Plain(_) | Wire::Link(_) => None,
            Wire::Secure(secure) => secure.poll_timeout(),
        };
        let reports = self.has_reports().then(|| self.reporter.deadline());
        let all = [keying, reports, self.ingress.deadline(), self.outgoing.deadline(now), self.silence_deadline()];
        all.into_iter().flatten().min()
    }

    /// Sends what the clock demands of the wire and of RTCP.
    pub(crate) fn handle_timeout(&mut self, now: Instant, sink: &mut Sink) {
        if let Wire::Secure(secure) = &mut self.wire {
            secure.handle_timeout(now);
        }
        while let Some(outbound) = self.wire.poll_transmit() {
            sink.packets.push_back(outbound);
        }
        if self.has_reports()
            && let Some(report) = self.reporter.poll(now, &self.outgoing.egress, &mut self.ingress.reception)
        {
            sink.packets.extend(self.wire.send_rtcp(report));
        }
        self.outgoing.handle_timeout(now, &mut self.wire, sink);
    }

    /// Says good-bye on the wire.
    pub(crate) fn close(&mut self, now: Instant, sink: &mut Sink) {
        if self.has_reports() {
            let bye = self.reporter.farewell(now, &self.outgoing.egress, &mut self.ingress.reception);
            sink.packets.extend(self.wire.send_rtcp(bye));
        }
        if let Wire::Secure(secure) = &mut self.wire {
            secure.close(now);
        }
        while let Some(outbound) = self.wire.poll_transmit() {
            sink.packets.push_back(outbound);
        }
    }

    fn has_reports(&self) -> bool {
        self.watch.agreed_at.is_some() && self.wire.has_rtcp()
    }

    /// Packets dropped by any part of this leg.
    pub(crate) fn discarded(&self) -> u64 {
        self.watch.discarded + self.watch.unauthentic + self.ingress.discarded
    }

    /// The call goes on in another way: silence counts from here.
    pub(crate) fn restart_silence(&mut self, now: Instant) {
        self.note_life(now);
    }

    pub(crate) fn statistics(&self) -> Statistics {
        Statistics {
            packets_received: self.watch.received,
            packets_sent: self.outgoing.egress.sent().0,
            packets_lost: self.ingress.reception.lost(),
            packets_discarded: self.discarded(),
            srtp_failures: self.watch.unauthentic,
            jitter: self.ingress.reception.jitter(),
            round_trip: self.reporter.round_trip(),
            time_to_media: self
                .watch
                .agreed_at
                .zip(self.watch.first_media)
                .map(|(agreed, first)| first.saturating_duration_since(agreed)),
        }
    }
}

fn rate_of(agreed: &Negotiated, bandwidth: Bandwidth) -> Rate {
    let asked_for = match (agreed.codec, bandwidth) {
        (Codec::Opus, Bandwidth::Narrow) => Rate::Narrow,
        (Codec::Opus, Bandwidth::Wide | Bandwidth::Full) | (Codec::Pcmu | Codec::Pcma | Codec::G722, _) => Rate::Wide,
    };
    Target::new(agreed).rate().min(asked_for)
}
