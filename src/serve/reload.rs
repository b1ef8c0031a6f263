//! SIGHUP: certificate and dialplan are read again. A file that is wrong changes nothing.

use std::sync::Arc;

use super::Running;
use crate::commands::read_dialplan;
use crate::net::https;

impl Running {
    /// Reads certificate and dialplan again. Connections and calls go on; what is wrong is logged and the old stays in force.
    /// Whether everything was right.
    pub fn reload(&self) -> bool {
        let reloading = &self.reloading;
        let certificate = match https::tls(&reloading.certificate, &reloading.key) {
            Ok(identity) => {
                reloading.tls.reload_from_config(identity.config);
                self.tables.set_certificate_expires(identity.expires);
                tracing::info!("the certificate is reloaded");
                true
            }
            Err(error) => {
                tracing::error!(%error, "the certificate stays as it was");
                false
            }
        };
        let dialplan = match read_dialplan(&reloading.dialplan_directory) {
            Ok(dialplan) => {
                reloading.dialplan.send_replace(Arc::new(dialplan));
                tracing::info!("the dialplan is reloaded");
                true
            }
            Err(error) => {
                for mistake in error.to_string().lines() {
                    tracing::error!(mistake, "the dialplan stays as it was");
                }
                false
            }
        };
        certificate && dialplan
    }
}
