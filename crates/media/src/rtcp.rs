//! RTCP of one leg (RFC 3550 §6): a compound of SR or RR, SDES CNAME and at the end BYE, about every five seconds; loss and round
//! trip from what the peer reports, read by rtc-rtcp.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{BufMut, BytesMut};
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;

use rtc_shared::marshal::Unmarshal;

use crate::rtp::{Egress, Reception};

/// RFC 3550 §6.2: five seconds on average.
const INTERVAL: Duration = Duration::from_secs(5);
/// Packet types (§12.1).
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
/// The SDES item (§6.5.1).
const CNAME: u8 = 1;
/// More than our longest compound packet.
const CAPACITY: usize = 256;
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
    /// The peer's last: its SSRC, the middle of its NTP time, and when it came.
    last_sender_report: Option<(u32, u32, Instant)>,
    round_trip: Option<Duration>,
    /// What the peer last said it lost of our stream, as a fraction of 256, and the round trip by the same report; until it is taken.
    reported: Option<(u8, Option<Duration>)>,
}

impl Reporter {
    /// `random` shifts this leg's reports against those of others.
    pub(crate) fn new(clock: NtpClock, cname: String, now: Instant, random: u32) -> Self {
        let mut reporter = Self {
            clock,
            cname,
            next: now,
            random: random | 1,
            last_sender_report: None,
            round_trip: None,
            reported: None,
        };
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

    /// What the peer lost of our stream since its report before, as a fraction of 256, and the round trip if it gave one; told once.
    pub(crate) fn take_report(&mut self) -> Option<(u8, Option<Duration>)> {
        self.reported.take()
    }

    /// The report due at `now`; `None` while it is not due.
    pub(crate) fn poll(&mut self, now: Instant, egress: &Egress, reception: &mut Reception) -> Option<BytesMut> {
        if now < self.next {
            return None;
        }
        self.next = now + self.interval();
        let mut packet = BytesMut::with_capacity(CAPACITY);
        self.write_report(now, egress, reception, &mut packet);
        self.write_description(egress.ssrc, &mut packet);
        Some(packet)
    }

    /// The last report, with BYE.
    pub(crate) fn farewell(&mut self, now: Instant, egress: &Egress, reception: &mut Reception) -> BytesMut {
        let mut packet = BytesMut::with_capacity(CAPACITY);
        self.write_report(now, egress, reception, &mut packet);
        self.write_description(egress.ssrc, &mut packet);
        write_header(1, GOODBYE, 1, &mut packet);
        packet.put_u32(egress.ssrc);
        packet
    }

    /// SR when anything was sent, else RR (§6.4), with a block on the source heard.
    fn write_report(&self, now: Instant, egress: &Egress, reception: &mut Reception, packet: &mut BytesMut) {
        let jitter = reception.jitter_units();
        let block = reception.ssrc().and_then(|ssrc| Some((ssrc, reception.report()?)));
        let blocks = u8::from(block.is_some());
        let (packets, octets) = egress.sent();
        if packets == 0 {
            write_header(blocks, RECEIVER_REPORT, 1 + 6 * u16::from(blocks), packet);
            packet.put_u32(egress.ssrc);
        } else {
            write_header(blocks, SENDER_REPORT, 6 + 6 * u16::from(blocks), packet);
            packet.put_u32(egress.ssrc);
            packet.put_u64(self.clock.at(now));
            packet.put_u32(egress.continued(now));
            #[allow(clippy::cast_possible_truncation)] // both counts wrap at 32 bits (§6.4.1)
            let (packets, octets) = (packets as u32, octets as u32);
            packet.put_u32(packets);
            packet.put_u32(octets);
        }
        if let Some((ssrc, loss)) = block {
            packet.put_u32(ssrc);
            packet.put_u32(u32::from(loss.fraction) << 24 | (loss.cumulative & 0x7f_ffff));
            packet.put_u32(loss.highest);
            packet.put_u32(jitter);
            let heard = self.last_sender_report.filter(|(sender, ..)| *sender == ssrc);
            packet.put_u32(heard.map_or(0, |(_, middle, _)| middle));
            packet.put_u32(heard.map_or(0, |(.., at)| fraction(now.saturating_duration_since(at))));
        }
    }

    /// SDES with the CNAME (§6.5), ended and filled up to a whole word with zeros.
    fn write_description(&self, ssrc: u32, packet: &mut BytesMut) {
        let name = self.cname.as_bytes();
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let words = (4 + 2 + u16::from(length)) / 4 + 1;
        write_header(1, SOURCE_DESCRIPTION, words, packet);
        let end = packet.len() + usize::from(words) * 4;
        packet.put_u32(ssrc);
        packet.put_u8(CNAME);
        packet.put_u8(length);
        packet.extend_from_slice(name.get(..usize::from(length)).unwrap_or_default());
        packet.resize(end, 0);
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
                    self.last_sender_report = Some((report.ssrc, middle(report.ntp_time), now));
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
        for report in reports.iter().filter(|report| report.ssrc == our_ssrc) {
            self.reported = Some((report.fraction_lost, None));
            if report.last_sender_report == 0 {
                continue;
            }
            let arrival = middle(self.clock.at(now));
            let trip = arrival.wrapping_sub(report.last_sender_report).wrapping_sub(report.delay);
            // A peer that counts wrongly would give hours.
            if trip < 60 << 16 {
                self.round_trip = Some(Duration::from_micros(u64::from(trip) * 1_000_000 / 65_536));
                self.reported = Some((report.fraction_lost, self.round_trip));
            }
        }
    }
}

/// The common header (§6.4.1); `words` without itself.
fn write_header(count: u8, kind: u8, words: u16, packet: &mut BytesMut) {
    packet.put_u8(0x80 | count);
    packet.put_u8(kind);
    packet.put_u16(words);
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
    fn a_block_answers_the_sender_report_of_its_own_source_only() {
        let start = Instant::now();
        let (mut ours, egress, mut reception) = side(start);
        let (mut theirs, mut their_egress, mut their_reception) = side(start);
        their_egress.header(start, true, 0, 0, 160);
        let answered = |reception: &mut Reception, ours: &mut Reporter| {
            let report = ours.farewell(start, &egress, reception);
            u32::from_be_bytes([report[24], report[25], report[26], report[27]]) != 0
        };
        for (heard, told) in [(7, true), (8, false)] {
            reception.admit(start, heard, 1, 0);
            let report = theirs.farewell(start, &their_egress, &mut their_reception);
            assert!(ours.handle(start, 1, &report));
            assert_eq!(answered(&mut reception, &mut ours), told, "{heard}");
        }
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
    fn what_we_write_is_read_by_others() {
        let start = Instant::now();
        for length in 0..9 {
            let (mut reporter, mut egress, mut reception) = side(start);
            reporter.cname = "c".repeat(length);
            egress.header(start, true, 0, 0, 160);
            reception.admit(start, 8, 1, 0);
            let packet = reporter.farewell(start, &egress, &mut reception);
            let packets = rtc_rtcp::packet::unmarshal(&mut packet.as_ref()).expect("well-formed");
            let kinds: Vec<u8> = packets.iter().map(|packet| packet.header().packet_type as u8).collect();
            assert_eq!(kinds, [200, 202, 203]);
            let description = packets[1].as_any().downcast_ref::<rtc_rtcp::source_description::SourceDescription>();
            assert_eq!(description.expect("SDES").chunks[0].items[0].text.as_ref(), reporter.cname.as_bytes());
        }
    }

    #[test]
    fn hostile_rtcp_is_refused_without_panic() {
        let start = Instant::now();
        let (mut reporter, egress, mut reception) = side(start);
        let report = reporter.farewell(start, &egress, &mut reception);
        for cut in 0..report.len() {
            reporter.handle(start, 7, &report[..cut]);
            let mut broken = report.to_vec();
            broken[cut] ^= 0xff;
            reporter.handle(start, 7, &broken);
        }
    }
}
