//! The channel from an in-flight call to its client.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::{
    model::LogLevel,
    protocol::request::ServerRequest,
    upstream::{Again, CallEvent},
};

/// What a call knows of its client, and how it reaches it while it lasts.
#[derive(Clone, Debug)]
pub struct ClientChannel {
    /// Equal for calls of the same client only.
    pub whose: u64,
    /// Whether it wants progress notifications.
    pub progress: bool,
    /// The lowest level of log messages that it wants; `None` is none. Its interface forwards no others.
    pub level: Option<LogLevel>,
    /// Its declared capabilities: an object.
    pub capabilities: Arc<Value>,
    /// Whether mid-call requests reach it in an `input_required` result, after which it calls again (2026-07-28).
    pub modern: bool,
    /// The state of a call that it resumes, with its answers.
    pub again: Option<Again>,
    /// What it is told and asked.
    pub to_client: mpsc::Sender<CallEvent>,
}

impl ClientChannel {
    /// Whether it takes any mid-call request.
    pub fn can_be_asked(&self) -> bool {
        [ServerRequest::Sampling, ServerRequest::Elicitation, ServerRequest::Roots]
            .iter()
            .any(|kind| self.capabilities.get(kind.capability()).is_some_and(|can| !can.is_null()))
    }
}
