//! RTCP of one leg (RFC 3550 §6): a compound of SR or RR, SDES CNAME and at the end BYE, about every five seconds; loss and round
//! trip from what the peer reports. Assembled and taken apart by rtc-rtcp.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use rtc_rtcp::goodbye::Goodbye;
use rtc_rtcp::packet::Packet;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::source_description::{SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem};

use rtc_shared::marshal::Unmarshal;

use crate::rtp::{Egress, Reception};

/// RFC 3550 §6.2: five seconds on average.
const INTERVAL: Duration = Duration::from_secs(5);
/// Packet types (§12.1).
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
/// Seconds from 1900 to 1970.
const NTP_OFFSET: u64 = 2_208_988_800;

/// Turns the monotonic clock into NTP time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NtpClock {
    pub(crate) started: (Instant, SystemTime),
}

impl NtpClock {
    /// 32.32 fixed point seconds since 1900 (RFC 3550 §4).
    fn at(self, now: Instant) -> u64 {
        let wall = self.started.1 + now.saturating_duration_since(self.started.0);
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        ((since.as_secs() + NTP_OFFSET) << 32) | ((u64::from(since.subsec_nanos()) << 32) / 1_000_000_000)
    }
}

/// The middle 32 bits of an NTP time, in which LSR and DLSR are counted.
fn middle(ntp: u64) -> u32 {
    #[allow(clippy::cast_possible_truncation)] // the middle is what is meant
    let middle = (ntp >> 16) as u32;
    middle
}

/// Reports of one leg.
#[derive(Debug)]
pub(crate) struct Reporter {
    clock: NtpClock,
    cname: String,
    next: Instant,
    /// State of a xorshift generator, never zero.
    random: u32,
    last_sender_report: Option<(u32, Instant)>,
    round_trip: Option<Duration>,
}

impl Reporter {
    /// `random` shifts this leg's reports against those of others.
    pub(crate) fn new(clock: NtpClock, cname: String, now: Instant, random: u32) -> Self {
        let mut reporter =
            Self { clock, cname, next: now, random: random | 1, last_sender_report: None, round_trip: None };
        // The first one early, so that the peer soon has a round trip (§6.2).
        reporter.next = now + reporter.interval() / 2;
        reporter
    }

    /// The time to the next report: a half to one and a half times the interval (§6.3.1).
    fn interval(&mut self) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        INTERVAL / 2 + INTERVAL * (self.random >> 24) / 256
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.next
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The report due at `now`; `None` while it is not due.
    pub(crate) fn poll(&mut self, now: Instant, egress: &Egress, reception: &mut Reception) -> Option<BytesMut> {
        if now < self.next {
            return None;
        }
        self.next = now + self.interval();
        let report = self.report(now, egress, reception);
        rtc_rtcp::packet::marshal(&[report, self.description(egress.ssrc)]).ok()
    }

    /// The last report, with BYE.
    pub(crate) fn farewell(&mut self, now: Instant, egress: &Egress, reception: &mut Reception) -> Option<BytesMut> {
        let report = self.report(now, egress, reception);
        let bye: Box<dyn Packet> = Box::new(Goodbye { sources: vec![egress.ssrc], reason: Bytes::new() });
        rtc_rtcp::packet::marshal(&[report, self.description(egress.ssrc), bye]).ok()
    }

    fn report(&self, now: Instant, egress: &Egress, reception: &mut Reception) -> Box<dyn Packet> {
        let jitter = reception.jitter_units();
        let source = reception.ssrc();
        let block = reception.report().zip(source).map(|(loss, ssrc)| ReceptionReport {
            ssrc,
            fraction_lost: loss.fraction,
            total_lost: loss.cumulative,
            last_sequence_number: loss.highest,
            jitter,
            last_sender_report: self.last_sender_report.map_or(0, |(middle, _)| middle),
            delay: self.last_sender_report.map_or(0, |(_, at)| fraction(now.saturating_duration_since(at))),
        });
        let reports: Vec<ReceptionReport> = block.into_iter().collect();
        let (packets, octets) = egress.sent();
        if packets == 0 {
            return Box::new(ReceiverReport { ssrc: egress.ssrc, reports, profile_extensions: Bytes::new() });
        }
        #[allow(clippy::cast_possible_truncation)] // both counts wrap at 32 bits (§6.4.1)
        let (packet_count, octet_count) = (packets as u32, octets as u32);
        Box::new(SenderReport {
            ssrc: egress.ssrc,
            ntp_time: self.clock.at(now),
            rtp_time: egress.continued(now),
            packet_count,
            octet_count,
            reports,
            profile_extensions: Bytes::new(),
        })
    }

    fn description(&self, source: u32) -> Box<dyn Packet> {
        let text = Bytes::from(self.cname.clone());
        let items = vec![SourceDescriptionItem { sdes_type: SdesType::SdesCname, text }];
        Box::new(SourceDescription { chunks: vec![SourceDescriptionChunk { source, items }] })
    }

