//! HTTP over sockets: how many connections there may be, of an address too, and for how long. hyper reads and writes.
//!
//! A connection has a place from its first byte to its last. A head that does not come, and the next request that does not
//! come, end it after [`Bounds::head_timeout`]; whatever else holds it up (a body byte by byte, an answer that nobody reads)
//! after [`Bounds::age_max`] and [`Bounds::grace`]. Who finds no place is told so, as long as there are not too many to tell.

use super::query::Refused;
use crate::wire::code::ErrorCode;
use axum::Router;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::IntoResponse;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

/// Bytes of a request's head; hyper holds as many for a connection that sends one. Our longest queries have a few hundred.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Connections that are told at the same time that there is no place for them. Others are closed without a word: to tell
/// costs a descriptor, too. Picked by eye.
pub const REFUSALS_MAX: usize = 64;

/// How long these may take to say what they want. It is short: others want to be told, too.
const REFUSED_HEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// Between two attempts to accept when the system has no descriptor or memory for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub connections_max: usize,
    pub connections_max_per_address: usize,
    /// From one request's answer, or the beginning, to the end of the next one's head.
    pub head_timeout: Duration,
    /// A connection of this age ends with the answer that it is at.
    pub age_max: Duration,
    /// How long that answer may take from then on.
    pub grace: Duration,
}

/// What is counted of connections.
#[derive(Debug, Default)]
pub struct HttpCounters {
    pub connections: AtomicU64,
    pub refused: AtomicU64,
}

/// Serves on a thread of its own: however much is asked there, the exchange's clock, timed rooms and clients that come back do not
/// wait for it.
pub struct Http {
    /// Dropped to say so: nobody comes in any more...
    open: Option<oneshot::Sender<Infallible>>,
    /// ...and the thread ends.
    goes_on: oneshot::Sender<Infallible>,
    thread: JoinHandle<()>,
}

impl Http {
    pub fn start(
        listener: std::net::TcpListener,
        router: Router,
        bounds: Bounds,
        counters: Arc<HttpCounters>,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        drop(inside);
        let (open, closed) = oneshot::channel();
        let (goes_on, end) = oneshot::channel();
        let thread = std::thread::Builder::new().name("http".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    never = serve(listener, router, bounds, counters) => match never {},
                    _ = closed => {}
                }
                let _ = end.await;
            })
        })?;
        Ok(Self { open: Some(open), goes_on, thread })
    }

    /// Lets nobody in any more. Who is in gets the answer that is being made.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// Ends it, whoever is in.
    pub fn end(self) {
        drop((self.open, self.goes_on));
        let _ = self.thread.join(); // a panic has said what it was
    }
}

/// Serves forever. When this is dropped nobody comes in any more, and who is in gets the answer that is being made.
async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    counters: Arc<HttpCounters>,
) -> Infallible {
    let places = Arc::new(Places { bounds, counters, taken: Mutex::default() });
    let (_open, closed) = watch::channel(());
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "HTTP: accept failed");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Some((place, found)) = places.take(peer.ip()) else { continue };
        let service = match found {
            Ok(()) => router.clone(),
            Err(full) => Router::new().fallback(move || async move { full.answer() }),
        };
        let _ = socket.set_nodelay(true); // an answer is one write; who does not have it gets it later
        tokio::spawn(attend(socket, service, place, closed.clone()));
    }
}

async fn attend(socket: TcpStream, service: Router, place: Place, mut closed: watch::Receiver<()>) {
    let (bounds, is_served) = (place.places.bounds, place.of.is_some());
    let head_timeout =
        if is_served { bounds.head_timeout } else { bounds.head_timeout.min(REFUSED_HEAD_TIMEOUT) };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .keep_alive(is_served)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    // How it ends concerns nobody but the peer.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = closed.changed() => {}
        () = sleep(bounds.age_max) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(bounds.grace, connection).await;
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    Server,
    Address,
}

