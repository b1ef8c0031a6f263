use proptest::prelude::*;
use sip::{NameAddr, Transport};

use super::*;

fn flow(connection: u64) -> Flow {
    Flow {
        transport: Transport::Wss,
        peer: "192.0.2.7:5000".parse().unwrap(),
        connection: Some(ConnectionId(connection)),
        tls: None,
    }
}

fn contact(text: &str) -> Contact {
    Contact { address: NameAddr::parse(text).unwrap() }
}

struct Phone {
    registrar: Registrar,
    now: Instant,
    ids: u32,
    cseq: u32,
}

impl Phone {
    fn new() -> Self {
        Self { registrar: Registrar::default(), now: Instant::now(), ids: 0, cseq: 0 }
    }

    fn register(
        &mut self,
        extension: &str,
        text: &str,
        seconds: u64,
        connection: u64,
        on_limit: OnLimit,
    ) -> Result<bool, RegisterError> {
        self.cseq += 1;
        self.now += Duration::from_secs(1);
        let contact = contact(text);
        let registration = Registration {
            extension,
            proof: &Proof::some(extension),
            max_contacts: 2,
            on_limit,
            flow: flow(connection),
            call_id: text,
            cseq: self.cseq,
            user_agent: None,
            asked: Asked::Contacts(vec![(&contact, Duration::from_secs(seconds))]),
        };
        let ids = &mut self.ids;
        self.registrar.register(self.now, &registration, || {
            *ids += 1;
            format!("reg_{ids}")
        })
    }

    fn contacts(&self, extension: &str) -> Vec<String> {
        self.registrar.bindings(extension).iter().map(|b| b.contact().to_string()).collect()
    }
}

#[test]
fn one_contact_too_many_replaces_the_oldest_or_is_refused() {
    let mut phone = Phone::new();
    for (number, text) in ["<sip:a@x.invalid>", "<sip:b@x.invalid>", "<sip:c@x.invalid>"].iter().enumerate() {
        phone.register("100", text, 60, number as u64, OnLimit::ReplaceOldest).unwrap();
    }
    assert_eq!(phone.contacts("100"), ["sip:b@x.invalid", "sip:c@x.invalid"]);
    assert_eq!(phone.register("100", "<sip:d@x.invalid>", 60, 9, OnLimit::Reject), Err(RegisterError::TooMany));
    assert_eq!(phone.contacts("100").len(), 2);
    assert!(phone.registrar.extensions_on(ConnectionId(0)).is_empty());
}

#[test]
fn the_same_instance_and_reg_id_replace_their_binding_and_keep_its_id() {
    let mut phone = Phone::new();
    let first = "<sip:a@x.invalid>;+sip.instance=\"<urn:uuid:1>\";reg-id=1";
    let second = "<sip:b@x.invalid>;+sip.instance=\"<urn:uuid:1>\";reg-id=1";
    phone.register("100", first, 60, 1, OnLimit::Reject).unwrap();
    phone.register("100", second, 60, 2, OnLimit::Reject).unwrap();
    assert_eq!(phone.contacts("100"), ["sip:b@x.invalid"]);
    assert_eq!(phone.registrar.bindings("100")[0].id.as_ref(), "reg_1");
    assert!(phone.registrar.close(phone.now, ConnectionId(1), Duration::ZERO).is_empty());
    assert_eq!(phone.registrar.close(phone.now, ConnectionId(2), Duration::ZERO), ["100"]);
    assert_eq!(phone.registrar.len(), 0);
}

#[test]
fn an_older_register_changes_nothing() {
    let mut phone = Phone::new();
    phone.register("100", "<sip:a@x.invalid>", 60, 1, OnLimit::Reject).unwrap();
    phone.cseq = 0;
    assert_eq!(phone.register("100", "<sip:a@x.invalid>", 0, 1, OnLimit::Reject), Err(RegisterError::OutOfOrder));
    assert_eq!(phone.contacts("100").len(), 1);
}

