//! Log messages to the client (MCP, Logging): what haldir refused, flagged, or could not do.
//!
//! A client of the revisions with a handshake asks for them with `logging/setLevel`, once for its connection; from
//! 2026-07-28 on with a level in each request's `_meta`. A client that does not ask gets none. Over HTTP without a session
//! there is no connection for a level to hold on: there `logging/setLevel` is accepted and ends with its answer.
//!
//! Upstreams are told what their clients want to hear, see [`crate::upstream`].
#![expect(deprecated, reason = "SEP-2577 deprecates logging; clients of every earlier revision have it")]

use std::sync::atomic::{AtomicU8, Ordering};

use rmcp::{
    ErrorData,
    model::{LoggingLevel, LoggingMessageNotificationParam, SetLevelRequestMethod},
};
use serde::Deserialize;
use serde_json::json;

use super::{Context, server::is_modern, tools::Outcome};
use crate::{error::Code, model::LogLevel, protocol::meta::LOG_LEVEL};

const LOGGER: &str = "haldir";
const SILENT: u8 = u8::MAX;

/// The level of a connection: messages below it are not sent.
pub struct Level(AtomicU8);

impl Default for Level {
    fn default() -> Self {
        Self(AtomicU8::new(SILENT))
    }
}

impl Level {
    /// `logging/setLevel`, which 2026-07-28 no longer has.
    pub fn set(&self, level: LoggingLevel, context: &Context) -> Result<(), ErrorData> {
        if is_modern(context) {
            return Err(ErrorData::method_not_found::<SetLevelRequestMethod>());
        }
        self.0.store(level as u8, Ordering::Relaxed);
        Ok(())
    }

    /// The least level that the client asked for, in this request or for its connection.
    pub fn asked(&self, context: &Context) -> Option<LogLevel> {
        if is_modern(context) {
            return context.meta.log_level().map(known);
        }
        LogLevel::at(self.0.load(Ordering::Relaxed).into())
    }

    /// Tells the client what came of a tool call, if it asked for such messages.
    pub async fn tell(&self, context: &Context, tool: &str, outcome: &Outcome) {
        let Some(asked) = self.asked(context) else { return };
        let (level, message) = describe(tool, outcome);
        if known(level) >= asked {
            let message = LoggingMessageNotificationParam::new(level, message).with_logger(LOGGER);
            if let Err(error) = context.peer.notify_logging_message(message).await {
                tracing::debug!(%error, "a log message did not reach the client");
            }
        }
    }
}

/// A level as rmcp has it.
pub fn known(level: LoggingLevel) -> LogLevel {
    LogLevel::at(level as usize).unwrap_or(LogLevel::Emergency)
}

/// Refuses a request that asks for a level that there is not (2026-07-28).
pub fn check(context: &Context) -> Result<(), ErrorData> {
    match context.meta.get(LOG_LEVEL) {
        Some(level) if is_modern(context) && context.meta.log_level().is_none() => {
            let known = json!(LogLevel::ALL);
            Err(ErrorData::invalid_params(format!("{LOG_LEVEL} is {level}; there are {known}"), None))
        }
        _ => Ok(()),
    }
}

/// What is told of a tool's answer. Its own words only: arguments and answers may hold secrets.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    code: String,
    error: String,
    flagged: bool,
    flag_reason: String,
}

fn describe(tool: &str, outcome: &Outcome) -> (LoggingLevel, serde_json::Value) {
    let Told { code, error, flagged, flag_reason } = serde_json::from_str(&outcome.json).unwrap_or_default();
    if outcome.is_error {
        let known = Code::ALL.iter().find(|known| known.name() == code);
        let level = match known.map(|known| known.status()) {
            Some(500..) => LoggingLevel::Error,
            Some(401 | 403 | 429) => LoggingLevel::Warning,
            _ => LoggingLevel::Notice,
        };
        return (level, json!({"event": "refused", "tool": tool, "code": code, "message": error}));
    }
    if flagged {
        return (LoggingLevel::Warning, json!({"event": "flagged", "tool": tool, "message": flag_reason}));
    }
    (LoggingLevel::Debug, json!({"event": "answered", "tool": tool}))
}
