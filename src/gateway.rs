//! What the rest of the process sees of the running switchboard: its calls and bindings as last told, and a way to send it an
//! operator's command. The signalling task writes, the API reads; neither waits for the other.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use switchboard::{
    BindingView, CallState, CallView, Granted, Operator, OperatorError, ServerView, TrunkRegistration,
    TrunkRegistrationState,
};
use tokio::sync::{mpsc, oneshot};

/// Commands waiting for the signalling task; one more is refused at once, which an operator can repeat.
const COMMANDS_WAITING: usize = 64;

/// How long an operator's command may take; the signalling task turns around in microseconds.
const COMMAND_DEADLINE: Duration = Duration::from_secs(5);

/// A command on its way to the signalling task.
#[derive(Debug)]
pub struct OperatorCommand {
    /// What is asked.
    pub operator: Operator,
    /// Where the answer goes; the asker may have gone away.
    pub reply: oneshot::Sender<Result<Granted, OperatorError>>,
}

/// Why an operator's command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The switchboard refused.
    #[error(transparent)]
    Refused(#[from] OperatorError),
    /// The signalling task is overloaded or stopped.
    #[error("the gateway does not take commands at the moment")]
    Unavailable,
}

/// Whether the gateway can take calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// Every listener is bound.
    pub listening: bool,
    /// The process is about to stop and takes no new calls.
    pub draining: bool,
    /// Until when browsers believe the certificate of the HTTPS listener.
    pub certificate_expires: SystemTime,
}

/// How a trunk stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrunkStatus {
    /// Our registration at it; `None` when it does not register.
    pub registration: Option<TrunkRegistration>,
    /// The servers of its gateways, as far as anything is known of them.
    pub servers: Vec<ServerView>,
    /// How many legs go over it.
    pub channels_in_use: usize,
}

/// What an extension does in the running calls; the later says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engagement {
    /// It is being called.
    Rings,
    /// It talks, or calls somebody.
    Talks,
}

/// Who is engaged in the running calls.
#[derive(Debug, Default)]
pub struct Engagements {
    extensions: HashMap<String, Engagement>,
    agents: HashMap<String, u32>,
}

impl Engagements {
    fn add(&mut self, call: &CallView) {
        let mut agents: Vec<&str> = Vec::new();
        for (at, leg) in call.legs.iter().enumerate().filter(|(_, leg)| leg.state != CallState::Ending) {
            if let Some(extension) = &leg.extension {
                let talks = at == 0 || leg.state == CallState::Connected;
                let engagement = if talks { Engagement::Talks } else { Engagement::Rings };
                let known = self.extensions.entry(extension.clone()).or_insert(engagement);
                *known = engagement.max(*known);
            }
            // An agent whose two phones ring has one call.
            if let Some(agent) = leg.agent_id.as_deref().filter(|agent| !agents.contains(agent)) {
                agents.push(agent);
                *self.agents.entry(agent.to_owned()).or_default() += 1;
            }
        }
    }

    /// What an extension does; `None` when it is in no call.
    #[must_use]
    pub fn of_extension(&self, number: &str) -> Option<Engagement> {
        self.extensions.get(number).copied()
    }

