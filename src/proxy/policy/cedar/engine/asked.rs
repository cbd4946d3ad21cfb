//! The facts that a Cedar policy uses. They are known before the call, so that nothing else is looked up or converted, and an
//! argument that cannot be converted refuses only calls that a policy uses it for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    bounds::{MAX_PATTERN_CHARS, MAX_WILDCARDS},
    values::Kind,
};

/// Places in the arguments, and the types that are expected there.
pub type Places = BTreeMap<String, BTreeSet<Kind>>;

/// The facts.
#[derive(Debug, Default)]
pub struct Asked {
    /// In the arguments.
    pub places: Places,
    /// In the rest of the context, by name.
    pub facts: BTreeSet<String>,
    /// Characters of all patterns.
    pub pattern_chars: usize,
}

impl Asked {
    /// Reads them from the JSON form of one policy; the error names what cannot be known before the call.
    pub fn of(policy: &Value) -> Result<Self, String> {
        let mut asked = Self::default();
        let conditions = policy["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        // Not recursively: expressions can be deep.
        let mut left: Vec<&Value> = conditions.iter().map(|condition| &condition["body"]).collect();
        while let Some(expression) = left.pop() {
            let Some((operator, operand)) = expression.as_object().and_then(|object| object.iter().next()) else {
                continue;
            };
            match operator.as_str() {
                "Var" if operand == "context" => {
                    return Err("context stands by itself: write context and the name of one of its members".to_owned());
                }
                "Value" | "Var" | "Slot" => {}
                "." | "has" if is_context(&operand["left"]) => asked.fact(&operand["attr"])?,
                "like" => {
                    asked.pattern(&operand["pattern"])?;
                    left.push(&operand["left"]);
                }
                "." | "has" | "is" => left.extend([&operand["left"], &operand["in"]]),
                "hasTag" | "getTag" => asked.place(operand)?,
                // The members of a record, under any name; the operands of anything else.
                _ => left.extend(nested(operand)),
            }
        }
        Ok(asked)
    }

    fn pattern(&mut self, pattern: &Value) -> Result<(), String> {
        let parts = pattern.as_array().map(Vec::as_slice).unwrap_or_default();
        let wildcards = parts.iter().filter(|part| part.is_string()).count();
        let letters: usize =
            parts.iter().filter_map(|part| part["Literal"].as_str()).map(|text| text.chars().count()).sum();
        if wildcards > MAX_WILDCARDS || letters > MAX_PATTERN_CHARS {
            return Err(format!(
                "a pattern of like has at most {MAX_WILDCARDS} wildcards and {MAX_PATTERN_CHARS} other characters, \
                 this has {wildcards} and {letters}"
            ));
        }
        self.pattern_chars += wildcards + letters;
        Ok(())
    }

    fn fact(&mut self, name: &Value) -> Result<(), String> {
        let name = name.as_str().ok_or("a member of the context has a name")?;
        if let Some(kind) = Kind::named(name) {
            let tags = format!("context.{}", kind.name());
            return Err(format!("{tags} is asked by {tags}.hasTag(\"/…\") and {tags}.getTag(\"/…\") only"));
        }
        self.facts.insert(name.to_owned());
        Ok(())
    }

    fn place(&mut self, operand: &Value) -> Result<(), String> {
        let (of, place) = (&operand["left"]["."], &operand["right"]["Value"]);
        let kind = of["attr"].as_str().filter(|_| is_context(&of["left"])).and_then(Kind::named);
        let kind = kind.ok_or("hasTag and getTag are asked of context.text, whole, number, flag or list only")?;
        let place = place.as_str().ok_or("the place of an argument is written out, such as \"/path\"")?;
        if !place.starts_with('/') {
            return Err(format!("the place of an argument is a JSON pointer: write \"/{place}\" for \"{place}\""));
        }
        self.places.entry(place.to_owned()).or_default().insert(kind);
        Ok(())
    }
}

fn is_context(expression: &Value) -> bool {
    expression["Var"] == "context"
}

/// The values of an object or a list.
fn nested(operand: &Value) -> Vec<&Value> {
    match operand {
        Value::Object(members) => members.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}
