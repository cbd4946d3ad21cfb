//! What an operator sets of the ceilings of sessions.

use std::str::FromStr;

use clap::Args;

use super::{bad_setting, duration};
use crate::{
    error::Result,
    model::{Ceilings, Money, Scopes},
};

/// The ceilings of what agents may give themselves, whatever their key allows.
#[derive(Args, Clone, Debug, Default)]
pub struct CeilingOptions {
    /// Scopes that a session may have, separated by commas. Default for the local tenant: all but admin and *.
    #[arg(long, env = "HALDIR_MAX_SCOPES", value_name = "LIST", global = true)]
    pub max_scopes: Option<String>,
    /// The most that one session may spend, in USD. Default for the local tenant: 100.
    #[arg(long, env = "HALDIR_MAX_SPEND", value_name = "USD", global = true)]
    pub max_spend: Option<String>,
    /// The most that all sessions of a key, or of the keyless local agent, may spend together in a UTC day, in USD, however
    /// many sessions and processes there are. Default: no limit.
    #[arg(long, env = "HALDIR_MAX_DAILY_SPEND", value_name = "USD", global = true)]
    pub max_daily_spend: Option<String>,
    /// The longest life of a session, such as 8h; a number is seconds. Default for the local tenant: 1d.
    #[arg(long, env = "HALDIR_MAX_TTL", value_name = "DURATION", global = true, value_parser = duration::parse_seconds)]
    pub max_ttl: Option<i64>,
}

/// Ceilings of the local tenant, unless the operator sets others.
const DEFAULT_MAX_SPEND: Money = Money::from_units(100);
const DEFAULT_MAX_TTL: i64 = 86_400;

impl CeilingOptions {
    /// The ceilings of the keyless local agent: what is set, and careful defaults for the rest.
    pub(super) fn local(&self) -> Result<Ceilings> {
        let set = self.set()?;
        Ok(Ceilings {
            admin: set.scopes.is_some(),
            spend: set.spend.or(Some(DEFAULT_MAX_SPEND)),
            daily: set.daily,
            ttl: set.ttl.or(Some(DEFAULT_MAX_TTL)),
            scopes: set.scopes,
        })
    }

    /// What is set, and nothing else.
    pub(super) fn set(&self) -> Result<Ceilings> {
        let scopes = self.max_scopes.as_deref().map(Scopes::parse_list).transpose();
        let amount = |text: &Option<String>| match text.as_deref().map(Money::from_str).transpose()? {
            Some(spend) if spend.is_negative() => Err("must be at least 0".to_owned()),
            spend => Ok(spend),
        };
        if self.max_ttl.is_some_and(|ttl| ttl < 1) {
            return Err(bad_setting("HALDIR_MAX_TTL", "must be at least 1 second"));
        }
        Ok(Ceilings {
            scopes: scopes.map_err(|problem| bad_setting("HALDIR_MAX_SCOPES", &problem))?,
            admin: true,
            spend: amount(&self.max_spend).map_err(|problem| bad_setting("HALDIR_MAX_SPEND", &problem))?,
            daily: amount(&self.max_daily_spend).map_err(|problem| bad_setting("HALDIR_MAX_DAILY_SPEND", &problem))?,
            ttl: self.max_ttl,
        })
    }
}
