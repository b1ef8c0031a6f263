//! DTLS 1.2 of one leg (RFC 6347, RFC 5763). Passive unless the peer insists on being passive itself; the peer's certificate must have
//! the fingerprint its SDP named, or no media is believed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_srtp::config::{Config, LABEL_EXTRACTOR_DTLS_SRTP};
use rtc_srtp::protection_profile::ProtectionProfile;

use super::certificate::Certificate;
use super::hello::{ClientHello, Reading};
use super::peer::Fingerprint;
use super::srtp::Srtp;

/// The library keys its associations by address; a leg has one, wherever its peer moves.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// Encrypted records queued until the keys are there. The peer's last flight has one, and some when it repeats itself; the library
/// would queue any number.
const MAX_EARLY_RECORDS: usize = 64;

/// Content types (RFC 5246 §6.2.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// What a record led to.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing to tell.
    Nothing,
    /// The handshake finished and the peer is who its SDP said.
    Keyed(Box<Srtp>),
    /// The peer is not who its SDP said, or agreed on nothing usable.
    Failed(String),
    /// The record was no use; the association goes on.
    Ignored,
    /// The peer closed its side.
    Closed,
}

/// One association.
pub(super) struct Dtls {
    /// Until the association is settled.
    endpoint: Option<Box<Endpoint>>,
    /// Of a settled association: our close_notify, sealed in advance.
    farewell: Option<BytesMut>,
    certificate: Arc<Certificate>,
    is_client: bool,
    /// The peer's first message, until it is known which SRTP profile to agree on.
    hello: Option<ClientHello>,
    keyed: bool,
    closed: bool,
    early_records: usize,
}

impl std::fmt::Debug for Dtls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dtls").field("is_client", &self.is_client).field("keyed", &self.keyed).finish_non_exhaustive()
    }
}

impl Dtls {
    /// The side that waits for the peer's ClientHello.
    pub(super) fn passive(certificate: Arc<Certificate>) -> Self {
        let endpoint = Endpoint::new(PEER, TransportProtocol::UDP, Some(certificate.server.clone()));
        Self::new(endpoint, certificate, false)
    }

    /// The side that speaks first.
    pub(super) fn active(certificate: Arc<Certificate>, now: Instant) -> Result<Self, String> {
        let mut endpoint = Endpoint::new(PEER, TransportProtocol::UDP, None);
        endpoint.connect(now, PEER, certificate.client.clone(), None).map_err(|error| error.to_string())?;
        Ok(Self::new(endpoint, certificate, true))
    }

    fn new(endpoint: Endpoint, certificate: Arc<Certificate>, is_client: bool) -> Self {
        Self {
            endpoint: Some(Box::new(endpoint)),
            farewell: None,
            certificate,
            is_client,
            hello: (!is_client).then(ClientHello::default),
            keyed: false,
            closed: false,
            early_records: 0,
        }
    }

    pub(super) fn handle(&mut self, now: Instant, record: &[u8], fingerprint: &Fingerprint) -> Progress {
        if self.endpoint.is_none() {
            return Progress::Nothing;
        }
        // A closed association is gone; a record that would begin another has no use.
        if self.closed || !self.is_believable(record) {
            return Progress::Ignored;
        }
        let Some(hello) = &mut self.hello else { return self.read(now, BytesMut::from(record), fingerprint) };
        let Reading::Complete { knows_gcm, datagrams } = hello.read(record) else { return Progress::Nothing };
        self.hello = None;
        if knows_gcm {
            let config = Some(self.certificate.gcm_server.clone());
            self.endpoint = Some(Box::new(Endpoint::new(PEER, TransportProtocol::UDP, config)));
        }
        // None of them ends a handshake that has only begun.
        for datagram in datagrams {
            self.read(now, datagram, fingerprint);
        }
        Progress::Nothing
    }

