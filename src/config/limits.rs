//! Within which bounds clients and upstreams are served: the same on standard input and output, over HTTP and in front of
//! a wrapped server.

use std::time::Duration;

use clap::Args;

use super::duration::within;
use crate::upstream::UpstreamLimits;

/// Bounds that an operator sets.
#[derive(Args, Clone, Debug)]
pub struct LimitOptions {
    /// How long an upstream may be silent about one call, such as 10m; a number is seconds. What it says of the call's
    /// progress begins that anew, and the time in which a person is asked something does not count.
    #[arg(long, env = "HALDIR_CALL_TIMEOUT", value_name = "DURATION", default_value = "10m", global = true,
        value_parser = within(1..=86_400))]
    call_timeout: u64,
    /// How long a server that haldir starts may take until it answers, and any upstream to list its tools.
    #[arg(long, env = "HALDIR_START_TIMEOUT", value_name = "DURATION", default_value = "1m", global = true,
        value_parser = within(1..=86_400))]
    start_timeout: u64,
    /// Calls of one upstream at a time.
    #[arg(long, env = "HALDIR_UPSTREAM_CALLS", value_name = "N", default_value_t = 64, global = true,
        value_parser = clap::value_parser!(u32).range(1..=1_024))]
    upstream_calls: u32,
    /// How long a further call waits for its turn.
    #[arg(long, env = "HALDIR_QUEUE_TIMEOUT", value_name = "DURATION", default_value = "30s", global = true,
        value_parser = within(0..=86_400))]
    queue_timeout: u64,
    /// The largest message of a client, in bytes.
    #[arg(long, env = "HALDIR_MAX_MESSAGE", value_name = "BYTES", default_value_t = 4 * 1024 * 1024, global = true,
        value_parser = clap::value_parser!(u32).range(65_536..=268_435_456))]
    max_message: u32,
    /// The largest answer of an upstream, in bytes.
    #[arg(long, env = "HALDIR_MAX_ANSWER", value_name = "BYTES", default_value_t = 16 * 1024 * 1024, global = true,
        value_parser = clap::value_parser!(u32).range(65_536..=268_435_456))]
    max_answer: u32,
}

impl LimitOptions {
    /// Those of upstreams; `tested` is what a test has set instead.
    pub fn upstreams(&self, tested: Option<UpstreamLimits>) -> UpstreamLimits {
        let limits = UpstreamLimits {
            call_timeout: Duration::from_secs(self.call_timeout),
            start_timeout: Duration::from_secs(self.start_timeout),
            concurrency: self.upstream_calls as usize,
            queue_timeout: Duration::from_secs(self.queue_timeout),
            answer_bytes: self.max_answer as usize,
            ..UpstreamLimits::default()
        };
        match tested {
            Some(UpstreamLimits { call_timeout, answer_bytes, .. }) => {
                UpstreamLimits { call_timeout, answer_bytes, ..limits }
            }
            None => limits,
        }
    }

    /// Bytes of a client's message.
    pub fn message_bytes(&self) -> usize {
        self.max_message as usize
    }
}
