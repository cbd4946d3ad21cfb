//! `addProxyPolicy`.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    list_policies::PolicyDetail,
    policy::{MAX_POLICIES, cedar},
};
use crate::{
    call::{WriteContext, WriteOperation},
    crypto,
    error::{Code, Error, Result},
    model::{Money, Policy, PolicyDefinition, PolicyId, PolicyType, text::Text},
    watch::{self, Draft},
};

/// Tools that one policy can name.
const MAX_TOOLS: usize = 200;
/// The most calls within a minute that can be counted.
const MAX_PER_MINUTE: i64 = 1_000_000;
/// The longest policy set in Cedar.
const MAX_CEDAR: usize = cedar::MAX_BYTES;
/// What each type takes.
const VALID: &str = "valid are: block_tool with tool; allow_list with tools; deny_list with tools; spend_limit with max, \
                     and perhaps argument, tool, tools; rate_limit with max_per_minute, and perhaps tool, tools; \
                     time_window with start_hour and end_hour, and perhaps tool, tools; cedar with cedar";

/// Say what may be called through the proxy. Every policy must let a call pass. Tools are named `upstream.tool`, `tool`,
/// `upstream.*` or `*`; a policy that forbids holds for names that look alike too, one that allows for exactly that name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = say_what_goes_with_what)]
pub struct AddProxyPolicy {
    /// The kind of policy.
    #[serde(rename = "type")]
    policy_type: PolicyType,
    /// Of `block_tool`: the tool. Of the limits and the window: the tool that it is about, else all.
    tool: Option<Text<1, 256>>,
    /// Of `allow_list` and `deny_list`: the tools. Of the limits and the window: the tools that it is about, else all.
    #[schemars(length(min = 1, max = MAX_TOOLS))]
    tools: Option<Vec<Text<1, 256>>>,
    /// Of `spend_limit`: the largest amount of one call, in USD.
    #[schemars(range(min = 0))]
    max: Option<Money>,
    /// Of `spend_limit`: where in the arguments the amount stands, as a JSON pointer. Default: wherever it may.
    #[schemars(regex(pattern = "^/"))]
    argument: Option<Text<1, 256>>,
    /// Of `rate_limit`: calls of one agent within any minute.
    #[schemars(range(min = 1, max = MAX_PER_MINUTE))]
    max_per_minute: Option<i64>,
    /// Of `time_window`: the first hour, UTC.
    #[schemars(range(min = 0, max = 23))]
    start_hour: Option<i64>,
    /// Of `time_window`: the hour that it ends before, UTC; one before `start_hour` is of the next day.
    #[schemars(range(min = 0, max = 24))]
    end_hour: Option<i64>,
    /// Of `cedar`: a policy set in Cedar, <https://cedarpolicy.com>, for the schema that `haldir policy schema` prints. What
    /// none of its policies permits is refused.
    cedar: Option<Text<1, MAX_CEDAR>>,
    /// Whether it only logs what it would refuse.
    #[schemars(extend("default" = false))]
    dry_run: Option<bool>,
}

/// The policy that was added.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProxyPolicyAdded {
    /// Always true.
    #[schemars(extend("const" = true))]
    pub added: bool,
    /// The kind of policy.
    #[serde(rename = "type")]
    pub policy_type: PolicyType,
    /// Names the policy, to delete it.
    pub policy_id: PolicyId,
    /// Of `cedar`: what is strange about the policy set, such as a policy that never matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl WriteOperation for AddProxyPolicy {
    type Output = ProxyPolicyAdded;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ProxyPolicyAdded> {
        let definition = self.definition();
        let warnings = check(&definition)?;
        let tenant = cx.caller.tenant.clone();
        let known = cx.tx.policies(&tenant, MAX_POLICIES)?;
        let of_cedar = known.iter().filter(|policy| policy.definition.policy_type == PolicyType::Cedar).count();
        let full = |most: usize, what: &str| {
            Err(Error::new(Code::Conflict, format!("there are {most} {what} already: delete one first")))
        };
        if known.len() >= MAX_POLICIES {
            return full(MAX_POLICIES, "policies");
        }
        if definition.policy_type == PolicyType::Cedar && of_cedar >= cedar::MAX_SETS {
            return full(cedar::MAX_SETS, "policies of the type cedar");
        }
        let id = crypto::token::<16>("pol_").map_err(Error::internal)?;
        let policy = Policy {
            id: PolicyId::parse(id).map_err(Error::internal)?,
            definition,
            created_at: cx.now,
            created_by: cx.caller.principal.clone(),
        };
        cx.tx.insert_policy(&tenant, &policy)?;
        let (policy_type, policy_id) = (policy.definition.policy_type, policy.id.clone());
        let added = ProxyPolicyAdded { added: true, policy_type, policy_id, warnings };
        watch::append(cx, Draft::governance("policy.add", None, &PolicyDetail::new(policy))?)?;
        Ok(added)
    }
}

