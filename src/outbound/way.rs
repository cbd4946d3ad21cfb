//! How the server at one address is reached, where an operator says so in the config file: whose certificates are trusted,
//! which certificate haldir shows, and through which proxy. Only the tenant that the operator names comes this way.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use reqwest::{Certificate, ClientBuilder, Identity, Proxy, Url};
use serde::Deserialize;
use zeroize::Zeroizing;

/// The largest file of certificates that is read, in bytes.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Addresses that have a way of their own.
const MAX_WAYS: usize = 64;

/// What the config file says of an address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaySettings {
    /// Certificate authorities to trust besides the system's, in PEM.
    ca_file: Option<PathBuf>,
    /// The certificate that haldir shows, with those between it and its authority, in PEM.
    certificate_file: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    key_file: Option<PathBuf>,
    /// A proxy that takes HTTP CONNECT.
    proxy: Option<String>,
    /// Whose upstreams come this way. Default: the local tenant's.
    #[serde(default = "local")]
    tenant: String,
}

fn local() -> String {
    "local".to_owned()
}

/// How an address is reached.
#[derive(Clone)]
pub struct Way {
    tenant: String,
    authorities: Vec<Certificate>,
    identity: Option<Identity>,
    proxy: Option<Proxy>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the key nor the proxy's address, which may hold a password.
        f.debug_struct("Way").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// All ways, by the origin of their address.
#[derive(Clone, Debug, Default)]
pub struct Ways(Arc<BTreeMap<String, Way>>);

impl Ways {
    /// Reads the files that the settings name; the error names the setting, and holds nothing of what is in a file.
    pub fn read(settings: &BTreeMap<String, WaySettings>) -> Result<Self, String> {
        if settings.len() > MAX_WAYS {
            return Err(format!("connections: there are more than {MAX_WAYS}"));
        }
        let mut ways = BTreeMap::new();
        for (address, settings) in settings {
            let problem = |problem: String| format!("connections.\"{address}\": {problem}");
            let origin = origin(address).map_err(problem)?;
            let way = Way::read(settings).map_err(problem)?;
            if ways.insert(origin, way).is_some() {
                return Err(problem("the same address stands there twice".to_owned()));
            }
        }
        Ok(Self(Arc::new(ways)))
    }

    /// The way to this address, if it has one of its own.
    pub fn to(&self, url: &Url) -> Option<&Way> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&url.origin().ascii_serialization())
    }

    /// Whether no address has one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The origins that have a way of their own.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Way)> {
        self.0.iter()
    }
}

/// The origin that a setting is for.
fn origin(address: &str) -> Result<String, String> {
    let expected = "expected a scheme, a host and perhaps a port, such as \"https://mcp.example.com\"";
    let url = address.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let is_origin = |url: &Url| {
        matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none() && url.username().is_empty()
    };
    url.filter(is_origin).map(|url| url.origin().ascii_serialization()).ok_or_else(|| expected.to_owned())
}

impl Way {
    fn read(settings: &WaySettings) -> Result<Self, String> {
        let WaySettings { ca_file, certificate_file, key_file, proxy, tenant } = settings;
        if ca_file.is_none() && certificate_file.is_none() && key_file.is_none() && proxy.is_none() {
            return Err("expected ca_file, certificate_file with key_file, or proxy".to_owned());
        }
        let authorities = match ca_file {
            Some(path) => authorities(path).map_err(|problem| format!("ca_file: {}: {problem}", path.display()))?,
            None => Vec::new(),
        };
        let identity = match (certificate_file, key_file) {
            (Some(certificate), Some(key)) => Some(identity(certificate, key)?),
            (None, None) => None,
            _ => return Err("certificate_file and key_file go together".to_owned()),
        };
        let proxy = proxy.as_deref().map(parse_proxy).transpose()?;
        Ok(Self { tenant: tenant.clone(), authorities, identity, proxy })
    }

    /// Whether upstreams of this tenant come this way.
    pub fn is_of(&self, tenant: &str) -> bool {
        self.tenant == tenant
    }