#[test]
fn what_was_refreshed_is_looked_at_when_it_would_have_run_out_and_stays() {
    let mut phone = Phone::new();
    phone.register("100", "<sip:a@x.invalid>", 60, 1, OnLimit::Reject).unwrap();
    let first = phone.registrar.next_expiry().unwrap();
    phone.register("100", "<sip:a@x.invalid>", 60, 1, OnLimit::Reject).unwrap();
    let then = phone.now + Duration::from_secs(60);
    assert_eq!(phone.registrar.next_expiry(), Some(first));
    assert!(phone.registrar.expire(first).is_empty());
    assert_eq!((phone.registrar.len(), phone.registrar.next_expiry()), (1, Some(then)));
    // One that will run out sooner than it would have is looked at then.
    phone.register("100", "<sip:a@x.invalid>", 1, 1, OnLimit::Reject).unwrap();
    assert_eq!(phone.registrar.next_expiry(), Some(phone.now + Duration::from_secs(1)));
    assert_eq!(phone.registrar.expire(phone.now + Duration::from_secs(1)), ["100"]);
    assert_eq!((phone.registrar.len(), phone.registrar.next_expiry()), (0, None));
}

#[test]
fn bindings_run_out_on_the_clock() {
    let mut phone = Phone::new();
    phone.register("100", "<sip:a@x.invalid>", 60, 1, OnLimit::Reject).unwrap();
    let at = phone.registrar.next_expiry().unwrap();
    assert_eq!(at, phone.now + Duration::from_secs(60));
    assert!(phone.registrar.expire(at - Duration::from_millis(1)).is_empty());
    assert_eq!(phone.registrar.expire(at), ["100"]);
    assert_eq!((phone.registrar.len(), phone.registrar.next_expiry()), (0, None));
}

#[test]
fn a_hundred_thousand_bindings_are_registered_and_closed_without_scanning() {
    let mut phone = Phone::new();
    for number in 0..100_000u64 {
        phone.register(&number.to_string(), "<sip:a@x.invalid>", 600, number, OnLimit::Reject).unwrap();
    }
    assert_eq!(phone.registrar.len(), 100_000);
    for number in 0..100_000u64 {
        assert_eq!(phone.registrar.close(phone.now, ConnectionId(number), Duration::ZERO).len(), 1);
    }
    assert_eq!((phone.registrar.len(), phone.registrar.next_expiry()), (0, None));
}

/// What the indexes must hold, by the bindings.
fn assert_indexed(registrar: &Registrar) {
    let all =
        || registrar.extensions.iter().flat_map(|(name, of)| of.bindings.iter().map(move |binding| (name, binding)));
    let expiry = registrar.extensions.iter().map(|(name, of)| (of.looked_at, name.clone()));
    assert_eq!(registrar.expiry, expiry.collect());
    assert!(registrar.extensions.values().all(|of| first_expiry(&of.bindings).is_some_and(|at| of.looked_at <= at)));
    let mut connections: HashMap<ConnectionId, HashSet<Arc<str>>> = HashMap::new();
    for (name, binding) in all() {
        connections.entry(binding.flow.connection.unwrap()).or_default().insert(name.clone());
    }
    assert_eq!(registrar.connections, connections);
    assert_eq!(registrar.count, all().count());
}

proptest! {
    #[test]
    fn indexes_hold_what_the_bindings_say_whatever_comes(
        // Kind, extension, contact, seconds, connection.
        steps in prop::collection::vec((0..4_u8, 0..3_u8, 0..3_u8, 0..5_u64, 0..4_u64), 1..60),
    ) {
        let mut phone = Phone::new();
        for (kind, extension, contact, seconds, connection) in steps {
            match kind {
                0 | 1 => {
                    let text = format!("<sip:{contact}@x.invalid>");
                    phone.register(&extension.to_string(), &text, seconds, connection, OnLimit::ReplaceOldest).unwrap();
                }
                2 => drop(phone.registrar.close(phone.now, ConnectionId(connection), Duration::from_secs(seconds))),
                _ => {
                    phone.now += Duration::from_secs(seconds);
                    phone.registrar.expire(phone.now);
                    assert!(phone.registrar.next_expiry().is_none_or(|at| at > phone.now));
                }
            }
            assert_indexed(&phone.registrar);
        }
    }
}
