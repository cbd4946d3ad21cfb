//! How an operator wraps a server: what the agent behind it may do, which the agent cannot change.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use clap::Args;

use super::bound_session::SessionTerms;
use crate::{
    config::{bad_setting, duration::parse_seconds},
    error::{Error, Result},
    model::{Money, Scopes, SessionId, UpstreamName},
    upstream::{
        child::{ChildCommand, Inherited},
        stderr_log,
    },
};

/// What is set for a wrapped server.
#[derive(Args, Clone, Debug)]
pub struct WrapOptions {
    /// The server's name in policies, in scopes and in the log. Default: the name of its program.
    #[arg(long, env = "HALDIR_WRAP_NAME", value_name = "NAME")]
    name: Option<String>,
    /// The agent's name in the log. Default: local-agent.
    #[arg(long, env = "HALDIR_AGENT", value_name = "NAME")]
    agent: Option<String>,
    /// What the agent may do, separated by commas, such as `execute:github:search`. Default: execute,read,browse.
    #[arg(long, env = "HALDIR_SCOPES", value_name = "LIST")]
    scopes: Option<String>,
    /// The most that the agent may spend from one start of the client to its end, in USD. Default: the ceiling. It counts only
    /// tools whose cost is marked (haldir call mark-tool), and each start has it anew: see --daily-budget.
    #[arg(long, env = "HALDIR_BUDGET", value_name = "USD")]
    budget: Option<String>,
    /// The most that the agent may spend in a UTC day, in USD, however often the client is started: it counts by the agent's
    /// name, over all servers that are wrapped with one. Only tools whose cost is marked count. Default: no limit.
    #[arg(long, env = "HALDIR_DAILY_BUDGET", value_name = "USD")]
    daily_budget: Option<String>,
    /// How long from the first call until no further one is let through, such as 8h; a number is seconds. Default: no end.
    #[arg(long, env = "HALDIR_TTL", value_name = "DURATION", value_parser = parse_seconds)]
    ttl: Option<i64>,
    /// A session that was made for the agent, instead of one of its own.
    #[arg(long, env = "HALDIR_SESSION_ID", value_name = "ID", hide_env_values = true,
        conflicts_with_all = ["agent", "scopes", "budget", "daily_budget", "ttl"])]
    session: Option<String>,
    /// A file with policies that are added to the store, once each, such as `{"policies": [{"type": "block_tool", …}]}`.
    #[arg(long, env = "HALDIR_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Answer a client of MCP 2026-07-28 in the place of a server that shakes hands also where the client may know the
    /// handshake itself: for clients that know nothing else.
    #[arg(long, env = "HALDIR_BRIDGE")]
    bridge: bool,
    /// The server's program and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl WrapOptions {
    /// The server's name.
    pub fn name(&self) -> Result<UpstreamName> {
        let of_program = || {
            let program = self.command.first().map(Path::new).and_then(Path::file_stem).unwrap_or_default();
            program.to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
        };
        let name = self.name.clone().unwrap_or_else(of_program);
        UpstreamName::parse(name).map_err(|problem| bad_setting("--name", &problem))
    }

    /// What the agent is granted.
    pub fn terms(&self) -> Result<SessionTerms> {
        let scopes = self.scopes.as_deref().map(Scopes::parse_list).transpose();
        let amount = |text: &Option<String>| text.as_deref().map(Money::from_str).transpose();
        let (budget, daily_budget) = (amount(&self.budget), amount(&self.daily_budget));
        let session = self.session.clone().map(SessionId::parse).transpose();
        if self.ttl.is_some_and(|ttl| ttl < 1) {
            return Err(bad_setting("HALDIR_TTL", "must be at least 1 second"));
        }
        Ok(SessionTerms {
            agent: self.agent.clone(),
            scopes: scopes.map_err(|problem| bad_setting("HALDIR_SCOPES", &problem))?,
            budget: budget.map_err(|problem| bad_setting("HALDIR_BUDGET", &problem))?,
            daily_budget: daily_budget.map_err(|problem| bad_setting("HALDIR_DAILY_BUDGET", &problem))?,
            ttl: self.ttl,
            session: session.map_err(|problem| bad_setting("HALDIR_SESSION_ID", &problem))?,
        })
    }

    /// How the server is started; what it writes to standard error goes into a file beside the store.
    pub fn command(&self, store: &Path, name: &UpstreamName) -> Result<ChildCommand> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(Error::invalid("command", "the server's program is missing"));
        };
        Ok(ChildCommand {
            program: program.clone(),
            arguments: arguments.to_vec(),
            environment: Vec::new(),
            inherited: Inherited::All,
            folder: None,
            log: stderr_log::path(store, name),
            known: Arc::default(),
        })
    }

    /// The file with policies.
    pub fn policy(&self) -> Option<&Path> {
        self.policy.as_deref()
    }

    /// Whether the client knows no handshake.
    pub fn bridges(&self) -> bool {
        self.bridge
    }
}
