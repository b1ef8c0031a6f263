//! The command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

const AFTER_HELP: &str = "The exit code is 0 when everything went as it should; 2 when a registration, a call or a transfer failed, a connection was \
lost, a wrong sound or none was heard, more than one packet in 1000 was lost or the run ended before its end; 1 when it could not begin. \
Ctrl-C ends a run and tells what was counted until then.";

/// Plays browser agents and a carrier against a SIP/WebRTC gateway, and tells what calls through it cost and sound like.
#[derive(Debug, Parser)]
#[command(name = "patchcord-load", version, about, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
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
    /// Have no media flow: descriptions are exchanged, and nothing is sent. For what signalling costs
    #[arg(long)]
    pub(crate) no_media: bool,
    /// Make a whole TLS handshake when an agent comes back, instead of resuming its session as browsers do
    #[arg(long)]
    pub(crate) no_resumption: bool,
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
    /// Look at the gateway's memory once more so long after the scenario
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = duration)]
    pub(crate) linger: Duration,
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
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Scenario {
    /// Register everybody and stay registered for a while
    Register {
        /// How long
        #[arg(long, default_value = "10s", value_parser = duration)]
        hold: Duration,
        /// Meanwhile register so many agents a second again, in turn, over the connections they have
        #[arg(long, value_name = "RATE", value_parser = rate)]
        refresh_rate: Option<f64>,
    },
    /// Make calls at a rate
    Calls(Calls),
    /// Have more and more calls at once, in steps, with figures of each
    Ramp(Ramp),
    /// Have everybody lose the connection at once and come back
    Reconnect {
        /// How often
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
        times: u32,
    },
}

impl Scenario {
    /// How many calls there are in it.
    pub(crate) fn calls(&self) -> u64 {
        match self {
            Self::Register { .. } | Self::Reconnect { .. } => 0,
            Self::Calls(calls) => calls.total,
            Self::Ramp(ramp) => ramp.target,
        }
    }
}

/// More and more calls at once.
#[derive(Debug, Clone, Args)]
pub(crate) struct Ramp {
    /// Calls at once in the end
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) target: u64,
    /// Stop on the way at so many calls at once, as in 10,50,100
    #[arg(long, value_name = "CALLS", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) steps: Vec<u64>,
    /// New calls a second
    #[arg(long, default_value_t = 10.0, value_parser = rate)]
    pub(crate) rate: f64,
    /// How long calls go on before a step is measured
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub(crate) settle: Duration,
    /// How long a step is measured
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub(crate) hold: Duration,
}

/// Calls at a rate.
#[derive(Debug, Clone, Args)]
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const COMMON: [&str; 7] = ["patchcord-load", "--server", "udp://h", "--domain", "d", "--users", "f"];

    #[test]
    fn times_and_rates_have_units_and_limits() {
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(duration("1.5m").unwrap(), Duration::from_secs(90));
        assert!(["", "x", "5h", "-1s", "2000m", "NaNs"].iter().all(|text| duration(text).is_err()));
        assert!(["0", "-1", "x", "1e9", "NaN"].iter().all(|text| rate(text).is_err()));
    }

    #[test]
    fn steps_are_a_list() {
        let Scenario::Ramp(ramp) =
            Cli::try_parse_from(COMMON.into_iter().chain(["ramp", "--steps", "10,20"])).unwrap().scenario
        else {
            panic!("not a ramp");
        };
        assert_eq!((ramp.steps, ramp.target), (vec![10, 20], 100));
        assert!(Cli::try_parse_from(COMMON.into_iter().chain(["ramp", "--steps", "0"])).is_err());
    }
}
