//! A field of an operation's input, read from its JSON schema, as a flag.

use std::collections::BTreeSet;

use clap::{Arg, ArgAction, builder::PossibleValuesParser};
use serde_json::{Number, Value};

use super::command::{IDEMPOTENCY_KEY, JSON_INPUT};
use crate::{config::duration::parse_seconds, operations::Operation};

/// Flags of every command: a field of such a name has a flag with `input-` in front.
const TAKEN: [&str; 8] = ["help", "version", "json", "db", "config", "tenant", JSON_INPUT, IDEMPOTENCY_KEY];

/// Fields of inputs that hold seconds.
const DURATIONS: [&str; 5] = ["expires_in", "grace_seconds", "max_ttl", "ttl", "wait"];

/// How the text of a flag becomes JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    /// A string, of these if any are listed.
    Text(Vec<String>),
    /// A number, kept as it is written.
    Number,
    /// Seconds, or a duration with units such as `1h`.
    Duration,
    /// `true` or `false`.
    Boolean,
    /// An array: separated by commas, or the flag repeated.
    List(Box<FieldKind>),
    /// Any JSON; a text that is not JSON becomes a string.
    Any,
}

/// Examples for fields whose schema has none. A value is a secret, and comes from standard input.
const EXAMPLES: [(&str, &str); 7] = [
    ("action", "read"),
    ("prefix", "hld_3fQx8aLm"),
    ("schedule_id", "sched_3kHhR1oEwJrN8qT0vYb6Zg"),
    ("scope", "read"),
    ("tile", "0/000.p/1"),
    ("tool", "github.create_issue"),
    ("value", "-"),
];

/// A field of an operation's input.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in the input.
    pub name: String,
    /// Its flag, without the dashes.
    pub flag: String,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether no call works without it.
    pub required: bool,
    /// An example of a value.
    pub example: String,
    help: String,
}

impl Field {
    /// The fields of an operation, those it requires first.
    pub fn all(operation: &Operation) -> Vec<Self> {
        Self::from_schema(&operation.input_schema().to_value())
    }

    fn from_schema(schema: &Value) -> Vec<Self> {
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema["properties"].as_object().into_iter().flatten();
        let mut fields: Vec<_> = properties
            .map(|(name, property)| {
                let kind = match kind(schema, property) {
                    FieldKind::Number if DURATIONS.contains(&name.as_str()) => FieldKind::Duration,
                    kind => kind,
                };
                let flag = name.replace('_', "-");
                Self {
                    flag: if TAKEN.contains(&flag.as_str()) { format!("input-{flag}") } else { flag },
                    required: required.contains(&name.as_str()),
                    example: example(name, property, &kind),
                    help: property["description"].as_str().unwrap_or_default().replace('\n', " "),
                    name: name.clone(),
                    kind,
                }
            })
            .collect();
        fields.sort_by_key(|field| !field.required);
        fields
    }

    /// Its id among clap's: no other argument's has a colon.
    pub fn id(&self) -> String {
        format!("field:{}", self.name)
    }

    /// Its flag.
    pub fn argument(&self) -> Arg {
        let argument = Arg::new(self.id()).long(self.flag.clone()).help(self.help.clone()).action(ArgAction::Set);
        let argument = match &self.kind {
            FieldKind::Text(choices) if choices.is_empty() => argument.value_name("TEXT"),
            FieldKind::Text(choices) => {
                argument.value_name("WORD").value_parser(PossibleValuesParser::new(choices.clone()))
            }
            FieldKind::Number => argument.value_name("NUMBER").allow_negative_numbers(true).value_parser(number),
            FieldKind::Duration => argument.value_name("DURATION").allow_negative_numbers(true).value_parser(duration),
            FieldKind::Boolean => argument
                .value_name("true|false")
                .num_args(0..=1)
                .default_missing_value("true")
                .value_parser(PossibleValuesParser::new(["true", "false"])),
            FieldKind::List(_) => argument.value_name("LIST").action(ArgAction::Append),
            FieldKind::Any => argument.value_name("JSON"),
        };
        if self.required { argument.required_unless_present(JSON_INPUT) } else { argument }
    }

