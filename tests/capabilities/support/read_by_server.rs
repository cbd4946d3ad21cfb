//! What the server has read of a connection, as the kernel's table of sockets shows it.

use std::{
    collections::HashMap,
    fs,
    net::{SocketAddr, TcpStream},
};

use super::until;

/// Waits until the server has read all that was written to these connections (IPv4, on this machine). Where the system
/// does not show it, a test goes on at once.
#[track_caller]
pub fn read_by_server(streams: &[TcpStream]) {
    let ends: Vec<_> = streams
        .iter()
        .map(|stream| (hexadecimal(stream.peer_addr().unwrap()), hexadecimal(stream.local_addr().unwrap())))
        .collect();
    until("the server has read its requests", || {
        let Ok(table) = fs::read_to_string("/proc/net/tcp") else { return true };
        // `sl local_address rem_address st tx_queue:rx_queue ...`
        let waits: HashMap<_, _> = table
            .lines()
            .filter_map(|line| {
                let mut fields = line.split_whitespace().skip(1);
                let ends = (fields.next()?, fields.next()?);
                Some((ends, fields.nth(1)?.split_once(':')?.1))
            })
            .collect();
        ends.iter().all(|(server, client)| waits.get(&(&**server, &**client)).is_some_and(|waits| *waits == "00000000"))
    });
}

/// An address as that table has it.
fn hexadecimal(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { panic!("{address} is not IPv4") };
    format!("{:08X}:{:04X}", u32::from_le_bytes(address.ip().octets()), address.port())
}
