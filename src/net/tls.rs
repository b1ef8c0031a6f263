//! SIP inside TLS (RFC 3261 §26.2, RFC 5922): connections opened to trunks as each of them wants it, and accepted from them. Framing is
//! `stream`'s.

mod client;
mod identity;
mod names;
mod server;
mod tickets;
mod verify;
mod words;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sip::{Flow, Transport};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use super::limits::Permit;
use super::stream::{Carried, MESSAGE_DEADLINE, Opener, carry, close, prepare};
use super::tcp::{accept, open};
use super::{Inbound, Inbox, Outbox, Writer};

pub(crate) use client::{Client, check_pair};
pub(crate) use identity::{Identity, TlsError};
pub(crate) use server::ServerSettings;
pub(crate) use tickets::Tickets;
pub(crate) use verify::AnyCertificate;
pub(crate) use words::Fault;

/// To open a connection and agree on TLS: below the time a gateway has to say something, so that the caller is told what was wrong.
const HANDSHAKE_DEADLINE: Duration = Duration::from_millis(3500);

/// Accepts connections until `stop`.
pub(crate) async fn listen(listener: TcpListener, settings: ServerSettings, inbox: Inbox, stop: CancellationToken) {
    let serve = |stream, peer, permit| {
        let (settings, inbox, stop) = (settings.clone(), inbox.clone(), stop.clone());
        tokio::spawn(async move {
            receive(stream, peer, &settings, &inbox, &stop).await;
            drop::<Permit>(permit);
        });
    };
    accept(listener, Transport::Tls, &stop, serve).await;
}

async fn receive(
    stream: TcpStream,
    peer: SocketAddr,
    settings: &ServerSettings,
    inbox: &Inbox,
    stop: &CancellationToken,
) {
    prepare(&stream);
    let agreed = timeout(MESSAGE_DEADLINE, TlsAcceptor::from(settings.current()).accept(stream));
    let agreed = tokio::select! {
        () = stop.cancelled() => return,
        agreed = agreed => agreed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
    };
    let stream = match agreed {
        Ok(stream) => stream,
        Err(error) => {
            crate::metrics::tls_failed("accepted");
            tracing::info!(reason = words::of_client(&error), "a TLS connection to the SIP listener failed");
            return;
        }
    };
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let names = shown.map(names::of).unwrap_or_default();
    let connection = inbox.next_connection();
    let flow = Flow { transport: Transport::Tls, peer, connection: Some(connection), tls: None };
    let (writer, outbox) = Writer::new();
    if inbox.deliver(Inbound::Opened { flow, writer }).await.is_err() {
        return;
    }
    // The handshake has proved them: nobody else may say so.
    if names.is_empty() || inbox.deliver(Inbound::Named { connection, names }).await.is_ok() {
        let done = carry(stream, flow, Opener::Peer, inbox, outbox, stop).await;
        tracing::trace!(connection = connection.0, ?done, "TLS connection closed");
    }
    close(inbox, connection, None).await;
}

/// Opens a connection and carries it; what is written meanwhile waits in the outbox. The signalling task knows the connection already:
/// only its end is told, and why it was never one.
pub(crate) async fn connect(flow: Flow, client: Arc<Client>, inbox: Inbox, outbox: Outbox, stop: CancellationToken) {
    let Some(connection) = flow.connection else { return };
    let refused = tokio::select! {
        () = stop.cancelled() => return,
        refused = converse(flow, &client, &inbox, outbox, &stop) => refused.err(),
    };
    if let Some(reason) = &refused {
        crate::metrics::tls_failed("opened");
        tracing::warn!(
            reason,
            name = client.name(),
            connection = connection.0,
            "a trunk's gateway cannot be reached inside TLS"
        );
    }
    close(&inbox, connection, refused).await;
}

/// Why a server could not be agreed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) fault: Fault,
    /// In words, as `it wants a client certificate`.
    pub(crate) words: String,
}

impl Refusal {
    fn of(error: &io::Error, client: &Client) -> Self {
        Self { fault: words::fault(error), words: words::of_server(error, client.name()) }
    }
}

/// Agrees on TLS over a connection, for who only wants to know what the server says.
pub(crate) async fn agree(stream: TcpStream, client: &Client) -> Result<TlsStream<TcpStream>, Refusal> {
    let (config, name) = client.settings().map_err(|words| Refusal { fault: Fault::Settings, words })?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| Refusal::of(&error, client))
}

/// Why a server ended a connection that was agreed on, if that is what it did: in TLS 1.3 it objects to our certificate only then.
pub(crate) fn objection(error: &io::Error, client: &Client) -> Option<Refusal> {
    words::is_objection(error).then(|| Refusal::of(error, client))
}

/// The whole life of a connection of ours, or why there was none.
async fn converse(
    flow: Flow,
    client: &Client,
    inbox: &Inbox,
    outbox: Outbox,
    stop: &CancellationToken,
) -> Result<(), String> {
    let (config, name) = client.settings()?;
    let agreed = timeout(HANDSHAKE_DEADLINE, async {
        let stream = open(flow.peer).await?;
        TlsConnector::from(config).connect(name, stream).await.map_err(|error| words::of_server(&error, client.name()))
    });
    let stream = agreed.await.unwrap_or_else(|_| Err("it does not finish the TLS handshake".to_owned()))?;
    if !client.is_verified() {
        tracing::warn!(
            connection = flow.connection.map(|id| id.0),
            "a trunk's gateway was not asked to prove who it is: its trunk says tls.verify = false"
        );
    }
    let Carried { heard, result } = carry(stream, flow, Opener::Us, inbox, outbox, stop).await;
    match result {
        // In TLS 1.3 a server objects to our certificate when we think that everything is settled.
        Err(error) if words::is_objection(&error) => Err(words::of_server(&error, client.name())),
        Err(_) if !heard => Err("it ends the connection after the TLS handshake without a word: \
            it may want another client certificate"
            .to_owned()),
        Ok(()) | Err(_) => Ok(()),
    }
}
