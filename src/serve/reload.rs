//! SIGHUP: certificates and dialplan are read again. A file that is wrong changes nothing.

use std::sync::Arc;

use super::Running;
use crate::commands::read_dialplan;

impl Running {
    /// Reads certificates and dialplan again. Connections and calls go on; what is wrong is logged and the old stays in force.
    /// Whether everything was right.
    pub fn reload(&self) -> bool {
        let certificates = self.reloading.certificates.reload().is_ok();
        let dialplan = match read_dialplan(&self.reloading.dialplan_directory) {
            Ok(dialplan) => {
                self.reloading.dialplan.send_replace(Arc::new(dialplan));
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
        certificates && dialplan
    }
}
