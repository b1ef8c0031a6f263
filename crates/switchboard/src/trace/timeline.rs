//! How far a leg's media has come, as its timeline says.

use std::net::SocketAddr;

use media::Milestone;

use super::MediaMoment;

/// How far a leg's media has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Timeline {
    /// Where the peer's description says that it receives, once both descriptions fit together.
    pub(crate) agreed: Option<SocketAddr>,
    pub(crate) path: bool,
    pub(crate) dtls: bool,
    /// DTLS finished, or RTP was believed.
    pub(crate) connected: bool,
    pub(crate) received: bool,
    /// The first packet dropped, where from and why.
    pub(crate) refused: Option<(SocketAddr, &'static str)>,
}

impl Timeline {
    pub(crate) fn note(&mut self, moment: &MediaMoment) {
        match moment {
            MediaMoment::Milestone(Milestone::Agreed { remote, .. }) => self.agreed = Some(*remote),
            MediaMoment::Milestone(Milestone::PathValidated { .. }) => self.path = true,
            MediaMoment::Milestone(Milestone::DtlsStarted) => self.dtls = true,
            MediaMoment::Milestone(Milestone::Refused { from, reason }) => {
                self.refused.get_or_insert((*from, reason));
            }
            MediaMoment::Milestone(Milestone::FirstReceived) => self.received = true,
            MediaMoment::Connected(_) => self.connected = true,
            MediaMoment::Milestone(Milestone::FirstSent)
            | MediaMoment::Negotiated(_)
            | MediaMoment::Silent
            | MediaMoment::Rejected(_)
            | MediaMoment::Failed(_) => {}
        }
    }

    /// What is amiss with the media of somebody in words, with what to look at; `None` when it was heard, or nothing can be said.
    pub(crate) fn finding(&self, name: &str, is_phone: bool) -> Option<String> {
        let agreed = self.agreed.filter(|_| !self.received)?;
        Some(match (is_phone, self.path, self.dtls, self.connected) {
            (true, false, ..) => match self.refused {
                Some((from, reason)) => {
                    format!("no valid ICE check came from {name}, and what came from {from} was dropped ({reason})")
                }
                None => format!(
                    "no ICE check of {name} ever arrived: its browser does not reach the gateway's media port over UDP, so look at \
                     media.advertised_address and at the firewalls between them"
                ),
            },
            (true, true, false, _) => format!(
                "{name} reached the gateway by ICE but never began DTLS: look at what its browser says of the call, and for a proxy that \
                 changes its media description"
            ),
            (true, true, true, false) => format!(
                "DTLS with {name} began but never finished: packets are lost in one direction, or those of a certificate's size are"
            ),
            (true, true, true, true) => {
                format!("{name} sent no audio: look at its microphone and whether it was muted")
            }
            (false, ..) => match self.refused {
                Some((from, reason)) => format!(
                    "no media of {name} was taken, and what came from {from} was dropped ({reason}): if that is the carrier, its network \
                     belongs into the trunk's media_cidrs"
                ),
                None => format!(
                    "no media ever came from {name}, which was to send from near {agreed}: look at media.advertised_address and at the \
                     firewall of the media ports"
                ),
            },
        })
    }
}
