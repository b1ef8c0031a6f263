//! The stream sent to one peer: one SSRC, sequence numbers without holes, timestamps on the peer's clock that stay continuous
//! whatever happens to the source (RFC 3550 §5.1, §7.1 for translators).

use std::time::{Duration, Instant};

use super::Header;

/// What a packet lasts, before it is known.
const FRAME: Duration = Duration::from_millis(20);
/// A source whose timestamps leave real time by more has begun anew without saying so; no network delays so unevenly.
const MAX_STRAY: Duration = Duration::from_secs(2);
/// How long a source may be that late: what a stall kept back comes all at once, and is on time again when it has come.
const CATCHES_UP: Duration = Duration::from_millis(200);

/// How a packet's place in time is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// By the source's timestamp, at the source's clock rate.
    Source { ssrc: u32, timestamp: u32, clock_rate: u32 },
    /// By the gateway's own clock: played or generated media.
    Own,
}

/// A source that goes on where it was, but later than real time has it.
#[derive(Debug, Clone, Copy)]
struct Late {
    since: Instant,
    /// What was sent before it was late, and when.
    timestamp: u32,
    sent: Instant,
}

/// Numbers and times what is sent.
#[derive(Debug, Clone)]
pub(crate) struct Egress {
    pub(crate) ssrc: u32,
    clock_rate: u32,
    /// What a packet lasts at least before other media may begin.
    frame: Duration,
    sequence: u16,
    timestamp: u32,
    /// The source last followed: its SSRC, its timestamp, and ours for it.
    anchor: Option<(u32, u32, u32)>,
    late: Option<Late>,
    last_sent: Option<Instant>,
    /// How far the timestamps lie before real time, because media began inside the frame sent last: the next takes it back.
    ahead: u32,
    packets: u64,
    octets: u64,
}

impl Egress {
    /// Starts a stream with random first numbers, as RFC 3550 §5.1 wants.
    pub(crate) fn new(ssrc: u32, first_sequence: u16, first_timestamp: u32, clock_rate: u32) -> Self {
        Self {
            ssrc,
            clock_rate,
            frame: FRAME,
            sequence: first_sequence,
            timestamp: first_timestamp,
            anchor: None,
            late: None,
            last_sent: None,
            ahead: 0,
            packets: 0,
            octets: 0,
        }
    }

    /// The timestamp for media at `pace`. A new source continues where the old one stopped, after the time that passed.
    pub(crate) fn timestamp_for(&mut self, now: Instant, pace: Pace) -> u32 {
        match pace {
            Pace::Source { ssrc, timestamp, clock_rate } => match self.anchor {
                Some((followed, theirs, ours)) if followed == ssrc => {
                    let delta = i64::from(timestamp.wrapping_sub(theirs).cast_signed());
                    let scaled = delta * i64::from(self.clock_rate) / i64::from(clock_rate.max(1));
                    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // timestamps wrap at 32 bits
                    let value = ours.wrapping_add(scaled as u32);
                    if let Some(ours) = self.astray(now, value) {
                        self.anchor = Some((ssrc, timestamp, ours));
                        return ours;
                    }
                    // Kept close, so that the scaled difference stays exact over a long call.
                    if delta.unsigned_abs() > u64::from(clock_rate) * 60 && delta % 6 == 0 {
                        self.anchor = Some((ssrc, timestamp, value));
                    }
                    value
                }
                Some(_) | None => {
                    let ours = self.next_after(now);
                    self.anchor = Some((ssrc, timestamp, ours));
                    ours
                }
            },
            Pace::Own => {
                self.anchor = None;
                self.next_after(now)
            }
        }
    }

    /// Where media of another origin begins: after the time that passed, and never inside the frame sent last.
    fn next_after(&mut self, now: Instant) -> u32 {
        self.late = None;
        let Some(last) = self.last_sent else { return self.timestamp };
        let passed = units(now.saturating_duration_since(last), self.clock_rate);
        let step = passed.saturating_sub(self.ahead).max(units(self.frame, self.clock_rate));
        self.ahead = (self.ahead + step).saturating_sub(passed);
        self.timestamp.wrapping_add(step)
    }