    /// The JSON of a value that was given as text, or what was expected.
    pub fn json(&self, text: &str) -> Result<String, &'static str> {
        json(&self.kind, text)
    }
}

/// Adds a member, whose value is JSON text, to an object that is not closed yet.
pub fn push_member(object: &mut String, name: &str, value: &str) {
    let separator = if object.is_empty() || object.ends_with('{') { "" } else { "," };
    object.extend([separator, &Value::from(name).to_string(), ":", value]);
}

fn json(kind: &FieldKind, text: &str) -> Result<String, &'static str> {
    match kind {
        FieldKind::Number => number(text).map(|text| text.trim().to_owned()).map_err(|_| "a number, such as 29.99"),
        FieldKind::Duration => duration(text).map_err(|_| "seconds, or a duration such as 15m, 1h or 30d"),
        FieldKind::Boolean if matches!(text, "true" | "false") => Ok(text.to_owned()),
        FieldKind::Boolean => Err("true or false"),
        FieldKind::List(item) => {
            let items = text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| json(item, part));
            Ok(format!("[{}]", items.collect::<Result<Vec<_>, _>>()?.join(",")))
        }
        FieldKind::Any if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() => {
            Ok(text.trim().to_owned())
        }
        FieldKind::Text(_) | FieldKind::Any => Ok(Value::from(text).to_string()),
    }
}

/// Accepts a JSON number, and `-` for standard input.
fn number(text: &str) -> Result<String, String> {
    if text == "-" || serde_json::from_str::<Number>(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err("expected a number, such as 29.99".to_owned())
}

/// Accepts seconds, and `-` for standard input; a duration with units becomes seconds.
fn duration(text: &str) -> Result<String, String> {
    if number(text).is_ok() {
        return Ok(text.trim().to_owned());
    }
    parse_seconds(text).map(|seconds| seconds.to_string())
}

/// The kind of a field. A schema that allows several types takes any JSON, and the operation decides.
fn kind(root: &Value, schema: &Value) -> FieldKind {
    let (mut types, mut choices, mut item) = (BTreeSet::new(), Vec::new(), None);
    collect(root, schema, &mut types, &mut choices, &mut item);
    types.remove("null");
    match types.into_iter().collect::<Vec<_>>().as_slice() {
        [one] => match one.as_str() {
            "string" => FieldKind::Text(choices),
            "integer" | "number" => FieldKind::Number,
            "boolean" => FieldKind::Boolean,
            "array" => match item.map_or(FieldKind::Any, |item| kind(root, item)) {
                // A comma in JSON does not separate items.
                FieldKind::Any | FieldKind::List(_) => FieldKind::Any,
                plain => FieldKind::List(Box::new(plain)),
            },
            _ => FieldKind::Any,
        },
        _ => FieldKind::Any,
    }
}

/// Follows references and alternatives to the types and the words that are allowed.
fn collect<'a>(
    root: &'a Value,
    schema: &'a Value,
    types: &mut BTreeSet<String>,
    choices: &mut Vec<String>,
    item: &mut Option<&'a Value>,
) {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
        return collect(root, &root["$defs"][name], types, choices, item);
    }
    match &schema["type"] {
        Value::String(one) => drop(types.insert(one.clone())),
        Value::Array(all) => types.extend(all.iter().filter_map(Value::as_str).map(str::to_owned)),
        _ => {}
    }
    let words = schema["enum"].as_array().into_iter().flatten().chain(schema.get("const"));
    choices.extend(words.filter_map(Value::as_str).map(str::to_owned));
    if schema["items"].is_object() {
        *item = Some(&schema["items"]);
    }
    for alternatives in ["anyOf", "oneOf", "allOf"] {
        for schema in schema[alternatives].as_array().into_iter().flatten() {
            collect(root, schema, types, choices, item);
        }
    }
}

