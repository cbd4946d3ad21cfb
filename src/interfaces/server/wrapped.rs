//! `haldir-mcp wrap`: in front of a server that speaks on standard input and output.

use std::{io::IsTerminal, sync::Arc};

use tokio::{runtime::Builder, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Cli, terminated};
use crate::{
    config::{self, bad_setting, logging},
    error::{Error, Result},
    jobs::tool_changes::ToolChanges,
    model::Credential,
    operations::proxied::has_secret,
    redact::Audience,
    relay::elicitation::ApproveBy,
    relay::{
        bound_session::BoundSession,
        govern::Redact,
        governor::{Governor, Tools},
        options::WrapOptions,
        policy_file,
        wrap::{self, Bounds},
    },
};

/// Serves until the client leaves.
pub fn serve(cli: &Cli, options: &WrapOptions) -> Result<()> {
    logging::start("warn,rmcp=off")?;
    if std::io::stdin().is_terminal() {
        eprintln!("haldir-mcp waits for an MCP client on standard input, in front of the server. Ctrl-C ends it.");
    }
    if std::env::var("HALDIR_BASE_URL").is_ok_and(|url| !url.is_empty()) {
        let problem =
            "a wrapped server is governed by the store of this machine: unset it, or register the server there";
        return Err(bad_setting("HALDIR_BASE_URL", problem));
    }
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::internal)?;
    let outcome = runtime.block_on(async {
        let haldir = cli.store.open(cli.settings(&cli.store)?).await?;
        let credential = match config::secret_variable("HALDIR_API_KEY") {
            Some(key) => haldir.adopt_or_find_key(key).await?,
            None => Credential::LocalAgent,
        };
        let name = options.name()?;
        let cx = haldir.watch_proxy(&credential)?;
        if let Some(file) = options.policy() {
            policy_file::add(&haldir, &cx.caller.tenant, file).await?;
        }
        haldir.declare_upstream(&cx, &name).await?;
        let mut command = options.command(&cli.store.local_files()?, &name)?;
        // One that is no text names no secret.
        let variables = std::env::vars_os().filter_map(|(name, text)| Some((name, text.into_string().ok()?)));
        let (variables, texts): (Vec<_>, Vec<_>) = variables.filter(|(_, text)| has_secret(text)).unzip();
        let (texts, known) = haldir.fill_secrets(&cx, &name, &texts)?;
        command.known = Arc::new(known.to(Audience::Log));
        command.environment = variables.into_iter().zip(texts).collect();
        let session = Arc::new(BoundSession::new(haldir.clone(), credential.clone(), options.terms()?));
        let governor = Governor::new(
            haldir.clone(),
            credential,
            name,
            Some(Arc::clone(&session)),
            Tools::Observed,
            (cli.decisions.asking(ApproveBy::Elicitation), ToolChanges::new(haldir.clone())),
        );
        let asked_to_stop = terminated()?;
        let stop = CancellationToken::new();
        let mut jobs = JoinSet::new();
        jobs.spawn(haldir.deliver_webhooks(stop.clone()));
        jobs.spawn(haldir.clone().keep_proxy(stop.clone()));
        let bounds = Bounds { limits: haldir.upstream_limits(), message_bytes: cli.limits.message_bytes() };
        let bounds = (bounds, options.bridges());
        let pipes = rmcp::transport::io::stdio_pipes();
        let outcome = wrap::serve(Arc::new(governor), &command, Redact::new(known), bounds, pipes, asked_to_stop).await;
        session.end().await;
        stop.cancel();
        while jobs.join_next().await.is_some() {}
        haldir.close();
        outcome
    });
    // A read of standard input that is under way cannot be taken back: do not wait for it.
    runtime.shutdown_background();
    outcome
}