    /// Where a timestamp belongs that is so far from our clock that the source must have changed its own.
    fn astray(&mut self, now: Instant, timestamp: u32) -> Option<u32> {
        let last_sent = self.last_sent?;
        let allowed = units(MAX_STRAY, self.clock_rate).cast_signed();
        let expected = self.late.map_or(self.continued(now), |late| {
            late.timestamp.wrapping_add(units(now.saturating_duration_since(late.sent), self.clock_rate))
        });
        let distance = timestamp.wrapping_sub(expected).cast_signed();
        if distance.checked_abs().is_some_and(|distance| distance <= allowed) {
            self.late = None;
            return None;
        }
        let step = timestamp.wrapping_sub(self.timestamp).cast_signed();
        if distance < 0 && (1..=allowed).contains(&step) {
            let beginning = Late { since: now, timestamp: self.timestamp, sent: last_sent };
            let late = self.late.get_or_insert(beginning);
            if now.saturating_duration_since(late.since) < CATCHES_UP {
                return None;
            }
            self.late = None;
            return Some(expected);
        }
        Some(self.next_after(now))
    }

    /// Forgets the source, so that the next packet of any source continues after the time that passed.
    pub(crate) fn unanchor(&mut self) {
        self.anchor = None;
    }

    /// Goes on as another source, to whoever follows this one.
    pub(crate) fn begin_anew(&mut self) {
        self.ssrc = self.ssrc.wrapping_add(1);
        self.anchor = None;
    }

    /// Makes the header of the next packet and counts it.
    pub(crate) fn header(
        &mut self,
        now: Instant,
        marker: bool,
        payload_type: u8,
        timestamp: u32,
        payload: usize,
    ) -> Header {
        let header = Header { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        self.sequence = self.sequence.wrapping_add(1);
        // The packets of one telephone-event share the timestamp of its beginning, which stays where it was in time.
        if self.last_sent.is_none() || timestamp != self.timestamp {
            self.timestamp = timestamp;
            self.last_sent = Some(now);
        }
        self.packets += 1;
        self.octets += payload as u64;
        header
    }

    /// Leaves sequence numbers out, so that the peer of a relayed stream sees the loss and can conceal it itself.
    pub(crate) fn skip(&mut self, count: u16) {
        self.sequence = self.sequence.wrapping_add(count);
    }

    /// Packets and payload octets sent, for sender reports.
    pub(crate) fn sent(&self) -> (u64, u64) {
        (self.packets, self.octets)
    }

    /// The timestamp that `now` has on this stream, for sender reports.
    pub(crate) fn continued(&self, now: Instant) -> u32 {
        let Some(last) = self.last_sent else { return self.timestamp };
        self.timestamp.wrapping_add(units(now.saturating_duration_since(last), self.clock_rate))
    }

    /// Says what a packet lasts from now on.
    pub(crate) fn set_frame(&mut self, frame: Duration) {
        self.frame = frame;
    }

    /// Changes the clock rate when another codec is negotiated; the numbers go on.
    pub(crate) fn set_clock_rate(&mut self, clock_rate: u32) {
        if self.clock_rate != clock_rate {
            self.clock_rate = clock_rate;
            self.anchor = None;
            self.ahead = 0;
        }
    }
}

/// `elapsed` in timestamp units, wrapped.
pub(crate) fn units(elapsed: Duration, clock_rate: u32) -> u32 {
    let clock_rate = u64::from(clock_rate);
    let part = u64::from(elapsed.subsec_micros()) * clock_rate / 1_000_000;
    #[allow(clippy::cast_possible_truncation)] // timestamps wrap at 32 bits
    let units = elapsed.as_secs().wrapping_mul(clock_rate).wrapping_add(part) as u32;
    units
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]
mod tests {
    use super::*;

    #[test]
    fn timestamps_follow_the_source_at_our_clock_rate() {
        let now = Instant::now();
        let mut egress = Egress::new(7, 1, 1000, 8000);
        let pace = |timestamp| Pace::Source { ssrc: 1, timestamp, clock_rate: 48_000 };
        for n in 0..5_u32 {
            let timestamp = egress.timestamp_for(now, pace((u32::MAX - 960).wrapping_add(n * 960)));
            assert_eq!(timestamp, 1000 + n * 160);
            egress.header(now, false, 0, timestamp, 160);
        }
    }

