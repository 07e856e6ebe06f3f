//! A socket that takes a part of a frame: nothing may come before the rest of it, whatever else the client is to be told. The
//! other end walks over the frames, as a client does: one inside another makes nonsense of all that follows.

use super::*;
use crate::config::Config;
use crate::feed::feed;
use crate::reactor::admission::Admission;
use crate::reactor::net::Sockets;
use crate::reactor::{ReactorCounters, Shared, blaster};
use crate::rooms::dirty::DirtySet;
use crate::rooms::frames;
use crate::rooms::pages::Pages;
use crate::rooms::ring::{Writer, ring};
use crate::rooms::view::View;
use crate::rooms::wake::wake;
use crate::rooms::{Packing, ReactorDoor, Registry, Snapshot};
use crate::venue::Venue;
use crate::ws::{self, Opcode};
use engine_core::executor::threads::{Manner, Threads};
use engine_core::pipeline::{self, Shape};
use engine_core::units::{SymbolId, TradeId};
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::IntoRawFd;

/// A socket's buffers, and a frame that both ends together have no room for.
const SOCKET_BYTES: usize = 4096;
const FRAME_BYTES: usize = 16 * SOCKET_BYTES;
const FRAMES: usize = 3;

#[test]
fn what_is_told_while_a_frame_is_torn_comes_after_the_rest_of_it() {
    let (mut reactor, engine) = reactor();
    let (at, mut peer) = connect(&mut reactor);
    let mut ring = subscribe(&mut reactor, at);
    let mut expected = Vec::new();
    for number in 0..FRAMES {
        let frame = frame(number.to_string().repeat(FRAME_BYTES));
        ring.append(&[&frame]);
        expected.push(frame);
    }
    ring.publish();
    // Put there after the outbox was sent last: an answer, say, or the snapshot of another room.
    let private = frame("private".into());
    reactor.connections[at].outbox.end().extend_from_slice(&private);
    reactor.shared.doors[0].dirty.mark(0);
    reactor.fan_out();
    assert!(reactor.connections[at].outbox.is_torn(), "a part of a frame is sent, or this shows nothing");

    // From here on it may go faster.
    socket2::SockRef::from(&peer).set_recv_buffer_size(FRAMES * FRAME_BYTES).expect("a socket option");
    let mut received = Vec::new();
    let total = expected.iter().map(Vec::len).sum::<usize>() + private.len();
    while received.len() < total {
        if read(&mut peer, &mut received) == 0 {
            std::thread::yield_now();
        }
        reactor.on_writable(at);
    }
    let mut frames: Vec<&[u8]> = frames::frames(&received).collect();
    assert!(frames::is_whole(&received), "the frames end where the bytes do");
    let place = frames.iter().position(|frame| *frame == private).expect("it is told");
    assert_eq!(place, 1, "it is told when the frame that was torn is whole");
    frames.remove(place);
    assert!(frames.iter().eq(expected.iter()), "every frame is whole, and they are in order");
    reactor.port.close();
    engine.join();
}

#[test]
fn one_who_is_moved_on_without_being_sent_anything_is_noticed() {
    let (mut reactor, engine) = reactor();
    let (at, _peer) = connect(&mut reactor);
    let mut ring = subscribe(&mut reactor, at);
    let mut publish = |reactor: &mut Reactor| {
        ring.append(&[&frame("news".into())]);
        reactor.shared.doors[0].dirty.mark(0);
        ring.publish()
    };
    publish(&mut reactor);
    reactor.fan_out();
    reactor.audit();
    assert_eq!((reactor.counters.accounts_wrong.get(), reactor.counters.waiting_bytes.get()), (0, 0));

    let head = publish(&mut reactor);
    reactor.audit(); // what has not been looked for is not waited for
    assert_eq!((reactor.counters.accounts_wrong.get(), reactor.counters.waiting_bytes.get()), (0, 0));
    let Standing::InStep(spot) = reactor.connections[at].standing else { panic!("it took all of it") };
    reactor.crowds.get_mut(spot.crowd).expect("it is in it").stand_mut(0).cursor = head;
    reactor.audit();
    assert_eq!(reactor.counters.accounts_wrong.get(), 1);
    reactor.port.close();
    engine.join();
}

