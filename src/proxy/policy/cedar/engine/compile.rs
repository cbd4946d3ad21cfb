//! Compiles text into a valid policy set: parsed, validated in strict mode, with the facts that it uses.

use std::{collections::BTreeMap, collections::BTreeSet, str::FromStr, sync::OnceLock};

use cedar_policy::{
    Effect, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint, ResourceConstraint, Schema, ValidationMode,
    Validator, ffi::DetailedError,
};

use super::{
    FIELD, SCHEMA,
    asked::Asked,
    bounds::{self, MAX_ALIKE, MAX_ASKED, MAX_PATTERNS_CHARS, MAX_STATEMENTS, place},
};
use crate::{
    error::{Error, Result},
    model::{UpstreamName, text, tool_name},
};

/// The name of a Cedar policy.
const ID: &str = "id";
/// The annotation that turns a forbid into an approval request.
const REQUIRES_APPROVAL: &str = "requires_approval";
/// The longest name, and the longest reason, in characters.
const MAX_NAME_CHARS: usize = 64;
const MAX_REASON_CHARS: usize = 256;
/// Errors and warnings in one message.
const MAX_TOLD: usize = 5;

/// A policy set that is ready to be evaluated.
pub struct Compiled {
    pub set: PolicySet,
    /// Its permits, if an approval may be requested.
    pub permits: Option<PolicySet>,
    /// Each Cedar policy by its name, which is also its id in the set.
    pub statements: BTreeMap<String, Statement>,
    /// The facts that its policies use.
    pub asked: Asked,
    /// Tools and upstreams that forbids name.
    pub forbidden: Named,
}

/// One Cedar policy.
pub struct Statement {
    pub effect: Effect,
    /// Why approval is requested instead of refusing.
    pub approval: Option<String>,
    pub principal: PrincipalConstraint,
    pub resource: ResourceConstraint,
    pub asked: Asked,
}

/// Names in forbids, which also hold for look-alike names.
#[derive(Default)]
pub struct Named {
    pub tools: Vec<tool_name::Folded>,
    pub upstreams: Vec<tool_name::Folded>,
}

/// The schema, parsed on first use.
fn schema() -> Result<&'static Schema> {
    static PARSED: OnceLock<Schema> = OnceLock::new();
    if let Some(schema) = PARSED.get() {
        return Ok(schema);
    }
    let parsed = Schema::from_str(SCHEMA).map_err(Error::internal)?;
    Ok(PARSED.get_or_init(|| parsed))
}

/// The same for tests of requests.
#[cfg(test)]
pub fn schema_for_tests() -> &'static Schema {
    schema().unwrap()
}

/// Compiles a policy set. Returns also warnings, for the operator who adds it.
pub fn compile(source: &str) -> Result<(Compiled, Vec<String>)> {
    bounds::check(source)?;
    let parsed = PolicySet::from_str(source).map_err(|error| {
        let shown = error.iter().map(|error| told(source, &DetailedError::from(error)));
        refused(shown)
    })?;
    if parsed.num_of_templates() > 0 {
        return Err(invalid("templates are not taken: write the principal or the resource in place of its slot"));
    }
    let count = parsed.num_of_policies();
    if !(1..=MAX_STATEMENTS).contains(&count) {
        return Err(invalid(format!("a Cedar policy set has from 1 to {MAX_STATEMENTS} policies, this has {count}")));
    }
    let set = named(&parsed)?;
    let warnings = validated(source, &set)?;
    let mut compiled = Compiled {
        permits: None,
        statements: BTreeMap::new(),
        asked: Asked::default(),
        forbidden: Named::default(),
        set: PolicySet::new(),
    };
    for policy in set.policies() {
        let (name, statement) = statement(policy)?;
        for (pointer, kinds) in &statement.asked.places {
            compiled.asked.places.entry(pointer.clone()).or_default().extend(kinds);
        }
        compiled.asked.facts.extend(statement.asked.facts.iter().cloned());
        compiled.forbidden.add(&name, policy)?;
        compiled.statements.insert(name, statement);
    }
    let in_patterns: usize = compiled.statements.values().map(|statement| statement.asked.pattern_chars).sum();
    if in_patterns > MAX_PATTERNS_CHARS {
        return Err(invalid(format!(
            "the patterns of like in a Cedar policy set have at most {MAX_PATTERNS_CHARS} characters together, these have \
             {in_patterns}"
        )));
    }
    compiled.forbidden.check()?;
    if compiled.asked.places.len() > MAX_ASKED {
        return Err(invalid(format!("a Cedar policy set looks at no more than {MAX_ASKED} arguments")));
    }
    if compiled.statements.values().any(|statement| statement.approval.is_some()) {
        let permits = set.policies().filter(|policy| policy.effect() == Effect::Permit).cloned();
        compiled.permits = Some(PolicySet::from_policies(permits).map_err(Error::internal)?);
    }
    compiled.set = set;
    Ok((compiled, warnings))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::invalid(FIELD, message)
}

