//! The addresses that haldir may call: http and https, and no network that only this machine can reach. Names are resolved
//! and checked when an address is registered, and again at every connection.

pub mod cause;
pub mod connect;
pub mod http_client;

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Client, ClientBuilder, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};

use self::connect::{ConnectOptions, OptionsByOrigin};
use crate::error::{Code, Error, Result};

/// The longest address, in characters.
pub const MAX_URL_CHARS: usize = 2_048;
/// The time limit of a name look-up.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time limit of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections that a client keeps open to one address.
const MAX_IDLE_CONNECTIONS: usize = 64;
/// The `User-Agent` of every request.
const USER_AGENT: &str = concat!("Haldir/", env!("CARGO_PKG_VERSION"));

/// Which addresses may be called: public ones, and the hosts that the operator allows besides.
#[derive(Clone, Debug, Default)]
pub struct Outbound {
    allowed: Arc<BTreeSet<String>>,
    options: OptionsByOrigin,
}

impl Outbound {
    /// Allows these hosts, names or addresses, wherever they lead.
    pub fn new(hosts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let allowed = hosts.into_iter().map(|host| plain(host.as_ref())).filter(|host| !host.is_empty()).collect();
        Self { allowed: Arc::new(allowed), options: OptionsByOrigin::default() }
    }

    /// The same, with connection options for some origins.
    #[must_use]
    pub fn with_options(self, options: OptionsByOrigin) -> Self {
        Self { options, ..self }
    }

    /// Refuses an address whose connection options belong to another tenant: it would be called with that tenant's
    /// certificate.
    pub fn require_tenant(&self, url: &str, tenant: &str) -> Result<()> {
        if self.options.is_empty() {
            return Ok(());
        }
        match self.options.to(&self.parse(url)?) {
            Some(options) if !options.is_of(tenant) => {
                Err(unsafe_url("the config file of this server keeps this address for another tenant"))
            }
            _ => Ok(()),
        }
    }

    /// Parses an address, and checks what needs no name look-up.
    pub fn parse(&self, text: &str) -> Result<Url> {
        if text.chars().count() > MAX_URL_CHARS {
            return Err(unsafe_url(format!("the address has more than {MAX_URL_CHARS} characters")));
        }
        // The URL standard drops line breaks and reads `http:host` as `http://host`: the address that is listed would then
        // differ from the one that is called.
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(unsafe_url("the address must begin with http:// or https://"));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(unsafe_url("the address must not contain white space, control characters or backslashes"));
        }
        let url = Url::parse(text).map_err(|_| unsafe_url("expected an address such as https://example.com/hook"))?;
        self.check_form(&url)?;
        Ok(url)
    }

    /// Whether haldir may call this address, judged by its form, and by its host if that is an IP address. Callers of
    /// [`Self::client`] check this before every request, since the client checks only names that it looks up.
    pub fn check_form(&self, url: &Url) -> Result<()> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unsafe_url("the address must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(unsafe_url("the address must not contain a user name or a password"));
        }
        if url.port() == Some(0) {
            return Err(unsafe_url("the address has port 0, where nothing can listen"));
        }
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() {
            return Err(unsafe_url("the address has no host"));
        }
        match literal(host) {
            Some(ip) if !self.allows_host(host) && !is_public(ip) => Err(not_public(host)),
            _ => Ok(()),
        }
    }

    /// Whether haldir may call this address as its name resolves now.
    pub async fn check(&self, url: &Url) -> Result<()> {
        self.check_form(url)?;
        let host = url.host_str().unwrap_or_default();
        // The operator chose a proxy for this address, and the proxy looks names up.
        let is_proxied = self.options.to(url).is_some_and(ConnectOptions::has_proxy);
        if is_proxied || self.allows_host(host) || literal(host).is_some() {
            return Ok(());
        }
        self.resolve(host).await.map(drop).map_err(unsafe_url)
    }

    /// An HTTP client that connects to names only where they lead to allowed addresses, takes no proxy from the
    /// environment, and follows no redirect.
    pub fn client(&self, timeout: Duration) -> Result<Client> {
        Self::builder(timeout).dns_resolver(Arc::new(self.clone())).build().map_err(Error::internal)
    }

    /// The clients of all origins with connection options.
    pub fn clients_by_origin(&self, timeout: Duration) -> Result<HashMap<String, Client>> {
        let client =
            |(origin, options): (&String, &ConnectOptions)| Ok((origin.clone(), self.client_with(options, timeout)?));
        self.options.all().map(client).collect()
    }

    fn client_with(&self, options: &ConnectOptions, timeout: Duration) -> Result<Client> {
        let client = options.apply(Self::builder(timeout));
        // The proxy's own name is then the only one that is looked up, and the operator chose it.
        let client = if options.has_proxy() { client } else { client.dns_resolver(Arc::new(self.clone())) };
        client.build().map_err(Error::internal)
    }

    fn builder(timeout: Duration) -> ClientBuilder {
        // Fails only if another provider was installed before, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .user_agent(USER_AGENT)
    }

    fn allows_host(&self, host: &str) -> bool {
        self.allowed.contains(&plain(host))
    }

    /// The addresses of a name, if all of them are allowed. A name that also resolves to a private address is an attack
    /// (DNS rebinding), so one such address refuses all.
    async fn resolve(&self, host: &str) -> Result<Vec<SocketAddr>, String> {
        let looked_up = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, 0))).await;
        let found: Vec<_> = match looked_up {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        if found.is_empty() {
            return Err(format!("{host} has no address"));
        }
        if !self.allows_host(host) && !found.iter().all(|address| is_public(address.ip())) {
            return Err(not_public(host).message);
        }
        Ok(found)
    }
}

