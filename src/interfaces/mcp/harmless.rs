//! Definitions of upstreams' tools as every client can read them. Many clients drop the whole list for one tool whose schema
//! is no object, names a type that there is not, or has an annotation of the wrong type: such things are mended in what is
//! listed. What a call may carry is for the upstream to say; the pin is of the definition as the upstream wrote it.

use serde_json::{Map, Value, json};

/// The types of JSON Schema.
const TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];
/// What programs write in their place.
const MEANT: [(&str, &str); 12] = [
    ("int", "integer"),
    ("long", "integer"),
    ("float", "number"),
    ("double", "number"),
    ("decimal", "number"),
    ("str", "string"),
    ("text", "string"),
    ("bool", "boolean"),
    ("list", "array"),
    ("tuple", "array"),
    ("dict", "object"),
    ("map", "object"),
];
/// Alternatives, which model APIs do not take at the top of a schema.
const ALTERNATIVES: [&str; 3] = ["anyOf", "oneOf", "allOf"];
/// Members that hold a schema, one for each name, or several.
const ONE: [&str; 8] = ["items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"];
const NAMED: [&str; 5] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
const SEVERAL: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];

/// Mends a definition.
pub fn mend(definition: &mut Map<String, Value>) {
    for name in ["title", "description"] {
        definition.retain(|known, value| known != name || value.is_string());
    }
    for name in ["_meta", "annotations"] {
        definition.retain(|known, value| known != name || value.is_object());
    }
    if let Some(Value::Object(annotations)) = definition.get_mut("annotations") {
        annotations.retain(|name, value| if name == "title" { value.is_string() } else { value.is_boolean() });
    }
    let is_icon = |icon: &Value| icon["src"].is_string();
    definition.retain(|name, value| name != "icons" || value.as_array().is_some_and(|icons| icons.iter().all(is_icon)));
    // How it may be called over a connection of its own does not hold here.
    definition.remove("execution");
    let input = definition.remove("inputSchema").unwrap_or_default();
    definition.insert("inputSchema".to_owned(), Value::Object(input_schema(input)));
    // Clients hold answers against it: none is better than one that they cannot read.
    definition
        .retain(|name, value| name != "outputSchema" || (value["type"] == "object" && !mend_types(&mut value.clone())));
}

/// The schema of an object, whatever it was.
fn input_schema(schema: Value) -> Map<String, Value> {
    let Value::Object(mut schema) = schema else { return object() };
    let is_object = |schema: &Map<String, Value>| schema.get("type").is_none_or(|kind| kind == "object");
    let mut whole = Value::Object(std::mem::take(&mut schema));
    mend_types(&mut whole);
    if let Value::Object(mended) = whole {
        schema = mended;
    }
    if !is_object(&schema) {
        let about = schema.remove("description");
        schema = object();
        schema.extend(about.map(|about| ("description".to_owned(), about)));
    }
    for name in ALTERNATIVES {
        let Some(alternatives) = schema.remove(name) else { continue };
        let mut all = match schema.remove("properties") {
            Some(Value::Object(all)) => all,
            _ => Map::new(),
        };
        let mut required = schema.remove("required").unwrap_or_else(|| json!([]));
        for alternative in alternatives.as_array().into_iter().flatten() {
            for (field, property) in alternative["properties"].as_object().into_iter().flatten() {
                all.entry(field).or_insert_with(|| property.clone());
            }
            // What only one alternative requires, a call can do without.
            if let (Value::Array(required), Value::Array(more), "allOf") =
                (&mut required, &alternative["required"], name)
            {
                required.extend(more.iter().cloned());
            }
        }
        schema.insert("properties".to_owned(), Value::Object(all));
        if required.as_array().is_some_and(|required| !required.is_empty()) {
            schema.insert("required".to_owned(), required);
        }
    }
    schema.insert("type".to_owned(), "object".into());
    if !schema.get("properties").is_some_and(Value::is_object) {
        schema.insert("properties".to_owned(), json!({}));
    }
    schema
}

fn object() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), "object".into()), ("properties".to_owned(), json!({}))])
}

