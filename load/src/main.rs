//! `patchcord-load`: browser agents on one side of a SIP/WebRTC gateway, a carrier on the other, and what they hear of each other.

use std::process::ExitCode;

use clap::Parser;

use patchcord_load::{Cli, play};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let report = play(Cli::parse()).await?;
    print!("{}", report.table());
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
