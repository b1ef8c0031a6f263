//! The command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Plays browser agents and a carrier against a SIP/WebRTC gateway, and tells what calls through it cost and sound like.
#[derive(Debug, Parser)]
#[command(name = "patchcord-load", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// Whom to play, against whom
    #[command(flatten)]
    pub(crate) setting: Setting,
    /// What to do
    #[command(subcommand)]
    pub(crate) scenario: Scenario,
}

/// Whom to play, against whom.
#[derive(Debug, Args)]
pub(crate) struct Setting {
    /// The gateway: wss://HOST[:PORT]/PATH, ws://… or udp://HOST[:PORT] (certificates are not looked at)
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,
    /// The agents' SIP domain, which is also the digest realm
    #[arg(long)]
    pub(crate) domain: String,
    /// The agents: a file with `username,secret[,number]` a line; the number is what the carrier dials
    #[arg(long, value_name = "FILE")]
    pub(crate) users: PathBuf,
    /// Play so many of them; all of the file by default
    #[arg(long)]
    pub(crate) agents: Option<usize>,
    /// Where the carrier listens (UDP): the gateway's trunk
    #[arg(long, default_value = "127.0.0.1:5090", value_name = "ADDRESS:PORT")]
    pub(crate) carrier: SocketAddr,
    /// Where the gateway takes the carrier's calls (UDP)
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) trunk: Option<SocketAddr>,
    /// What the carrier's numbers begin with; seven digits follow
    #[arg(long, default_value = "+49301", allow_hyphen_values = true)]
    pub(crate) prefix: String,
    /// How the agents' media travels
    #[arg(long, value_enum, default_value_t = MediaKind::Webrtc)]
    pub(crate) media: MediaKind,
    /// Where media sockets are bound
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    pub(crate) media_address: IpAddr,
    /// Decode and listen to one call of so many: sound is recognised, and its latency measured, in those
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) listen: u64,
    /// Ask for registrations of so many seconds, and refresh them
    #[arg(long, default_value_t = 600, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(10..=86_400))]
    pub(crate) expires: u32,
    /// Connect and register so many agents a second
    #[arg(long, default_value_t = 100.0, value_name = "RATE", value_parser = rate)]
    pub(crate) register_rate: f64,
    /// The gateway's process, whose processor time and memory are to be reported
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// Write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// End after this time at the latest
    #[arg(long, default_value = "10m", value_name = "TIME", value_parser = duration)]
    pub(crate) max_time: Duration,
}

/// How agents' media travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MediaKind {
    /// ICE and DTLS-SRTP, as browsers do
    Webrtc,
    /// Opus over plain RTP, for gateways without WebRTC
    Rtp,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Scenario {
    /// Register everybody and stay registered for a while
    Register {
        /// How long
        #[arg(long, default_value = "10s", value_parser = duration)]
        hold: Duration,
    },
    /// Make calls at a rate
    Calls(Calls),
    /// Have more and more calls at once, up to a number, and keep that up
    Ramp {
        /// Calls at once
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
        target: u64,
        /// New calls a second
        #[arg(long, default_value_t = 10.0, value_parser = rate)]
        rate: f64,
        /// How long all of them go on
        #[arg(long, default_value = "30s", value_parser = duration)]
        hold: Duration,
    },
    /// Have everybody lose the connection at once and come back
    Reconnect {
        /// How often
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
        times: u32,
    },
}

/// Calls at a rate.
#[derive(Debug, Args)]
pub(crate) struct Calls {
    /// New calls a second
    #[arg(long, default_value_t = 5.0, value_parser = rate)]
    pub(crate) rate: f64,
    /// How long people talk
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub(crate) talk: Duration,
    /// Calls in all
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=4_000_000))]
    pub(crate) total: u64,
    /// Who calls
    #[arg(long, value_enum, default_value_t = Direction::Out)]
    pub(crate) direction: Direction,
    /// Hold and resume in every call (an agent's)
    #[arg(long)]
    pub(crate) holds: bool,
    /// Hand every call on to another number of the carrier (an agent's REFER)
    #[arg(long)]
    pub(crate) transfers: bool,
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    /// Agents call the carrier
    Out,
    /// The carrier calls agents
    In,
}

/// `10s`, `500ms`, `5m`
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let number: f64 = digits.parse().map_err(|_| "expected a time such as 500ms, 10s or 5m".to_owned())?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" | "" => number,
        "m" => number * 60.0,
        _ => return Err("expected a time such as 500ms, 10s or 5m".to_owned()),
    };
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err("expected at most a day".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if rate > 0.0 && rate <= 100_000.0 { Ok(rate) } else { Err("expected more than 0 and at most 100000".to_owned()) }
}
