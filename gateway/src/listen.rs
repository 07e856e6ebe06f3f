//! Where clients find the exchange. The sockets are there before anything else is: a port that is taken is found out
//! while nothing has begun, and who comes early waits in the kernel's queue until somebody accepts.

use crate::config::Config;
use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpListener};

/// Connections that the kernel keeps for a listener until they are accepted: after a restart all come at once.
const BACKLOG: i32 = 4096;

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
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::Shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Descriptors beside those of connections: listeners, rings, files of the journal and of the history. A generous guess.
const DESCRIPTORS_BESIDE: u64 = 256;

/// Takes as many descriptors as the system gives this process, and says so if that is less than the configuration may need:
/// without one a connection is refused, and the journal waits for its next file.
pub fn raise_descriptors(config: &Config) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the number of open files stays as it is");
    }
    let needed = config.limits.connections_max as u64 + DESCRIPTORS_BESIDE;
    if let Some(most) = getrlimit(Resource::Nofile).current.filter(|most| *most < needed) {
        tracing::warn!(
            most,
            needed,
            "limits.connections_max and the journal may need more open files: raise `ulimit -n`"
        );
    }
}
