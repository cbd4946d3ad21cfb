//! Requests that an upstream did not answer.

use std::borrow::Cow;

use crate::{outbound::carrier::Unanswered, relay::govern::Outcome};

/// Why there is no answer.
pub(super) enum Failed {
    /// Why there was no connection to be had.
    Unsent(&'static str),
    Redirected,
    TimedOut,
    BrokeOff,
}

impl Failed {
    pub(super) fn of(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Unreachable(why) => Self::Unsent(why),
            Unanswered::TimedOut => Self::TimedOut,
            Unanswered::BrokeOff => Self::BrokeOff,
        }
    }

    /// For the client. Where the upstream is, is in haldir's log.
    pub(super) fn told(&self) -> Cow<'static, str> {
        match self {
            Self::Unsent(why) => format!("the upstream cannot be reached: {why}").into(),
            failed => failed.message().into(),
        }
    }

    /// For the log of calls.
    pub(super) fn message(&self) -> &'static str {
        match self {
            Self::Unsent(why) => why,
            Self::Redirected => "the upstream redirects to another address: register that one, if it is meant",
            Self::TimedOut => "the upstream did not answer in time",
            Self::BrokeOff => "the connection to the upstream broke off",
        }
    }

    /// For the log.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Unsent(why) => Outcome::Unsent(why),
            // An upstream can carry a call out and then redirect.
            Self::Redirected | Self::TimedOut | Self::BrokeOff => Outcome::Unknown(self.message()),
        }
    }
}
