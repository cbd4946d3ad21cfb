//! JSON pointers (RFC 6901) into JSON text. The result is the unchanged text.

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of an object.
pub type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// The members of an object; none if the text is no object.
pub fn members(json: &str) -> Members<'_> {
    serde_json::from_str(json).unwrap_or_default()
}

/// The value at a JSON pointer (RFC 6901).
pub fn at<'a>(arguments: &Members<'a>, pointer: &str) -> Option<&'a str> {
    let mut steps = steps(pointer)?;
    let mut found = arguments.get(steps.next()?.as_str())?.get();
    for step in steps {
        found = match found.as_bytes().first() {
            Some(b'{') => members(found).get(step.as_str())?.get(),
            Some(b'[') => item(found, &step)?,
            _ => return None,
        };
    }
    Some(found)
}

fn steps(pointer: &str) -> Option<impl Iterator<Item = String>> {
    Some(pointer.strip_prefix('/')?.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")))
}

fn item<'a>(array: &'a str, step: &str) -> Option<&'a str> {
    let items: Vec<&RawValue> = serde_json::from_str(array).ok()?;
    Some(items.get(usize::from_str(step).ok().filter(|index| index.to_string() == step)?)?.get())
}

/// An object on the path has a duplicate member: readers differ on which one counts.
#[derive(Debug, PartialEq, Eq)]
pub struct Twice;

/// The value at a JSON pointer in another program's text, if it is unambiguous.
pub fn only_at<'a>(json: &'a str, pointer: &str) -> Result<Option<&'a str>, Twice> {
    let Some(steps) = steps(pointer) else { return Ok(None) };
    let mut found = json.trim_ascii();
    for step in steps {
        let next = match found.as_bytes().first() {
            Some(b'{') => Member(&step).deserialize(&mut serde_json::Deserializer::from_str(found)),
            Some(b'[') => Ok(Ok(item(found, &step))),
            _ => return Ok(None),
        };
        match next {
            Ok(Ok(Some(next))) => found = next,
            Ok(Ok(None)) | Err(_) => return Ok(None),
            Ok(Err(twice)) => return Err(twice),
        }
    }
    Ok(Some(found))
}

/// Reads the one member of this name.
struct Member<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Result<Option<&'de str>, Twice>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Result<Option<&'de str>, Twice>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let mut twice = false;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if name == self.0 {
                twice |= found.replace(map.next_value::<&RawValue>()?.get()).is_some();
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(if twice { Err(Twice) } else { Ok(found) })
    }
}

/// The first part of a pointer that leads to a value, such as a string, in which the next step cannot exist.
#[cfg_attr(not(feature = "cedar"), allow(dead_code, reason = "only Cedar policies need it"))]
pub fn blocked<'p>(arguments: &Members<'_>, pointer: &'p str) -> Option<&'p str> {
    let ends = pointer.match_indices('/').map(|(at, _)| at).skip(1);
    ends.map(|end| pointer.split_at(end)).find_map(|(before, rest)| {
        let next = rest[1..].split('/').next().unwrap_or_default();
        let leads_on = match at(arguments, before)?.as_bytes().first() {
            Some(b'{' | b'n') => true,
            Some(b'[') => next.parse::<usize>().is_ok(),
            _ => false,
        };
        (!leads_on).then_some(before)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_hold_a_place_is_found_in_front_of_it() {
        let json = r#"{"text":"{\"force\":true}","list":[{"a":1}],"object":{"a":{}},"none":null}"#;
        let arguments = members(json);
        for (pointer, found) in [
            ("/text/force", Some("/text")),
            ("/text/force/more", Some("/text")),
            ("/list/force", Some("/list")),
            ("/list/0/a/b", Some("/list/0/a")),
            ("/list/0/b", None),
            ("/list/7/b", None),
            ("/object/a/b/c", None),
            ("/none/a", None),
            ("/text", None),
            ("/missing/a", None),
        ] {
            assert_eq!(blocked(&arguments, pointer), found, "{pointer}");
        }
    }

    #[test]
    fn a_place_is_found_as_rfc_6901_has_it() {
        let json = r#"{"a":{"b":["x",{"c":1}]},"":2,"m~n":3,"o/p":4}"#;
        let arguments = members(json);
        for (pointer, found) in [
            ("/a/b/0", Some("\"x\"")),
            ("/a/b/1/c", Some("1")),
            ("/", Some("2")),
            ("/m~0n", Some("3")),
            ("/o~1p", Some("4")),
            ("/a/b/2", None),
            ("/a/b/00", None),
            ("/a/b/-", None),
            ("/a/b/0/c", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(at(&arguments, pointer), found, "{pointer}");
            assert_eq!(only_at(json, pointer), Ok(found), "{pointer}");
        }
        let twice = r#"{"a":{"b":1,"b":2},"c":3,"\u0063":4,"d":5}"#;
        for pointer in ["/a/b", "/c"] {
            assert_eq!(only_at(twice, pointer), Err(Twice), "{pointer}");
        }
        assert_eq!(only_at(twice, "/d"), Ok(Some("5")));
    }
}
