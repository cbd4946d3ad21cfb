//! Our OpenAPI document holds everything that the reference states: paths, methods, parameters, required fields,
//! statuses and types, each compared by what it means on the wire.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::House;

/// Where ours says more than the reference: `details` is logged as any JSON, and comes back as it was logged.
const WIDER: &[&str] = &["get /v1/audit 200 entries[].details"];

/// A schema's field, as far as it is compared.
struct Field {
    types: BTreeSet<String>,
    required: bool,
    default: Option<Value>,
    words: BTreeSet<String>,
}

fn resolved<'a>(document: &'a Value, mut node: &'a Value) -> &'a Value {
    while let Some(path) = node["$ref"].as_str() {
        node = document.pointer(path.trim_start_matches('#')).unwrap_or_else(|| panic!("{path} leads nowhere"));
    }
    node
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The types that a schema allows; none is any.
fn types(document: &Value, schema: &Value) -> BTreeSet<String> {
    let schema = resolved(document, schema);
    let mut found = BTreeSet::new();
    match &schema["type"] {
        Value::String(one) => drop(found.insert(one.clone())),
        Value::Array(all) => found.extend(all.iter().filter_map(Value::as_str).map(str::to_owned)),
        _ => found.extend(schema.get("const").map(|value| type_of(value).to_owned())),
    }
    for alternatives in ["anyOf", "oneOf", "allOf"] {
        for schema in schema[alternatives].as_array().into_iter().flatten() {
            found.extend(types(document, schema));
        }
    }
    if schema["nullable"] == true {
        found.insert("null".to_owned());
    }
    found
}

/// The words of an enumeration, be it written as `enum` or as alternatives.
fn words(document: &Value, schema: &Value) -> BTreeSet<String> {
    let schema = resolved(document, schema);
    let own = schema["enum"].as_array().into_iter().flatten().chain(schema.get("const")).filter_map(Value::as_str);
    let mut found: BTreeSet<String> = own.map(str::to_owned).collect();
    for alternatives in ["anyOf", "oneOf"] {
        for schema in schema[alternatives].as_array().into_iter().flatten() {
            found.extend(words(document, schema));
        }
    }
    found
}

/// The fields of a schema, those within others by their path.
fn fields(document: &Value, schema: &Value, prefix: &str, found: &mut BTreeMap<String, Field>) {
    let schema = resolved(document, schema);
    assert!(prefix.matches('.').count() < 8, "{prefix} is nested too deep to compare");
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let required = schema["required"].as_array().is_some_and(|names| names.iter().any(|known| known == name));
        let resolved = resolved(document, property);
        let field = Field {
            types: types(document, property),
            required,
            // Beside a reference stands what is said of this use of it.
            default: property.get("default").or(resolved.get("default")).filter(|value| !value.is_null()).cloned(),
            words: words(document, property),
        };
        fields(document, property, &format!("{path}."), found);
        if resolved["items"].is_object() {
            fields(document, &resolved["items"], &format!("{path}[]."), found);
        }
        found.insert(path, field);
    }
}

fn fields_of(document: &Value, message: &Value) -> BTreeMap<String, Field> {
    let mut found = BTreeMap::new();
    fields(document, &resolved(document, message)["content"]["application/json"]["schema"], "", &mut found);
    found
}

/// Whether everything that `narrow` allows is allowed by `wide`; an integer is a number.
fn fits(narrow: &BTreeSet<String>, wide: &BTreeSet<String>) -> bool {
    let allowed = |one: &String| wide.contains(one) || one == "integer" && wide.contains("number");
    wide.is_empty() || !narrow.is_empty() && narrow.iter().all(allowed)
}

struct Comparison<'a> {
    reference: &'a Value,
    ours: &'a Value,
    problems: Vec<String>,
}

