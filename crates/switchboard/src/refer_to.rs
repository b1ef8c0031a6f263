//! What a REFER asks for (RFC 3515 §2.1): whom to call, read from its Refer-To.

use sip::{Replaces, Request, StatusCode, Uri};

use crate::identity::user_of;

/// The one thing a REFER wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReferTo {
    /// What the transferring agent would dial.
    pub(crate) number: String,
    /// The dialog at that number which the new one shall take the place of: an attended transfer (RFC 5589 §7).
    pub(crate) replaces: Option<Replaces>,
}

impl ReferTo {
    /// Reads a REFER's Refer-To.
    ///
    /// # Errors
    /// The status to refuse the REFER with.
    pub(crate) fn of(request: &Request) -> Result<Self, StatusCode> {
        let targets = request.headers.name_addrs("Refer-To").map_err(|_| StatusCode::BAD_REQUEST)?;
        let [target] = targets.as_slice() else { return Err(StatusCode::BAD_REQUEST) };
        let method = target.uri.param("method");
        if method.is_some_and(|method| method != "INVITE") {
            // Nothing but calls is set up on anybody's behalf.
            return Err(StatusCode::NOT_IMPLEMENTED);
        }
        // Other headers it wants in the INVITE are ours to write (RFC 3261 §19.1.5).
        let replaces = match &target.uri {
            Uri::Other { .. } => return Err(StatusCode::UNSUPPORTED_URI_SCHEME),
            Uri::Sip(sip) if sip.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Replaces")) => {
                let value = sip.header("Replaces").ok_or(StatusCode::BAD_REQUEST)?;
                Some(Replaces::parse(&value).ok_or(StatusCode::BAD_REQUEST)?)
            }
            Uri::Sip(_) | Uri::Tel(_) => None,
        };
        // Who asks for a dialog need not know how its other side is dialled.
        let number = user_of(&target.uri).or_else(|| replaces.is_some().then(String::new));
        Ok(Self { number: number.ok_or(StatusCode::BAD_REQUEST)?, replaces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Result<String, u16> {
        refer(lines).map(|to| to.number)
    }

    fn refer(lines: &str) -> Result<ReferTo, u16> {
        let text = format!(
            "REFER sip:1@a SIP/2.0\r\nVia: SIP/2.0/WSS a;branch=z9hG4bK1\r\nFrom: <sip:2@b>;tag=1\r\nTo: <sip:1@a>;tag=2\r\n\
             Call-ID: c\r\nCSeq: 7 REFER\r\n{lines}\r\n"
        );
        let Ok(sip::Message::Request(request)) = sip::Message::parse(text.as_bytes()) else { panic!("{text}") };
        ReferTo::of(&request).map_err(StatusCode::code)
    }

    #[test]
    fn whom_to_call_is_read_in_every_spelling() {
        for (line, number) in [
            ("Refer-To: <sip:101@phone.example.com>\r\n", "101"),
            ("r: sip:101@phone.example.com\r\n", "101"),
            ("Refer-To: \"Bob\" <sip:%31%30%31@phone.example.com;transport=wss;method=INVITE>;x=y\r\n", "101"),
            ("Refer-To: <sip:+1-555@gateway;user=phone?X-Note=hi%20there&Subject=a>\r\n", "+1-555"),
            ("Refer-To: <sip:%2B15551234567@h>\r\n", "+15551234567"),
            ("Refer-To: <tel:+1-555-123>\r\n", "+1555123"),
            ("Refer-To: <sips:9196@h?body=evil&Via=SIP%2F2.0>\r\n", "9196"),
        ] {
            assert_eq!(read(line), Ok(number.to_owned()), "{line}");
        }
    }

    #[test]
    fn the_dialog_to_replace_is_read_as_each_library_escapes_it() {
        for line in [
            // SIP.js, then JsSIP.
            "Refer-To: <sip:102@b.invalid;transport=ws?Replaces=c%40h%3Bto-tag%3Dours%3Bfrom-tag%3Dtheirs>\r\n",
            "Refer-To: <sip:102@phone.example.com?Replaces=c%40h%3Bto-tag%3Dours%3Bfrom-tag%3Dtheirs>\r\n",
            "Refer-To: <sip:102@b?Require=replaces&replaces=c%40h;to-tag=ours;from-tag=theirs>\r\n",
            "Refer-To: <sip:gateway.example?Replaces=c%40h%3bfrom-tag%3dtheirs%3bto-tag%3dours%3Bearly-only>\r\n",
        ] {
            let replaces = refer(line).unwrap().replaces.unwrap();
            let tags = (replaces.call_id.as_str(), replaces.to_tag.as_str(), replaces.from_tag.as_str());
            assert_eq!((tags, replaces.early_only), (("c@h", "ours", "theirs"), line.contains("early-only")), "{line}");
        }
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for (line, status) in [
            ("", 400),
            ("Refer-To: <sip:101@h>\r\nRefer-To: <sip:102@h>\r\n", 400),
            ("Refer-To: <sip:101@h>, <sip:102@h>\r\n", 400),
            ("Refer-To: <sip:%3@h>\r\n", 400),
            ("Refer-To: <sip:host.only>\r\n", 400),
            ("Refer-To: nonsense\r\n", 400),
            ("Refer-To: <http://example.com/>\r\n", 416),
            ("Refer-To: <sip:101@h?Replaces=c%3Bto-tag%3D1>\r\n", 400),
            ("Refer-To: <sip:101@h?Replaces=c%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=x>\r\n", 400),
            ("Refer-To: <sip:101@h;method=BYE>\r\n", 501),
            ("Refer-To: <sip:101@h;method=SUBSCRIBE>\r\n", 501),
        ] {
            assert_eq!(read(line), Err(status), "{line}");
        }
    }
}
