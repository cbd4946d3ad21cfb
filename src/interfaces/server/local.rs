//! MCP over standard input and output, for one client.

use std::{io::IsTerminal, sync::Arc};

use tokio::{runtime::Builder, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Cli, terminated};
use crate::{
    config::{self, bad_setting, logging},
    error::{Error, Result},
    interfaces::{
        backend::Backend,
        mcp::{HaldirMcp, stdio},
        otlp::{Exporter, OtlpSettings},
        remote::Remote,
    },
    model::Credential,
    relay::bound_session::{BoundSession, SessionTerms},
    relay::elicitation::ApproveBy,
};

/// Explains at a terminal why the program prints nothing: it waits for a client.
fn explain_waiting() {
    let program = std::env::current_exe().map_or_else(|_| "haldir-mcp".to_owned(), |path| path.display().to_string());
    // As JSON has it: a path may hold what must be escaped.
    let entry = serde_json::json!({"mcpServers": {"haldir": {"command": program}}});
    eprintln!(
        "haldir-mcp waits for an MCP client on standard input. A client starts it by\nitself, with this in its \
         configuration:\n\n  {entry}\n\nhaldir wrap-config puts it in front of the servers that a client has.\nhaldir-mcp \
         serve serves over HTTP; haldir-mcp --help says more. Ctrl-C ends it."
    );
}

/// Serves until the client leaves.
pub fn serve(cli: &Cli) -> Result<()> {
    logging::start("warn,rmcp=off")?;
    if std::io::stdin().is_terminal() {
        explain_waiting();
    }
    // One thread: a client waits for one answer at a time, and start-up and memory count here.
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::internal)?;
    let outcome = runtime.block_on(async {
        let key = config::secret_variable("HALDIR_API_KEY");
        if let Some(base_url) = std::env::var("HALDIR_BASE_URL").ok().filter(|url| !url.is_empty()) {
            let key = key.ok_or_else(|| bad_setting("HALDIR_API_KEY", "is required where HALDIR_BASE_URL is set"))?;
            let server = HaldirMcp::new(Backend::Remote(Remote::new(&base_url)?), Credential::ApiKey(key));
            return stdio::serve(server, cli.limits.message_bytes(), terminated()?).await;
        }
        let haldir = cli.store.open(cli.settings(&cli.store)?).await?;
        let credential = match key {
            Some(key) => haldir.adopt_or_find_key(key).await?,
            None => Credential::LocalAgent,
        };
        let stop = CancellationToken::new();
        let exporter = Exporter::start(OtlpSettings::from_environment()?, &stop)?;
        haldir.declare_children().await?;
        let asked_to_stop = terminated()?;
        let mut jobs = JoinSet::new();
        jobs.spawn(haldir.deliver_webhooks(stop.clone()));
        jobs.spawn(haldir.clone().keep_children(stop.clone()));
        let session = Arc::new(BoundSession::new(haldir.clone(), credential.clone(), SessionTerms::default()));
        let server = HaldirMcp::new(Backend::Local(haldir.clone()), credential)
            .bound_to(Arc::clone(&session))
            .asking(cli.decisions.asking(ApproveBy::Elicitation));
        let outcome = stdio::serve(server, cli.limits.message_bytes(), asked_to_stop).await;
        session.end().await;
        stop.cancel();
        haldir.end_upstreams().await;
        while jobs.join_next().await.is_some() {}
        exporter.finish().await;
        haldir.close();
        outcome
    });
    // A read of standard input that is under way cannot be taken back: do not wait for it.
    runtime.shutdown_background();
    outcome
}
