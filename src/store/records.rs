//! Call records (CDRs): written in batches by a task of their own, so that no call waits for the database.

use std::time::Duration;

use media::Encryption;
use serde::{Deserialize, Serialize};
use switchboard::{CallRecord, CallResult, CallState, Direction, EndedBy};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::sql::{Pool, rows};
use super::{CodecName, Document, Page, Store, StoreError, Timestamp};
use crate::identifier::new_id;

/// Records waiting for the database: at 50 calls ending a second this bridges an outage of more than a minute. A record that
/// finds the queue full is lost: it is counted (`patchcord_call_records_lost_total`) and written whole to the log as an ERROR,
/// because the signalling task must not wait.
pub const RECORDS_WAITING: usize = 4096;

/// Records in one statement; each has 17 values, and databases take 32,766 at the least.
const BATCH: usize = 500;

/// How long a record waits for others to be written with: a transaction costs as much as writing some ten records.
const GATHERING: Duration = Duration::from_millis(200);

/// Between two attempts to write a batch the database refused.
const RETRY: Duration = Duration::from_secs(1);

/// Attempts before a batch is given up while the process is stopping.
const ATTEMPTS_AT_STOP: u32 = 5;

/// What a call was.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow, ToSchema)]
pub struct Cdr {
    /// `cdr_…`
    pub id: String,
    /// The call, `call_…`.
    pub call_id: String,
    /// `inbound`, `outbound` or `internal`.
    pub direction: String,
    /// Who called.
    #[serde(rename = "from")]
    pub from_party: String,
    /// What was dialled.
    #[serde(rename = "to")]
    pub to_party: String,
    /// When the call came up.
    #[schema(inline)]
    pub started_at: Timestamp,
    /// When the first target rang.
    #[schema(inline)]
    pub ringing_at: Option<Timestamp>,
    /// When it was answered.
    #[schema(inline)]
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    #[schema(inline)]
    pub ended_at: Timestamp,
    /// Seconds from answer to end.
    #[sqlx(skip)]
    pub talk_s: i64,
    /// `answered`, `no_answer`, `busy`, `cancelled` or `failed`.
    pub result: String,
    /// The SIP status the caller saw.
    pub sip_code: i64,
    /// The Q.850 cause.
    pub q850: Option<i64>,
    /// `caller`, `callee`, `operator` or `system`.
    pub ended_by: String,
    /// One sentence.
    pub explanation: String,
    /// The agent who called or answered.
    pub agent_id: Option<String>,
    /// The trunk it went over.
    pub trunk_id: Option<String>,
    /// Its legs with their media figures, caller first.
    #[sqlx(try_from = "String")]
    #[schema(value_type = Vec<CdrLeg>)]
    pub legs: Document<Vec<CdrLeg>>,
}

/// One side of an ended call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CdrLeg {
    /// `leg_…`
    pub id: String,
    /// Extension number, E.164 number or `echo`.
    pub party: String,
    /// The codec agreed on.
    pub codec: Option<CodecName>,
    /// How its media was protected at the end: `none`, `dtls_srtp` or `sdes`; absent in records of before it was written down.
    #[serde(default)]
    pub encryption: Option<String>,
    /// RTP packets received.
    pub packets_received: Option<u64>,
    /// RTP packets sent.
    pub packets_sent: Option<u64>,
    /// RTP packets that never came.
    pub packets_lost: Option<u64>,
    /// Interarrival jitter in milliseconds.
    pub jitter_ms: Option<f64>,
    /// Round trip in milliseconds.
    pub rtt_ms: Option<f64>,
}

impl Cdr {
    /// The record as it is stored.
    #[must_use]
    pub fn of(record: CallRecord) -> Self {
        let call = record.call;
        let mut statistics = record.statistics.into_iter();
        let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let legs = call.legs.into_iter().map(|leg| {
            let figures = statistics.next().flatten();
            CdrLeg {
                id: leg.id,
                party: leg.party,
                codec: leg.codec.map(Into::into),
                encryption: Some(encryption_name(leg.media.encryption).to_owned()),
                packets_received: figures.as_ref().map(|f| f.packets_received),
                packets_sent: figures.as_ref().map(|f| f.packets_sent),
                packets_lost: figures.as_ref().map(|f| f.packets_lost),
                jitter_ms: figures.as_ref().map(|f| millis(f.jitter)),
                rtt_ms: figures.as_ref().and_then(|f| f.round_trip).map(millis),
            }
        });
        Self {
            id: new_id("cdr"),
            call_id: call.id.0,
            direction: direction_name(call.direction).into(),
            from_party: call.from,
            to_party: call.to,
            started_at: call.started_at.into(),
            ringing_at: record.ringing_at.map(Into::into),
            answered_at: call.answered_at.map(Into::into),
            ended_at: record.ended_at.into(),
            talk_s: 0,
            result: result_name(record.result).into(),
            sip_code: record.sip_status.into(),
            q850: record.q850.map(Into::into),
            ended_by: ended_by_name(record.ended_by).into(),
            explanation: record.explanation,
            agent_id: call.agent_id,
            trunk_id: call.trunk_id,
            legs: Document(legs.collect()),
        }
        .with_talk_time()
    }

    fn with_talk_time(mut self) -> Self {
        self.talk_s = self.answered_at.map_or(0, |answered| (self.ended_at.0 - answered.0).max(0) / 1000);
        self
    }
}

/// The API's word for a direction.
#[must_use]
pub(crate) fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
        Direction::Internal => "internal",
    }
}

/// The API's word for how a leg's media is protected.
#[must_use]
pub(crate) fn encryption_name(encryption: Encryption) -> &'static str {
    match encryption {
        Encryption::None => "none",
        Encryption::DtlsSrtp => "dtls_srtp",
        Encryption::Sdes => "sdes",
    }
}

