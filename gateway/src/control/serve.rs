//! HTTP over sockets: how many connections there may be, of an address too, and for how long. hyper reads and writes.
//!
//! A connection has a place from its first byte to its last. A head that does not come, and the next request that does not
//! come, end it after [`Bounds::head_timeout`]; whatever else holds it up (a body byte by byte, an answer that nobody reads)
//! after [`Bounds::age_max`] and [`Bounds::grace`]. Who finds no place is told so, as long as there are not too many to tell; but what
//! operators and probes want to know is answered then, too.

use super::query::Refused;
use crate::listen::household;
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
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

/// Bytes of a request's head; hyper holds as many for a connection that sends one. Our longest queries have a few hundred.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Connections that are told at the same time that there is no place for them. Others are closed without a word: to tell
/// costs a descriptor, too. Picked by eye.
pub const REFUSALS_MAX: usize = 64;

/// Of one address: the lane is for those who are not why it is needed, too.
const REFUSALS_MAX_PER_ADDRESS: usize = 8;

/// How long these may take to say what they want. It is short: others want to be told, too.
const REFUSED_HEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// Between two attempts to accept when the system has no descriptor or memory for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// What answers may take that are being made when everything ends.
const LAST_ANSWERS_MAX: Duration = Duration::from_secs(1);

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

/// What is served: everything, and what is served also to those who find no place.
pub struct Routers {
    pub all: Router,
    pub always: Router,
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
    /// Dropped to have it end.
    serves: oneshot::Sender<Infallible>,
    ended: oneshot::Receiver<()>,
}

impl Http {
    pub fn start(
        listener: std::net::TcpListener,
        routers: Routers,
        bounds: Bounds,
        counters: Arc<HttpCounters>,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (serves, end) = oneshot::channel();
        let (has_ended, ended) = oneshot::channel();
        std::thread::Builder::new().name("http".into()).spawn(move || {
            runtime.block_on(serve_until(end, listener, routers, bounds, counters));
            runtime.shutdown_background(); // it may ask a name server, and nobody waits for that
            let _ = has_ended.send(());
        })?;
        Ok(Self { serves, ended })
    }

    /// Ends it: nobody comes in any more, and who is in gets the answer that is being made, if it takes it within a second.
    pub async fn end(self) {
        drop(self.serves);
        let _ = self.ended.await; // it has, or it panicked and has said why
    }
}

async fn serve_until(
    end: oneshot::Receiver<Infallible>,
    listener: std::net::TcpListener,
    routers: Routers,
    bounds: Bounds,
    counters: Arc<HttpCounters>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "HTTP is not served"),
    };
    let (closing, is_closing) = watch::channel(());
    tokio::select! {
        never = serve(listener, routers, bounds, counters, is_closing) => match never {},
        _ = end => {}
    }
    closing.send_replace(());
    let _ = timeout(LAST_ANSWERS_MAX, closing.closed()).await; // until nobody listens for it any more
}

async fn serve(
    listener: TcpListener,
    routers: Routers,
    bounds: Bounds,
    counters: Arc<HttpCounters>,
    closing: watch::Receiver<()>,
) -> Infallible {
    let places = Arc::new(Places { bounds, counters, taken: Mutex::default() });
    let Routers { all, always } = routers;
    let told = |why: Full| always.clone().fallback(move || async move { why.answer() });
    let (server_is_full, address_is_full) = (told(Full::Server), told(Full::Address));
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "HTTP: accept failed");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Some(place) = places.take(household(peer.ip())) else { continue };
        let service = match place.refused {
            None => &all,
            Some(Full::Server) => &server_is_full,
            Some(Full::Address) => &address_is_full,
        };
        let _ = socket.set_nodelay(true); // who does not have it gets the end of its answer later
        tokio::spawn(attend(socket, service.clone(), place, closing.clone()));
    }
}

