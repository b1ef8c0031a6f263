//! The life of the serving process: everything is bound and started in order, reloaded on demand, and stopped gracefully. Owns
//! every task and thread; decides nothing about calls.

mod certificates;
pub mod health;
mod ports;
pub mod process;
mod reload;
mod stop;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum_server::tls_rustls::RustlsConfig;
use sip::{Host, Timers, Transport};
use switchboard::{Clock, Dialplan, FraudConfig, Switchboard, SwitchboardConfig};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, AgentAccess, ApiState, OwnAddresses, TraceAccess};
use crate::commands::{CommandError, read_dialplan};
use crate::config::Config;
use crate::gateway::{GatewayHandle, GatewayTables, gateway};
use crate::music::{self, MusicFileError};
use crate::net::https::{self, Handle};
use crate::net::tls::{self, TlsError};
use crate::net::websocket::SipSocket;
use crate::net::{Inbox, address, tcp, udp};
use crate::recorder::Recorder;
use crate::resolver::{self, Lookup};
use crate::shards::{self, Identity, ShardError, Threads};
use crate::signalling::{self, Activity, Inputs, Outputs};
use crate::store::{Store, StoreError, follow_others, record_writer};
use crate::trunk_test::TrunkTests;

pub use ports::Ports;

use certificates::Certificates;

/// How often the metrics' histograms are tidied.
const UPKEEP: Duration = Duration::from_secs(5);