impl AddProxyPolicy {
    fn definition(self) -> PolicyDefinition {
        PolicyDefinition {
            policy_type: self.policy_type,
            tool: self.tool.map(Text::into_string),
            tools: self.tools.map(|tools| tools.into_iter().map(Text::into_string).collect()),
            max: self.max,
            argument: self.argument.map(Text::into_string),
            max_per_minute: self.max_per_minute,
            start_hour: self.start_hour,
            end_hour: self.end_hour,
            cedar: self.cedar.map(Text::into_string),
            dry_run: self.dry_run.unwrap_or(false),
        }
    }
}

/// Whether a policy has a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Has {
    Always,
    Perhaps,
    Never,
}

/// Which fields a type of policy has.
fn fields_of(policy_type: PolicyType) -> [(&'static str, Has); 8] {
    use PolicyType::{AllowList, BlockTool, Cedar, DenyList, RateLimit, SpendLimit, TimeWindow};
    let always = |types: &[PolicyType]| if types.contains(&policy_type) { Has::Always } else { Has::Never };
    let or_limits = |has| match (has, policy_type) {
        (Has::Never, SpendLimit | RateLimit | TimeWindow) => Has::Perhaps,
        _ => has,
    };
    [
        ("tool", or_limits(always(&[BlockTool]))),
        ("tools", or_limits(always(&[AllowList, DenyList]))),
        ("max", always(&[SpendLimit])),
        ("argument", if policy_type == SpendLimit { Has::Perhaps } else { Has::Never }),
        ("max_per_minute", always(&[RateLimit])),
        ("start_hour", always(&[TimeWindow])),
        ("end_hour", always(&[TimeWindow])),
        ("cedar", always(&[Cedar])),
    ]
}

/// The rules of [`check`] for each type, as JSON Schema.
fn say_what_goes_with_what(schema: &mut Schema) {
    let rules = PolicyType::ALL.map(|policy_type| {
        let fields = fields_of(policy_type);
        let required: Vec<_> = fields.iter().filter(|(_, has)| *has == Has::Always).map(|(field, _)| *field).collect();
        let properties: serde_json::Map<_, _> = fields
            .iter()
            .filter(|(_, has)| *has != Has::Perhaps)
            .map(|(field, has)| {
                let only = if *has == Has::Never { json!({"type": "null"}) } else { json!({"not": {"type": "null"}}) };
                ((*field).to_owned(), only)
            })
            .collect();
        json!({
            "if": {"properties": {"type": {"const": policy_type}}, "required": ["type"]},
            "then": {"required": required, "properties": properties},
        })
    });
    schema.insert("allOf".to_owned(), Value::Array(rules.to_vec()));
}

/// Checks that the definition has all fields that its type needs, and none that it would ignore. Returns warnings.
pub(super) fn check(definition: &PolicyDefinition) -> Result<Vec<String>> {
    let window = definition.policy_type == PolicyType::TimeWindow;
    for (field, has) in fields_of(definition.policy_type) {
        let is_there = match field {
            "tool" => definition.tool.is_some(),
            "tools" => definition.tools.is_some(),
            "max" => definition.max.is_some(),
            "argument" => definition.argument.is_some(),
            "max_per_minute" => definition.max_per_minute.is_some(),
            "start_hour" => definition.start_hour.is_some(),
            "end_hour" => definition.end_hour.is_some(),
            _ => definition.cedar.is_some(),
        };
        if has == Has::Always && !is_there {
            return Err(Error::invalid(field, format!("{field} is required; {VALID}")));
        }
        if has == Has::Never && is_there {
            return Err(Error::invalid(field, format!("{field} does not go with this type; {VALID}")));
        }
    }
    if definition.tools.as_ref().is_some_and(|tools| !(1..=MAX_TOOLS).contains(&tools.len())) {
        return Err(Error::invalid("tools", format!("tools must have from 1 to {MAX_TOOLS} names; {VALID}")));
    }
    if definition.max.is_some_and(Money::is_negative) {
        return Err(Error::invalid("max", format!("max must be at least 0; {VALID}")));
    }
    if definition.argument.as_ref().is_some_and(|pointer| !pointer.starts_with('/')) {
        return Err(Error::invalid("argument", "argument must be a JSON pointer, such as /amount"));
    }
    if definition.max_per_minute.is_some_and(|most| !(1..=MAX_PER_MINUTE).contains(&most)) {
        let message = format!("max_per_minute must be from 1 to {MAX_PER_MINUTE}; {VALID}");
        return Err(Error::invalid("max_per_minute", message));
    }
    if definition.start_hour.is_some_and(|hour| !(0..=23).contains(&hour)) {
        return Err(Error::invalid("start_hour", "start_hour must be from 0 to 23"));
    }
    if definition.end_hour.is_some_and(|hour| !(0..=24).contains(&hour)) {
        return Err(Error::invalid("end_hour", "end_hour must be from 0 to 24"));
    }
    if window && definition.start_hour == definition.end_hour {
        let message = "end_hour must differ from start_hour: a whole day is from 0 to 24";
        return Err(Error::invalid("end_hour", message));
    }
    Ok(definition.cedar.as_deref().map(cedar::check).transpose()?.unwrap_or_default())
}
