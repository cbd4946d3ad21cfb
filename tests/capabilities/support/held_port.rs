//! A port that belongs to a test, whether something listens there or not.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port of this machine at which nothing listens until the test says so, and which the system gives to no other program
/// meanwhile: a socket that does not listen is bound to it. Those that listen at it share the address (`SO_REUSEADDR`).
pub struct HeldPort(TcpSocket);

impl HeldPort {
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}