impl Comparison<'_> {
    fn problem(&mut self, place: &str, what: &str) {
        self.problems.push(format!("{place}: {what}"));
    }

    fn operation(&mut self, name: &str, theirs: &Value, ours: &Value) {
        self.parameters(name, theirs, ours);
        self.body(name, theirs, ours);
        for (status, response) in theirs["responses"].as_object().into_iter().flatten() {
            let place = format!("{name} {status}");
            if ours["responses"][status].is_object() {
                self.response(&place, response, &ours["responses"][status]);
            } else {
                self.problem(&place, "the status is missing");
            }
        }
        for status in ours["responses"].as_object().into_iter().flatten().map(|(status, _)| status) {
            if status.starts_with('2') && theirs["responses"][status].is_null() {
                self.problem(name, &format!("succeeds with {status}"));
            }
        }
        let open = |document: &Value, operation: &Value| {
            let security = operation.get("security").unwrap_or(&document["security"]).as_array().cloned();
            security.unwrap_or_default().iter().any(|one| one.as_object().is_some_and(serde_json::Map::is_empty))
                || operation["security"].as_array().is_some_and(Vec::is_empty)
        };
        if open(self.reference, theirs) != open(self.ours, ours) {
            self.problem(name, "asks others for a key");
        }
    }

    fn parameters(&mut self, name: &str, theirs: &Value, ours: &Value) {
        let (reference, document) = (self.reference, self.ours);
        let have: Vec<_> =
            ours["parameters"].as_array().into_iter().flatten().map(|one| resolved(document, one)).collect();
        let same = |one: &Value, other: &Value| {
            let name = |parameter: &Value| parameter["name"].as_str().unwrap_or_default().to_ascii_lowercase();
            name(one) == name(other) && one["in"] == other["in"]
        };
        let wanted: Vec<_> =
            theirs["parameters"].as_array().into_iter().flatten().map(|one| resolved(reference, one)).collect();
        for parameter in &wanted {
            let place = format!("{name} parameter {}", parameter["name"]);
            let Some(mine) = have.iter().find(|mine| same(mine, parameter)) else {
                self.problem(&place, "is missing");
                continue;
            };
            let (wanted, found) = (&parameter["schema"], &mine["schema"]);
            if !fits(&types(reference, wanted), &types(document, found)) {
                self.problem(&place, &format!("has another type: {found}"));
            }
            if mine["required"] == true && parameter["required"] != true {
                self.problem(&place, "is required");
            }
            if !words(reference, wanted).is_empty() && words(reference, wanted) != words(document, found) {
                self.problem(&place, &format!("takes other words: {found}"));
            }
            if wanted.get("default").is_some_and(|default| resolved(document, found)["default"] != *default) {
                self.problem(&place, &format!("has another default: {found}"));
            }
        }
        for mine in have.iter().filter(|mine| mine["required"] == true) {
            if !wanted.iter().any(|parameter| same(mine, parameter)) {
                self.problem(name, &format!("requires the parameter {}", mine["name"]));
            }
        }
    }

    fn body(&mut self, name: &str, theirs: &Value, ours: &Value) {
        if !theirs["requestBody"].is_object() {
            if ours["requestBody"]["required"] == true {
                self.problem(name, "requires a body");
            }
            return;
        }
        let wanted = fields_of(self.reference, &theirs["requestBody"]);
        let found = fields_of(self.ours, &ours["requestBody"]);
        if ours["requestBody"]["required"] == true && theirs["requestBody"]["required"] != true {
            self.problem(name, "requires a body");
        }
        for (path, field) in &wanted {
            let place = format!("{name} body {path}");
            let Some(mine) = found.get(path) else {
                self.problem(&place, "is missing");
                continue;
            };
            if !fits(&field.types, &mine.types) {
                self.problem(&place, &format!("takes {:?}, not {:?}", mine.types, field.types));
            }
            if field.default.is_some() && field.default != mine.default {
                self.problem(&place, &format!("has the default {:?}, not {:?}", mine.default, field.default));
            }
            if !field.words.is_subset(&mine.words) {
                self.problem(&place, &format!("takes {:?}, not {:?}", mine.words, field.words));
            }
        }
        for (path, mine) in found.iter().filter(|(path, mine)| mine.required && !path.contains('.')) {
            if wanted.get(path).is_none_or(|field| !field.required) {
                self.problem(&format!("{name} body {path}"), &format!("is required, as {:?}", mine.types));
            }
        }
    }

    fn response(&mut self, place: &str, theirs: &Value, ours: &Value) {
        let found = fields_of(self.ours, ours);
        for (path, field) in fields_of(self.reference, theirs) {
            let place = format!("{place} {path}");
            let Some(mine) = found.get(&path) else {
                self.problem(&place, "is missing");
                continue;
            };
            if WIDER.contains(&place.as_str()) {
                assert!(!fits(&mine.types, &field.types), "{place} fits now: take it out of WIDER");
            } else if !fits(&mine.types, &field.types) {
                self.problem(&place, &format!("answers {:?}, not {:?}", mine.types, field.types));
            }
            if field.required && !mine.required {
                self.problem(&place, "may be missing");
            }
        }
    }
}

#[test]
fn our_openapi_document_holds_everything_that_the_reference_states() {
    let reference: Value = serde_json::from_str(include_str!("../reference/openapi.json")).unwrap();
    let house = House::new();
    let server = house.serve();
    let ours = server.anonymous().get("/openapi.json").ok();
    let mut comparison = Comparison { reference: &reference, ours: &ours, problems: Vec::new() };
    let mut compared = 0;
    for (path, methods) in reference["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = format!("{method} {path}");
            let mine = &ours["paths"][path][method];
            if mine.is_object() {
                comparison.operation(&name, operation, mine);
                compared += 1;
            } else {
                comparison.problem(&name, "is missing");
            }
        }
    }
    assert!(comparison.problems.is_empty(), "{:#?}", comparison.problems);
    assert_eq!(compared, 31, "an operation of the reference was passed over");
}
