//! Rewrites schemas into forms that all known converters accept. Agent frameworks pass schemas to model APIs through converters
//! that know a subset of JSON Schema: on a list of types, a nested alternative, a reference to an enumeration or a field without
//! a type, some drop the tool, or all tools.

use schemars::{
    Schema,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Map, Value, json};

/// Members that describe a field as a whole, and stay beside its alternatives.
const ABOUT: [&str; 6] = ["title", "description", "default", "examples", "deprecated", "readOnly"];
/// Formats of numbers. JSON Schema defines none, and validators report each.
const NUMBER_FORMATS: [&str; 12] =
    ["uint", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "int", "float", "double"];

/// A transform that rewrites every subschema.
#[derive(Clone, Copy, Debug)]
pub struct PlainForms {
    /// Whether whole numbers have the format `int64`, which client generators need in an OpenAPI document.
    pub int64: bool,
}

impl Transform for PlainForms {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(members) = schema.as_object_mut() else { return };
        self.format(members);
        words(members);
        one_type(members);
        flat(members);
    }
}

impl PlainForms {
    fn format(self, members: &mut Map<String, Value>) {
        let Some(format) = members.get("format").and_then(Value::as_str) else { return };
        if !NUMBER_FORMATS.contains(&format) {
            return;
        }
        if self.int64 && members.get("type").is_some_and(|kind| names(kind).contains(&"integer")) {
            members.insert("format".to_owned(), "int64".into());
        } else {
            members.remove("format");
        }
    }
}