    /// How many calls an agent has, over all its extensions.
    #[must_use]
    pub fn calls_of_agent(&self, id: &str) -> u32 {
        self.agents.get(id).copied().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Tables {
    calls: RwLock<HashMap<String, Arc<CallView>>>,
    bindings: RwLock<HashMap<String, Vec<BindingView>>>,
    /// Of the trunks that register.
    registrations: RwLock<HashMap<String, TrunkRegistration>>,
    /// By trunk.
    servers: RwLock<HashMap<String, Vec<ServerView>>>,
    listening: AtomicBool,
    draining: AtomicBool,
    /// Seconds since 1970.
    certificate_expires: AtomicU64,
}

/// The API's side.
#[derive(Debug, Clone)]
pub struct GatewayHandle {
    tables: Arc<Tables>,
    commands: mpsc::Sender<OperatorCommand>,
}

/// The signalling task's side: it alone writes.
#[derive(Debug, Clone)]
pub struct GatewayTables {
    tables: Arc<Tables>,
}

/// Both sides, and the commands for the signalling task to read.
#[must_use]
pub fn gateway() -> (GatewayHandle, GatewayTables, mpsc::Receiver<OperatorCommand>) {
    let (commands, receiver) = mpsc::channel(COMMANDS_WAITING);
    let tables = Arc::new(Tables::default());
    (GatewayHandle { tables: Arc::clone(&tables), commands }, GatewayTables { tables }, receiver)
}

impl GatewayHandle {
    /// The running calls, in no order.
    #[must_use]
    pub fn calls(&self) -> Vec<CallView> {
        self.tables
            .calls
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .map(|call| CallView::clone(call))
            .collect()
    }

    /// One running call.
    #[must_use]
    pub fn call(&self, id: &str) -> Option<CallView> {
        self.tables.calls.read().unwrap_or_else(PoisonError::into_inner).get(id).map(|call| CallView::clone(call))
    }

    /// Who is engaged in the running calls, in one pass over them.
    #[must_use]
    pub fn engagements(&self) -> Engagements {
        let mut engagements = Engagements::default();
        let calls = self.tables.calls.read().unwrap_or_else(PoisonError::into_inner);
        calls.values().for_each(|call| engagements.add(call));
        engagements
    }

    /// The numbers of the extensions with a phone registered.
    #[must_use]
    pub fn registered(&self) -> HashSet<String> {
        self.tables.bindings.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// What is registered for an extension's number.
    #[must_use]
    pub fn bindings(&self, extension: &str) -> Vec<BindingView> {
        let bindings = self.tables.bindings.read().unwrap_or_else(PoisonError::into_inner);
        bindings.get(extension).cloned().unwrap_or_default()
    }

    /// The servers of a trunk's gateways, as far as anything is known of them.
    #[must_use]
    pub fn servers(&self, trunk: &str) -> Vec<ServerView> {
        let servers = self.tables.servers.read().unwrap_or_else(PoisonError::into_inner);
        servers.get(trunk).cloned().unwrap_or_default()
    }

    fn channels(&self, trunk: &str) -> usize {
        let calls = self.tables.calls.read().unwrap_or_else(PoisonError::into_inner);
        let legs = calls.values().flat_map(|call| &call.legs).filter(|leg| leg.state != CallState::Ending);
        legs.filter(|leg| leg.trunk_id.as_deref() == Some(trunk)).count()
    }

    /// How many contacts are registered in all.
    #[must_use]
    pub fn bindings_total(&self) -> usize {
        self.tables.bindings.read().unwrap_or_else(PoisonError::into_inner).values().map(Vec::len).sum()
    }

    /// How a trunk stands.
    #[must_use]
    pub fn trunk_status(&self, id: &str) -> TrunkStatus {
        let registrations = self.tables.registrations.read().unwrap_or_else(PoisonError::into_inner);
        let registration = registrations.get(id).cloned();
        TrunkStatus { registration, servers: self.servers(id), channels_in_use: self.channels(id) }
    }

    /// How many calls are running.
    #[must_use]
    pub fn calls_total(&self) -> usize {
        self.tables.calls.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether the gateway can take calls.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness {
            listening: self.tables.listening.load(Ordering::Relaxed),
            draining: self.tables.draining.load(Ordering::Relaxed),
            certificate_expires: UNIX_EPOCH
                + Duration::from_secs(self.tables.certificate_expires.load(Ordering::Relaxed)),
        }
    }

    /// Has the switchboard carry out a command and waits for its answer.
    ///
    /// # Errors
    /// [`GatewayError::Refused`] with the switchboard's reason; [`GatewayError::Unavailable`] when its queue is full, it has
    /// stopped, or it did not answer in time.
    pub async fn operator(&self, operator: Operator) -> Result<Granted, GatewayError> {
        let (reply, answer) = oneshot::channel();
        self.commands.try_send(OperatorCommand { operator, reply }).map_err(|_| GatewayError::Unavailable)?;
        match tokio::time::timeout(COMMAND_DEADLINE, answer).await {
            Ok(Ok(result)) => Ok(result?),
            Ok(Err(_)) | Err(_) => Err(GatewayError::Unavailable),
        }
    }
}

impl GatewayTables {
    /// A call came up or changed.
    pub fn call_changed(&self, call: impl Into<Arc<CallView>>) {
        let call = call.into();
        self.tables.calls.write().unwrap_or_else(PoisonError::into_inner).insert(call.id.0.clone(), call);
    }

    /// A call ended.
    pub fn call_ended(&self, id: &str) {
        self.tables.calls.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// The bindings of an extension changed; the whole list. Whether others are registered now than before, or over other connections: most
    /// have only been refreshed.
    pub fn bindings_changed(&self, extension: &str, bindings: Vec<BindingView>) -> bool {
        let mut table = self.tables.bindings.write().unwrap_or_else(PoisonError::into_inner);
        let before = table.get(extension).map_or(&[][..], Vec::as_slice);
        let refreshed = |binding: &BindingView| before.iter().any(|b| (&b.id, b.flow) == (&binding.id, binding.flow));
        let are_others = before.len() != bindings.len() || !bindings.iter().all(refreshed);
        if bindings.is_empty() {
            table.remove(extension);
        } else if let Some(known) = table.get_mut(extension) {
            *known = bindings;
        } else {
            table.insert(extension.to_owned(), bindings);
        }
        are_others
    }

    /// Our registration at a trunk stands otherwise than before.
    pub fn trunk_registration_changed(&self, trunk: String, registration: TrunkRegistration) {
        let mut table = self.tables.registrations.write().unwrap_or_else(PoisonError::into_inner);
        match registration.state {
            TrunkRegistrationState::Unregistered => table.remove(&trunk),
            TrunkRegistrationState::Registering
            | TrunkRegistrationState::Registered { .. }
            | TrunkRegistrationState::Failed { .. } => table.insert(trunk, registration),
        };
    }

    /// What is known of the servers of a trunk changed; the whole list. Gives the one before.
    pub fn servers_changed(&self, trunk: String, servers: Vec<ServerView>) -> Vec<ServerView> {
        let mut table = self.tables.servers.write().unwrap_or_else(PoisonError::into_inner);
        let before = if servers.is_empty() { table.remove(&trunk) } else { table.insert(trunk, servers) };
        before.unwrap_or_default()
    }

    /// Every listener is bound, or no longer.
    pub fn set_listening(&self, listening: bool) {
        self.tables.listening.store(listening, Ordering::Relaxed);
    }

    /// A certificate was loaded that browsers believe until then.
    pub fn set_certificate_expires(&self, at: SystemTime) {
        let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.tables.certificate_expires.store(seconds, Ordering::Relaxed);
    }

    /// The process is about to stop.
    pub fn set_draining(&self, draining: bool) {
        self.tables.draining.store(draining, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sip::{ConnectionId, Contact, Flow, NameAddr, Transport};

    use super::*;

    #[test]
    fn a_refreshed_registration_is_shown_but_is_no_other_one() {
        let (handle, tables, _commands) = gateway();
        let binding = |id: &str, connection, seconds| BindingView {
            id: id.into(),
            address: Arc::new(Contact { address: NameAddr::new("sip:100@x.invalid".parse().unwrap()) }),
            user_agent: None,
            flow: Flow {
                transport: Transport::Wss,
                peer: ([192, 0, 2, 1], 1).into(),
                connection: Some(ConnectionId(connection)),
                tls: None,
            },
            registered_at: UNIX_EPOCH,
            expires_at: UNIX_EPOCH + Duration::from_secs(seconds),
        };
        let (first, second) = (binding("reg_1", 1, 10), binding("reg_2", 2, 10));
        assert!(tables.bindings_changed("100", vec![first.clone(), second.clone()]));
        let refreshed = vec![second, binding("reg_1", 1, 20)];
        assert!(!tables.bindings_changed("100", refreshed.clone()));
        assert_eq!(handle.bindings("100"), refreshed);
        assert!(tables.bindings_changed("100", vec![binding("reg_2", 2, 10), binding("reg_1", 3, 20)]), "moved");
        assert!(tables.bindings_changed("100", vec![first]), "one is gone");
        assert!(tables.bindings_changed("100", Vec::new()));
        assert_eq!(handle.bindings_total(), 0);
    }
}
