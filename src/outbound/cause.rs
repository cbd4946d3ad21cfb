//! Why a server was not reached: a class of error for the caller, and the whole chain for the operator's log.

use std::{
    collections::BTreeMap,
    error::Error,
    io,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use reqwest::Url;

/// Host and port of an address, without path and query, which may hold secrets.
pub fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The log names one unreachable server at most this often.
const LOG_EVERY: Duration = Duration::from_secs(60);
/// Servers that the log names within that time.
const MAX_LOGGED: usize = 1_024;

/// Whether the log may name this unreachable server again.
pub fn is_due(place: &str) -> bool {
    static LOGGED: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());
    let mut logged = LOGGED.lock();
    logged.retain(|_, last| last.elapsed() < LOG_EVERY);
    let is_due = !logged.contains_key(place) && logged.len() < MAX_LOGGED;
    if is_due {
        logged.insert(place.to_owned(), Instant::now());
    }
    is_due
}

/// An error and its sources, in one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let deeper_text = deeper.to_string();
        // Some errors repeat their source.
        if !text.ends_with(&deeper_text) {
            text = format!("{text}: {deeper_text}");
        }
        cause = deeper.source();
    }
    text
}

/// The class of a time-out.
pub const LATE: &str = "there was no answer in time";

/// The class of an error. It contains no address, path or header.
pub fn class(error: &(dyn Error + 'static)) -> &'static str {
    let mut next = Some(error);
    let mut found = "the connection could not be made";
    while let Some(error) = next {
        if let Some(class) = error.downcast_ref::<io::Error>().and_then(of_io) {
            found = class;
        }
        if error.downcast_ref::<rustls::Error>().is_some() {
            return of_tls(error.downcast_ref());
        }
        // `source` skips the error inside an I/O error, which may be an I/O error too.
        let mut io = error.downcast_ref::<io::Error>();
        while let Some(held) = io.and_then(io::Error::get_ref) {
            if let Some(tls) = held.downcast_ref::<rustls::Error>() {
                return of_tls(Some(tls));
            }
            io = held.downcast_ref::<io::Error>();
            found = io.and_then(of_io).unwrap_or(found);
        }
        if let Some(reqwest) = error.downcast_ref::<reqwest::Error>()
            && reqwest.is_timeout()
        {
            found = LATE;
        }
        let text = error.to_string();
        if text.starts_with("dns error") || text.ends_with("has no address") {
            found = "its name has no address";
        }
        next = error.source();
    }
    found
}

fn of_io(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused: nothing listens there",
        io::ErrorKind::TimedOut => LATE,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "there is no way to its network",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::UnexpectedEof => {
            "the connection broke off"
        }
        _ => return None,
    })
}

fn of_tls(error: Option<&rustls::Error>) -> &'static str {
    use rustls::{CertificateError, Error};
    match error {
        Some(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            "TLS failed: its certificate has expired"
        }
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "TLS failed: its certificate is for another name",
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "TLS failed: its certificate is of an issuer that is not trusted"
        }
        Some(Error::InvalidMessage(_)) => "TLS failed: what answers does not speak TLS",
        _ => "TLS failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_class_of_a_cause_names_what_is_wrong_and_no_address() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let plain = std::thread::spawn(move || {
            use std::io::Write;
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let ask = async |url: String| client.get(url).send().await.unwrap_err();
        let no_tls = ask(format!("https://127.0.0.1:{port}/secret-path")).await;
        plain.join().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let refused = ask(format!("http://127.0.0.1:{free}/secret-path")).await;
        let nameless = ask("http://nothing.invalid/".to_owned()).await;
        for (error, expected) in
            [(&no_tls, "speak TLS"), (&refused, "connection was refused"), (&nameless, "name has no address")]
        {
            let class = class(error);
            assert!(class.contains(expected), "{class} for {}", chain(error));
        }
        assert_eq!(place(&Url::parse("https://h.example/secret").unwrap()), "h.example:443");
    }
}
