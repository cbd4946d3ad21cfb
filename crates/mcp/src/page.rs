//! Pages of a server's list of tools (specification, Server features, Pagination).

use serde::Deserialize;
use serde_json::value::RawValue;

/// Pages of a list: a list with more has no end that haldir reaches.
pub const MAX_PAGES: usize = 100;

/// One page.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolPage<'a> {
    /// The tools, as they were written.
    #[serde(borrow, default)]
    pub tools: Vec<&'a RawValue>,
    /// What the next page is asked for with.
    #[serde(borrow, default)]
    pub next_cursor: Option<&'a RawValue>,
}

/// A list of tools, page by page.
#[derive(Default)]
pub struct Listing {
    tools: Vec<Box<RawValue>>,
    /// What its pages were asked for with, as it was written; the last one is that of the page that comes next.
    cursors: Vec<String>,
}

/// What follows a page.
#[derive(Debug)]
pub enum After {
    /// The page with this cursor.
    Page(String),
    /// Nothing: these are all.
    All {
        /// The tools.
        tools: Vec<Box<RawValue>>,
        /// Whether the list had no end: its cursors repeat, or it has too many pages or tools. What came of it is used.
        cut: bool,
    },
}

impl Listing {
    /// One more page of a list that may have so many tools.
    pub fn take(&mut self, page: ToolPage<'_>, max_tools: usize) -> After {
        self.tools.extend(page.tools.into_iter().map(ToOwned::to_owned));
        let next = page.next_cursor.map(RawValue::get).filter(|cursor| !matches!(*cursor, "null" | "\"\""));
        let repeats = next.is_some_and(|next| self.cursors.iter().any(|cursor| cursor == next));
        match next {
            Some(next) if !repeats && self.cursors.len() + 1 < MAX_PAGES && self.tools.len() <= max_tools => {
                self.cursors.push(next.to_owned());
                After::Page(next.to_owned())
            }
            next => {
                let mut tools = std::mem::take(self).tools;
                if next.is_some() {
                    tools.truncate(max_tools);
                }
                After::All { tools, cut: next.is_some() }
            }
        }
    }

    /// Whether this cursor, as it was written, is that of the page that comes next.
    pub fn expects(&self, cursor: &str) -> bool {
        self.cursors.last().is_some_and(|next| next == cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(cursor: &str) -> String {
        format!(r#"{{"tools":[{{"name":"a"}}],"nextCursor":{cursor}}}"#)
    }

    #[test]
    fn a_list_ends_with_its_last_page_or_where_its_cursors_repeat() {
        for last in ["null", "\"\"", "\"1\""] {
            let mut listing = Listing::default();
            let first = page("\"1\"");
            assert!(
                matches!(listing.take(serde_json::from_str(&first).unwrap(), 9), After::Page(next) if next == "\"1\"")
            );
            assert!(listing.expects("\"1\"") && !listing.expects("\"2\""));
            let second = page(last);
            let After::All { tools, cut } = listing.take(serde_json::from_str(&second).unwrap(), 9) else { panic!() };
            assert_eq!((tools.len(), cut), (2, last == "\"1\""));
        }
        let (mut listing, text) = (Listing::default(), page("\"1\""));
        let After::All { tools, cut } = listing.take(serde_json::from_str(&text).unwrap(), 0) else { panic!() };
        assert!(tools.is_empty() && cut);
    }
}
