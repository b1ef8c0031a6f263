//! The command line. Says what can be asked of the binary; does nothing itself.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A SIP/WebRTC softphone gateway: browser agents phone through SIP trunks.
#[derive(Debug, Parser)]
#[command(name = "patchcord", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway until SIGTERM or SIGINT
    Serve(Serve),
    /// Check the configuration and the dialplan; exit with 1 and every mistake when something is wrong
    Check(ConfigFile),
    /// Prepare a first start: development certificate, database and administrator's API key, each only when missing
    Init(Init),
    /// Ask a gateway running on this host whether it is alive; exit with 1 when it is not
    Healthcheck(ConfigFile),
    /// Take over the users and gateways of a FreeSWITCH configuration; exit with 2 when something could not be taken over at all
    ImportFreeswitch(ImportFreeswitch),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    ApiKey(ApiKey),
}

/// Which configuration.
#[derive(Debug, Clone, Args)]
pub struct ConfigFile {
    /// The configuration file (TOML)
    #[arg(
        long = "config",
        short = 'c',
        env = "PATCHCORD_CONFIG",
        default_value = "patchcord.toml",
        value_name = "FILE"
    )]
    pub path: PathBuf,
}

/// `patchcord serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// Which configuration
    #[command(flatten)]
    pub config: ConfigFile,
    /// Write the addresses listened on to this file, as JSON, once calls can come
    #[arg(long, value_name = "FILE")]
    pub ports_file: Option<PathBuf>,
}

/// `patchcord init`
#[derive(Debug, Args)]
pub struct Init {
    /// Which configuration
    #[command(flatten)]
    pub config: ConfigFile,
    /// Also make a demo agent with an extension and a credential, when there is no agent at all
    #[arg(long)]
    pub demo: bool,
}

/// `patchcord import-freeswitch`
#[derive(Debug, Args)]
pub struct ImportFreeswitch {
    /// Which configuration
    #[command(flatten)]
    pub config: ConfigFile,
    /// FreeSWITCH's configuration folder (with directory/ and sip_profiles/), or one with its XML files
    pub folder: PathBuf,
    /// Say what would be made, and make nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The users' SIP domain, whatever the files call it: their a1-hash is kept when it is this gateway's
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
}

/// `patchcord api-key …`
#[derive(Debug, Subcommand)]
pub enum ApiKey {
    /// Make an API key and print its secret, this once
    Create {
        /// Which configuration
        #[command(flatten)]
        config: ConfigFile,
        /// What the key is for, e.g. "crm"
        #[arg(long)]
        name: String,
        /// What it may do, separated by commas: GROUP:read, GROUP:write, calls:control or admin, where GROUP is agents,
        /// extensions, credentials, trunks, numbers, calls or cdrs
        #[arg(long, value_delimiter = ',', default_value = "admin")]
        scopes: Vec<String>,
    },
    /// List the API keys, never their secrets
    List {
        /// Which configuration
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Make an API key worthless at once
    Revoke {
        /// Which configuration
        #[command(flatten)]
        config: ConfigFile,
        /// The key's id, as listed
        id: String,
    },
}
