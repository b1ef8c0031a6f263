//! A stand-in for the running gateway: answers commands as a test says, and shows the calls it is given.

use switchboard::{CallId, CallState, CallView, Direction, Granted, LegView, Operator, OperatorError};
use tokio::sync::mpsc::UnboundedReceiver;

use super::Api;

impl Api {
    /// Answers every command from now on; gives the commands as they come.
    pub(super) fn stand_in(
        &mut self,
        answer: impl Fn(&Operator) -> Result<Granted, OperatorError> + Send + 'static,
    ) -> UnboundedReceiver<Operator> {
        let mut commands = std::mem::replace(&mut self.commands, tokio::sync::mpsc::channel(1).1);
        let (seen, asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(command) = commands.recv().await {
                command.reply.send(answer(&command.operator)).unwrap();
                seen.send(command.operator).unwrap();
            }
        });
        asked
    }
}

/// A call in which these legs talk.
pub(super) fn call(id: &str, legs: Vec<LegView>) -> CallView {
    CallView {
        id: CallId(id.to_owned()),
        direction: Direction::Outbound,
        state: CallState::Connected,
        from: "100".to_owned(),
        to: "+15551234567".to_owned(),
        started_at: std::time::SystemTime::UNIX_EPOCH,
        answered_at: None,
        agent_id: None,
        trunk_id: None,
        legs,
        transfers: Vec::new(),
        participants: Vec::new(),
    }
}

/// A leg that talks: of an extension and its agent, or of a trunk.
pub(super) fn leg(id: &str, phone: Option<(&str, &str)>) -> LegView {
    LegView {
        id: id.to_owned(),
        party: phone.map_or("+15551234567", |(extension, _)| extension).to_owned(),
        extension: phone.map(|(extension, _)| extension.to_owned()),
        agent_id: phone.map(|(_, agent)| agent.to_owned()),
        trunk_id: None,
        sip_call_id: Some(format!("{id}@sip")),
        away: false,
        state: CallState::Connected,
        codec: None,
        media: media::MediaState::default(),
        transport: sip::Transport::Wss,
        remote: "192.0.2.1:50000".parse().unwrap(),
    }
}