    /// Takes a compound packet. Whether it was RTCP at all.
    pub(crate) fn handle(&mut self, now: Instant, our_ssrc: u32, packet: &[u8]) -> bool {
        let mut rest = packet;
        while let [first, kind, high, low, ..] = rest {
            let length = (usize::from(u16::from_be_bytes([*high, *low])) + 1) * 4;
            let Some((mut one, after)) = rest.split_at_checked(length).filter(|_| first >> 6 == 2) else {
                return false;
            };
            rest = after;
            // Only the reports are of use, and only they are read: the rest of RTCP is a wide field for hostile bytes.
            match *kind {
                SENDER_REPORT => {
                    let Ok(report) = SenderReport::unmarshal(&mut one) else { return false };
                    self.last_sender_report = Some((middle(report.ntp_time), now));
                    self.learn(now, our_ssrc, &report.reports);
                }
                RECEIVER_REPORT => {
                    let Ok(report) = ReceiverReport::unmarshal(&mut one) else { return false };
                    self.learn(now, our_ssrc, &report.reports);
                }
                _ => {}
            }
        }
        rest.is_empty() && !packet.is_empty()
    }

    /// The round trip from our report to the peer's (§6.4.1): arrival - LSR - DLSR.
    fn learn(&mut self, now: Instant, our_ssrc: u32, reports: &[ReceptionReport]) {
        for report in reports.iter().filter(|report| report.ssrc == our_ssrc && report.last_sender_report != 0) {
            let arrival = middle(self.clock.at(now));
            let trip = arrival.wrapping_sub(report.last_sender_report).wrapping_sub(report.delay);
            // A peer that counts wrongly would give hours.
            if trip < 60 << 16 {
                self.round_trip = Some(Duration::from_micros(u64::from(trip) * 1_000_000 / 65_536));
            }
        }
    }
}

/// A duration in units of 1/65536 s.
fn fraction(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros() * 65_536 / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "any moment will do as the start of a simulated clock")]
mod tests {
    use super::*;

    fn side(start: Instant) -> (Reporter, Egress, Reception) {
        let clock = NtpClock { started: (start, UNIX_EPOCH + Duration::from_secs(1_800_000_000)) };
        let reporter = Reporter::new(clock, "x".to_owned(), start, 0);
        (reporter, Egress::new(7, 1, 0, 8000), Reception::new(8000))
    }

    #[test]
    fn the_round_trip_is_measured_from_our_report_to_the_peers() {
        let start = Instant::now();
        let (mut ours, mut egress, mut reception) = side(start);
        let (mut theirs, mut their_egress, mut their_reception) = side(start);
        their_egress.ssrc = 8;
        egress.header(start, true, 0, 0, 160);
        their_egress.header(start, true, 0, 0, 160);
        reception.admit(start, 8, 1, 0);
        their_reception.admit(start, 7, 1, 0);
        let sent_at = start + Duration::from_secs(6);
        let report = ours.poll(sent_at, &egress, &mut reception).expect("due");
        assert!(theirs.handle(sent_at + Duration::from_millis(40), 8, &report));
        let answered_at = start + Duration::from_secs(8);
        let answer = theirs.poll(answered_at, &their_egress, &mut their_reception).expect("due");
        assert!(ours.handle(answered_at + Duration::from_millis(40), 7, &answer));
        let trip = ours.round_trip().expect("measured");
        assert!(trip.abs_diff(Duration::from_millis(80)) < Duration::from_millis(1), "{trip:?}");
    }

    #[test]
    fn reports_come_every_five_seconds_on_average_and_not_in_step() {
        let start = Instant::now();
        let (mut reporter, egress, mut reception) = side(start);
        assert!(reporter.poll(start, &egress, &mut reception).is_none());
        let mut gaps = Vec::new();
        for _ in 0..200 {
            let due = reporter.deadline();
            assert!(reporter.poll(due, &egress, &mut reception).is_some());
            gaps.push(reporter.deadline() - due);
        }
        assert!(gaps.iter().all(|gap| (INTERVAL / 2..=INTERVAL * 3 / 2).contains(gap)));
        let mean = gaps.iter().sum::<Duration>() / 200;
        assert!(mean.abs_diff(INTERVAL) < Duration::from_millis(500), "{mean:?}");
    }

    #[test]
    fn hostile_rtcp_is_refused_without_panic() {
        let start = Instant::now();
        let (mut reporter, egress, mut reception) = side(start);
        let report = reporter.farewell(start, &egress, &mut reception).expect("made");
        for cut in 0..report.len() {
            reporter.handle(start, 7, &report[..cut]);
            let mut broken = report.to_vec();
            broken[cut] ^= 0xff;
            reporter.handle(start, 7, &broken);
        }
    }
}
