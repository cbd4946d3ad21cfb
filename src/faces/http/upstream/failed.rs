//! Requests that an upstream did not answer.

use crate::{faces::relay::govern::Outcome, outbound::carrier::Unanswered};

/// Why there is no answer.
pub(super) enum Failed {
    Unsent,
    Redirected,
    TimedOut,
    BrokeOff,
}

impl Failed {
    pub(super) fn of(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Unreachable => Self::Unsent,
            Unanswered::TimedOut => Self::TimedOut,
            Unanswered::BrokeOff => Self::BrokeOff,
        }
    }

    /// For the client and the log.
    pub(super) fn message(&self) -> &'static str {
        match self {
            Self::Unsent => "the upstream cannot be reached",
            Self::Redirected => "the upstream redirects to another address: register that one, if it is meant",
            Self::TimedOut => "the upstream did not answer in time",
            Self::BrokeOff => "the connection to the upstream broke off",
        }
    }

    /// For the log.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Unsent => Outcome::Unsent(self.message()),
            // An upstream can carry a call out and then redirect.
            Self::Redirected | Self::TimedOut | Self::BrokeOff => Outcome::Unknown(self.message()),
        }
    }
}
