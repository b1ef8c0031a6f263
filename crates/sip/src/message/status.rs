//! Status codes and their reason phrases (RFC 3261 §21 and its extensions).

use std::fmt;

/// A response's status, 100 to 699.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatusCode(u16);

impl StatusCode {
    /// The status with this number; `None` outside 100-699.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code <= 699 { Some(Self(code)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Its hundreds, 1 to 6.
    #[must_use]
    pub const fn class(self) -> u16 {
        self.0 / 100
    }

    /// 1xx.
    #[must_use]
    pub const fn is_provisional(self) -> bool {
        self.0 < 200
    }

    /// 2xx to 6xx.
    #[must_use]
    pub const fn is_final(self) -> bool {
        self.0 >= 200
    }

    /// 2xx.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >= 200 && self.0 < 300
    }

    /// 3xx.
    #[must_use]
    pub const fn is_redirection(self) -> bool {
        self.0 >= 300 && self.0 < 400
    }

    /// 3xx to 6xx.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        self.0 >= 300
    }

    /// The registered reason phrase, or that of its class's x00 (RFC 3261 §8.1.3.2) for an unregistered number.
    #[must_use]
    pub fn reason_phrase(self) -> &'static str {
        REGISTERED.iter().find(|(status, _)| *status == self).map_or_else(|| self.class_phrase(), |(_, phrase)| phrase)
    }

    fn class_phrase(self) -> &'static str {
        match self.class() {
            1 => "Session Progress",
            2 => "OK",
            3 => "Multiple Choices",
            4 => "Bad Request",
            5 => "Server Internal Error",
            _ => "Busy Everywhere",
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[allow(missing_docs, reason = "each name is its registered reason phrase")]
impl StatusCode {
    pub const TRYING: Self = Self(100);
    pub const RINGING: Self = Self(180);
    pub const CALL_IS_BEING_FORWARDED: Self = Self(181);
    pub const QUEUED: Self = Self(182);
    pub const SESSION_PROGRESS: Self = Self(183);
    pub const EARLY_DIALOG_TERMINATED: Self = Self(199);
    pub const OK: Self = Self(200);
    pub const ACCEPTED: Self = Self(202);
    pub const NO_NOTIFICATION: Self = Self(204);
    pub const MULTIPLE_CHOICES: Self = Self(300);
    pub const MOVED_PERMANENTLY: Self = Self(301);
    pub const MOVED_TEMPORARILY: Self = Self(302);
    pub const USE_PROXY: Self = Self(305);
    pub const ALTERNATIVE_SERVICE: Self = Self(380);
    pub const BAD_REQUEST: Self = Self(400);
    pub const UNAUTHORIZED: Self = Self(401);
    pub const PAYMENT_REQUIRED: Self = Self(402);
    pub const FORBIDDEN: Self = Self(403);
    pub const NOT_FOUND: Self = Self(404);
    pub const METHOD_NOT_ALLOWED: Self = Self(405);
    pub const NOT_ACCEPTABLE: Self = Self(406);
    pub const PROXY_AUTHENTICATION_REQUIRED: Self = Self(407);
    pub const REQUEST_TIMEOUT: Self = Self(408);
    pub const GONE: Self = Self(410);
    pub const CONDITIONAL_REQUEST_FAILED: Self = Self(412);
    pub const REQUEST_ENTITY_TOO_LARGE: Self = Self(413);
    pub const REQUEST_URI_TOO_LONG: Self = Self(414);
    pub const UNSUPPORTED_MEDIA_TYPE: Self = Self(415);
    pub const UNSUPPORTED_URI_SCHEME: Self = Self(416);
    pub const BAD_EXTENSION: Self = Self(420);
    pub const EXTENSION_REQUIRED: Self = Self(421);
    pub const SESSION_INTERVAL_TOO_SMALL: Self = Self(422);
    pub const INTERVAL_TOO_BRIEF: Self = Self(423);
    pub const USE_IDENTITY_HEADER: Self = Self(428);
    pub const FLOW_FAILED: Self = Self(430);
    pub const ANONYMITY_DISALLOWED: Self = Self(433);
    pub const FIRST_HOP_LACKS_OUTBOUND_SUPPORT: Self = Self(439);
    pub const MAX_BREADTH_EXCEEDED: Self = Self(440);
    pub const BAD_INFO_PACKAGE: Self = Self(469);
    pub const TEMPORARILY_UNAVAILABLE: Self = Self(480);
    pub const CALL_DOES_NOT_EXIST: Self = Self(481);
    pub const LOOP_DETECTED: Self = Self(482);
    pub const TOO_MANY_HOPS: Self = Self(483);
    pub const ADDRESS_INCOMPLETE: Self = Self(484);
    pub const AMBIGUOUS: Self = Self(485);
    pub const BUSY_HERE: Self = Self(486);
    pub const REQUEST_TERMINATED: Self = Self(487);
    pub const NOT_ACCEPTABLE_HERE: Self = Self(488);
    pub const BAD_EVENT: Self = Self(489);
    pub const REQUEST_PENDING: Self = Self(491);
    pub const UNDECIPHERABLE: Self = Self(493);
    pub const SECURITY_AGREEMENT_REQUIRED: Self = Self(494);
    pub const SERVER_INTERNAL_ERROR: Self = Self(500);
    pub const NOT_IMPLEMENTED: Self = Self(501);
    pub const BAD_GATEWAY: Self = Self(502);
    pub const SERVICE_UNAVAILABLE: Self = Self(503);
    pub const SERVER_TIME_OUT: Self = Self(504);
    pub const VERSION_NOT_SUPPORTED: Self = Self(505);
    pub const MESSAGE_TOO_LARGE: Self = Self(513);
    pub const PRECONDITION_FAILURE: Self = Self(580);
    pub const BUSY_EVERYWHERE: Self = Self(600);
    pub const DECLINE: Self = Self(603);
    pub const DOES_NOT_EXIST_ANYWHERE: Self = Self(604);
    pub const NOT_ACCEPTABLE_ANYWHERE: Self = Self(606);
    pub const UNWANTED: Self = Self(607);
    pub const REJECTED: Self = Self(608);
}

impl StatusCode {
    /// The Q.850 cause that says in the telephone network what this status says here (RFC 3398 §8.2.6.1).
    #[must_use]
    pub fn q850(self) -> u8 {
        match self.code() {
            200 => 16,
            401 | 402 | 403 | 407 | 603 | 607 | 608 => 21,
            404 | 485 | 604 => 1,
            405 => 63,
            408 | 504 => 102,
            410 => 22,
            413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => 127,
            480 => 18,
            481 | 500 => 41,
            482 | 483 => 25,
            484 => 28,
            486 | 600 => 17,
            488 | 606 => 88,
            415 | 501 => 79,
            502 => 38,
            503 => 42,
            _ => 31,
        }
    }
}

const REGISTERED: &[(StatusCode, &str)] = &[
    (StatusCode::TRYING, "Trying"),
    (StatusCode::RINGING, "Ringing"),
    (StatusCode::CALL_IS_BEING_FORWARDED, "Call Is Being Forwarded"),
    (StatusCode::QUEUED, "Queued"),
    (StatusCode::SESSION_PROGRESS, "Session Progress"),
    (StatusCode::EARLY_DIALOG_TERMINATED, "Early Dialog Terminated"),
    (StatusCode::OK, "OK"),
    (StatusCode::ACCEPTED, "Accepted"),
    (StatusCode::NO_NOTIFICATION, "No Notification"),
    (StatusCode::MULTIPLE_CHOICES, "Multiple Choices"),
    (StatusCode::MOVED_PERMANENTLY, "Moved Permanently"),
    (StatusCode::MOVED_TEMPORARILY, "Moved Temporarily"),
    (StatusCode::USE_PROXY, "Use Proxy"),
    (StatusCode::ALTERNATIVE_SERVICE, "Alternative Service"),
    (StatusCode::BAD_REQUEST, "Bad Request"),
    (StatusCode::UNAUTHORIZED, "Unauthorized"),
    (StatusCode::PAYMENT_REQUIRED, "Payment Required"),
    (StatusCode::FORBIDDEN, "Forbidden"),
    (StatusCode::NOT_FOUND, "Not Found"),
    (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
    (StatusCode::NOT_ACCEPTABLE, "Not Acceptable"),
    (StatusCode::PROXY_AUTHENTICATION_REQUIRED, "Proxy Authentication Required"),
    (StatusCode::REQUEST_TIMEOUT, "Request Timeout"),
    (StatusCode::GONE, "Gone"),
    (StatusCode::CONDITIONAL_REQUEST_FAILED, "Conditional Request Failed"),
    (StatusCode::REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large"),
    (StatusCode::REQUEST_URI_TOO_LONG, "Request-URI Too Long"),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type"),
    (StatusCode::UNSUPPORTED_URI_SCHEME, "Unsupported URI Scheme"),
    (StatusCode::BAD_EXTENSION, "Bad Extension"),
    (StatusCode::EXTENSION_REQUIRED, "Extension Required"),
    (StatusCode::SESSION_INTERVAL_TOO_SMALL, "Session Interval Too Small"),
    (StatusCode::INTERVAL_TOO_BRIEF, "Interval Too Brief"),
    (StatusCode::USE_IDENTITY_HEADER, "Use Identity Header"),
    (StatusCode::FLOW_FAILED, "Flow Failed"),
    (StatusCode::ANONYMITY_DISALLOWED, "Anonymity Disallowed"),
    (StatusCode::FIRST_HOP_LACKS_OUTBOUND_SUPPORT, "First Hop Lacks Outbound Support"),
    (StatusCode::MAX_BREADTH_EXCEEDED, "Max-Breadth Exceeded"),
    (StatusCode::BAD_INFO_PACKAGE, "Bad Info Package"),
    (StatusCode::TEMPORARILY_UNAVAILABLE, "Temporarily Unavailable"),
    (StatusCode::CALL_DOES_NOT_EXIST, "Call/Transaction Does Not Exist"),
    (StatusCode::LOOP_DETECTED, "Loop Detected"),
    (StatusCode::TOO_MANY_HOPS, "Too Many Hops"),
    (StatusCode::ADDRESS_INCOMPLETE, "Address Incomplete"),
    (StatusCode::AMBIGUOUS, "Ambiguous"),
    (StatusCode::BUSY_HERE, "Busy Here"),
    (StatusCode::REQUEST_TERMINATED, "Request Terminated"),
    (StatusCode::NOT_ACCEPTABLE_HERE, "Not Acceptable Here"),
    (StatusCode::BAD_EVENT, "Bad Event"),
    (StatusCode::REQUEST_PENDING, "Request Pending"),
    (StatusCode::UNDECIPHERABLE, "Undecipherable"),
    (StatusCode::SECURITY_AGREEMENT_REQUIRED, "Security Agreement Required"),
    (StatusCode::SERVER_INTERNAL_ERROR, "Server Internal Error"),
    (StatusCode::NOT_IMPLEMENTED, "Not Implemented"),
    (StatusCode::BAD_GATEWAY, "Bad Gateway"),
    (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    (StatusCode::SERVER_TIME_OUT, "Server Time-out"),
    (StatusCode::VERSION_NOT_SUPPORTED, "Version Not Supported"),
    (StatusCode::MESSAGE_TOO_LARGE, "Message Too Large"),
    (StatusCode::PRECONDITION_FAILURE, "Precondition Failure"),
    (StatusCode::BUSY_EVERYWHERE, "Busy Everywhere"),
    (StatusCode::DECLINE, "Decline"),
    (StatusCode::DOES_NOT_EXIST_ANYWHERE, "Does Not Exist Anywhere"),
    (StatusCode::NOT_ACCEPTABLE_ANYWHERE, "Not Acceptable"),
    (StatusCode::UNWANTED, "Unwanted"),
    (StatusCode::REJECTED, "Rejected"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_100_to_699_are_statuses() {
        assert_eq!(StatusCode::new(99), None);
        assert_eq!(StatusCode::new(700), None);
        assert_eq!(StatusCode::new(486), Some(StatusCode::BUSY_HERE));
        assert!(StatusCode::BUSY_HERE.is_final() && StatusCode::BUSY_HERE.is_failure());
        assert!(StatusCode::RINGING.is_provisional());
    }

    #[test]
    fn statuses_have_the_causes_of_the_telephone_network() {
        for (status, cause) in [(404, 1), (486, 17), (480, 18), (603, 21), (484, 28), (415, 79), (420, 127), (499, 31)]
        {
            assert_eq!(StatusCode::new(status).unwrap().q850(), cause, "{status}");
        }
    }

    #[test]
    fn an_unregistered_status_reads_as_its_class() {
        assert_eq!(StatusCode::BUSY_HERE.reason_phrase(), "Busy Here");
        assert_eq!(StatusCode::new(499).unwrap().reason_phrase(), "Bad Request");
    }
}
