//! A pack as Markdown and as a web page. Names in it come from operators and agents; both formats escape them by default.

use std::fmt::{self, Write};

use askama::{Template, filters::Escaper};

use super::{
    document::{self, Section},
    pack::Pack,
};
use crate::error::{Error, Result};

#[derive(Template)]
#[template(path = "evidence.markdown")]
struct Markdown<'a> {
    pack: &'a Pack,
    sections: Vec<Section>,
}

#[derive(Template)]
#[template(path = "evidence.html")]
struct Html<'a> {
    pack: &'a Pack,
    sections: Vec<Section>,
}

/// As Markdown (`CommonMark` with tables).
pub fn markdown(pack: &Pack) -> Result<String> {
    Markdown { pack, sections: sections(pack)? }.render().map_err(Error::internal)
}

/// As one self-contained web page.
pub fn html(pack: &Pack) -> Result<String> {
    Html { pack, sections: sections(pack)? }.render().map_err(Error::internal)
}

fn sections(pack: &Pack) -> Result<Vec<Section>> {
    pack.signatures.as_ref().ok_or_else(|| Error::internal("the pack is not signed"))?;
    document::sections(pack)
}

/// Escapes text for a line or a cell of Markdown, so that no part of it is mark-up, HTML, a link or a line break.
#[derive(Clone, Copy, Debug, Default)]
pub struct MarkdownEscaper;

impl Escaper for MarkdownEscaper {
    fn write_escaped_str<W: Write>(&self, mut dest: W, string: &str) -> fmt::Result {
        // Some renderers turn a bare address into a link, so `:/` and `w.` are escaped.
        let mut before = ' ';
        for c in string.chars() {
            let begins_link = (before == ':' && c == '/') || (before == 'w' && c == '.');
            before = c;
            match c {
                '/' | '.' if begins_link => write!(dest, "\\{c}")?,
                '<' => dest.write_str("&lt;")?,
                '>' => dest.write_str("&gt;")?,
                '&' => dest.write_str("&amp;")?,
                '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '@' => write!(dest, "\\{c}")?,
                '\n' | '\r' | '\t' => dest.write_char(' ')?,
                c => dest.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        let mut text = String::new();
        let hostile = "<script>|[x](https://e.example) `a` **b**\n# c \\ www.e.example &lt;";
        MarkdownEscaper.write_escaped_str(&mut text, hostile).unwrap();
        assert_eq!(
            text,
            "&lt;script&gt;\\|\\[x\\](https:\\//e.example) \\`a\\` \\*\\*b\\*\\* \\# c \\\\ www\\.e.example &amp;lt;"
        );
    }
}