    /// Whether a proxy looks up the names of addresses.
    pub fn has_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    /// A client that goes this way.
    pub fn apply(&self, client: ClientBuilder) -> ClientBuilder {
        let client = client.tls_certs_merge(self.authorities.iter().cloned());
        let client = match &self.identity {
            Some(identity) => client.identity(identity.clone()),
            None => client,
        };
        match &self.proxy {
            Some(proxy) => client.proxy(proxy.clone()),
            None => client,
        }
    }
}

fn parse_proxy(text: &str) -> Result<Proxy, String> {
    let expected = "proxy: expected an http or https address, such as \"http://proxy.example.com:3128\"";
    let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.and_then(|url| Proxy::all(url).ok()).ok_or_else(|| expected.to_owned())
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, String> {
    let certificates = Certificate::from_pem_bundle(&read(path)?).map_err(|_| "holds no certificates in PEM")?;
    if certificates.is_empty() { Err("holds no certificates in PEM".to_owned()) } else { Ok(certificates) }
}

/// A certificate and its key. What was read of the key is overwritten; the TLS library keeps it for its connections.
fn identity(certificate: &Path, key: &Path) -> Result<Identity, String> {
    let problem = |name: &str, path: &Path, problem: &str| format!("{name}: {}: {problem}", path.display());
    require_private(key).map_err(|text| problem("key_file", key, &text))?;
    let certificates = read(certificate).map_err(|text| problem("certificate_file", certificate, &text))?;
    let private = read(key).map_err(|text| problem("key_file", key, &text))?;
    let mut both = Zeroizing::new(Vec::with_capacity(certificates.len() + private.len() + 1));
    both.extend_from_slice(&private);
    both.push(b'\n');
    both.extend_from_slice(&certificates);
    let expected = "expected a certificate, and its private key without a password, in PEM";
    Identity::from_pem(&both).map_err(|_| problem("certificate_file", certificate, expected))
}

/// Refuses a private key that every user of the machine can read. A group may, as a secret that is mounted for one has it.
#[cfg(unix)]
fn require_private(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata().map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(format!("every user can reach it: run chmod 600 {}", path.display()));
    }
    Ok(())
}

#[cfg(not(unix))]
fn require_private(_: &Path) -> Result<(), String> {
    Ok(())
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    if length > MAX_FILE_BYTES {
        return Err(format!("has {length} bytes, at most {MAX_FILE_BYTES} are read"));
    }
    // Reserved in full, since growing would leave copies of a key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1));
    file.take(length).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(toml: &str) -> String {
        let settings: BTreeMap<String, WaySettings> = toml::from_str(toml).unwrap();
        Ways::read(&settings).unwrap_err()
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        for (address, expected) in [
            ("https://mcp.example.com", Some("https://mcp.example.com")),
            ("https://MCP.example.com:443/", Some("https://mcp.example.com")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("https://mcp.example.com/mcp", None),
            ("mcp.example.com", None),
            ("ftp://example.com", None),
        ] {
            assert_eq!(origin(address).ok().as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let at = |settings: &str| problem(&format!("[\"https://a.example\"]\n{settings}"));
        assert!(at("").contains("connections.\"https://a.example\": expected ca_file"));
        assert!(at("ca_file = \"/none\"").contains("ca_file: /none"));
        assert!(at("ca_file = \"Cargo.toml\"").contains("holds no certificates"));
        assert!(at("key_file = \"k\"").contains("go together"));
        assert!(at("proxy = \"proxy:3128\"").contains("http://proxy.example.com:3128"));
        assert!(problem("[\"a.example\"]\nproxy = \"http://p\"").contains("https://mcp.example.com"));
        let twice = "[\"https://a.example\"]\nproxy = \"http://p\"\n[\"https://a.example/\"]\nproxy = \"http://p\"";
        assert!(problem(twice).contains("twice"));
    }

    #[test]
    fn a_way_is_for_its_own_address_and_tenant() {
        let settings =
            toml::from_str("[\"https://a.example\"]\nproxy = \"http://u:hidden@p:1\"\ntenant = \"t\"").unwrap();
        let ways = Ways::read(&settings).unwrap();
        let way = ways.to(&"https://a.example/mcp".parse().unwrap()).unwrap();
        assert!(way.is_of("t") && !way.is_of("local") && way.has_proxy());
        assert!(ways.to(&"https://a.example:8443/mcp".parse().unwrap()).is_none());
        assert!(!format!("{ways:?}").contains("hidden"));
    }
}