impl Resolve for Outbound {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let found = Self::resolve(&this, name.as_str()).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn unsafe_url(message: impl Into<String>) -> Error {
    Error::new(Code::UnsafeUrl, message).field("url")
}

fn not_public(host: &str) -> Error {
    unsafe_url(format!("{host} is no public address: an operator can allow it with --allow-private {}", plain(host)))
}

/// A host in the form that hosts are compared in: lower case, without brackets and without a final dot.
fn plain(host: &str) -> String {
    let host = host.trim().trim_start_matches('[').trim_end_matches(']');
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// The IP address that a host of a URL is written as. The URL parser has normalised it.
fn literal(host: &str) -> Option<IpAddr> {
    plain(host).parse().ok()
}

/// Whether an address is one of the open internet (IANA's special-purpose registries, RFC 6890).
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// Networks that are not, as first address and prefix length.
const NOT_PUBLIC_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),            // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // carrier-grade NAT; metadata of one cloud
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // metadata of one cloud
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local; metadata of most clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 3),      // multicast, reserved, broadcast
];

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let within = |(network, length): &(Ipv4Addr, u32)| (ip.to_bits() ^ network.to_bits()) >> (32 - length) == 0;
    !NOT_PUBLIC_V4.iter().any(within)
}

/// Networks inside of `2000::/3`, the only part of IPv6 that is public, that are not.
const NOT_PUBLIC_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: an IPv4 address is in it
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// IPv4 addresses written as IPv6 ones (mapped, translated) are outside of `2000::/3`.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let within = |(network, length): &(Ipv6Addr, u32)| (ip.to_bits() ^ network.to_bits()) >> (128 - length) == 0;
    ip.segments()[0] & 0xe000 == 0x2000 && !NOT_PUBLIC_V6.iter().any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(outbound: &Outbound, url: &str) -> Option<Code> {
        outbound.parse(url).err().map(|error| error.code)
    }

    #[test]
    fn only_addresses_of_the_open_internet_are_public() {
        for ip in [
            "1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "223.255.255.255",
            "168.63.129.17", "2606:4700::1111", "2a00:1450::1", "2003::1",
        ] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.255",
            "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
            "192.168.1.1", "198.18.0.1", "198.19.255.255", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1",
            "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1",
            "64:ff9b:1::1", "100::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001::1",
            "2001:db8::1", "2002:7f00:1::1", "3fff::1", "5f00::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn an_address_in_any_spelling_is_refused_by_what_it_leads_to() {
        let outbound = Outbound::default();
        for url in [
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://[::1]:1/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::]/",
            "http://169.254.169.254/latest",
            "http://0/",
            "http://\u{ff11}27.0.0.1/",
            "http://10.0.0.1/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "http:127.0.0.1",
            "http:1.1.1.1",
            "http://1.1.1.1/a\r\nb",
            "http://1.1.1.1/a b",
            "http://1.1.1.1\\@example.com/",
            "http://1.1.1.1:0/",
            "http://u@example.com/",
            "http://u:p@example.com/",
            "http://",
            "example.com",
            "",
        ] {
            assert_eq!(code(&outbound, url), Some(Code::UnsafeUrl), "{url}");
        }
        assert_eq!(
            code(&outbound, &format!("http://example.com/{}", "a".repeat(MAX_URL_CHARS))),
            Some(Code::UnsafeUrl)
        );
        assert_eq!(code(&outbound, "https://example.com:8443/hook?x=1"), None);
    }

    #[test]
    fn what_the_operator_allows_is_that_host_and_no_other() {
        let outbound = Outbound::new(["127.0.0.1", "Receiver.internal", "::1", " "]);
        for url in ["http://127.0.0.1:9/", "http://2130706433/", "http://receiver.INTERNAL./x", "http://[::1]/"] {
            assert_eq!(code(&outbound, url), None, "{url}");
        }
        for url in ["http://127.0.0.2/", "http://[::ffff:127.0.0.1]/", "http://10.0.0.1/"] {
            assert_eq!(code(&outbound, url), Some(Code::UnsafeUrl), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_is_refused_by_where_it_leads_also_by_the_client_itself() {
        let (none, some) = (Outbound::default(), Outbound::new(["localhost"]));
        let url = Url::parse("http://localhost:1/").unwrap();
        assert_eq!(none.check(&url).await.unwrap_err().code, Code::UnsafeUrl);
        some.check(&url).await.unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        none.client(Duration::from_secs(2)).unwrap().get(&url).send().await.unwrap_err();
        assert!(listener.accept().is_err(), "a connection was made");
        drop(some.client(Duration::from_millis(300)).unwrap().get(&url).send().await);
        assert!(listener.accept().is_ok(), "no connection was made");
    }
}
