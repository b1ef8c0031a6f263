//! The binary: reads the command line and runs what it asks for.

use std::process::ExitCode;

use clap::Parser;
use patchcord::cli::{Cli, Command};
use patchcord::{commands, serve};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

// One worker for all that waits: docs/adr/0009.
#[tokio::main(worker_threads = 1)]
async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(options) => {
            return Ok(serve::process::run(&options.config.path, options.ports_file.as_deref()).await?);
        }
        Command::Check(config) => commands::check(&config.path)?,
        Command::Init(options) => commands::prepare(&options.config.path, options.demo).await?,
        Command::ImportFreeswitch(options) => return Ok(commands::import_freeswitch(&options).await?),
        Command::ApiKey(command) => commands::api_key(&command).await?,
        Command::Healthcheck(config) => serve::health::check(&config.path).await?,
    }
    Ok(ExitCode::SUCCESS)
}
