//! One connection: from accept to its last byte.

use super::outbox::Outbox;
use super::{Reactor, ReactorCounters};
use crate::rooms::Packing;
use crate::session::{Session, TooFast};
use crate::ws::deflate::{self, Inflater};
use crate::ws::{self, CloseCode, Decoder, Event, Opcode, handshake};
use engine_core::units::Timestamp;
use std::io;
use std::net::{IpAddr, Shutdown};
use std::os::fd::{IntoRawFd, RawFd};

use super::admission::Arrival;
use super::fanout::Standing;
use super::host::Client;

/// A connection whose unsent private bytes are above this is not read from: it must take its answers first.
pub(super) const PAUSE_BYTES: usize = 256 << 10;

/// Some thousand orders, and what a few dozen of those who were behind take at once. Who is ready beyond that is served after the next
/// turn, before others.
const READ_BYTES_A_TURN: u64 = 256 << 10;
const SENT_BYTES_A_TURN: u64 = 4 << 20;

/// Empty buffers a reactor keeps for its outboxes, and how large one may be: what a turn's worth of talkers needs.
const SPARE_OUTBOXES_MAX: usize = 1024;
const SPARE_BYTES_MAX: usize = 16 << 10;

/// One client's socket and everything this reactor knows of it.
pub(super) struct Connection {
    pub socket: RawFd,
    pub generation: u16,
    address: IpAddr,
    pub phase: Phase,
    /// What the handshake negotiated: with [`Packing::Deflate`] either side may compress.
    pub packing: Packing,
    pub outbox: Outbox,
    pub standing: Standing,
    /// Whether it is in `touched`.
    pub touched: bool,
    /// Since when the socket takes nothing; it is waited for.
    pub full_since: Option<Timestamp>,
    /// Whether it is not read from.
    paused: bool,
    pub opened: Timestamp,
    pub heard: Timestamp,
    pub pinged: Timestamp,
}

impl Connection {
    /// The outbox, to write to.
    pub fn outbox(&mut self, spare: &mut Vec<Vec<u8>>) -> &mut Vec<u8> {
        if !self.outbox.has_buffer()
            && let Some(buffer) = spare.pop()
        {
            self.outbox = Outbox::reusing(buffer);
        }
        self.outbox.end()
    }
}

pub(super) enum Phase {
    /// The bytes of the request so far.
    Handshake(Vec<u8>),
    Native(Decoder, Session),
    Echo(Decoder),
    /// We have said our last word; what still comes is ignored.
    Closing(Timestamp),
}

/// What a connection is to its sockets: its place, and who of those who had it one after another it is.
fn key(at: usize, generation: u16) -> u64 {
    at as u64 | (generation as u64) << 48
}

/// What is done with a connection that was read from.
enum Next {
    Read,
    Pause,
    End,
}

impl Reactor {
    /// Takes a new connection in, whatever the limits are. Its socket is ours from now on.
    pub fn admit(&mut self, socket: RawFd, address: IpAddr) {
        self.shared.admission.note(self.index, address);
        self.take_in_place(socket, address);
    }

    /// Takes in who was handed over.
    pub(super) fn take_in(&mut self, Arrival { socket, address }: Arrival) {
        if self.drain.is_some() {
            return self.shared.admission.give_back(self.index, address); // and it is closed
        }
        self.take_in_place(socket.into_raw_fd(), address);
    }

    /// Takes in who has its place.
    pub(super) fn take_in_place(&mut self, socket: RawFd, address: IpAddr) {
        self.now = self.net.now();
        let entry = self.connections.vacant_entry();
        let at = entry.key();
        if self.generations.len() <= at {
            self.generations.resize(at + 1, 0);
        }
        let generation = self.generations[at];
        if let Err(error) = self.net.open(socket, key(at, generation)) {
            self.counters.refused.add(1);
            match error.raw_os_error() {
                Some(libc::ENOSPC | libc::ENOMEM) => {
                    tracing::warn!(%error, "a connection cannot be waited for")
                }
                _ => tracing::debug!(%error, "a connection ended before it began"),
            }
            self.shared.admission.give_back(self.index, address);
            return self.net.close(socket);
        }
        self.counters.accepted.add(1);
        entry.insert(Connection {
            socket,
            generation,
            address,
            phase: Phase::Handshake(Vec::new()),
            packing: Packing::Plain,
            outbox: Outbox::default(),
            standing: Standing::Apart(Vec::new()),
            touched: false,
            full_since: None,
            paused: false,
            opened: self.now,
            heard: self.now,
            pinged: self.now,
        });
        self.counters.connections.set(self.connections.len() as u64);
    }

