//! What passes between a call under way and the client that made it.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::{
    model::LogLevel,
    protocol::request::ServerRequest,
    upstream::{Again, CallEvent},
};

/// The client that made a call, as far as it can be spoken to while the call lasts.
#[derive(Clone, Debug)]
pub struct Line {
    /// The same for calls of one and the same client only.
    pub whose: u64,
    /// Whether it wants to know how far the call is.
    pub progress: bool,
    /// The least level of log messages that it wants; `None` is none. Its interface passes on no others.
    pub level: Option<LogLevel>,
    /// What it can do, as it has said: an object.
    pub capabilities: Arc<Value>,
    /// Whether it is asked by a result, and calls again, rather than by a request (2026-07-28).
    pub modern: bool,
    /// What it was asked before, and has answered.
    pub again: Option<Again>,
    /// What it is told and asked.
    pub to_client: mpsc::Sender<CallEvent>,
}

impl Line {
    /// Whether there is anything that it can be asked.
    pub fn can_be_asked(&self) -> bool {
        [ServerRequest::Sampling, ServerRequest::Elicitation, ServerRequest::Roots]
            .iter()
            .any(|kind| self.capabilities.get(kind.capability()).is_some_and(|can| !can.is_null()))
    }
}