/// Why the gateway could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificate cannot be used.
    #[error("{0}; \"patchcord init\" makes a development certificate")]
    Tls(#[from] TlsError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The dialplan is wrong.
    #[error(transparent)]
    Dialplan(#[from] CommandError),
    /// A port is taken, or its address is not ours.
    #[error("{name} cannot listen on {address}: {source}")]
    Listen {
        /// Which listener.
        name: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The music on hold cannot be played.
    #[error(transparent)]
    Music(#[from] MusicFileError),
    /// The media shards cannot be started.
    #[error(transparent)]
    Shards(#[from] ShardError),
    /// The resolver cannot be set up.
    #[error("name servers cannot be used: {0}")]
    NameServers(#[from] hickory_resolver::net::NetError),
    /// Metrics cannot be collected.
    #[error("metrics cannot be collected: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// The running gateway.
#[derive(Debug)]
pub struct Running {
    ports: Ports,
    store: Store,
    gateway: GatewayHandle,
    tables: GatewayTables,
    activity: watch::Receiver<Activity>,
    reloading: Reloading,
    http: Vec<(Handle, JoinHandle<()>)>,
    /// Ends everything but the writer of call records, which ends by itself after the signalling task.
    stop: CancellationToken,
    signalling: JoinHandle<()>,
    records: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
    threads: Threads,
    deadline: Duration,
}

/// What SIGHUP reads again.
#[derive(Debug)]
struct Reloading {
    certificates: Certificates,
    dialplan_directory: PathBuf,
    dialplan: watch::Sender<Arc<Dialplan>>,
}

/// Binds and starts everything; returns once calls can come.
///
/// # Errors
/// The first thing that cannot be had; what was started before it is stopped.
pub async fn start(config: &Config) -> Result<Running, StartError> {
    // Made beside everything else: only the media threads need it, for their first call.
    let identity = Identity::begin().map_err(ShardError::from)?;
    let metrics = crate::metrics::install()?;
    let (gateway, tables, commands) = gateway();
    let certificates = Certificates::read(config, tables.clone())?;
    let (dialplan, dialplan_watch) = watch::channel(Arc::new(read_dialplan(&config.dialplan.directory)?));
    let music = music::load(&config.media.music_on_hold)?;
    let listeners = Listeners::bind(config).await?;
    let store = Store::open(&config.database, &config.sip.domain).await?;

    // Cancelled by a task or thread that ends unasked, too: half a gateway must not look alive.
    let stop = CancellationToken::new();
    let cleanup = stop.clone().drop_guard();
    let shards = shards::start(&config.media, &identity, &music, &stop)?;
    let ports = listeners.ports(shards.browser_addresses.clone());
    let (inbox, inbound) = Inbox::new();
    let (records, record_task) = record_writer(store.clone());
    let (activity_sender, activity) = watch::channel(Activity::default());
    let mut directory = store.directory();
    let clock = Clock { instant: Instant::now(), system: SystemTime::now() };
    let recorder = Recorder::start(config.calls.traces(), clock, stop.clone());
    let switchboard = Switchboard::new(
        switchboard_config(config, &ports),
        clock,
        rand::random(),
        Arc::clone(&directory.borrow_and_update()),
        Arc::clone(&dialplan_watch.borrow()),
    );
    let inputs = Inputs { inbound, media: shards.events, commands, directory, dialplan: dialplan_watch };
    let outputs = Outputs {
        udp: Arc::clone(&listeners.udp),
        inbox: inbox.clone(),
        shards: shards.senders,
        tables: tables.clone(),
        records,
        recorder: recorder.clone(),
        activity: activity_sender,
    };
    let signalling = tokio::spawn(signalling::run(switchboard, inputs, outputs, stop.clone()));
    let upkeep = metrics.clone();
    let mut tasks = vec![
        tokio::spawn(udp::listen(listeners.udp, inbox.clone(), stop.clone())),
        tokio::spawn(tcp::listen(listeners.tcp, inbox.clone(), stop.clone())),
        tokio::spawn(tidy(move || upkeep.run_upkeep(), stop.clone())),
        resolver::start(store.clone(), &config.dns, config.sip.udp_listen.ip(), stop.clone())?,
        follow_others(store.clone(), stop.clone()),
        tokio::spawn(certificates.clone().watch(stop.clone())),
    ];
    if let Some((listener, settings)) = listeners.tls.zip(certificates.sip()) {
        tasks.push(tokio::spawn(tls::listen(listener, settings, inbox.clone(), stop.clone())));
    }
    let listen = config.sip.udp_listen.ip();
    let render = move || metrics.render();
    let reread = certificates.clone();
    let api = api::router(ApiState {
        store: store.clone(),
        gateway: gateway.clone(),
        metrics: Arc::new(render),
        certificates: Arc::new(move || reread.reload()),
        agents: AgentAccess::default(),
        traces: TraceAccess { recorder, own: own_addresses(config, &ports) },
        trunk_tests: TrunkTests::new(own_addresses(config, &ports).host, listen, Lookup::new(&config.dns, listen)?),
    });
    let socket = |transport| SipSocket::new(transport, inbox.clone(), &config.http.allowed_origins, stop.clone());
    let mut http = vec![serve_tls(listeners.https, certificates.https(), api.clone(), socket(Transport::Wss), &stop)];
    http.extend(listeners.http.map(|listener| serve_plain(listener, api, socket(Transport::Ws), &stop)));
    tables.set_listening(true);
    ports.announce();
    cleanup.disarm();
    Ok(Running {
        ports,
        store,
        gateway,
        tables,
        activity,
        reloading: Reloading { certificates, dialplan_directory: config.dialplan.directory.clone(), dialplan },
        http,
        stop,
        signalling,
        records: record_task,
        tasks,
        threads: shards.threads,
        deadline: config.calls.shutdown(),
    })
}

impl Running {
    /// Where everything listens.
    #[must_use]
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The running calls and registrations.
    #[must_use]
    pub fn gateway(&self) -> &GatewayHandle {
        &self.gateway
    }

    /// Waits until a task or thread ends that must not.
    pub async fn broken(&self) {
        self.stop.cancelled().await;
    }
}

/// Every socket, bound before anything is started.
struct Listeners {
    https: TcpListener,
    http: Option<TcpListener>,
    udp: Arc<tokio::net::UdpSocket>,
    tcp: tokio::net::TcpListener,
    tls: Option<tokio::net::TcpListener>,
    bound: Bound,
}

/// The addresses as bound.
struct Bound {
    https: SocketAddr,
    http: Option<SocketAddr>,
    udp: SocketAddr,
    tcp: SocketAddr,
    tls: Option<SocketAddr>,
}

impl Listeners {
    async fn bind(config: &Config) -> Result<Self, StartError> {
        let (http, sip) = (&config.http, &config.sip);
        let failed = |name, address| move |source| StartError::Listen { name, address, source };
        let stream = |name, address| {
            let bound = TcpListener::bind(address).and_then(|listener| {
                listener.set_nonblocking(true)?;
                let address = listener.local_addr()?;
                Ok((listener, address))
            });
            bound.map_err(failed(name, address))
        };
        let (https, https_bound) = stream("HTTPS", http.https_listen)?;
        let plain = http.http_listen.map(|address| stream("HTTP", address)).transpose()?;
        let (plain, http_bound) = plain.unzip();
        let udp = udp::bind(sip.udp_listen).map_err(failed("SIP over UDP", sip.udp_listen))?;
        let udp_bound = udp.local_addr().map_err(failed("SIP over UDP", sip.udp_listen))?;
        let tcp = tokio::net::TcpListener::bind(sip.tcp_listen).await;
        let tcp = tcp.map_err(failed("SIP over TCP", sip.tcp_listen))?;
        let tcp_bound = tcp.local_addr().map_err(failed("SIP over TCP", sip.tcp_listen))?;
        let tls = sip.tls_listen.map(|address| {
            let (listener, bound) = stream("SIP inside TLS", address)?;
            let listener = tokio::net::TcpListener::from_std(listener).map_err(failed("SIP inside TLS", address))?;
            Ok::<_, StartError>((listener, bound))
        });
        let (tls, tls_bound) = tls.transpose()?.unzip();
        let bound = Bound { https: https_bound, http: http_bound, udp: udp_bound, tcp: tcp_bound, tls: tls_bound };
        Ok(Self { https, http: plain, udp, tcp, tls, bound })
    }

    fn ports(&self, media: Vec<SocketAddr>) -> Ports {
        let Bound { https, http, udp, tcp, tls } = self.bound;
        Ports { https, http, sip_udp: udp, sip_tcp: tcp, sip_tls: tls, media }
    }
}

/// How the gateway is named in traces.
fn own_addresses(config: &Config, ports: &Ports) -> OwnAddresses {
    let host = address::advertised(config.sip.udp_listen.ip(), config.sip.advertised_address);
    OwnAddresses { host, udp: ports.sip_udp.port(), tcp: ports.sip_tcp.port() }
}

fn switchboard_config(config: &Config, ports: &Ports) -> SwitchboardConfig {
    let host: IpAddr = address::advertised(config.sip.udp_listen.ip(), config.sip.advertised_address);
    SwitchboardConfig {
        shards: shards::count(&config.media),
        advertised_host: Host::Ip(host),
        advertised_port: ports.sip_udp.port(),
        advertised_tcp_port: ports.sip_tcp.port(),
        advertised_tls_port: ports.sip_tls.map(|address| address.port()),
        timers: Timers { t1: config.sip.t1(), t2: config.sip.t2(), t4: config.sip.t4() },
        user_agent: concat!("Patchcord/", env!("CARGO_PKG_VERSION")).to_owned(),
        min_expires: config.registration.min_expires(),
        max_expires: config.registration.max_expires(),
        default_expires: config.registration.default_expires(),
        grace: config.registration.grace(),
        ring_timeout: config.calls.ring_timeout(),
        reconnect: config.calls.reconnect(),
        silence_timeout: config.media.silence_timeout().unwrap_or_default(),
        session_expires: config.calls.session_expires(),
        max_calls: config.calls.max_calls,
        max_participants: config.calls.max_participants,
        fraud: fraud(config),
        emergency_numbers: config.calls.emergency_numbers.clone(),
        ..SwitchboardConfig::default()
    }
}

fn fraud(config: &Config) -> FraudConfig {
    let fraud = config.fraud.clone();
    FraudConfig {
        enabled: fraud.enabled,
        high_cost_prefixes: fraud.high_cost_prefixes,
        calls_per_minute: fraud.calls_per_minute,
        calls_per_day: fraud.calls_per_day,
        simultaneous_calls: fraud.simultaneous_calls,
        burst_calls: fraud.burst_calls,
    }
}

fn serve_tls(
    listener: TcpListener,
    tls: RustlsConfig,
    api: axum::Router,
    socket: SipSocket,
    stop: &CancellationToken,
) -> (Handle, JoinHandle<()>) {
    let handle = Handle::new();
    let server = https::serve_tls(listener, tls, https::router(api, socket), handle.clone());
    (handle, watched("HTTPS", server, stop))
}

fn serve_plain(
    listener: TcpListener,
    api: axum::Router,
    socket: SipSocket,
    stop: &CancellationToken,
) -> (Handle, JoinHandle<()>) {
    let handle = Handle::new();
    let server = https::serve_plain(listener, https::router(api, socket), handle.clone());
    (handle, watched("HTTP", server, stop))
}

/// A listener that breaks takes the process with it.
fn watched<F>(name: &'static str, server: F, stop: &CancellationToken) -> JoinHandle<()>
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let stop = stop.clone();
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "{name} cannot be served any longer");
            stop.cancel();
        }
    })
}

async fn tidy(upkeep: impl Fn(), stop: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => upkeep(),
        }
    }
}
