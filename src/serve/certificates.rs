//! The listeners' certificates: read at the start and again when their files change, on SIGHUP and by the API. Connections go on with what
//! they have agreed on; a pair that is wrong, or written by half, changes nothing.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum_server::tls_rustls::RustlsConfig;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::api::LoadedCertificate;
use crate::config::Config;
use crate::gateway::GatewayTables;
use crate::net::https;
use crate::net::tls::{ServerSettings, TlsError};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

const HTTPS: &str = "https";
const SIP_TLS: &str = "sip_tls";

/// The certificates in use. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Certificates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    https: RustlsConfig,
    http_files: Files,
    sip: Option<(ServerSettings, Files)>,
    tables: GatewayTables,
}

/// Where a listener's certificate comes from.
#[derive(Debug, Clone, Default)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// What tells one version of a file from the next, also when it is replaced by a link to another.
type Version = Option<(u64, u64, i64, i64)>;

impl Certificates {
    /// Reads everything for the first time.
    ///
    /// # Errors
    /// The first certificate that cannot be used.
    pub(super) fn read(config: &Config, tables: GatewayTables) -> Result<Self, TlsError> {
        let http_files =
            Files { certificate: config.http.certificate.clone(), key: config.http.key.clone(), client_ca: None };
        let (https, expires) = https::tls(&http_files.certificate, &http_files.key)?;
        tables.set_certificate_expires(expires);
        crate::metrics::certificate_expires(HTTPS, expires);
        let sip = match config.sip.tls_listen {
            None => None,
            Some(_) => {
                let files = Files::of_sip(config);
                let (settings, expires) =
                    ServerSettings::read(&files.certificate, &files.key, files.client_ca.as_deref())?;
                crate::metrics::certificate_expires(SIP_TLS, expires);
                Some((settings, files))
            }
        };
        Ok(Self(Arc::new(Inner { https: RustlsConfig::from_config(https), http_files, sip, tables })))
    }

    /// What the HTTPS listener works with.
    pub(super) fn https(&self) -> RustlsConfig {
        self.0.https.clone()
    }

    /// What the listener for SIP inside TLS works with, when there is one.
    pub(super) fn sip(&self) -> Option<ServerSettings> {
        self.0.sip.as_ref().map(|(settings, _)| settings.clone())
    }

    /// Reads everything again, for connections from now on. What is wrong is logged and the old stays in force.
    ///
    /// # Errors
    /// What is wrong, each with its file; the others are in force all the same.
    pub(crate) fn reload(&self) -> Result<Vec<LoadedCertificate>, Vec<String>> {
        let (mut loaded, mut wrong) = (Vec::new(), Vec::new());
        let mut take = |listener, result: Result<SystemTime, TlsError>| match result {
            Ok(expires) => {
                crate::metrics::certificate_expires(listener, expires);
                tracing::info!(listener, "the certificate is reloaded");
                loaded.push(LoadedCertificate { listener, expires_at: expires.into() });
            }
            Err(error) => {
                tracing::error!(%error, listener, "the certificate stays as it was");
                wrong.push(error.to_string());
            }
        };
        take(HTTPS, self.reload_https());
        if let Some((settings, files)) = &self.0.sip {
            take(SIP_TLS, settings.reread(&files.certificate, &files.key, files.client_ca.as_deref()));
        }
        if wrong.is_empty() { Ok(loaded) } else { Err(wrong) }
    }

    fn reload_https(&self) -> Result<SystemTime, TlsError> {
        let (config, expires) = https::tls(&self.0.http_files.certificate, &self.0.http_files.key)?;
        self.0.https.reload_from_config(config);
        self.0.tables.set_certificate_expires(expires);
        Ok(expires)
    }

    /// Reloads whenever a file changes, until `stop`.
    pub(super) async fn watch(self, stop: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = self.versions();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let now = self.versions();
            if now != known {
                known = now;
                // Said already, each with its file; the next change is looked at again.
                drop(self.reload());
            }
        }
    }

    fn versions(&self) -> Vec<Version> {
        let files = [Some(&self.0.http_files), self.0.sip.as_ref().map(|(_, files)| files)];
        files.into_iter().flatten().flat_map(Files::all).map(version).collect()
    }
}

impl Files {
    fn of_sip(config: &Config) -> Self {
        let (http, sip) = (&config.http, &config.sip);
        let own = !sip.tls_certificate.as_os_str().is_empty();
        let (certificate, key) =
            if own { (&sip.tls_certificate, &sip.tls_key) } else { (&http.certificate, &http.key) };
        let client_ca = Some(&sip.tls_client_ca).filter(|path| !path.as_os_str().is_empty());
        Self { certificate: certificate.clone(), key: key.clone(), client_ca: client_ca.cloned() }
    }

    fn all(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten().map(PathBuf::as_path)
    }
}

fn version(path: &Path) -> Version {
    let file = std::fs::metadata(path).ok()?;
    Some((file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}
