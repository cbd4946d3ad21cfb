//! A call as a Cedar request: an agent calls a tool, with the facts that the policies use.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
    sync::OnceLock,
};

use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression};

use super::{
    compile::{Compiled, Statement},
    facts::Facts,
    values::{self, Kind},
};
use crate::{
    error::{Error, Result},
    model::Money,
    proxy::{pointer, policy::PolicyInput},
};

/// The one entity of each kind of arguments.
const OF_THE_CALL: &str = "call";

/// A call in Cedar's terms, without the name of its tool.
pub struct Asking {
    principal: EntityUid,
    action: EntityUid,
    context: Context,
    entities: Vec<Entity>,
    principal_in: Vec<EntityUid>,
}

/// A name of the tool, and its parents.
pub struct Name {
    pub tool: EntityUid,
    pub upstreams: Vec<EntityUid>,
    tenant: EntityUid,
}

/// The types of entities that a call has.
const KINDS: [&str; 12] =
    ["Tenant", "Key", "Session", "Agent", "Upstream", "Tool", "Action", "Texts", "Wholes", "Numbers", "Flags", "Lists"];

fn uid(kind: &str, id: &str) -> Result<EntityUid> {
    // Cedar parses type names: once is enough.
    static PARSED: OnceLock<BTreeMap<&str, EntityTypeName>> = OnceLock::new();
    let parse = || KINDS.iter().filter_map(|kind| Some((*kind, EntityTypeName::from_str(kind).ok()?))).collect();
    let kind = PARSED.get_or_init(parse).get(kind).ok_or_else(|| Error::internal(format!("no entity {kind}")))?;
    Ok(EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id)))
}

impl Name {
    pub fn new(question: &PolicyInput<'_>, tool: &str, upstreams: &[&str]) -> Result<Self> {
        let upstreams = upstreams.iter().map(|name| uid("Upstream", name)).collect::<Result<_>>()?;
        Ok(Self { tool: uid("Tool", tool)?, upstreams, tenant: uid("Tenant", question.tenant.as_str())? })
    }

    fn lies_in(&self, group: &EntityUid) -> bool {
        *group == self.tool || self.upstreams.contains(group) || *group == self.tenant
    }
}

/// Why policies cannot be evaluated for a call.
pub struct Unreadable {
    pub statement: String,
    pub place: String,
    pub what: String,
}

impl Asking {
    /// Everything but the arguments.
    pub fn new(compiled: &Compiled, question: &PolicyInput<'_>, facts: &Facts) -> Result<Self> {
        let tenant = uid("Tenant", question.tenant.as_str())?;
        let key = uid("Key", question.key)?;
        let session = uid("Session", question.session_id)?;
        let principal = uid("Agent", question.agent)?;
        let principal_in = vec![session.clone(), key.clone(), tenant.clone()];
        let bare = |uid: &EntityUid, parents: &[&EntityUid]| {
            Entity::new_no_attrs(uid.clone(), parents.iter().map(|uid| (*uid).clone()).collect())
        };
        let scopes = question.session.map(|session| session.scopes.iter().map(ToString::to_string).collect());
        let attributes = [
            ("name".to_owned(), RestrictedExpression::new_string(question.agent.to_owned())),
            ("scopes".to_owned(), texts(scopes.unwrap_or_default())),
            ("depth".to_owned(), RestrictedExpression::new_long(question.session.map_or(0, |session| session.depth))),
        ];
        let agent = Entity::new(principal.clone(), attributes.into(), principal_in.iter().cloned().collect());
        let mut entities = vec![
            bare(&tenant, &[]),
            bare(&key, &[&tenant]),
            bare(&session, &[&key, &tenant]),
            agent.map_err(Error::internal)?,
        ];
        let arguments = pointer::members(question.arguments);
        let mut context = Vec::new();
        for kind in Kind::ALL {
            let of_kind = compiled.asked.places.iter().filter(|(_, kinds)| kinds.contains(&kind));
            let tags = of_kind.filter_map(|(place, _)| {
                let value = kind.read(pointer::at(&arguments, place)?).ok()?;
                Some((place.clone(), value))
            });
            let tags: BTreeMap<_, _> = tags.collect();
            let entity = uid(kind.entity(), OF_THE_CALL)?;
            context.push((kind.name().to_owned(), RestrictedExpression::new_entity_uid(entity.clone())));
            entities.push(Entity::new_with_tags(entity, [], [], tags).map_err(Error::internal)?);
        }
        let wants = |name: &str| compiled.asked.facts.contains(name);
        if wants("given") {
            let given = arguments.keys().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1")));
            context.push(("given".to_owned(), texts(given.collect())));
        }
        if wants("amount") {
            let amount = values::amount(facts.amount.unwrap_or(Money::ZERO));
            context.push(("amount".to_owned(), RestrictedExpression::new_decimal(amount)));
        }
        for (name, value) in &facts.numbers {
            context.push(((*name).to_owned(), RestrictedExpression::new_long(*value)));
        }
        if let Some(tainted) = facts.tainted {
            context.push(("tainted".to_owned(), RestrictedExpression::new_bool(tainted)));
        }
        let context = Context::from_pairs(context).map_err(Error::internal)?;
        Ok(Self { principal, action: uid("Action", "call")?, context, entities, principal_in })
    }

