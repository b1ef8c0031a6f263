//! RTP (RFC 3550): the fixed header, what is counted on reception, and the continuous stream sent to a peer.

mod egress;
mod header;
mod reception;
mod reorder;

pub(crate) use egress::{Egress, Pace};
pub(crate) use header::{Header, RtpView};
pub(crate) use reception::{Admission, Reception};
pub(crate) use reorder::{Order, Reorder, Step};
