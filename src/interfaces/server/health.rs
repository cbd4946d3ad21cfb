//! `haldir-mcp health`: whether the server on this machine can do its work, as an exit code.

use std::time::Duration;

use clap::Args;
use tokio::{runtime::Builder, time::timeout};

use super::listen::ListenOptions;
use crate::{
    error::{Code, Error, Result},
    interfaces::{
        readiness::{Readiness, read},
        remote::Remote,
    },
};

/// How long an answer may take: the health check of the image waits for 10 s.
const LIMIT: Duration = Duration::from_secs(5);

#[derive(Args)]
pub struct HealthOptions {
    #[command(flatten)]
    listen: ListenOptions,
    /// The address of the server, instead of where `serve` listens with the same settings.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Asks the server at `/readyz`. An error if it is not ready, and says why.
pub fn check(options: &HealthOptions) -> Result<()> {
    let url = options.url.clone().map_or_else(|| options.listen.local_url(), Ok)?;
    let remote = Remote::new(&url)?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::internal)?;
    let body = runtime.block_on(async { timeout(LIMIT, remote.public("/readyz")).await }).map_err(|_| {
        Error::new(Code::Unavailable, format!("the server at {url} did not answer within {} s", LIMIT.as_secs()))
    })??;
    let readiness: Readiness = read(&body)?;
    if readiness.ready {
        return Ok(());
    }
    let failed = readiness.checks.iter().filter(|check| !check.ok);
    let why: Vec<_> = failed.map(|check| format!("{}: {}", check.name, check.message)).collect();
    Err(Error::new(Code::Unavailable, format!("the server at {url} is not ready: {}", why.join("; "))))
}
