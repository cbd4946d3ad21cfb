//! Where the server listens.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;

use crate::{
    config::{address, bad_setting},
    error::Result,
};

#[derive(Args)]
pub struct ListenOptions {
    /// Where to listen; port 0 picks one. Default: 127.0.0.1:8000, or 0.0.0.0 and the port in PORT.
    #[arg(long, env = "HALDIR_LISTEN", value_name = "ADDRESS:PORT", value_parser = address::parse_listen)]
    listen: Option<String>,
}

impl ListenOptions {
    /// The address and the port, such as `127.0.0.1:8000`.
    pub fn address(&self) -> Result<String> {
        if let Some(listen) = &self.listen {
            return Ok(listen.clone());
        }
        match std::env::var("PORT") {
            Ok(port) if port.is_empty() => Ok("127.0.0.1:8000".to_owned()),
            Ok(port) => match port.parse::<u16>() {
                Ok(port) => Ok(format!("0.0.0.0:{port}")),
                Err(_) => Err(bad_setting("PORT", "must be a port number from 0 to 65535")),
            },
            Err(_) => Ok("127.0.0.1:8000".to_owned()),
        }
    }

    /// The URL at which this machine reaches a server that was started with the same settings.
    pub fn local_url(&self) -> Result<String> {
        let address = self.address()?;
        if address.ends_with(":0") {
            return Err(bad_setting(
                "HALDIR_LISTEN",
                "has port 0, so the server picks one: name the address with --url",
            ));
        }
        Ok(format!("http://{}", reachable(&address)))
    }
}

/// An address to connect to, for one to listen on: 0.0.0.0 and [::] stand for every address of the machine.
fn reachable(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(SocketAddr::V4(at)) if at.ip().is_unspecified() => format!("{}:{}", Ipv4Addr::LOCALHOST, at.port()),
        Ok(SocketAddr::V6(at)) if at.ip().is_unspecified() => format!("[{}]:{}", Ipv6Addr::LOCALHOST, at.port()),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_for_all_interfaces_is_reached_on_loopback() {
        for (listen, url) in [
            ("0.0.0.0:8000", "http://127.0.0.1:8000"),
            ("[::]:9000", "http://[::1]:9000"),
            ("localhost:8000", "http://localhost:8000"),
            ("192.0.2.7:8000", "http://192.0.2.7:8000"),
        ] {
            let options = ListenOptions { listen: Some(listen.to_owned()) };
            assert_eq!(options.local_url().unwrap(), url);
        }
        let refused = ListenOptions { listen: Some("127.0.0.1:0".to_owned()) }.local_url().unwrap_err();
        assert!(refused.message.contains("--url"), "{refused}");
    }
}