    #[test]
    fn a_new_source_continues_after_the_time_that_passed() {
        let now = Instant::now();
        let mut egress = Egress::new(7, 65_535, 0, 8000);
        let first = egress.timestamp_for(now, Pace::Source { ssrc: 1, timestamp: 5, clock_rate: 8000 });
        assert_eq!(egress.header(now, true, 0, first, 160).sequence, 65_535);
        let later = now + Duration::from_millis(50);
        let second = egress.timestamp_for(later, Pace::Source { ssrc: 2, timestamp: 9_000_000, clock_rate: 8000 });
        assert_eq!((second, egress.header(later, true, 0, second, 160).sequence), (400, 0));
    }

    #[test]
    fn a_source_that_jumps_on_its_own_clock_does_not_take_ours_along() {
        let now = Instant::now();
        let mut egress = Egress::new(7, 1, 0, 8000);
        let pace = |timestamp| Pace::Source { ssrc: 1, timestamp, clock_rate: 8000 };
        let first = egress.timestamp_for(now, pace(1000));
        egress.header(now, true, 0, first, 160);
        let now = now + Duration::from_millis(20);
        let jumped = egress.timestamp_for(now, pace(3_000_000_000));
        egress.header(now, false, 0, jumped, 160);
        let after = egress.timestamp_for(now + Duration::from_millis(20), pace(3_000_000_160));
        assert_eq!((first, jumped, after), (0, 160, 320));
    }

    #[test]
    fn silence_of_the_source_is_kept_as_time_that_passed() {
        let now = Instant::now();
        let mut egress = Egress::new(7, 1, 0, 8000);
        let pace = |timestamp| Pace::Source { ssrc: 1, timestamp, clock_rate: 8000 };
        let first = egress.timestamp_for(now, pace(0));
        egress.header(now, true, 0, first, 160);
        let later = now + Duration::from_secs(7);
        assert_eq!(egress.timestamp_for(later, pace(7 * 8000)), 7 * 8000);
    }

    /// Sends what a source says at some moment; gives its timestamp.
    fn follow(egress: &mut Egress, now: Instant, timestamp: u32) -> u32 {
        let timestamp = egress.timestamp_for(now, Pace::Source { ssrc: 1, timestamp, clock_rate: 8000 });
        egress.header(now, false, 0, timestamp, 160);
        timestamp
    }

    #[test]
    fn what_a_stall_kept_back_does_not_put_the_stream_ahead_of_time() {
        let start = Instant::now();
        let mut egress = Egress::new(7, 1, 0, 8000);
        for n in 0..400_u32 {
            // From the second second to the fifth nothing gets through; then all of it at once.
            let arrives = if (50..250).contains(&n) { 250 } else { n };
            assert_eq!(follow(&mut egress, start + FRAME * arrives, n * 160), n * 160);
        }
    }

    #[test]
    fn a_source_whose_clock_stood_still_is_put_back_on_time() {
        let start = Instant::now();
        let mut egress = Egress::new(7, 1, 0, 8000);
        let mut last = 0;
        for n in 0..100_u32 {
            let sent = if n < 50 { n } else { n + 200 };
            last = follow(&mut egress, start + FRAME * sent, n * 160);
        }
        assert_eq!(last, 299 * 160);
    }

    #[test]
    fn digits_between_the_packets_of_a_source_do_not_put_the_stream_ahead_of_time() {
        let start = Instant::now();
        let mut egress = Egress::new(7, 1, 0, 8000);
        for n in 0..100_u32 {
            let now = start + FRAME * 10 * n;
            let audio = follow(&mut egress, now, n * 1600);
            assert!(audio <= n * 1600 + 160, "{audio} after {n} digits");
            let now = now + Duration::from_millis(1);
            let digit = egress.timestamp_for(now, Pace::Own);
            assert!(digit >= audio + 160, "{digit} lies in the frame of {audio}");
            egress.header(now, true, 101, digit, 4);
            egress.unanchor();
        }
    }

    #[test]
    fn following_a_source_for_hours_does_not_drift() {
        let mut now = Instant::now();
        let mut egress = Egress::new(7, 1, 0, 8000);
        for n in 0..(3 * 3600 * 50_u32) {
            let source = n.wrapping_mul(960);
            let timestamp = egress.timestamp_for(now, Pace::Source { ssrc: 1, timestamp: source, clock_rate: 48_000 });
            assert_eq!(timestamp, n * 160);
            egress.header(now, false, 0, timestamp, 160);
            now += Duration::from_millis(20);
        }
    }
}