impl Full {
    fn answer(self) -> impl IntoResponse {
        let (status, message) = match self {
            Self::Server => {
                (StatusCode::SERVICE_UNAVAILABLE, "the server has as many HTTP connections as it may have")
            }
            Self::Address => {
                (StatusCode::TOO_MANY_REQUESTS, "this address has as many HTTP connections as it may have")
            }
        };
        let mut answer = Refused::new(ErrorCode::Overloaded, None, message).into_response();
        *answer.status_mut() = status;
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        answer
    }
}

/// All places there are.
struct Places {
    bounds: Bounds,
    counters: Arc<HttpCounters>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    served: usize,
    by_address: HashMap<IpAddr, usize>,
    refused: usize,
}

/// A connection's place; dropped with it.
struct Place {
    places: Arc<Places>,
    /// Nothing for one that is refused.
    of: Option<IpAddr>,
}

impl Places {
    /// A place to be served or to be refused in; nothing if there are too many of both.
    fn take(self: &Arc<Self>, address: IpAddr) -> Option<(Place, Result<(), Full>)> {
        let mut taken = self.taken();
        let of_address = taken.by_address.get(&address).copied().unwrap_or(0);
        let found = match (taken.served, of_address) {
            (served, _) if served >= self.bounds.connections_max => Err(Full::Server),
            (_, of_address) if of_address >= self.bounds.connections_max_per_address => Err(Full::Address),
            _ => Ok(()),
        };
        if found.is_ok() {
            taken.served += 1;
            *taken.by_address.entry(address).or_default() += 1;
            self.counters.connections.store(taken.served as u64, Ordering::Relaxed);
        } else {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            if taken.refused == REFUSALS_MAX {
                return None;
            }
            taken.refused += 1;
        }
        Some((Place { places: self.clone(), of: found.is_ok().then_some(address) }, found))
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().expect("no holder of this lock can panic")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let Some(address) = self.of else {
            taken.refused -= 1;
            return;
        };
        taken.served -= 1;
        self.places.counters.connections.store(taken.served as u64, Ordering::Relaxed);
        let of_address = taken.by_address.get_mut(&address).expect("it has this place");
        *of_address -= 1;
        if *of_address == 0 {
            taken.by_address.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// More than the kernel keeps for two sockets.
    const LONG: usize = 64 << 20;
    const A_WHILE: Duration = Duration::from_millis(50);
    const FOREVER: Duration = Duration::from_secs(3600);

    /// A server with a long answer, where it listens and what it counts.
    async fn start(bounds: Bounds) -> (tokio::task::JoinHandle<Infallible>, SocketAddr, Arc<HttpCounters>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/long", get(|| async { vec![b'x'; LONG] }));
        let counters = Arc::new(HttpCounters::default());
        (tokio::spawn(serve(listener, router, bounds, counters.clone())), address, counters)
    }

    async fn ask_for_the_long_one(address: SocketAddr) -> TcpStream {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /long HTTP/1.1\r\nHost: here\r\n\r\n").await.unwrap();
        client.readable().await.unwrap();
        client
    }

    async fn until_nobody_is_there(counters: &HttpCounters) {
        while counters.connections.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_does_not_read_its_answer_loses_its_place() {
        let bounds = Bounds {
            connections_max: 1,
            connections_max_per_address: 1,
            head_timeout: FOREVER,
            age_max: A_WHILE,
            grace: A_WHILE,
        };
        let (_server, address, counters) = start(bounds).await;
        let _client = ask_for_the_long_one(address).await;
        until_nobody_is_there(&counters).await;
    }

    #[tokio::test]
    async fn who_is_in_gets_its_answer_when_the_server_ends() {
        let bounds = Bounds {
            connections_max: 2,
            connections_max_per_address: 2,
            head_timeout: FOREVER,
            age_max: FOREVER,
            grace: FOREVER,
        };
        let (server, address, counters) = start(bounds).await;
        let mut client = ask_for_the_long_one(address).await;
        server.abort();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert!(answer.len() > LONG, "head and body, and then the end");
        until_nobody_is_there(&counters).await;
    }
}
