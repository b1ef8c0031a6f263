//! Media, sans-IO: SDP, RTP, codecs, ICE-lite, DTLS-SRTP and the bridges between legs.

mod codec;
mod command;
mod dtmf;
mod rtp;
mod tone;
mod transcoder;

pub use command::{
    Bandwidth, Codec, Command, Event, Keying, LocalPort, MediaSessionId, PortRequest, SocketId, Statistics,
};
