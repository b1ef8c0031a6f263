//! Session timers (RFC 4028): what both sides of a session say of them, what that makes them agree on, and when a refresh is due. Sends
//! nothing.

use std::time::{Duration, Instant};

use crate::message::{Headers, Params};

/// The option tag.
pub(crate) const TIMER: &str = "timer";
/// No side may ask for a shorter interval, in seconds (§4), and we ask nobody for a longer one.
pub(crate) const MIN_SE: u32 = 90;
/// How long before the end whoever did not have to refresh looks after the session, at most (§10): time enough for a transaction.
const WATCH: Duration = Duration::from_secs(32);
/// "Slightly before the session expiration" (§10): the BYE still finds the proxies that remember the session.
const SLIGHTLY: Duration = Duration::from_secs(2);
/// Between two attempts to refresh, at least.
const PAUSE: Duration = Duration::from_secs(5);

/// Who refreshes, from our point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refresher {
    Us,
    Peer,
}

/// The value of Session-Expires (§4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionExpires {
    /// In seconds.
    pub(crate) interval: u32,
    /// Whether the client of the transaction that it is in refreshes, when that is said.
    pub(crate) by_client: Option<bool>,
}

impl SessionExpires {
    /// What cannot be read counts as not said.
    pub(crate) fn of(headers: &Headers) -> Option<Self> {
        let (interval, params) = delta(headers.get("Session-Expires")?)?;
        let by_client = match params.get("refresher").as_deref() {
            Some(who) if who.eq_ignore_ascii_case("uac") => Some(true),
            Some(who) if who.eq_ignore_ascii_case("uas") => Some(false),
            Some(_) | None => None,
        };
        Some(Self { interval, by_client })
    }

    fn header(interval: u32, by_client: bool) -> (String, String) {
        ("Session-Expires".to_owned(), format!("{interval};refresher={}", if by_client { "uac" } else { "uas" }))
    }
}

/// Min-SE, in seconds (§5).
pub(crate) fn min_se(headers: &Headers) -> Option<u32> {
    headers.get("Min-SE").and_then(delta).map(|(interval, _)| interval)
}

/// Whether the sender knows of session timers.
pub(crate) fn knows_timers(headers: &Headers) -> bool {
    let is_timer = |tag: &str| tag.eq_ignore_ascii_case(TIMER);
    headers.supported().into_iter().chain(headers.require()).any(is_timer)
}

/// Whether a request asks for less than anybody may; one who does not know of timers cannot be told (§9).
pub(crate) fn is_too_brief(headers: &Headers) -> bool {
    knows_timers(headers) && SessionExpires::of(headers).is_some_and(|asked| asked.interval < MIN_SE)
}

/// Seconds and parameters. A number that does not fit counts as the greatest.
fn delta(text: &str) -> Option<(u32, Params)> {
    let (number, params) = text.split_at(text.find(';').unwrap_or(text.len()));
    let number = number.trim();
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| number.parse().unwrap_or(u32::MAX)).zip(Params::parse(params))
}

/// What is agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Agreed {
    interval: u32,
    refresher: Refresher,
    /// The peer knows nothing of it: we ask now and then whether it is still there, and any answer will do.
    alone: bool,
}

/// The session timer of one session.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionTimer {
    /// What we ask for, in seconds; `None`: nothing, but a peer that asks gets it.
    wish: Option<u32>,
    /// The greatest Min-SE that was heard.
    least: u32,
    agreed: Option<Agreed>,
    expires: Option<Instant>,
    refresh: Option<Instant>,
}

impl SessionTimer {
    /// One that asks for this interval, or for none.
    pub(crate) fn asking(wish: Option<Duration>) -> Self {
        let wish = wish.map(|wish| u32::try_from(wish.as_secs()).unwrap_or(u32::MAX).max(MIN_SE));
        Self { wish, ..Self::default() }
    }

    pub(crate) fn wishes(&mut self, wish: Option<Duration>) {
        self.wish = Self::asking(wish).wish;
    }

    /// The headers of our INVITE, re-INVITE or UPDATE. `takes_over`: we refresh from now on, whoever had to.
    pub(crate) fn request_headers(&self, takes_over: bool) -> Vec<(String, String)> {
        let mut headers = vec![("Supported".to_owned(), TIMER.to_owned())];
        let agreed = self.agreed.map(|agreed| (agreed.interval, takes_over || agreed.refresher == Refresher::Us));
        if let Some((interval, by_client)) = agreed.or(self.wish.map(|wish| (wish, true))) {
            headers.push(SessionExpires::header(interval.max(self.least), by_client));
        }
        if self.least > MIN_SE {
            // §7.4: what a 422 taught is to be repeated.
            headers.push(("Min-SE".to_owned(), self.least.to_string()));
        }
        headers
    }

