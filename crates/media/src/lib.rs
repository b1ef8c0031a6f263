//! Media, sans-IO: SDP, RTP, codecs, ICE-lite, DTLS-SRTP and the bridges between legs.
