//! `haldir dashboard`: the dashboard of the local store, on a loopback port of its own, signed in by a one-time link.

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    CommandError, GlobalOptions, ServerOptions,
    local::Local,
    output::{line, note},
    stdin::StandardInput,
    target::Destination,
};
use crate::{
    error::{Error, Result},
    interfaces::{
        http::{App, HttpSettings, descriptors, listener, workers::Workers},
        server::terminated,
    },
    model::Credential,
};

/// Threads that serve pages: one person looks at them.
const WORKERS: usize = 1;

#[derive(Args)]
pub struct DashboardOptions {
    /// The port to listen on. Default: a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Print the link, and open no browser.
    #[arg(long)]
    no_open: bool,
}

pub fn run(options: &DashboardOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    // At a server the person signs in with a key of their own.
    let server = ServerOptions { url: global.server.url.clone(), key: global.server.key.clone() };
    let key = match Destination::find(global, &server, &mut StandardInput::default())? {
        Destination::Server { url, .. } => {
            let link = format!("{}/dashboard", url.trim_end_matches('/'));
            return show(&link, options, global);
        }
        Destination::Store(key) => key,
    };
    let local = Local::open(global)?;
    // Without a key as the tenant's operator: a person with access to the store's files has that role anyway.
    let signed_in = key.map_or_else(|| Credential::LocalOperator(global.tenant.clone()), Credential::ApiKey);
    local.haldir.caller_of(&signed_in)?;
    let haldir = local.haldir.clone();
    local.block_on(async {
        let listener = listener::bind(&format!("127.0.0.1:{}", options.port)).await?;
        let address = listener::local_address(&listener)?;
        let connections = descriptors::connections();
        let shutdown = CancellationToken::new();
        let app = App::new(haldir, address, &HttpSettings::loopback(connections), &shutdown)?;
        let token = app.one_time_link(signed_in)?;
        show(&format!("http://{address}/dashboard/open?token={}", *token), options, global)?;
        note("Ctrl-C ends it");
        let workers = Workers::start(WORKERS)?;
        let (stop, asked_to_stop) = (shutdown.clone(), terminated()?);
        tokio::spawn(async move {
            asked_to_stop.await;
            stop.cancel();
        });
        listener::serve(listener, app.dashboard_router(), &workers, connections, shutdown).await;
        Ok(())
    })
}

/// Prints the link, and opens it.
fn show(link: &str, options: &DashboardOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    if global.json {
        return line(&serde_json::json!({"url": link}).to_string());
    }
    line(link)?;
    if !options.no_open {
        opened(link).unwrap_or_else(|error| note(&format!("no browser was opened: {error}; open the link yourself")));
    }
    Ok(())
}

fn opened(link: &str) -> Result<()> {
    open::that_detached(link).map_err(|error| Error::new(crate::error::Code::Unavailable, error.to_string()))
}