async fn attend(socket: TcpStream, service: Router, place: Place, mut closing: watch::Receiver<()>) {
    let bounds = place.places.bounds;
    let head_timeout = match place.refused {
        None => bounds.head_timeout,
        Some(_) => bounds.head_timeout.min(REFUSED_HEAD_TIMEOUT),
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .keep_alive(place.refused.is_none())
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    // How it ends concerns nobody but the peer.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = closing.changed() => {}
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
    all: Count,
    by_address: HashMap<IpAddr, Count>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    served: usize,
    refused: usize,
}

/// A connection's place; dropped with it.
struct Place {
    places: Arc<Places>,
    address: IpAddr,
    /// If it is one only to be told so.
    refused: Option<Full>,
}

impl Places {
    /// A place to be served or to be refused in; nothing if there are too many of both.
    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut taken = self.taken();
        let Taken { all, by_address } = &mut *taken;
        let of_address = by_address.entry(address).or_default();
        let refused = if all.served >= self.bounds.connections_max {
            Some(Full::Server)
        } else if of_address.served >= self.bounds.connections_max_per_address {
            Some(Full::Address)
        } else {
            None
        };
        if refused.is_some() {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            if all.refused >= REFUSALS_MAX || of_address.refused >= REFUSALS_MAX_PER_ADDRESS {
                if *of_address == Count::default() {
                    by_address.remove(&address);
                }
                return None;
            }
        }
        for count in [all, of_address] {
            match refused {
                None => count.served += 1,
                Some(_) => count.refused += 1,
            }
        }
        self.counters.connections.store(taken.all.served as u64, Ordering::Relaxed);
        Some(Place { places: self.clone(), address, refused })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().expect("no holder of this lock can panic")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let Taken { all, by_address } = &mut *taken;
        let of_address = by_address.get_mut(&self.address).expect("it has this place");
        for count in [&mut *all, &mut *of_address] {
            match self.refused {
                None => count.served -= 1,
                Some(_) => count.refused -= 1,
            }
        }
        if *of_address == Count::default() {
            by_address.remove(&self.address);
        }
        self.places.counters.connections.store(all.served as u64, Ordering::Relaxed);
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
    /// Who waits longer waits in vain.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// A server with a long answer, where it listens and what it counts.
    fn start(age_max: Duration, grace: Duration) -> (Http, SocketAddr, Arc<HttpCounters>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let all = Router::new().route("/long", get(|| async { vec![b'x'; LONG] }));
        let routers = Routers { all, always: Router::new().route("/health", get(|| async { "well" })) };
        let bounds = Bounds {
            connections_max: 1,
            connections_max_per_address: 1,
            head_timeout: FOREVER,
            age_max,
            grace,
        };
        let counters = Arc::new(HttpCounters::default());
        (Http::start(listener, routers, bounds, counters.clone()).unwrap(), address, counters)
    }

    async fn ask(address: SocketAddr, path: &str) -> TcpStream {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes()).await.unwrap();
        client.readable().await.unwrap();
        client
    }

    async fn answer(mut client: TcpStream) -> String {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn until_nobody_is_there(counters: &HttpCounters) {
        let gone = async {
            while counters.connections.load(Ordering::Relaxed) > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, gone).await.expect("its place is given back");
    }

    #[tokio::test]
    async fn who_does_not_read_its_answer_loses_its_place() {
        let (_http, address, counters) = start(A_WHILE, A_WHILE);
        let _client = ask(address, "/long").await;
        until_nobody_is_there(&counters).await;
    }

    #[tokio::test]
    async fn who_finds_no_place_is_told_how_the_server_is() {
        let (_http, address, counters) = start(FOREVER, FOREVER);
        let _served = ask(address, "/long").await;
        assert!(answer(ask(address, "/health").await).await.ends_with("well"));
        let refused = answer(ask(address, "/long").await).await;
        assert!(
            refused.starts_with("HTTP/1.1 503 ") && refused.contains("as many HTTP connections"),
            "{refused}"
        );
        assert_eq!(counters.refused.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn an_answer_that_is_being_made_is_not_cut_off_by_the_end() {
        let (http, address, counters) = start(FOREVER, FOREVER);
        let client = ask(address, "/long").await;
        let (answer, ()) = tokio::join!(answer(client), http.end());
        assert!(answer.len() > LONG, "head and body, and then the end");
        assert_eq!(counters.connections.load(Ordering::Relaxed), 0);
        assert!(TcpStream::connect(address).await.is_err(), "nobody comes in any more");
    }

    #[tokio::test]
    async fn the_end_does_not_wait_for_who_does_not_read() {
        let (http, address, _) = start(FOREVER, FOREVER);
        let _client = ask(address, "/long").await;
        timeout(PATIENCE, http.end()).await.expect("it ends");
    }
}
