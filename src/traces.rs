//! Traces: calls as OpenTelemetry spans, queued for an exporter. Without an exporter a call pays one atomic read. The queue is
//! bounded: when it is full, spans are dropped and counted, and no call waits.

use std::{
    future::Future,
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::metrics::Counter;

/// Spans in the queue.
pub const MAX_WAITING: usize = 2_048;

/// A finished call. It holds nothing of the input, the response or the caller.
#[derive(Clone, Debug)]
pub struct Span {
    /// The operation's name.
    pub name: &'static str,
    /// The caller's span, from its `traceparent` header.
    pub parent: Option<Parent>,
    /// When it ended.
    pub ended: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// The response's status.
    pub status: u16,
    /// The code of its error.
    pub error: Option<&'static str>,
}

/// A span of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its trace.
    pub trace_id: u128,
    /// Its own id.
    pub span_id: u64,
    /// Whether the trace is sampled.
    pub is_sampled: bool,
}

impl Parent {
    /// Reads a `traceparent` header (W3C Trace Context, section 3.2).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut hex = |length: usize| {
            let part = parts.next()?;
            let valid = part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            u128::from_str_radix(part, 16).ok().filter(|_| valid)
        };
        let (version, trace_id, span_id, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        // Version 0 has four parts; later ones may have more, and 255 is none.
        let is_known = version < 255 && (version > 0 || parts.next().is_none());
        let span_id = u64::try_from(span_id).ok()?;
        (is_known && trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, is_sampled: flags & 1 == 1 })
    }
}

tokio::task_local! {
    static PARENT: Parent;
}

static QUEUE: OnceLock<Sender<Span>> = OnceLock::new();

/// Spans that were dropped because the queue was full.
pub static DROPPED: Counter = Counter::new();

/// The receiving end of the queue; `None` if an exporter has it already.
pub fn export() -> Option<Receiver<Span>> {
    let (sender, receiver) = channel(MAX_WAITING);
    QUEUE.set(sender).ok().map(|()| receiver)
}

/// Whether spans are exported.
pub fn are_exported() -> bool {
    QUEUE.get().is_some()
}

/// Runs `work` within the caller's span.
pub async fn within<T>(parent: Option<Parent>, work: impl Future<Output = T>) -> T {
    match parent {
        Some(parent) => PARENT.scope(parent, work).await,
        None => work.await,
    }
}

/// Records a call that began at `begun` and ends now.
pub fn record(name: &'static str, begun: Instant, status: u16, error: Option<&'static str>) {
    let Some(queue) = QUEUE.get() else { return };
    let parent = PARENT.try_with(|parent| *parent).ok();
    if parent.is_some_and(|parent| !parent.is_sampled) {
        return;
    }
    let span = Span { name, parent, ended: SystemTime::now(), took: begun.elapsed(), status, error };
    if queue.try_send(span).is_err() {
        DROPPED.add_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_as_the_specification_writes_it() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = Parent::parse(good).unwrap();
        assert_eq!(
            parent,
            Parent {
                trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
                span_id: 0x00f0_67aa_0ba9_02b7,
                is_sampled: true
            }
        );
        assert!(Parent::parse(&format!("cc{}-more", &good[2..])).is_some(), "a later version may say more");
        assert!(!Parent::parse(&format!("{}00", &good[..53])).unwrap().is_sampled);
        for bad in [
            "",
            "00",
            &format!("{good}-more"),
            &good.to_uppercase(),
            &format!("ff{}", &good[2..]),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Parent::parse(bad), None, "{bad}");
        }
    }
}
