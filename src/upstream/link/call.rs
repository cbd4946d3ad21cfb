//! One call of a tool, and the time that it may take.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{json, value::RawValue};
use zeroize::Zeroizing;

use super::{AskedBy, Link, NOT_MODERN_FOR, ToolCall, dial::Wanted};
use crate::{
    protocol::{
        message::quoted,
        meta::{CLIENT_CAPABILITIES, LOG_LEVEL},
        request::{RESPONSES, STATE},
        revision::NEWEST_WITH_HANDSHAKE,
    },
    upstream::{
        CallClock, Failure, FailureKind, LONGEST, Place,
        connection::{CallContext, Connection},
    },
};

/// How often the call checks whether the client has answered a mid-call request.
const LOOK: Duration = Duration::from_millis(500);

impl Link {
    /// Calls a tool; answers its result as it was written.
    pub async fn call_tool(&self, call: ToolCall<'_>) -> Result<Box<RawValue>, Failure> {
        let _turn = self.gate.call().await?;
        // Not of its time: a start has its own.
        let connection = match self.connection_that_asks(call.asked).await {
            Ok(reached) => reached,
            Err(failure) => return self.gate.judged(Err(failure)),
        };
        let pace = call.listener.as_ref().map_or_else(Arc::default, |listener| Arc::clone(&listener.pace));
        let most = LONGEST.max(self.limits.call_timeout);
        let work = self.call(call, connection, Arc::clone(&pace));
        Box::pin(self.heard_out(work, &pace, most)).await
    }

    /// The connection over which the upstream can ask the caller's client.
    async fn connection_that_asks(&self, asked: AskedBy) -> Result<Connection, Failure> {
        let both = || self.known_revisions().is_some_and(|known| known.modern && known.with_handshake);
        match (&self.target.place, asked) {
            (Place::Http { .. }, AskedBy::Requests) if both() => self.connection(Wanted::Handshake).await,
            (Place::Child(_), AskedBy::Results) => {
                let begun = self.connection(Wanted::Any).await?;
                if !self.may_begin_modern(&begun) {
                    return Ok(begun);
                }
                // A server keeps to the revision that its pipe began with, so this one has a process of its own.
                match self.connection(Wanted::Modern).await {
                    Ok(modern) => Ok(modern),
                    Err(failure) => {
                        if !matches!(failure.kind, FailureKind::Starting) {
                            *self.refused_modern.lock() = Some(Instant::now());
                        }
                        Ok(begun)
                    }
                }
            }
            _ => self.connection(Wanted::Any).await,
        }
    }

    /// Whether a child that has begun with a handshake may know 2026-07-28 too: a server that does knows the newest
    /// revision with one as well.
    fn may_begin_modern(&self, begun: &Connection) -> bool {
        let refused = *self.refused_modern.lock();
        refused.is_none_or(|at| at.elapsed() > NOT_MODERN_FOR)
            && begun.names(|revision| revision == NEWEST_WITH_HANDSHAKE)
    }

    /// A call in which the client may be asked something. A missing answer of the client is no failure of the upstream.
    pub(super) async fn heard_out<T>(
        &self,
        call: impl Future<Output = Result<T, Failure>>,
        pace: &CallClock,
        most: Duration,
    ) -> Result<T, Failure> {
        match self.in_good_time(call, pace, most).await {
            Ok(outcome) => self.gate.judged(outcome),
            Err(_) if pace.is_asking() => Err(Failure::timed_out(most)),
            Err(_) => self.gate.judged(Err(Failure::timed_out(self.limits.call_timeout))),
        }
    }

    /// As a timeout does it, but for the time in which the client is asked something, and from the newest progress on.
    async fn in_good_time<T>(
        &self,
        call: impl Future<Output = T>,
        pace: &CallClock,
        most: Duration,
    ) -> Result<T, tokio::time::error::Elapsed> {
        let begin = Instant::now();
        let mut call = std::pin::pin!(call);
        loop {
            let left = match pace.since(begin) {
                Some(since) => self.limits.call_timeout.saturating_sub(since.elapsed()),
                None => LOOK,
            };
            let left = left.min(most.saturating_sub(begin.elapsed()));
            match tokio::time::timeout(left, call.as_mut()).await {
                Ok(outcome) => return Ok(outcome),
                Err(elapsed) => {
                    let is_over = pace.since(begin).is_some_and(|at| at.elapsed() >= self.limits.call_timeout);
                    if is_over || begin.elapsed() >= most {
                        return Err(elapsed);
                    }
                }
            }
        }
    }

    async fn call(
        &self,
        call: ToolCall<'_>,
        connection: Connection,
        pace: Arc<CallClock>,
    ) -> Result<Box<RawValue>, Failure> {
        let _wanted = call.level.map(|level| self.levels.want(level));
        connection.told().tell(&connection, &self.levels).await;
        let params = written(&call);
        let ask = |connection: Connection| {
            let mut meta = Vec::new();
            // Before 2026-07-28 both were told once for the connection.
            if connection.is_modern() {
                let capabilities = call.capabilities.as_ref().map_or_else(|| "{}".to_owned(), ToString::to_string);
                meta.push((CLIENT_CAPABILITIES, capabilities));
                meta.extend(call.level.map(|level| (LOG_LEVEL, json!(level).to_string())));
            }
            let context = CallContext { listener: call.listener.clone(), pace: Arc::clone(&pace), meta };
            let params = &params;
            async move { connection.request("tools/call", params, Some(context)).await }
        };
        match ask(connection).await {
            // It was refused for its session, and not carried out.
            Err(Failure { kind: FailureKind::SessionOver, .. }) => {
                let again = match self.connection_that_asks(call.asked).await {
                    Ok(connection) => ask(connection).await,
                    Err(failure) => Err(failure),
                };
                // The upstream has got it once.
                again.map_err(|failure| Failure { unsent: false, ..failure })
            }
            answered => answered,
        }
    }
}

/// The parameters of a call.
fn written(call: &ToolCall<'_>) -> Zeroizing<String> {
    let arguments = if call.arguments.is_empty() { "{}" } else { call.arguments.as_str() };
    let mut params = Zeroizing::new(format!("{{\"name\":{},\"arguments\":{arguments}", quoted(call.name)));
    if let Some(again) = &call.again {
        for (name, value) in [
            (RESPONSES, again.responses.as_deref().map(|responses| responses.get().to_owned())),
            (STATE, again.state.as_deref().map(quoted)),
        ] {
            if let Some(value) = value {
                params.extend([",\"", name, "\":", &value]);
            }
        }
    }
    params.push('}');
    params
}