#[test]
fn a_round_that_takes_several_turns_gives_everybody_everything_once() {
    let (mut reactor, engine) = reactor();
    let (first, peer) = connect(&mut reactor);
    let mut ring = subscribe(&mut reactor, first);
    let mut peers = vec![peer];
    for _ in 1..600 {
        let (at, peer) = connect(&mut reactor);
        join(&mut reactor, at);
        peers.push(peer);
    }
    let mut publish = |reactor: &mut Reactor, payload: &str| {
        let frame = frame(payload.into());
        ring.append(&[&frame]);
        ring.publish();
        reactor.shared.doors[0].dirty.mark(0);
        frame
    };
    let mut expected = publish(&mut reactor, "news");
    assert!(reactor.fan_out(), "not all have had theirs");
    expected.extend(publish(&mut reactor, "more news"));
    reactor.audit();
    // One who has had it and one who has not leave in between.
    let gone = [first, 599];
    gone.iter().for_each(|at| reactor.leave_all_rooms(*at));
    let mut turns = 1;
    while reactor.fan_out() || !reactor.shared.doors[0].dirty.is_empty() {
        turns += 1;
        assert!(turns < 20, "a round comes to an end");
    }
    reactor.audit();
    assert_eq!((reactor.counters.accounts_wrong.get(), reactor.counters.waiting_bytes.get()), (0, 0));
    for (at, peer) in peers.iter_mut().enumerate().filter(|(at, _)| !gone.contains(at)) {
        let mut received = Vec::new();
        while read(peer, &mut received) > 0 {}
        assert!(received == expected, "connection {at} has {} bytes", received.len());
    }
    reactor.port.close();
    engine.join();
}

#[test]
fn a_snapshot_is_in_memory_once_however_many_wait_for_it() {
    const NEWCOMERS: usize = 100;
    let (mut reactor, engine) = reactor();
    let snapshot = frame("snapshot".repeat(8 * SOCKET_BYTES));
    let (_ring, mut peers) = newcomers(&mut reactor, NEWCOMERS, &snapshot);
    let outboxes = reactor.connections.iter().map(|(_, connection)| &connection.outbox);
    assert!(outboxes.clone().all(|outbox| (outbox.len(), outbox.own_len()) == (snapshot.len(), 0)));
    assert!(peers.iter_mut().all(|peer| read(peer, &mut Vec::new()) == 0), "nothing is sent at once");
    reactor.turn();
    let mut received = vec![Vec::new(); NEWCOMERS];
    while received.iter().any(|received| received.len() < snapshot.len()) {
        for (at, peer) in peers.iter_mut().enumerate() {
            read(peer, &mut received[at]);
            reactor.on_writable(at);
        }
        reactor.turn();
    }
    assert!(received.iter().all(|received| *received == snapshot));
    reactor.port.close();
    engine.join();
}

#[test]
fn newcomers_are_sent_a_bounded_part_of_their_snapshots_a_turn() {
    const NEWCOMERS: usize = 300;
    const A_TURN: u64 = 4 << 20;
    let (mut reactor, engine) = reactor();
    let snapshot = frame("snapshot".repeat(8 * SOCKET_BYTES));
    let (_ring, mut peers) = newcomers(&mut reactor, NEWCOMERS, &snapshot);
    let mut sent = vec![0];
    while reactor.turn() {
        sent.push(reactor.counters.private_bytes_out.get());
        assert!(sent.len() < 1000, "it comes to an end");
    }
    let has_begun = |peer: &mut TcpStream| read(peer, &mut Vec::new()) > 0;
    assert!(peers.iter_mut().all(has_begun), "everybody has some of it");
    assert!(sent.len() > 2, "together they take more than a turn");
    assert!(sent.windows(2).all(|turn| turn[1] - turn[0] < A_TURN + snapshot.len() as u64));
    reactor.port.close();
    engine.join();
}

#[test]
fn who_shakes_hands_with_a_server_that_stops_is_told_so() {
    let (mut reactor, engine) = reactor();
    let (_, mut peer) = connect(&mut reactor);
    reactor.begin_drain();
    let request = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    peer.write_all(request).expect("a socket has room for a request");
    let mut received = Vec::new();
    let says = |received: &[u8], what: &str| received.windows(what.len()).any(|part| part == what.as_bytes());
    let begun = std::time::Instant::now();
    while !says(&received, "reconnect_after_ms") {
        assert!(begun.elapsed().as_secs() < 30, "it is never told");
        reactor.serve_ready();
        reactor.turn();
        read(&mut peer, &mut received);
    }
    assert!(received.starts_with(b"HTTP/1.1 101 ") && says(&received, "server_shutdown"));
    reactor.port.close();
    engine.join();
}