    fn read(&mut self, now: Instant, datagram: BytesMut, fingerprint: &Fingerprint) -> Progress {
        let Some(endpoint) = &mut self.endpoint else { return Progress::Ignored };
        let Ok(events) = endpoint.read(now, PEER, None, datagram) else { return Progress::Ignored };
        let mut progress = Progress::Nothing;
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete if !self.keyed => progress = self.finish(fingerprint),
                EndpointEvent::PeerClosed if self.keyed => {
                    self.closed = true;
                    if matches!(progress, Progress::Nothing) {
                        progress = Progress::Closed;
                    }
                }
                // Application data has no use here, and the handshake is told of once.
                EndpointEvent::HandshakeComplete
                | EndpointEvent::PeerClosed
                | EndpointEvent::ApplicationData(_)
                | _ => {}
            }
        }
        progress
    }

    /// Whether a datagram may reach the association. Before the keys anyone who writes the peer's address on a packet is heard, so
    /// what would end the handshake is not: plaintext alerts, and records to which the library replies with a fatal one.
    fn is_believable(&mut self, datagram: &[u8]) -> bool {
        let mut rest = datagram;
        let mut early = 0;
        while let [kind, _, _, epoch_high, epoch_low, _, _, _, _, _, _, high, low, body @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some((body, next)) = body.split_at_checked(length) else { return false };
            let is_plaintext = [*epoch_high, *epoch_low] == [0, 0];
            let is_fit = match *kind {
                CHANGE_CIPHER_SPEC => body == [1],
                HANDSHAKE => true,
                ALERT | APPLICATION_DATA => !is_plaintext,
                _ => false,
            };
            if !is_fit {
                return false;
            }
            // The library queues ChangeCipherSpec too when it comes before its time.
            early += usize::from(!self.keyed && (!is_plaintext || *kind == CHANGE_CIPHER_SPEC));
            rest = next;
        }
        if self.early_records + early > MAX_EARLY_RECORDS {
            return false;
        }
        self.early_records += early;
        rest.is_empty()
    }

    fn finish(&mut self, fingerprint: &Fingerprint) -> Progress {
        let state = self.endpoint.as_ref().and_then(|endpoint| endpoint.get_connection_state(PEER));
        let Some(state) = state else { return Progress::Nothing };
        if !state.peer_certificates.first().is_some_and(|certificate| fingerprint.matches(certificate)) {
            return Progress::Failed("the DTLS certificate is not the one the SDP named".to_owned());
        }
        let profile = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => ProtectionProfile::AeadAes128Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            // Only those two are offered.
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_32
            | SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm
            | SrtpProtectionProfile::Unsupported
            | _ => {
                return Progress::Failed("no SRTP profile in common".to_owned());
            }
        };
        let length = Config { profile, ..Config::default() }.keying_material_len();
        let material = match state.export_keying_material(LABEL_EXTRACTOR_DTLS_SRTP, &[], length) {
            Ok(material) => material,
            Err(error) => return Progress::Failed(format!("DTLS key export: {error}")),
        };
        match Srtp::new(profile, material.as_ref(), self.is_client, self.certificate.crypto.clone()) {
            Ok(srtp) => {
                self.keyed = true;
                Progress::Keyed(Box::new(srtp))
            }
            Err(error) => Progress::Failed(format!("SRTP: {error}")),
        }
    }

    /// The peer has proved by its media that it has our last flight: nothing of the handshake is ever sent again (RFC 6347 §4.2.4), and
    /// what it needed is given up, some 15 KiB. What the peer may still say, its farewell, changes nothing.
    pub(super) fn settle(&mut self, now: Instant) {
        if !self.keyed {
            return;
        }
        // Everything else it had to send has been taken from it.
        let Some(mut endpoint) = self.endpoint.take() else { return };
        endpoint.stop(now, PEER);
        self.farewell = endpoint.poll_transmit().map(|transmit| transmit.message);
    }

    /// The next record to send.
    pub(super) fn poll_transmit(&mut self) -> Option<BytesMut> {
        match &mut self.endpoint {
            Some(endpoint) => endpoint.poll_transmit().map(|transmit| transmit.message),
            None => self.farewell.take_if(|_| self.closed),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        // Asked after every packet of media; once there are keys there is nothing to look up.
        if self.keyed { None } else { self.endpoint.as_ref()?.poll_timeout(&PEER) }
    }

    /// Retransmits a flight. The error is in words: the handshake has been tried often enough.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), String> {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return Ok(());
        }
        let Some(endpoint) = &mut self.endpoint else { return Ok(()) };
        endpoint.handle_timeout(PEER, now).map_err(|error| format!("DTLS handshake: {error}"))
    }

    /// Says good-bye.
    pub(super) fn close(&mut self, now: Instant) {
        match &mut self.endpoint {
            Some(endpoint) => drop(endpoint.stop(now, PEER)),
            None => self.closed = true,
        }
    }
}