/// A Cedar error with its place.
fn told(source: &str, error: &DetailedError) -> String {
    let at = error.source_locations.first().map(|label| place(source, label.loc.start));
    let help = error.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{}: {}{help}", at.unwrap_or_else(|| "the policy set".to_owned()), error.message)
}

fn refused(errors: impl Iterator<Item = String>) -> Error {
    invalid(errors.take(MAX_TOLD).collect::<Vec<_>>().join("; "))
}

/// The same set, with the policies' own names as ids.
fn named(parsed: &PolicySet) -> Result<PolicySet> {
    let mut set = PolicySet::new();
    for policy in parsed.policies() {
        let name = policy.annotation(ID).unwrap_or(policy.id().as_ref());
        if let Some(problem) = text::problem(name, 1, MAX_NAME_CHARS, false) {
            return Err(invalid(format!("the @{ID} of a Cedar policy {problem}")));
        }
        let known = PolicyId::new(name);
        if set.policy(&known).is_some() {
            return Err(invalid(format!("two Cedar policies are named {name}: their @{ID} must differ")));
        }
        set.add(policy.new_id(known)).map_err(Error::internal)?;
    }
    Ok(set)
}

fn validated(source: &str, set: &PolicySet) -> Result<Vec<String>> {
    let result = Validator::new(schema()?.clone()).validate(set, ValidationMode::Strict);
    if !result.validation_passed() {
        return Err(refused(result.validation_errors().map(|error| told(source, &DetailedError::from(error)))));
    }
    let warnings = result.validation_warnings().map(|warning| told(source, &DetailedError::from(warning)));
    Ok(warnings.take(MAX_TOLD).collect())
}

fn statement(policy: &Policy) -> Result<(String, Statement)> {
    let name = policy.id().to_string();
    let of = |problem: String| invalid(format!("the Cedar policy {name}: {problem}"));
    let json = policy.to_json().map_err(Error::internal)?;
    let asked = Asked::of(&json).map_err(of)?;
    let approval = policy.annotation(REQUIRES_APPROVAL).map(str::to_owned);
    if let Some(reason) = &approval {
        if policy.effect() == Effect::Permit {
            return Err(of(format!("@{REQUIRES_APPROVAL} goes with forbid: what it forbids then waits for a person")));
        }
        if let Some(problem) = text::problem(reason, 1, MAX_REASON_CHARS, false) {
            return Err(of(format!("@{REQUIRES_APPROVAL} {problem}")));
        }
    }
    let (effect, principal) = (policy.effect(), policy.principal_constraint());
    let statement = Statement { effect, approval, principal, resource: policy.resource_constraint(), asked };
    Ok((name, statement))
}

impl Named {
    /// Refuses more look-alike names than any policy needs.
    fn check(&mut self) -> Result<()> {
        for names in [&mut self.tools, &mut self.upstreams] {
            names.sort_by(|a, b| a.name().cmp(b.name()));
            names.dedup_by(|a, b| a.name() == b.name());
            for name in names.iter() {
                if names.iter().filter(|other| other.is_alike(name)).count() > MAX_ALIKE {
                    let name = name.name();
                    return Err(invalid(format!(
                        "more than {MAX_ALIKE} names in forbids look like {name}: one is enough, it holds for all"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Collects the names in a Cedar policy; one that no tool can have is refused.
    fn add(&mut self, name: &str, policy: &Policy) -> Result<()> {
        let literals: BTreeSet<EntityUid> = policy.entity_literals().into_iter().collect();
        for literal in literals {
            let kind = literal.type_name().to_string();
            let id = literal.id().unescaped();
            let is_upstream = |name: &str| UpstreamName::parse(name).is_ok();
            let is_tool =
                || id.split_once('.').is_some_and(|(upstream, tool)| is_upstream(upstream) && !tool.is_empty());
            let problem = match kind.as_str() {
                "Tool" if id.ends_with('*') => "names no tool: for all tools of one write resource in Upstream::\"…\"",
                "Tool" if !is_tool() => "names no tool: write it as upstream.tool",
                "Upstream" if !is_upstream(id) => "names no upstream",
                _ => "",
            };
            if !problem.is_empty() {
                return Err(invalid(format!("the Cedar policy {name}: {literal} {problem}")));
            }
            if policy.effect() == Effect::Forbid {
                match kind.as_str() {
                    "Tool" => self.tools.push(tool_name::Folded::new(id)),
                    "Upstream" => self.upstreams.push(tool_name::Folded::new(id)),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