/// With an engine to which nothing is said.
fn reactor() -> (Reactor, Threads) {
    let config = Config::load(None, &json!({}), &json!({})).expect("the sample works");
    let market = Arc::new(config.market().expect("the sample works"));
    let venue = Arc::new(Venue::new(market.clone(), Vec::new(), 500));
    let (wake, sleeper) = wake().expect("a socket pair");
    let door = Arc::new(ReactorDoor { dirty: DirtySet::new(1), wake });
    let (feed, feed_door) = feed(venue.clone(), vec![door.clone()], Arc::default());
    let shape = Shape { sequencers: 1, matchers: 1, log_entries_max: 0 };
    let shards = pipeline::build(shape, &market);
    let (engine, mut ports) =
        pipeline::run_threads(shards, vec![door.clone()], vec![Box::new(feed)], Manner::default());
    let registry = Arc::new(Registry::new(1, None));
    registry.open(vec![feed_door(Arc::default())]);
    let shared = Shared {
        venue,
        accounts: Arc::new(crate::accounts::Accounts::starting_at(0)),
        registry,
        doors: vec![door],
        limits: config.reactor_limits(1),
        admission: Arc::new(Admission::new(vec![std::sync::mpsc::channel().0])),
        history: None,
        anonymous: Default::default(),
        groups: Default::default(),
        stopping: Default::default(),
    };
    let blaster = blaster::choose(blaster::Backend::Plain).expect("send(2) is everywhere").0;
    let net = Sockets::new(blaster, sleeper, SOCKET_BYTES).expect("an epoll");
    let inside = (ports.remove(0), std::sync::mpsc::channel().1);
    let counters = Arc::<ReactorCounters>::default();
    let reactor = Reactor::new(0, Arc::new(shared), inside, counters, Box::new(net));
    (reactor, engine)
}

/// A connection that takes little, and its other end.
fn connect(reactor: &mut Reactor) -> (usize, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket2::SockRef::from(&listener).set_recv_buffer_size(SOCKET_BYTES).expect("a socket option");
    let peer = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    socket2::SockRef::from(&peer).set_recv_buffer_size(SOCKET_BYTES).expect("a socket option");
    peer.set_nonblocking(true).expect("a socket option");
    let (stream, address) = listener.accept().expect("it was connected");
    stream.set_nonblocking(true).expect("a socket option");
    let at = reactor.connections.vacant_key();
    reactor.admit(stream.into_raw_fd(), address.ip());
    (at, peer)
}

/// The connection is in sync with a room, which the test writes.
fn subscribe(reactor: &mut Reactor, at: usize) -> Writer {
    let room = reactor.shared.registry.room(SymbolId(0), View::Depth, Packing::Plain).expect("the first one");
    let (ring, writer) = ring(Some(Pages::new().expect("memory that sockets can refer to")));
    let window_bytes = reactor.shared.limits.window_bytes;
    let mut local = LocalRoom::join(room, window_bytes);
    local.reader = Reader::join(&ring, window_bytes);
    reactor.rooms.insert(0, local);
    join(reactor, at);
    writer
}

/// The connection is in sync with the room, in which nothing has been said.
fn join(reactor: &mut Reactor, at: usize) {
    local_mut(&mut reactor.rooms, 0).count += 1;
    reactor.counters.memberships.add(1);
    reactor.step_out(at).push(Membership { room: 0, place: Place::At(0), next_trade: None });
    reactor.step_in(at);
}

/// So many who join a room and have been handed its snapshot, of which nothing is sent yet; and who writes the room.
fn newcomers(reactor: &mut Reactor, count: usize, snapshot: &[u8]) -> (Writer, Vec<TcpStream>) {
    let (first, peer) = connect(reactor);
    let ring = subscribe(reactor, first);
    let mut peers = vec![peer];
    for _ in 1..count {
        let (at, peer) = connect(reactor);
        join(reactor, at);
        peers.push(peer);
    }
    let frames = snapshot.to_vec().into();
    let room = local_mut(&mut reactor.rooms, 0).room.clone();
    room.put_snapshot(Snapshot { position: 0, frames, next_trade: TradeId(1) });
    for at in 0..count {
        reactor.wait_for_snapshot(at, 0, None);
        reactor.touch(at);
    }
    reactor.serve_waiting(0);
    (ring, peers)
}

fn frame(payload: String) -> Vec<u8> {
    let mut frame = Vec::new();
    ws::frame::write_frame(&mut frame, Opcode::Text, payload.as_bytes());
    frame
}

/// What there is. Returns how much.
fn read(peer: &mut TcpStream, received: &mut Vec<u8>) -> usize {
    let mut buffer = [0; SOCKET_BYTES];
    match peer.read(&mut buffer) {
        Ok(count) => {
            assert_ne!(count, 0, "the connection ended");
            received.extend_from_slice(&buffer[..count]);
            count
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => panic!("{error}"),
    }
}