/// The API's word for a state.
#[must_use]
pub(crate) fn state_name(state: CallState) -> &'static str {
    match state {
        CallState::Routing => "routing",
        CallState::Ringing => "ringing",
        CallState::Connected => "connected",
        CallState::Ending => "ending",
    }
}

pub(crate) fn result_name(result: CallResult) -> &'static str {
    match result {
        CallResult::Answered => "answered",
        CallResult::NoAnswer => "no_answer",
        CallResult::Busy => "busy",
        CallResult::Cancelled => "cancelled",
        CallResult::Failed => "failed",
    }
}

fn ended_by_name(ended_by: EndedBy) -> &'static str {
    match ended_by {
        EndedBy::Caller => "caller",
        EndedBy::Callee => "callee",
        EndedBy::Operator => "operator",
        EndedBy::System => "system",
    }
}

/// Where the signalling task leaves its records.
#[derive(Debug, Clone)]
pub struct RecordSender(mpsc::Sender<CallRecord>);

impl RecordSender {
    /// Leaves a record to be written; never waits.
    pub fn send(&self, record: CallRecord) {
        if let Err(error) = self.0.try_send(record) {
            let (mpsc::error::TrySendError::Full(record) | mpsc::error::TrySendError::Closed(record)) = error;
            lost(&Cdr::of(record));
        }
    }
}

fn lost(cdr: &Cdr) {
    metrics::counter!("patchcord_call_records_lost_total").increment(1);
    let cdr = serde_json::to_string(cdr).unwrap_or_default();
    tracing::error!(cdr, "a call record could not be stored");
}

/// Starts the task that writes call records. It ends once every [`RecordSender`] is gone and what they sent is written.
#[must_use]
pub fn record_writer(store: Store) -> (RecordSender, JoinHandle<()>) {
    let (sender, mut receiver) = mpsc::channel(RECORDS_WAITING);
    let task = tokio::spawn(async move {
        let mut batch = Vec::with_capacity(BATCH);
        while receiver.recv_many(&mut batch, BATCH).await > 0 {
            gather(&mut receiver, &mut batch).await;
            let cdrs: Vec<_> = batch.drain(..).map(Cdr::of).collect();
            write_until_done(&store, &cdrs, &receiver).await;
        }
    });
    (RecordSender(sender), task)
}

/// Waits for more records, as long as there is room for them and somebody is left to send them.
async fn gather(receiver: &mut mpsc::Receiver<CallRecord>, batch: &mut Vec<CallRecord>) {
    let deadline = Instant::now() + GATHERING;
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        match timeout_at(deadline, receiver.recv_many(batch, room)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

async fn write_until_done(store: &Store, cdrs: &[Cdr], receiver: &mpsc::Receiver<CallRecord>) {
    let mut attempts_at_stop = 0;
    while let Err(error) = store.insert_cdrs(cdrs).await {
        tracing::error!(%error, count = cdrs.len(), "call records wait for the database");
        if receiver.is_closed() {
            attempts_at_stop += 1;
            if attempts_at_stop == ATTEMPTS_AT_STOP {
                cdrs.iter().for_each(lost);
                return;
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// One statement for all of them: it is all or nothing without a transaction of its own, and the database is asked once.
macro_rules! insert_all {
    ($db:expr, $cdrs:expr) => {{
        let mut insert = sqlx::QueryBuilder::new(
            "INSERT INTO cdrs (id, call_id, direction, from_party, to_party, started_at, ringing_at, answered_at, ended_at, \
             result, sip_code, q850, ended_by, explanation, agent_id, trunk_id, legs) ",
        );
        insert.push_values($cdrs, |mut row, cdr| {
            row.push_bind(&cdr.id)
                .push_bind(&cdr.call_id)
                .push_bind(&cdr.direction)
                .push_bind(&cdr.from_party)
                .push_bind(&cdr.to_party)
                .push_bind(cdr.started_at)
                .push_bind(cdr.ringing_at)
                .push_bind(cdr.answered_at)
                .push_bind(cdr.ended_at)
                .push_bind(&cdr.result)
                .push_bind(cdr.sip_code)
                .push_bind(cdr.q850)
                .push_bind(&cdr.ended_by)
                .push_bind(&cdr.explanation)
                .push_bind(&cdr.agent_id)
                .push_bind(&cdr.trunk_id)
                .push_bind(cdr.legs.text());
        });
        // Repeated after a lost connection it may have been carried out the first time.
        insert.push(" ON CONFLICT (call_id) DO NOTHING");
        insert.build().persistent(false).execute($db).await?;
    }};
}

impl Store {
    /// Writes call records, all or none; one already written is left as it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_cdrs(&self, cdrs: &[Cdr]) -> Result<(), StoreError> {
        match &self.pool {
            Pool::Sqlite(db) => insert_all!(db, cdrs),
            Pool::Postgres(db) => insert_all!(db, cdrs),
        }
        Ok(())
    }

    /// One call record, by its id or its call's.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database fails.
    pub async fn cdr(&self, id: &str) -> Result<Cdr, StoreError> {
        let row = rows!(self, Cdr, fetch_optional, "SELECT * FROM cdrs WHERE id = $1 OR call_id = $1", id)?;
        row.map(Cdr::with_talk_time).ok_or(StoreError::NotFound("call record"))
    }

    /// The call records of a page, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cdrs(&self, page: &Page) -> Result<Vec<Cdr>, StoreError> {
        let sql = "SELECT * FROM cdrs WHERE $1 = '' OR id < $1 ORDER BY id DESC LIMIT $2";
        let rows = rows!(self, Cdr, fetch_all, sql, &page.after, page.limit)?;
        Ok(rows.into_iter().map(Cdr::with_talk_time).collect())
    }
}