    /// Forgets a connection: it leaves every room before its descriptor can be closed.
    pub fn remove(&mut self, at: usize, generation: u16) {
        if self.generations.get(at) != Some(&generation) || !self.connections.contains(at) {
            return;
        }
        self.leave_all_rooms(at);
        let connection = self.connections.remove(at);
        self.generations[at] = generation.wrapping_add(1);
        if let Phase::Native(_, session) = &connection.phase {
            self.end_session(at, session);
        }
        self.net.close(connection.socket);
        self.shared.admission.give_back(self.index, connection.address);
        self.counters.connections.set(self.connections.len() as u64);
    }

    /// Serves the connections that have something to say, until [`READ_BYTES_A_TURN`] were read, and then those that have room again, until
    /// [`SENT_BYTES_A_TURN`] were sent. True if there may be more.
    pub fn serve_ready(&mut self) -> bool {
        let may_be_more = self.net.ready(&mut self.ready);
        let read_max = self.counters.bytes_in.get() + READ_BYTES_A_TURN;
        while self.counters.bytes_in.get() < read_max
            && let Some(key) = self.ready.to_read.pop_front()
        {
            let Some((at, generation)) = self.by_key(key) else { continue };
            match self.on_readable(at) {
                Next::Read => {}
                Next::Pause => self.pause(at),
                Next::End => self.remove(at, generation),
            }
        }
        let sent = |counters: &ReactorCounters| counters.bytes_out.get() + counters.private_bytes_out.get();
        let sent_max = sent(&self.counters) + SENT_BYTES_A_TURN;
        while sent(&self.counters) < sent_max
            && let Some(key) = self.ready.to_write.pop_front()
        {
            if let Some((at, _)) = self.by_key(key) {
                self.on_writable(at);
            }
        }
        may_be_more || !self.ready.is_empty()
    }

    /// Place and generation of the connection with that key, if it is still open.
    fn by_key(&self, key: u64) -> Option<(usize, u16)> {
        let (at, generation) = ((key & ((1 << 48) - 1)) as usize, (key >> 48) as u16);
        let connection = self.connections.get(at)?;
        (connection.generation == generation).then_some((at, generation))
    }

