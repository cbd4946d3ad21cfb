//! JSON that every reader understands alike. Where a key stands twice, or once in another case, one reader takes the
//! first, another the last, a third does not mind the case: what a rule has judged would not be what the upstream
//! reads. So such JSON is refused.

use std::{borrow::Cow, fmt};

use haldir_core::model::text::folded;
use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::{RawValue, to_raw_value};

use crate::message::quoted;

/// Levels of arrays and objects in each other.
const MAX_DEPTH: usize = 64;
/// Names of an object that are few.
const FEW: usize = 12;

/// A JSON object: its names and the text of its values, in the order they were written. No name stands twice.
#[derive(Default)]
pub struct Object<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// The value under a name.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Its text with this value, as JSON, under a name in place of what stands there, if anything does.
    pub fn with(&self, name: &str, value: &str) -> String {
        let others = self.0.iter().filter(|(known, _)| known != name);
        written(others.map(|(known, other)| (known.as_ref(), other.get())).chain([(name, value)]))
    }

    /// The same, if it has no two names which differ in their case only.
    pub fn distinct(self) -> Result<Self, String> {
        match self.confusable() {
            Some(name) => Err(format!("`{}` stands twice in one object, in different case", shown(name))),
            None => Ok(self),
        }
    }

    /// Two names that are the same but for their case, if there are such.
    fn confusable(&self) -> Option<&str> {
        if self.0.len() <= FEW && self.0.iter().all(|(name, _)| name.is_ascii()) {
            return same(&self.0, |(one, _), (other, _)| one.eq_ignore_ascii_case(other))
                .map(|(name, _)| name.as_ref());
        }
        let mut folded: Vec<_> = self.0.iter().map(|(name, _)| (folded(name), name)).collect();
        folded.sort();
        folded.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1.as_ref())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut entries: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    entries.push((name, map.next_value()?));
                }
                match twice(&entries) {
                    Some(name) => Err(A::Error::custom(format!("`{}` stands twice in one object", shown(name)))),
                    None => Ok(Object(entries)),
                }
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// A name that stands twice, if there is one.
fn twice<'n>(entries: &'n [(Cow<'_, str>, &RawValue)]) -> Option<&'n str> {
    if entries.len() <= FEW {
        return same(entries, |(one, _), (other, _)| one == other).map(|(name, _)| name.as_ref());
    }
    let mut names: Vec<&str> = entries.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[1])
}

/// One of a few that is the same as another, each held against each: that takes less than to sort them.
fn same<T>(few: &[T], is_same: impl Fn(&T, &T) -> bool) -> Option<&T> {
    few.iter()
        .enumerate()
        .find(|(place, one)| few[..*place].iter().any(|other| is_same(other, one)))
        .map(|(_, one)| one)
}

/// A name, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A JSON object that can be changed: its members in their order and as they were written; of two of one name, the last.
#[derive(Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Members(IndexMap<String, Box<RawValue>>);

impl Members {
    /// Reads an object; `None` if it is none.
    pub fn of(object: &RawValue) -> Option<Self> {
        serde_json::from_str(object.get()).ok()
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.get(name).map(|value| &**value)
    }

    /// The member, if it is text.
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Sets a member, in the place of what stands under its name.
    pub fn set(&mut self, name: &str, value: Box<RawValue>) {
        self.0.insert(name.to_owned(), value);
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }

    /// As JSON.
    pub fn written(&self) -> Option<Box<RawValue>> {
        to_raw_value(self).ok()
    }
}

/// An object with these members, whose values are JSON.
pub fn written(members: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>) -> String {
    let mut text = String::from("{");
    for (name, value) in members {
        if text.len() > 1 {
            text.push(',');
        }
        text.extend([&*quoted(name.as_ref()), ":", value.as_ref()]);
    }
    text.push('}');
    text
}

/// Reads an object that has no two names which differ in their case only.
pub fn object(json: &RawValue) -> Result<Object<'_>, String> {
    members(json)?.distinct()
}

/// Reads an object in which no object, at any depth, has a name twice.
pub fn unambiguous_object(json: &RawValue) -> Result<Object<'_>, String> {
    let object = members(json)?;
    object.0.iter().try_for_each(|(_, value)| walk(value, MAX_DEPTH - 1))?;
    Ok(object)
}

fn members(json: &RawValue) -> Result<Object<'_>, String> {
    serde_json::from_str(json.get()).map_err(|error| error.to_string())
}

/// Whether no object in this value, at any depth, has a name twice.
pub fn unambiguous(json: &RawValue) -> Result<(), String> {
    walk(json, MAX_DEPTH)
}

fn walk(json: &RawValue, depth: usize) -> Result<(), String> {
    let Some(below) = depth.checked_sub(1) else {
        return Err(format!("more than {MAX_DEPTH} arrays and objects in each other"));
    };
    match json.get().as_bytes().first() {
        Some(b'{') => members(json)?.0.iter().try_for_each(|(_, value)| walk(value, below)),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json.get()).map_err(|error| error.to_string())?;
            items.into_iter().try_for_each(|value| walk(value, below))
        }
        _ => Ok(()),
    }
}

fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    /// More names than a few, and this one.
    fn many(name: &str) -> String {
        let others: Vec<_> = (0..2 * FEW).map(|number| format!("\"a{number}\":0")).collect();
        format!("{{{},\"{name}\":1}}", others.join(","))
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_at_any_depth_and_in_any_spelling() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":[{"y":{"path":"a","path":"b"}}]}"#,
            r#"[{"a":1,"b":2,"a":3}]"#,
            &many("a1"),
        ] {
            assert!(unambiguous(&raw(text)).unwrap_err().contains("twice"), "{text}");
        }
        for confusable in [r#"{"name":"a","Name":"b"}"#, r#"{"ä":"a","Ä":"b"}"#, &many("A1")] {
            assert!(object(&raw(confusable)).is_err_and(|why| why.contains("different case")), "{confusable}");
        }
        assert!(object(&raw(&many("a"))).is_ok_and(|object| object.0.len() == 2 * FEW + 1));
        let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
        assert!(unambiguous(&raw(&deep)).is_err());
        for text in [r#"{"a":{"a":{"a":[1,2.50,"x"]}},"b":null}"#, "[]", "1e400", r#""a""#] {
            unambiguous(&raw(text)).unwrap();
        }
    }
}
