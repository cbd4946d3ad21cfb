//! `getUsage`.

use std::borrow::Cow;

use schemars::{JsonSchema, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{
    call::{ReadContext, ReadOperation},
    error::Result,
    model::{Day, Month, TenantId, Tier},
};

/// Count the calls that this tenant's agents and API keys made in a month: every authenticated call of an operation or of a
/// wrapped server's tool, over REST, MCP over HTTP or stdio, successful or not. Commands of an operator at a terminal beside
/// the store do not count.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetUsage {
    /// The month in UTC, as YYYY-MM. Default: this one.
    month: Option<MonthText>,
}

/// A month as it is written.
#[derive(Clone, Copy, Debug)]
struct MonthText(Month);

impl<'de> Deserialize<'de> for MonthText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Month::parse(&text).map(Self).ok_or_else(|| D::Error::custom("expected a month, such as 2026-11"))
    }
}

haldir_core::inline_schema!(
    MonthText,
    "Month",
    |_| json_schema!({"type": "string", "pattern": r"^\d{4}-(0[1-9]|1[0-2])$", "examples": ["2026-11"]})
);

/// The usage of a month.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MonthlyUsage {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The month, as YYYY-MM.
    pub month: String,
    /// Calls in it.
    pub action_count: i64,
    /// The tier of the calling key.
    pub tier: Tier,
}

impl ReadOperation for GetUsage {
    type Output = MonthlyUsage;

    fn run(self, cx: &ReadContext<'_>) -> Result<MonthlyUsage> {
        let month = self.month.map_or_else(|| Month::of(Day::of(cx.now)), |month| month.0);
        Ok(MonthlyUsage {
            tenant_id: cx.caller.tenant.clone(),
            month: month.to_string(),
            action_count: cx.usage(month)?.calls,
            tier: cx.caller.tier,
        })
    }
}