    /// Reads once and handles what came.
    fn on_readable(&mut self, at: usize) -> Next {
        self.now = self.net.now();
        let mut scratch = std::mem::take(&mut self.scratch);
        let next = match self.net.receive(self.connections[at].socket, &mut scratch) {
            Ok(0) => Next::End,
            Ok(n) => {
                self.counters.bytes_in.add(n as u64);
                self.connections[at].heard = self.now;
                self.on_bytes(at, &mut scratch[..n])
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Next::Read,
            Err(_) => Next::End,
        };
        self.scratch = scratch;
        next
    }

    fn on_bytes(&mut self, at: usize, bytes: &mut [u8]) -> Next {
        match &mut self.connections[at].phase {
            Phase::Handshake(head) if head.is_empty() => self.on_handshake(at, bytes),
            Phase::Handshake(head) => {
                let mut whole = std::mem::take(head);
                whole.extend_from_slice(bytes);
                self.on_handshake(at, &mut whole)
            }
            Phase::Native(..) | Phase::Echo(_) => self.on_frames(at, bytes),
            Phase::Closing(_) => Next::Read,
        }
    }

    fn on_handshake(&mut self, at: usize, received: &mut [u8]) -> Next {
        let head_bytes_max = handshake::HEAD_BYTES_MAX;
        let mut response = Vec::new();
        let accepted = match handshake::parse(received, head_bytes_max) {
            Ok(None) => {
                self.connections[at].phase = Phase::Handshake(received.to_vec());
                return Next::Read;
            }
            Ok(Some(request)) => self.endpoint(&request).map(|phase| {
                let offers = if self.shared.limits.compression { &request.extensions[..] } else { &[] };
                let deflate = deflate::Accepted::first_of(offers);
                request.write_accepted(&mut response, None, deflate);
                let packing = deflate.map_or(Packing::Plain, |_| Packing::Deflate);
                (phase, packing, request.consumed)
            }),
            Err(refusal) => Err(refusal),
        };
        match accepted {
            Ok((phase, packing, consumed)) => {
                let connection = &mut self.connections[at];
                (connection.phase, connection.packing) = (phase, packing);
                connection.outbox.end().extend_from_slice(&response);
                self.touch(at);
                self.announce_late(at);
                if received.len() > consumed {
                    return self.on_frames(at, &mut received[consumed..]);
                }
            }
            Err(refusal) => {
                self.counters.refused.add(1);
                refusal.write_response(&mut response);
                self.connections[at].outbox.end().extend_from_slice(&response);
                self.connections[at].phase = Phase::Closing(self.now);
                self.touch(at);
            }
        }
        Next::Read
    }

    /// What a path leads to.
    fn endpoint(&self, request: &ws::Request<'_>) -> Result<Phase, handshake::Refusal> {
        use handshake::{Refusal, Status};
        if let Some(origin) = request.origin
            && !origin_is_allowed(origin, request.host, &self.shared.limits.allowed_origins)
        {
            return Err(Refusal::new(Status::Forbidden, "the page's origin may not connect here"));
        }
        match request.path {
            "/ws" => Ok(Phase::Native(Decoder::new(), Session::default())),
            "/echo" if self.shared.limits.echo => Ok(Phase::Echo(Decoder::new())),
            _ => Err(Refusal::new(Status::NotFound, "no WebSocket endpoint at this path; it is /ws")),
        }
    }

    fn on_frames(&mut self, at: usize, bytes: &mut [u8]) -> Next {
        let phase = std::mem::replace(&mut self.connections[at].phase, Phase::Closing(self.now));
        let (mut decoder, mut session) = match phase {
            Phase::Native(decoder, session) => (decoder, Some(session)),
            Phase::Echo(decoder) => (decoder, None),
            Phase::Handshake(_) | Phase::Closing(_) => unreachable!("frames come between the two"),
        };
        let limits = ws::Limits { message_bytes_max: self.shared.limits.message_bytes_max };
        let mut inflater = self.take_inflater(at);
        let mut reading = decoder.read(bytes, &limits);
        if let Some(inflater) = &mut inflater {
            reading = reading.inflating(inflater);
        }
        let ended = loop {
            match reading.next_event() {
                Ok(None) => break None,
                Ok(Some(event)) => {
                    if let Some(close) = self.on_event(at, session.as_mut(), event) {
                        break Some(close);
                    }
                }
                Err(violation) => break Some((Some(violation.close_code()), violation.reason())),
            }
        };
        self.put_inflater_back(inflater);
        self.connections[at].phase = match session {
            Some(session) => Phase::Native(decoder, session),
            None => Phase::Echo(decoder),
        };
        match ended {
            None => {
                self.want_turn();
                if self.connections[at].outbox.len() > PAUSE_BYTES { Next::Pause } else { Next::Read }
            }
            Some((code, reason)) => {
                self.close(at, code, reason);
                Next::Read
            }
        }
    }

    /// The thread's inflater, if the connection may send what needs it.
    fn take_inflater(&mut self, at: usize) -> Option<Box<Inflater>> {
        match self.connections[at].packing {
            Packing::Plain => None,
            Packing::Deflate => Some(self.inflater.take().unwrap_or_default()),
        }
    }

    fn put_inflater_back(&mut self, inflater: Option<Box<Inflater>>) {
        let Some(inflater) = inflater else { return };
        let (messages, bytes) = inflater.counted();
        self.counters.inflated.set(messages);
        self.counters.inflated_bytes.set(bytes);
        self.inflater = Some(inflater);
    }

    /// Handles one event; returns how to close, if that is what follows.
    fn on_event(
        &mut self,
        at: usize,
        session: Option<&mut Session>,
        event: Event<'_>,
    ) -> Option<(Option<CloseCode>, &'static str)> {
        self.counters.messages_in.add(1);
        match (event, session) {
            (Event::Text(text), Some(session)) => {
                let mut buffers = std::mem::take(&mut self.buffers);
                let limits = self.shared.limits.session;
                let done = session.message(text, &mut buffers, &limits, &mut Client { reactor: self, at });
                self.buffers = buffers;
                match done {
                    Ok(()) => None,
                    Err(TooFast) => Some((Some(CloseCode::MESSAGE_RATE), "too many messages")),
                }
            }
            (Event::Binary(_), Some(_)) => Some((Some(CloseCode(1003)), "this endpoint speaks text")),
            (Event::Text(payload), None) => self.send_frame(at, Opcode::Text, payload),
            (Event::Binary(payload), None) => self.send_frame(at, Opcode::Binary, payload),
            (Event::Ping(payload), _) => self.send_frame(at, Opcode::Pong, payload),
            (Event::Pong(_), _) => None,
            (Event::Close { code, .. }, _) => Some((code, "")),
        }
    }

    pub(super) fn send_frame(
        &mut self,
        at: usize,
        opcode: Opcode,
        payload: &[u8],
    ) -> Option<(Option<CloseCode>, &'static str)> {
        ws::frame::write_frame(self.connections[at].outbox(&mut self.spare_outboxes), opcode, payload);
        self.touch(at);
        None
    }

    /// Says goodbye: the close frame goes out after what is already in the outbox, and nothing after it.
    pub fn close(&mut self, at: usize, code: Option<CloseCode>, reason: &str) {
        self.leave_all_rooms(at);
        let connection = &mut self.connections[at];
        if let Phase::Native(_, session) = std::mem::replace(&mut connection.phase, Phase::Closing(self.now))
        {
            self.end_session(at, &session);
        }
        let connection = &mut self.connections[at];
        match (code, reason) {
            (Some(code), reason) if !reason.is_empty() => {
                ws::frame::write_close(connection.outbox.end(), code, reason)
            }
            (code, _) => ws::frame::write_close_reply(connection.outbox.end(), code),
        }
        self.touch(at);
    }

    /// Notes that the connection has something to send.
    pub fn touch(&mut self, at: usize) {
        if !std::mem::replace(&mut self.connections[at].touched, true) {
            self.touched.push(at);
            self.want_turn();
        }
    }

    /// Sends what is in the outbox. Returns whether all of it went.
    pub fn flush_outbox(&mut self, at: usize) -> bool {
        let connection = &mut self.connections[at];
        connection.touched = false;
        while !connection.outbox.is_empty() {
            let unsent = connection.outbox.unsent();
            let bytes = unsent.len();
            match self.net.send(connection.socket, unsent, None) {
                Ok(sent) => {
                    self.counters.private_bytes_out.add(sent as u64);
                    connection.outbox.took(sent);
                    if sent > 0 && connection.full_since.is_some() {
                        connection.full_since = Some(self.now);
                    }
                    if sent > 0 && connection.paused {
                        connection.heard = self.now; // it lives, and we do not listen
                    }
                    if sent < bytes {
                        break;
                    }
                }
                Err(_) => {
                    // Broken; it is told of as ready, its stream ends, and it is removed.
                    connection.outbox.clear();
                    self.net.shutdown(connection.socket, Shutdown::Both);
                    self.resume_reading(at);
                    return true;
                }
            }
        }
        let connection = &mut self.connections[at];
        if connection.outbox.len() <= PAUSE_BYTES {
            self.resume_reading(at);
        }
        let connection = &mut self.connections[at];
        if !connection.outbox.is_empty() {
            if connection.outbox.own_len() > self.shared.limits.outbox_bytes_max {
                self.counters.closed_slow.add(1);
                self.drop_connection(at);
                return true;
            }
            return false;
        }
        // An idle connection holds no buffer; the next one to speak takes it over.
        let buffer = std::mem::take(&mut connection.outbox).into_buffer();
        if (1..=SPARE_BYTES_MAX).contains(&buffer.capacity())
            && self.spare_outboxes.len() < SPARE_OUTBOXES_MAX
        {
            self.spare_outboxes.push(buffer);
        }
        let connection = &self.connections[at];
        if matches!(connection.phase, Phase::Closing(_)) {
            self.net.shutdown(connection.socket, Shutdown::Write);
        }
        true
    }

    /// Ends a connection that cannot be told anything any more: it is told of as ready, its stream ends, and it is removed.
    pub fn drop_connection(&mut self, at: usize) {
        self.leave_all_rooms(at);
        let connection = &mut self.connections[at];
        connection.outbox = Outbox::default();
        self.net.shutdown(connection.socket, Shutdown::Both);
        self.resume_reading(at);
    }

    /// It sends more than it takes: it is read again when it has taken its answers.
    fn pause(&mut self, at: usize) {
        self.connections[at].paused = true;
        self.listen(at, false);
    }

    fn resume_reading(&mut self, at: usize) {
        if std::mem::take(&mut self.connections[at].paused) {
            self.listen(at, true);
        }
    }

    fn listen(&mut self, at: usize, is_on: bool) {
        let Connection { socket, generation, .. } = self.connections[at];
        self.net.listen(socket, key(at, generation), is_on);
    }

    /// Whether the connection's socket is waited for to have room.
    pub fn want_room(&mut self, at: usize, is_on: bool) {
        let Connection { socket, generation, .. } = self.connections[at];
        self.net.want_room(socket, key(at, generation), is_on);
    }

    pub fn session_mut(&mut self, at: usize) -> Option<&mut Session> {
        match &mut self.connections.get_mut(at)?.phase {
            Phase::Native(_, session) => Some(session),
            _ => None,
        }
    }

    /// Takes the session out while it is handled, so that it can use the rest of the reactor.
    pub(super) fn with_session<R>(
        &mut self,
        at: usize,
        work: impl FnOnce(&mut Session, &mut Client<'_>) -> R,
    ) -> Option<R> {
        let mut session = std::mem::take(self.session_mut(at)?);
        let result = work(&mut session, &mut Client { reactor: self, at });
        *self.session_mut(at).expect("handling a report does not close") = session;
        Some(result)
    }
}

/// Whether a browser's page may connect: from loopback, from our own host, or from a listed origin.
fn origin_is_allowed(origin: &str, host: &str, allowed: &[String]) -> bool {
    let name = |authority: &str| -> String {
        let end =
            authority.rfind(':').filter(|at| !authority[*at..].contains(']')).unwrap_or(authority.len());
        authority[..end].to_ascii_lowercase()
    };
    if allowed.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((_, authority)) = origin.split_once("://") else { return false };
    let page = name(authority);
    let is_loopback = page == "localhost"
        || page.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_loopback || page == name(host)
}

#[cfg(test)]
mod tests {
    use super::origin_is_allowed;

    #[test]
    fn pages_from_loopback_and_from_our_own_host_may_connect() {
        let allowed = |origin, host| origin_is_allowed(origin, host, &["https://trade.example".into()]);
        assert!(allowed("http://127.0.0.1:8080", "127.0.0.1:9001"));
        assert!(allowed("http://localhost", "10.0.0.1:9001"));
        assert!(allowed("http://[::1]:8080", "127.0.0.1:9001"));
        assert!(allowed("https://exchange.example", "exchange.example:9001"));
        assert!(allowed("https://trade.example", "exchange.example"));
        assert!(!allowed("https://evil.example", "exchange.example:9001"));
        assert!(!allowed("null", "exchange.example"));
        assert!(!allowed("http://127.0.0.1.evil.example", "exchange.example"));
    }
}