    /// A 422 asks for more; whether that is more than was asked for, so that asking again makes sense.
    pub(crate) fn raise(&mut self, refusal: &Headers) -> bool {
        let asked = self.agreed.map(|agreed| agreed.interval).or(self.wish).map(|asked| asked.max(self.least));
        let (Some(asked), Some(least)) = (asked, min_se(refusal)) else { return false };
        self.least = self.least.max(least);
        least > asked
    }

    /// Our request was accepted: what its 2xx says holds (§7.2).
    pub(crate) fn accepted(&mut self, now: Instant, response: &Headers) {
        let agreed = SessionExpires::of(response).map(|said| {
            let refresher = if said.by_client == Some(false) { Refresher::Peer } else { Refresher::Us };
            Agreed { interval: said.interval.max(MIN_SE), refresher, alone: false }
        });
        let interval = self.wish.map(|wish| wish.max(self.least));
        let alone = interval.map(|interval| Agreed { interval, refresher: Refresher::Us, alone: true });
        self.agree(now, agreed.or(alone));
    }

    /// We accept a request of the peer: the headers of the 2xx (§9).
    pub(crate) fn accept(&mut self, now: Instant, request: &Headers) -> Vec<(String, String)> {
        let mut headers = vec![("Supported".to_owned(), TIMER.to_owned())];
        let (knows, asked) = (knows_timers(request), SessionExpires::of(request));
        let floor = min_se(request).unwrap_or(0).max(self.least).max(MIN_SE);
        let interval = match (asked, self.wish) {
            (Some(asked), Some(wish)) => Some(asked.interval.min(wish)),
            (asked, wish) => asked.map(|asked| asked.interval).or(wish),
        };
        let interval = interval.map(|interval| interval.max(floor));
        // Who leaves it to us is not trusted to refresh in time: a browser sleeps when nobody looks at it.
        let by_client = knows && asked.and_then(|asked| asked.by_client).unwrap_or(false);
        let refresher = if by_client { Refresher::Peer } else { Refresher::Us };
        self.agree(now, interval.map(|interval| Agreed { interval, refresher, alone: !knows }));
        if let Some(interval) = interval {
            headers.push(SessionExpires::header(interval, by_client));
            if knows {
                headers.push(("Require".to_owned(), TIMER.to_owned()));
            }
        }
        headers
    }

    fn agree(&mut self, now: Instant, agreed: Option<Agreed>) {
        self.agreed = agreed;
        self.renew(now);
    }

    /// The session was refreshed: its interval begins anew.
    fn renew(&mut self, now: Instant) {
        let times = self.agreed.map(|agreed| {
            let interval = Duration::from_secs(agreed.interval.into());
            let refresh = match agreed.refresher {
                Refresher::Us => interval / 2,
                Refresher::Peer => interval - WATCH.min(interval / 3),
            };
            (now + refresh, now + interval - SLIGHTLY)
        });
        (self.refresh, self.expires) = times.unzip();
    }

    /// A refresh of ours failed: there may be time for another. An answer of a peer that knows nothing of timers shows that it is there.
    pub(crate) fn failed(&mut self, now: Instant, is_alive: bool) {
        match self.agreed {
            Some(Agreed { alone: true, .. }) if is_alive => self.renew(now),
            Some(_) => self.try_later(now),
            None => {}
        }
    }

    /// Now is not the time.
    pub(crate) fn try_later(&mut self, now: Instant) {
        if let Some(agreed) = self.agreed {
            self.refresh = Some(now + PAUSE.max(Duration::from_secs((agreed.interval / 20).into())));
        }
    }

    /// Nothing is due any more.
    pub(crate) fn stop(&mut self) {
        (self.agreed, self.refresh, self.expires) = (None, None, None);
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.refresh, self.expires].into_iter().flatten().min()
    }

    /// Whether the session has not been refreshed in time.
    pub(crate) fn has_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// Whether a refresh is due, which is told once.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        self.refresh.take_if(|at| *at <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(value: &str) -> Option<(u32, Option<bool>)> {
        let mut headers = Headers::new();
        headers.push("Session-Expires", value);
        SessionExpires::of(&headers).map(|said| (said.interval, said.by_client))
    }

    #[test]
    fn session_expires_is_read_with_or_without_refresher_and_not_when_broken() {
        assert_eq!(said("1800"), Some((1800, None)));
        assert_eq!(said("90 ;Refresher=UAC;x=1"), Some((90, Some(true))));
        assert_eq!(said("90;refresher=uas"), Some((90, Some(false))));
        assert_eq!(said("90;refresher=me"), Some((90, None)));
        assert_eq!(said("99999999999"), Some((u32::MAX, None)));
        for broken in ["", "soon", "-1", "+90", ";refresher=uac", "1800;=;"] {
            assert_eq!(said(broken), None, "{broken}");
        }
    }
}