/// Puts the type that was meant where there is none of that name; whether there was anything to mend.
fn mend_types(schema: &mut Value) -> bool {
    let Some(members) = schema.as_object_mut() else {
        // A schema may be true or false.
        let is_schema = schema.is_boolean();
        if !is_schema {
            *schema = json!({});
        }
        return !is_schema;
    };
    let mut mended = false;
    if let Some(kind) = members.remove("type") {
        let (right, changed) = right_type(&kind);
        mended |= changed;
        members.extend(right.map(|kind| ("type".to_owned(), kind)));
    }
    for (name, member) in members.iter_mut() {
        let name = name.as_str();
        if ONE.contains(&name) {
            // Before 2020-12 `items` may be several.
            match member {
                Value::Array(all) if name == "items" => all.iter_mut().for_each(|one| mended |= mend_types(one)),
                one => mended |= mend_types(one),
            }
        } else if NAMED.contains(&name) {
            match member {
                Value::Object(all) => all.values_mut().for_each(|one| mended |= mend_types(one)),
                other => (*other, mended) = (json!({}), true),
            }
        } else if SEVERAL.contains(&name)
            && let Value::Array(all) = member
        {
            for one in all {
                mended |= mend_types(one);
            }
        }
    }
    mended
}

/// The type, or types, as JSON Schema has them; none where they cannot be guessed. And whether they differ from what was there.
fn right_type(kind: &Value) -> (Option<Value>, bool) {
    let known = |name: &str| {
        let lower = name.to_ascii_lowercase();
        let meant = MEANT.iter().find(|(written, _)| *written == lower).map(|(_, meant)| *meant);
        TYPES.iter().find(|known| **known == lower).copied().or(meant)
    };
    let right = match kind {
        Value::String(name) => known(name).map(Value::from),
        Value::Array(names) => {
            let right: Vec<_> = names.iter().filter_map(|name| known(name.as_str()?)).map(Value::from).collect();
            (!right.is_empty()).then(|| right.into())
        }
        _ => None,
    };
    let changed = right.as_ref() != Some(kind);
    (right, changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(schema: Value) -> Value {
        let mut definition = Map::from_iter([("inputSchema".to_owned(), schema)]);
        mend(&mut definition);
        definition["inputSchema"].take()
    }

    #[test]
    fn every_input_schema_becomes_that_of_an_object() {
        let none = json!({"type": "object", "properties": {}});
        for schema in [json!({}), json!({"type": "string"}), json!(null), json!(true), json!({"type": "object"})] {
            assert_eq!(input(schema.clone()), none, "{schema}");
        }
        let (a, b) = (json!({"type": "string"}), json!({"type": "integer"}));
        for name in ["anyOf", "oneOf"] {
            let alternatives =
                json!([{"properties": {"a": a}, "required": ["a"]}, {"properties": {"b": {"type": "int"}}}]);
            let expected = json!({"type": "object", "properties": {"a": a, "b": b}});
            assert_eq!(input(json!({name: alternatives})), expected);
        }
        let all = json!({"allOf": [{"properties": {"a": a}, "required": ["a"]}], "$defs": {"x": {"type": "Dict"}}});
        let expected =
            json!({"properties": {"a": a}, "required": ["a"], "type": "object", "$defs": {"x": {"type": "object"}}});
        assert_eq!(input(all), expected);
    }

    #[test]
    fn a_sound_schema_stays_as_it_was_and_a_field_may_be_called_type() {
        let schema = json!({
            "type": "object", "properties": {"type": {"type": "string"}, "n": {"type": ["integer", "null"]}, "any": true},
            "required": ["type"], "additionalProperties": false,
        });
        assert_eq!(input(schema.clone()), schema);
        let odd = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "int"}}, "b": {"type": "thing"}}});
        let expected =
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}, "b": {}}});
        assert_eq!(input(odd), expected);
    }

    #[test]
    fn what_a_client_could_not_read_beside_the_schema_is_left_out() {
        let definition = json!({
            "inputSchema": {"type": "object", "properties": {}}, "title": 1, "description": "d", "_meta": [], "icons": [{}],
            "annotations": {"readOnlyHint": "yes", "destructiveHint": true, "title": 2},
            "outputSchema": {"type": "object", "properties": {"n": {"type": "int"}}}, "execution": {},
        });
        let Value::Object(mut definition) = definition else { unreachable!() };
        mend(&mut definition);
        assert_eq!(
            Value::Object(definition),
            json!({
                "description": "d", "annotations": {"destructiveHint": true},
                "inputSchema": {"type": "object", "properties": {}},
            })
        );
    }
}