    /// The request and the entities, with the tool under this name.
    pub fn about(&self, name: &Name, question: &PolicyInput<'_>) -> Result<(Request, Entities)> {
        let name_of = ("name".to_owned(), RestrictedExpression::new_string(question.tool.to_owned()));
        let traits = question.traits().map(|(name, is)| (name.to_owned(), RestrictedExpression::new_bool(is)));
        let attributes = traits.into_iter().chain([name_of]).collect();
        let tool = Entity::new(name.tool.clone(), attributes, name.upstreams.iter().cloned().collect());
        let mut entities = self.entities.clone();
        entities.push(tool.map_err(Error::internal)?);
        for upstream in &name.upstreams {
            entities.push(Entity::new_no_attrs(upstream.clone(), [name.tenant.clone()].into()));
        }
        let (principal, action) = (self.principal.clone(), self.action.clone());
        let request = Request::new(principal, action, name.tool.clone(), self.context.clone(), None);
        Ok((request.map_err(Error::internal)?, Entities::from_entities(entities, None).map_err(Error::internal)?))
    }

    /// An argument that a policy for this call uses and that has no expected type.
    pub fn unreadable(&self, compiled: &Compiled, names: &[Name], arguments: &str) -> Option<Unreadable> {
        let arguments = pointer::members(arguments);
        for (name, statement) in &compiled.statements {
            if !self.concerns(statement, names) {
                continue;
            }
            for (place, kinds) in &statement.asked.places {
                let statement = name.clone();
                let Some(json) = pointer::at(&arguments, place) else {
                    // A server may parse a string as JSON, and find the member there.
                    let Some(before) = pointer::blocked(&arguments, place) else { continue };
                    let what = format!("cannot hold {place}, which is looked at");
                    return Some(Unreadable { statement, place: before.to_owned(), what });
                };
                let Err(what) = read_as_any(kinds, json) else { continue };
                return Some(Unreadable { statement, place: place.clone(), what });
            }
        }
        None
    }

    /// Whether the head of a Cedar policy can match the call, under any name of the tool.
    fn concerns(&self, statement: &Statement, names: &[Name]) -> bool {
        use cedar_policy::{PrincipalConstraint as Principal, ResourceConstraint as Resource};
        let is_in = |group: &EntityUid| *group == self.principal || self.principal_in.contains(group);
        let agent = match &statement.principal {
            Principal::Any => true,
            Principal::Eq(uid) => *uid == self.principal,
            Principal::In(group) => is_in(group),
            Principal::Is(kind) => kind == self.principal.type_name(),
            Principal::IsIn(kind, group) => kind == self.principal.type_name() && is_in(group),
        };
        agent
            && names.iter().any(|name| match &statement.resource {
                Resource::Any => true,
                Resource::Eq(uid) => *uid == name.tool,
                Resource::In(group) => name.lies_in(group),
                Resource::Is(kind) => kind == name.tool.type_name(),
                Resource::IsIn(kind, group) => kind == name.tool.type_name() && name.lies_in(group),
            })
    }
}

/// Whether an argument has one of these types; the error names its actual type.
fn read_as_any(kinds: &BTreeSet<Kind>, json: &str) -> Result<(), String> {
    let mut why = String::new();
    for kind in kinds {
        match kind.read(json) {
            Ok(_) => return Ok(()),
            Err(problem) => why = format!("{problem}, and is looked at as context.{}", kind.name()),
        }
    }
    Err(why)
}

fn texts(texts: Vec<String>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.into_iter().map(RestrictedExpression::new_string))
}
