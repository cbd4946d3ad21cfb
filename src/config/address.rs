//! Addresses as operators write them: where a server listens, where clients reach it, and which hosts and origins are accepted.

use reqwest::Url;

/// Reads an address and a port to listen on, such as `127.0.0.1:8000` or `localhost:0`. A port alone is refused: it would
/// leave open whether other machines may come.
pub fn parse_listen(text: &str) -> Result<String, String> {
    let text = text.trim();
    let expected = "expected an address and a port, such as 127.0.0.1:8000 for this machine alone, or 0.0.0.0:8000 for \
                    every machine that reaches it";
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    match (host, port.parse::<u16>()) {
        ("", Ok(_)) => Err(format!("`{text}` names no address: {expected}")),
        ("", Err(_)) => Err(format!("`{text}` is no address with a port: {expected}")),
        (_, Err(_)) => Err(format!("`{port}` is no port from 0 to 65535: {expected}")),
        (_, Ok(_)) if text.contains("://") || text.contains('/') => {
            Err(format!("`{text}` is a URL, not where to listen: {expected}"))
        }
        _ => Ok(text.to_owned()),
    }
}

/// Reads where clients reach a server, such as `https://haldir.example.com`; returns it without a slash at its end.
pub fn parse_public_url(text: &str) -> Result<String, String> {
    let expected = "expected where clients reach the server, such as https://haldir.example.com";
    let trimmed = text.trim().trim_end_matches('/');
    let url = trimmed.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else { return Err(format!("`{text}` is no http or https address: {expected}")) };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{expected}, without user, query and fragment"));
    }
    Ok(trimmed.to_owned())
}

/// Reads the origin of a page, such as `https://app.example.com`: a scheme, a host and perhaps a port.
pub fn parse_origin(text: &str) -> Result<String, String> {
    let expected = format!("`{text}` is no origin: expected a scheme and a host, such as https://app.example.com");
    let trimmed = text.trim().trim_end_matches('/');
    let Some((scheme, host)) = trimmed.split_once("://") else { return Err(expected) };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let is_host = !host.is_empty() && !host.contains(['/', '?', '#', '@', '*']) && !host.contains(char::is_whitespace);
    if is_scheme && is_host { Ok(trimmed.to_owned()) } else { Err(expected) }
}

/// Reads a host name as it stands in a Host header, without its port.
pub fn parse_host(text: &str) -> Result<String, String> {
    let text = text.trim();
    let expected =
        format!("`{text}` is no host name: expected one without scheme and port, such as haldir.example.com");
    let is_literal = text.starts_with('[') && text.ends_with(']');
    let is_name = !text.is_empty() && !text.contains(['/', ':', '@', '*']) && !text.contains(char::is_whitespace);
    if is_literal || is_name { Ok(text.to_owned()) } else { Err(expected) }
}

/// The origin of an address, as browsers send it.
pub fn origin_of(url: &str) -> Option<String> {
    url.parse::<Url>().ok().map(|url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_on_has_a_host_and_a_port() {
        for text in ["127.0.0.1:8000", "localhost:0", "[::1]:8000", "0.0.0.0:65535"] {
            assert_eq!(parse_listen(text), Ok(text.to_owned()));
        }
        for text in ["8000", ":8000", "localhost", "localhost:http", "127.0.0.1:70000", "http://localhost:8000", ""] {
            assert!(parse_listen(text).is_err_and(|problem| problem.contains("127.0.0.1:8000")), "{text}");
        }
    }

    #[test]
    fn a_public_url_is_an_address_without_a_slash_at_its_end() {
        for (text, read) in [
            ("https://haldir.example.com", "https://haldir.example.com"),
            ("https://haldir.example.com//", "https://haldir.example.com"),
            ("http://127.0.0.1:8000/haldir/", "http://127.0.0.1:8000/haldir"),
        ] {
            assert_eq!(parse_public_url(text), Ok(read.to_owned()));
        }
        for text in ["foo", "haldir.example.com", "ftp://example.com", "https://", "https://a/?b", "https://u:p@a", ""]
        {
            assert!(parse_public_url(text).is_err_and(|problem| problem.contains("https://haldir")), "{text}");
        }
        assert_eq!(origin_of("https://haldir.example.com:443/a").as_deref(), Some("https://haldir.example.com"));
    }

    #[test]
    fn origins_and_hosts_are_what_browsers_send() {
        for text in ["https://app.example.com", "http://localhost:3000", "chrome-extension://abcdef"] {
            assert_eq!(parse_origin(text), Ok(text.to_owned()));
        }
        assert_eq!(parse_origin("https://app.example.com/"), Ok("https://app.example.com".to_owned()));
        for text in ["app.example.com", "https://app.example.com/page", "*", "https://*", "null", ""] {
            assert!(parse_origin(text).is_err(), "{text}");
        }
        for (text, good) in
            [("a.example", true), ("[::1]", true), ("a.example:80", false), ("https://a", false), ("", false)]
        {
            assert_eq!(parse_host(text).is_ok(), good, "{text}");
        }
    }
}
