//! The order in which the signalling task takes its inputs.

use std::time::SystemTime;

use ::switchboard::{Clock, SwitchboardConfig, TraceLimits};
use bytes::Bytes;

use super::*;
use crate::config::Database;
use crate::gateway::gateway;
use crate::net::Writer;
use crate::store::{Store, record_writer};

/// Answered with a challenge, which names the directory's realm.
const REGISTER: &str = "REGISTER sip:new.example SIP/2.0\r\nVia: SIP/2.0/WSS b.invalid;branch=z9hG4bKone\r\n\
    Max-Forwards: 70\r\nFrom: <sip:100@new.example>;tag=a\r\nTo: <sip:100@new.example>\r\nCall-ID: one\r\n\
    CSeq: 1 REGISTER\r\nContact: <sip:100@b.invalid;transport=ws>\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn what_was_published_before_a_message_came_holds_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("records.db").display());
    let store = Store::open(&Database { url, max_connections: 1 }, "old.example").await.unwrap();
    let clock = Clock { instant: Instant::now(), system: SystemTime::now() };
    let recorder = Recorder::start(TraceLimits { ended: 0, bytes: 0 }, clock, CancellationToken::new());
    // Which of several ready inputs comes first is drawn by lot: one round proves nothing.
    for round in 0..16 {
        let (inbox, inbound) = Inbox::new();
        let (_events, media) = mpsc::channel(1);
        let (_handle, tables, commands) = gateway();
        let (published, directory) =
            watch::channel(Arc::new(Directory { realm: "old.example".to_owned(), ..Directory::default() }));
        let (_plans, dialplan) = watch::channel(Arc::new(Dialplan::default()));
        let switchboard = Switchboard::new(
            SwitchboardConfig::default(),
            Clock { instant: Instant::now(), system: SystemTime::now() },
            [7; 32],
            Arc::clone(&directory.borrow()),
            Arc::clone(&dialplan.borrow()),
        );
        let (records, record_task) = record_writer(store.clone());
        let outputs = Outputs {
            udp: Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap()),
            inbox: inbox.clone(),
            shards: Vec::new(),
            tables,
            records,
            recorder: recorder.clone(),
            activity: watch::channel(Activity::default()).0,
        };
        let connection = inbox.next_connection();
        let peer = "127.0.0.1:9".parse().unwrap();
        let flow = Flow { transport: Transport::Wss, peer, connection: Some(connection), tls: None };
        let (writer, mut outbox) = Writer::new();
        inbox.offer(Inbound::Opened { flow, writer });
        published.send_replace(Arc::new(Directory { realm: "new.example".to_owned(), ..Directory::default() }));
        inbox.offer(Inbound::Message { flow, bytes: Bytes::from_static(REGISTER.as_bytes()) });
        let stop = CancellationToken::new();
        let inputs = Inputs { inbound, media, commands, directory, dialplan };
        let task = tokio::spawn(run(switchboard, inputs, outputs, stop.clone()));
        let answer = tokio::time::timeout(Duration::from_secs(10), outbox.next()).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("realm=\"new.example\""), "round {round}: {answer}");
        stop.cancel();
        task.await.unwrap();
        record_task.await.unwrap();
    }
}
