//! Where clients find the exchange. The sockets are there before anything else is: a port that is taken is found out
//! while nothing has begun, and who comes early waits in the kernel's queue until somebody accepts.

use crate::config::Config;
use anyhow::Context;
use socket2::{Domain, Socket, Type};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// Connections that the kernel keeps for a listener until they are accepted: after a restart all come at once.
const BACKLOG: i32 = 4096;

/// How long an address may be in use. Of a process that was killed the kernel takes the rings apart after its end, and the
/// listeners that they held go some milliseconds later: its successor, which a supervisor starts at once, waits for that.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// Where a running exchange can be reached.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    pub ws: SocketAddr,
    pub http: SocketAddr,
}

/// Bound and listening.
pub struct Listeners {
    /// One for each reactor, all on one address.
    pub ws: Vec<TcpListener>,
    pub http: TcpListener,
    pub addresses: Addresses,
}

impl Listeners {
    /// # Errors
    /// If an address cannot be had: the text names its key and the address.
    pub fn bind(config: &Config, reactors: usize) -> anyhow::Result<Self> {
        let ws = listen_shared(config.ws_listen, reactors)
            .with_context(|| format!("ws_listen {}", config.ws_listen))?;
        let http = listen(config.http_listen, Sharing::Alone)
            .with_context(|| format!("http_listen {}", config.http_listen))?;
        let addresses = Addresses { ws: ws[0].local_addr()?, http: http.local_addr()? };
        Ok(Self { ws, http, addresses })
    }
}

/// Whether other sockets may listen on the same address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    Shared,
}

/// So many listeners on one address: the kernel spreads connections over them.
fn listen_shared(address: SocketAddr, count: usize) -> std::io::Result<Vec<TcpListener>> {
    if address.port() != 0 {
        // Another exchange that shares the address with its own reactors would share it with ours as well, and the two would
        // silently divide the clients: so it is asked for alone first.
        drop(listen(address, Sharing::Alone)?);
    }
    let mut address = address;
    let mut listeners = Vec::new();
    for _ in 0..count {
        let listener = listen(address, Sharing::Shared)?;
        address = listener.local_addr()?; // port 0 became a real one; the others share it
        listeners.push(listener);
    }
    Ok(listeners)
}

fn listen(address: SocketAddr, sharing: Sharing) -> std::io::Result<TcpListener> {
    let begun = Instant::now();
    patiently(
        || listen_now(address, sharing),
        || {
            std::thread::sleep(PAUSE);
            begun.elapsed() < PATIENCE
        },
    )
}

/// Tries again while the address is in use, after each `pause` that says so.
fn patiently<T>(
    mut attempt: impl FnMut() -> std::io::Result<T>,
    mut pause: impl FnMut() -> bool,
) -> std::io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::AddrInUse && pause() => {}
            done => return done,
        }
    }
}

fn listen_now(address: SocketAddr, sharing: Sharing) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::Shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whose an address is, as far as bounds for an address go: of IPv6 the 64 bits that everybody at one place shares (RFC 6177 gives a
/// site that much at least); an IPv4 address by itself, also inside of IPv6.
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_becomes_free_in_time_is_taken() {
        let killed = listen_now("127.0.0.1:0".parse().unwrap(), Sharing::Shared).unwrap();
        let address = killed.local_addr().unwrap();
        let mut killed = Some(killed);
        let listener = patiently(|| listen_now(address, Sharing::Alone), || killed.take().is_some());
        assert_eq!(listener.unwrap().local_addr().unwrap(), address);
    }

    #[test]
    fn one_that_somebody_keeps_is_not() {
        let other = listen_now("127.0.0.1:0".parse().unwrap(), Sharing::Alone).unwrap();
        let mut pauses = 0;
        let attempt = || listen_now(other.local_addr().unwrap(), Sharing::Alone);
        let error = patiently(attempt, || {
            pauses += 1;
            pauses < 3
        });
        assert_eq!((error.unwrap_err().kind(), pauses), (ErrorKind::AddrInUse, 3));
    }

    #[test]
    fn an_address_counts_with_its_neighbours_that_are_the_same_customer() {
        let of = |address: &str| household(address.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_ne!(of("2001:db8:1:3::1"), of("2001:db8:1:2::1"));
    }
}
