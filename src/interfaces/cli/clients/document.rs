//! A client's file as a tree of values, each with the place where it stands in the text: an edit replaces those bytes and
//! nothing else, so comments, order and layout stay.

mod jsonc;
mod toml;
mod yaml;

use std::{ops::Range, path::Path};

/// Levels of arrays and objects in each other.
const MAX_DEPTH: usize = 128;

/// A text as JSON writes it, which TOML and YAML read as well.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// How a client writes its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, with comments and commas at the end as editors take them.
    Json,
    /// TOML 1.0.
    Toml,
    /// YAML 1.2.
    Yaml,
}

impl Format {
    /// By the file's extension; JSON for what is not known.
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::Toml,
            Some("yaml" | "yml") => Self::Yaml,
            _ => Self::Json,
        }
    }

    /// Reads a document.
    pub fn parse(self, text: &str) -> Result<Node, String> {
        match self {
            Self::Json => jsonc::parse(text),
            Self::Toml => toml::parse(text),
            Self::Yaml => yaml::parse(text),
        }
    }
}

/// A value, and where it stands.
#[derive(Debug)]
pub struct Node {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What it is.
    pub value: Value,
}

/// A name and its value.
#[derive(Debug)]
pub struct Member {
    /// What it is called.
    pub name: String,
    /// Where the name stands, with its quotes.
    pub key: Range<usize>,
    /// What it is.
    pub value: Node,
}

/// What a value is.
#[derive(Debug)]
pub enum Value {
    /// Names and values, in their order.
    Object(Vec<Member>),
    /// Values, in their order.
    Array {
        /// The values.
        items: Vec<Node>,
        /// Whether each stands behind a dash on a line of its own, as YAML has it.
        is_block: bool,
    },
    /// A text.
    Text(String),
    /// A number, a boolean, null, or what stands for another value.
    Other,
}

impl Node {
    /// An object without members.
    pub fn empty_object(span: Range<usize>) -> Self {
        Self { span, value: Value::Object(Vec::new()) }
    }

    /// The value under a name, if this is an object that has it. Of several the last, which is the one that clients take.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.member(name).map(|member| &member.value)
    }

    /// The member of a name; of several the last, as for [`Self::get`].
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members().iter().rfind(|member| member.name == name)
    }

    /// The members, if this is an object.
    pub fn members(&self) -> &[Member] {
        if let Value::Object(members) = &self.value { members } else { &[] }
    }

    /// The items, if this is an array.
    pub fn items(&self) -> Option<&[Self]> {
        if let Value::Array { items, .. } = &self.value { Some(items) } else { None }
    }

    /// The text, if this is one.
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }
}
