//! A bound on the work of validating arguments against a tool's schema, computed before the validation. The schema comes from
//! the upstream: a few hundred bytes of `allOf` over `$ref` can take years to validate.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Steps of a validation; one step validates one value against one subschema.
const MAX_STEPS: usize = 50_000;
/// Depth of nested subschemas and references. The validation recurses as deep.
const MAX_DEPTH: usize = 96;

const IN_PLACE: [&str; 5] = ["not", "if", "then", "else", "$ref"];
const IN_PLACE_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const IN_PLACE_MAPS: [&str; 2] = ["dependentSchemas", "dependencies"];
const FOR_ALL_VALUES: [&str; 2] = ["additionalProperties", "unevaluatedProperties"];
const FOR_ALL_ITEMS: [&str; 4] = ["items", "additionalItems", "unevaluatedItems", "contains"];

/// The reason why a schema is not used.
pub(super) type Problem = &'static str;

/// Walks through the schema as a validation of `instance` would, without validating.
pub(super) fn bounded(schema: &Value, instance: &Value) -> Result<(), Problem> {
    let mut anchors = HashMap::new();
    find_anchors(schema, &mut anchors);
    Walk { root: schema, anchors, steps: 0 }.visit(schema, instance, 0)
}

fn find_anchors<'a>(schema: &'a Value, anchors: &mut HashMap<&'a str, Vec<&'a Value>>) {
    match schema {
        Value::Object(members) => {
            for name in ["$anchor", "$dynamicAnchor"] {
                if let Some(Value::String(anchor)) = members.get(name) {
                    anchors.entry(anchor).or_default().push(schema);
                }
            }
            members.values().for_each(|member| find_anchors(member, anchors));
        }
        Value::Array(items) => items.iter().for_each(|item| find_anchors(item, anchors)),
        _ => {}
    }
}