fn example(name: &str, schema: &Value, kind: &FieldKind) -> String {
    let given = schema["examples"].as_array().and_then(|examples| examples.first());
    let known = EXAMPLES.iter().find(|(field, _)| *field == name).map(|(_, example)| *example);
    match (given, kind) {
        (Some(Value::String(text)), _) => text.clone(),
        (Some(number @ Value::Number(_)), _) => number.to_string(),
        (_, FieldKind::Text(choices)) if choices.is_empty() && known.is_some() => known.unwrap_or_default().to_owned(),
        (_, FieldKind::Number) => "1".to_owned(),
        (_, FieldKind::Duration) => "1h".to_owned(),
        (_, FieldKind::Boolean) => "true".to_owned(),
        (_, FieldKind::Text(choices)) => choices.first().cloned().unwrap_or_else(|| "TEXT".to_owned()),
        (_, FieldKind::List(_)) => "a,b".to_owned(),
        (_, FieldKind::Any) => "'{}'".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_come_from_the_schema_with_its_references_and_alternatives() {
        let root = json!({"$defs": {"Tier": {"oneOf": [
            {"type": "string", "const": "free"}, {"type": "string", "enum": ["pro", "enterprise"]}
        ]}}});
        let words = |words: &[&str]| FieldKind::Text(words.iter().map(|word| (*word).to_owned()).collect());
        for (schema, expected) in [
            (json!({"type": "string"}), words(&[])),
            (json!({"type": ["number", "null"], "minimum": 0}), FieldKind::Number),
            (json!({"type": "boolean"}), FieldKind::Boolean),
            (json!({"$ref": "#/$defs/Tier"}), words(&["free", "pro", "enterprise"])),
            (json!({"anyOf": [{"$ref": "#/$defs/Tier"}, {"type": "null"}]}), words(&["free", "pro", "enterprise"])),
            (json!({"type": ["array", "null"], "items": {"type": "string"}}), FieldKind::List(Box::new(words(&[])))),
            (json!({"type": "array", "items": {"type": "object"}}), FieldKind::Any),
            (json!({"type": ["string", "object"]}), FieldKind::Any),
            (json!({"description": "anything"}), FieldKind::Any),
        ] {
            assert_eq!(kind(&root, &schema), expected, "{schema}");
        }
    }

    #[test]
    fn each_field_of_seconds_takes_a_duration() {
        for operation in crate::operations::all() {
            let schema = operation.input_schema().to_value();
            for field in Field::from_schema(&schema) {
                let description = schema["properties"][&field.name]["description"].as_str().unwrap_or_default();
                let is_of_seconds = matches!(field.kind, FieldKind::Number | FieldKind::Duration)
                    && description.contains("econds")
                    && !description.contains("Unix seconds");
                assert_eq!(field.kind == FieldKind::Duration, is_of_seconds, "{} of {}", field.name, operation.name);
            }
        }
        assert_eq!(json(&FieldKind::Duration, "1h 30m"), Ok("5400".to_owned()));
        assert_eq!(json(&FieldKind::Duration, "0"), Ok("0".to_owned()));
        assert!(json(&FieldKind::Duration, "soon").is_err());
    }

    #[test]
    fn a_field_never_takes_a_flag_of_every_command() {
        let schema = json!({"properties": {"json": {"type": "string"}, "url": {"type": "string"}}});
        let flags: Vec<_> = Field::from_schema(&schema).into_iter().map(|field| field.flag).collect();
        assert_eq!(flags, ["input-json", "url"]);
    }

    #[test]
    fn numbers_stay_as_written_and_details_are_json_or_text() {
        assert_eq!(json(&FieldKind::Number, "0.10"), Ok("0.10".to_owned()));
        assert_eq!(json(&FieldKind::Number, "9223372036.854775807"), Ok("9223372036.854775807".to_owned()));
        assert!(json(&FieldKind::Number, "-").is_ok() && json(&FieldKind::Number, "ten").is_err());
        assert_eq!(json(&FieldKind::Any, r#"{"a": 1.10}"#), Ok(r#"{"a": 1.10}"#.to_owned()));
        assert_eq!(json(&FieldKind::Any, "read \"x\""), Ok(r#""read \"x\"""#.to_owned()));
        assert_eq!(
            json(&FieldKind::List(Box::new(FieldKind::Text(Vec::new()))), "a, b,"),
            Ok(r#"["a","b"]"#.to_owned())
        );
    }
}
