//! `patchcord-load`: browser agents on one side of a SIP/WebRTC gateway, a carrier on the other, and what they hear of each other.

mod agent;
mod carrier;
mod cli;
mod link;
mod media;
mod process;
mod report;
mod run;
mod sdp;
mod sound;
mod speech;
mod stream;
mod studio;
mod users;

use std::process::ExitCode;

use clap::Parser;

use cli::Cli;
use run::Run;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let report = Run::play(cli.setting, &cli.scenario).await?;
    print!("{}", report.table());
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