struct Walk<'a> {
    root: &'a Value,
    anchors: HashMap<&'a str, Vec<&'a Value>>,
    steps: usize,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, schema: &'a Value, instance: &Value, depth: usize) -> Result<(), Problem> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err("to hold arguments against it takes too many steps");
        }
        if depth > MAX_DEPTH {
            return Err("it refers to itself, or lies in itself, too deeply");
        }
        let Some(members) = schema.as_object() else { return Ok(()) };
        if depth > 0 && (members.contains_key("$id") || members.contains_key("id") && members["id"].is_string()) {
            return Err("it holds a schema with an address of its own");
        }
        // What was evaluated is found by evaluating it once more.
        let times = 1 + usize::from(
            FOR_ALL_VALUES[1..].iter().chain(&FOR_ALL_ITEMS[2..3]).any(|name| members.contains_key(*name)),
        );
        for _ in 0..times {
            self.in_place(members, instance, depth)?;
        }
        match instance {
            Value::Object(values) => self.values(members, values, depth),
            Value::Array(items) => self.items(members, items, depth),
            _ => Ok(()),
        }
    }

    fn in_place(&mut self, members: &'a Map<String, Value>, instance: &Value, depth: usize) -> Result<(), Problem> {
        for name in IN_PLACE_LISTS {
            for schema in members.get(name).and_then(Value::as_array).into_iter().flatten() {
                self.visit(schema, instance, depth + 1)?;
            }
        }
        for name in IN_PLACE_MAPS {
            for schema in members.get(name).and_then(Value::as_object).into_iter().flat_map(Map::values) {
                self.visit(schema, instance, depth + 1)?;
            }
        }
        for name in IN_PLACE.iter().copied().chain(["$dynamicRef", "$recursiveRef"]) {
            match members.get(name) {
                Some(Value::String(reference)) if name.starts_with('$') => {
                    for schema in self.referred(reference)? {
                        self.visit(schema, instance, depth + 1)?;
                    }
                }
                Some(schema) => self.visit(schema, instance, depth + 1)?,
                None => {}
            }
        }
        Ok(())
    }

    fn values(
        &mut self,
        members: &'a Map<String, Value>,
        values: &Map<String, Value>,
        depth: usize,
    ) -> Result<(), Problem> {
        let properties = members.get("properties").and_then(Value::as_object);
        let patterns = members.get("patternProperties").and_then(Value::as_object);
        for (name, value) in values {
            let named = properties.and_then(|properties| properties.get(name));
            let others = FOR_ALL_VALUES.iter().filter_map(|name| members.get(*name));
            for schema in named.into_iter().chain(patterns.into_iter().flat_map(Map::values)).chain(others) {
                self.visit(schema, value, depth + 1)?;
            }
            if let Some(schema) = members.get("propertyNames") {
                self.visit(schema, &Value::Null, depth + 1)?;
            }
        }
        Ok(())
    }

    fn items(&mut self, members: &'a Map<String, Value>, items: &[Value], depth: usize) -> Result<(), Problem> {
        for item in items {
            for schema in FOR_ALL_ITEMS.iter().filter_map(|name| members.get(*name)) {
                match schema {
                    // Draft 7 has a schema for each place here.
                    Value::Array(schemas) => {
                        schemas.iter().try_for_each(|schema| self.visit(schema, item, depth + 1))?;
                    }
                    schema => self.visit(schema, item, depth + 1)?,
                }
            }
        }
        for (schema, item) in members.get("prefixItems").and_then(Value::as_array).into_iter().flatten().zip(items) {
            self.visit(schema, item, depth + 1)?;
        }
        Ok(())
    }

    fn referred(&self, reference: &str) -> Result<Vec<&'a Value>, Problem> {
        const UNKNOWN: Problem = "it refers to a schema that is not in it";
        let fragment = reference.strip_prefix('#').ok_or(UNKNOWN)?;
        let fragment = percent_encoding::percent_decode_str(fragment).decode_utf8().map_err(|_| UNKNOWN)?;
        if fragment.is_empty() || fragment.starts_with('/') {
            return Ok(vec![self.root.pointer(&fragment).ok_or(UNKNOWN)?]);
        }
        self.anchors.get(fragment.as_ref()).cloned().ok_or(UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_of_real_tools_are_used() {
        let tree = json!({"type": "object", "$defs": {"node": {"type": "object", "properties": {
            "name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}},
            "properties": {"root": {"$ref": "#/$defs/node"}, "kind": {"anyOf": [{"type": "string"}, {"type": "null"}]}}});
        let mut node = json!({"name": "leaf"});
        for _ in 0..20 {
            node = json!({"name": "x", "children": [node, {"name": "y"}]});
        }
        assert_eq!(bounded(&tree, &json!({"root": node, "kind": null})), Ok(()));
        assert_eq!(bounded(&json!(true), &json!({"a": 1})), Ok(()));
    }

    #[test]
    fn a_schema_that_asks_for_too_much_is_not_used() {
        // Each level refers to the one below twice: 2^40 steps.
        let levels: Map<String, Value> = (0..40)
            .map(|level| {
                let below = json!({"$ref": format!("#/$defs/l{}", level + 1)});
                (format!("l{level}"), json!({"allOf": [below, below]}))
            })
            .chain([("l40".to_owned(), json!({"type": "object"}))])
            .collect();
        let schema = json!({"$defs": levels, "$ref": "#/$defs/l0"});
        assert!(bounded(&schema, &json!({})).unwrap_err().contains("too many steps"));
        for schema in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"$dynamicAnchor": "me", "not": {"$dynamicRef": "#me"}}),
            json!({"$ref": "https://example.com/schema"}),
            json!({"$ref": "#/$defs/none"}),
            json!({"allOf": [{"$id": "https://example.com/x", "$ref": "#/a"}]}),
        ] {
            assert!(bounded(&schema, &json!({"a": [1]})).is_err(), "{schema}");
        }
        // Twice as many steps with each level of the arguments.
        let doubled = json!({"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]});
        let mut deep = json!({});
        for _ in 0..40 {
            deep = json!({"a": deep});
        }
        assert!(bounded(&doubled, &deep).is_err());
    }
}
