//! A name server on loopback that says what a test wants: NAPTR, SRV and A records with their times to live, or nothing at all. Counts
//! what it is asked.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, NAPTR, SOA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long it holds that there is nothing, in seconds.
pub(crate) const NOTHING_FOR: u32 = 1;

/// What it does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Answers.
    Well,
    /// Says that it cannot.
    Failing,
    /// Says nothing.
    Silent,
}

struct Zone {
    mood: Mood,
    records: Vec<Record>,
    asked: HashMap<(Name, RecordType), usize>,
}

pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    questions: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl NameServer {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let zone = Zone { mood: Mood::Well, records: Vec::new(), asked: HashMap::new() };
        let zone = Arc::new(Mutex::new(zone));
        let (count, questions) = watch::channel(0);
        let answers = Arc::clone(&zone);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut buffer).await else { return };
                let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
                let answer = answers.lock().unwrap().answer(&question);
                if let Some(answer) = answer {
                    socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
                }
                count.send_modify(|count| *count += 1);
            }
        });
        Self { address, zone, questions, task }
    }

    pub(crate) fn feel(&self, mood: Mood) {
        self.zone.lock().unwrap().mood = mood;
    }

    pub(crate) fn a(&self, host: &str, ttl: u32, address: [u8; 4]) {
        self.add(host, ttl, RData::A(A(Ipv4Addr::from(address))));
    }

    /// `server`: priority, weight, port and target.
    pub(crate) fn srv(&self, service: &str, ttl: u32, server: (u16, u16, u16, &str)) {
        let (priority, weight, port, target) = server;
        self.add(service, ttl, RData::SRV(SRV::new(priority, weight, port, name(target))));
    }

    /// `rule`: order, preference, flags, service and replacement.
    pub(crate) fn naptr(&self, host: &str, ttl: u32, rule: (u16, u16, &str, &str, &str)) {
        let (order, preference, flags, service, replacement) = rule;
        let text = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
        let rule = NAPTR::new(order, preference, text(flags), text(service), text(""), name(replacement));
        self.add(host, ttl, RData::NAPTR(rule));
    }

    fn add(&self, owner: &str, ttl: u32, data: RData) {
        self.zone.lock().unwrap().records.push(Record::from_rdata(name(owner), ttl, data));
    }

    /// Takes away everything a name has.
    pub(crate) fn remove(&self, owner: &str) {
        self.zone.lock().unwrap().records.retain(|record| record.name != name(owner));
    }

    /// How often it was asked this.
    pub(crate) fn asked(&self, owner: &str, kind: RecordType) -> usize {
        self.zone.lock().unwrap().asked.get(&(name(owner), kind)).copied().unwrap_or_default()
    }

    /// Waits until it was asked this so often.
    pub(crate) async fn is_asked(&mut self, owner: &str, kind: RecordType, times: usize) {
        while self.asked(owner, kind) < times {
            self.questions.changed().await.unwrap();
        }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Zone {
    fn answer(&mut self, question: &Message) -> Option<Message> {
        let query = question.queries.first()?.clone();
        let owner = Name::from_ascii(query.name().to_ascii().to_ascii_lowercase()).unwrap();
        *self.asked.entry((owner.clone(), query.query_type())).or_default() += 1;
        match self.mood {
            Mood::Well => Some(self.said(question.metadata.id, query, &owner)),
            Mood::Failing => {
                let mut answer = Message::error_msg(question.metadata.id, OpCode::Query, ResponseCode::ServFail);
                answer.add_query(query);
                Some(answer)
            }
            Mood::Silent => None,
        }
    }

    fn said(&self, id: u16, query: Query, owner: &Name) -> Message {
        let mut answer = Message::response(id, OpCode::Query);
        answer.metadata.recursion_available = true;
        let mut of_name = self.records.iter().filter(|record| record.name == *owner).peekable();
        if of_name.peek().is_none() {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        let found: Vec<_> = of_name.filter(|record| record.record_type() == query.query_type()).cloned().collect();
        if found.is_empty() {
            let zone = SOA::new(name("ns.test"), name("admin.test"), 1, 60, 60, 60, NOTHING_FOR);
            answer.add_authority(Record::from_rdata(name("test"), NOTHING_FOR, RData::SOA(zone)));
        }
        answer.add_answers(found);
        answer.add_query(query);
        answer
    }
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}