/// The types in the member `type`.
fn names(kind: &Value) -> Vec<&str> {
    match kind {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// Turns alternatives that are single strings into one enumeration. Their descriptions move into the field's description.
fn words(members: &mut Map<String, Value>) {
    if let Some(word) = members.remove("const") {
        members.insert("enum".to_owned(), json!([word]));
    }
    let Some(Value::Array(alternatives)) = members.get("oneOf") else { return };
    let is_word = |one: &Value| one["type"] == "string" && one["enum"].is_array();
    if !alternatives.iter().all(is_word) {
        return;
    }
    let mut meanings = Vec::new();
    let mut all = Vec::new();
    for alternative in alternatives {
        let own = alternative["enum"].as_array().cloned().unwrap_or_default();
        if let ([word], Some(meaning)) = (own.as_slice(), alternative["description"].as_str()) {
            meanings.push(format!("`{}`: {}", word.as_str().unwrap_or_default(), meaning.trim_end_matches('.')));
        }
        all.extend(own);
    }
    let about = members.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_told = |word: &Value| word.as_str().is_some_and(|word| about.contains(&format!("`{word}`")));
    if !meanings.is_empty() && !all.iter().all(is_told) {
        let space = if about.is_empty() { "" } else { " " };
        members.insert("description".to_owned(), format!("{about}{space}{}.", meanings.join("; ")).into());
    }
    members.remove("oneOf");
    members.insert("type".to_owned(), "string".into());
    members.insert("enum".to_owned(), all.into());
}

/// Turns a list of types into one alternative for each.
fn one_type(members: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = members.get("type").cloned() else { return };
    if let [one] = types.as_slice() {
        members.insert("type".to_owned(), one.clone());
        return;
    }
    members.remove("type");
    let moved: Vec<_> = members.keys().filter(|name| !ABOUT.contains(&name.as_str())).cloned().collect();
    let mut rules = Map::new();
    for name in moved {
        rules.extend(members.remove_entry(&name));
    }
    if let Some(Value::Array(words)) = rules.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    let alternative = |kind: &Value| {
        if kind == "null" {
            return json!({"type": "null"});
        }
        let mut alternative = Map::from_iter([("type".to_owned(), kind.clone())]);
        alternative.extend(rules.clone());
        Value::Object(alternative)
    };
    let alternatives: Vec<_> = types.iter().map(alternative).collect();
    members.insert("anyOf".to_owned(), alternatives.into());
}

/// Flattens nested alternatives.
fn flat(members: &mut Map<String, Value>) {
    let Some(Value::Array(alternatives)) = members.remove("anyOf") else { return };
    let mut all: Vec<Value> = Vec::new();
    for mut alternative in alternatives {
        let Some(Value::Array(inner)) = alternative.get_mut("anyOf").map(Value::take) else {
            all.push(alternative);
            continue;
        };
        for name in ABOUT {
            if let Some(about) = alternative.get_mut(name).map(Value::take) {
                members.entry(name).or_insert(about);
            }
        }
        all.extend(inner);
    }
    let mut once: Vec<Value> = Vec::new();
    for alternative in all {
        if !once.contains(&alternative) {
            once.push(alternative);
        }
    }
    members.insert("anyOf".to_owned(), once.into());
}

/// Completes an input schema: every field gets a type, and every optional field may be null, since typed clients send null for
/// absent fields.
pub fn input(schema: &mut Schema) {
    let required: Vec<String> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (name, property) in properties.iter_mut() {
        if *property == Value::Bool(true) {
            *property = json!({});
        }
        let Some(members) = property.as_object_mut() else { continue };
        if !["type", "anyOf", "oneOf", "enum", "$ref"].iter().any(|known| members.contains_key(*known)) {
            members.insert("anyOf".to_owned(), anything());
        }
        if !required.contains(name) {
            nullable(members);
        }
    }
}

/// Allows null for a field.
pub fn nullable(members: &mut Map<String, Value>) {
    if let Some(kind) = members.get("type").cloned() {
        members.insert("type".to_owned(), json!([kind, "null"]));
        return one_type(members);
    }
    if let Some(Value::Array(alternatives)) = members.get_mut("anyOf") {
        let null = json!({"type": "null"});
        if !alternatives.contains(&null) {
            alternatives.push(null);
        }
    }
}

/// Any JSON, as typed alternatives. A converter that keeps only one keeps the last: a string.
fn anything() -> Value {
    let kinds = |kinds: &[&str]| kinds.iter().map(|kind| json!({"type": kind})).collect::<Vec<_>>();
    let mut all = kinds(&["object", "number", "boolean", "string", "null"]);
    // Lists nested deeper than two levels have no item type.
    let mut items = all.clone();
    items.insert(1, json!({"type": "array", "items": {}}));
    all.insert(1, json!({"type": "array", "items": {"anyOf": items}}));
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(schema: Value) -> Value {
        let mut schema = Schema::try_from(schema).unwrap();
        PlainForms { int64: false }.transform(&mut schema);
        schema.to_value()
    }

    #[test]
    fn what_may_be_null_is_a_flat_list_of_alternatives_with_a_type_each() {
        assert_eq!(
            plain(
                json!({"description": "d", "default": 1, "type": ["integer", "null"], "minimum": 0, "format": "int64"})
            ),
            json!({"description": "d", "default": 1, "anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]})
        );
        assert_eq!(
            plain(
                json!({"anyOf": [{"anyOf": [{"type": "number"}, {"type": "string"}], "examples": [1]}, {"type": "null"}]})
            ),
            json!({"examples": [1], "anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]})
        );
    }

    #[test]
    fn words_are_one_enumeration_whose_description_tells_what_they_mean() {
        let word = |word: &str, meaning: &str| json!({"type": "string", "const": word, "description": meaning});
        let schema = json!({"oneOf": [word("a", "First."), {"type": "string", "enum": ["b", "c"]}]});
        assert_eq!(plain(schema), json!({"type": "string", "enum": ["a", "b", "c"], "description": "`a`: First."}));
        let optional = json!({"anyOf": [{"oneOf": [word("a", "A.")]}, {"type": "null"}]});
        assert_eq!(
            plain(optional),
            json!({"anyOf": [{"type": "string", "enum": ["a"], "description": "`a`: A."}, {"type": "null"}]})
        );
        let told = json!({"oneOf": [word("a", "A.")], "description": "`a` is one."});
        assert_eq!(plain(told), json!({"type": "string", "enum": ["a"], "description": "`a` is one."}));
    }
}
