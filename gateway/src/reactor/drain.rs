//! The end of a reactor: everybody is told at once, and then they are closed one after another, so that they do not all come
//! back, to us or to another gateway, in the same moment. Until its turn a client goes on as before.

use super::Reactor;
use super::connection::Phase;
use crate::wire::encode::control;
use crate::ws::handshake::{Refusal, Status};
use crate::ws::{self, CloseCode, Opcode};
use std::time::{Duration, Instant};

/// What a stopping server tells its clients to wait, beyond the time until their turn. Picked by eye: a restart takes less.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);

/// Connections that are closed at once, and a second, unless that would take longer than it may. A gateway that somebody else
/// takes the clients of gets them no faster than it can shake hands. Picked by eye.
const CLOSED_AT_ONCE: usize = 256;
const CLOSED_PER_SECOND: usize = 10_000;

/// How long clients may take for their last bytes once they are closed.
const LAST_BYTES_MAX: Duration = Duration::from_secs(2);

/// To who has not finished its handshake, or only begins it.
pub(super) const SHUTTING_DOWN: &str = "the server is shutting down";

/// A reactor that stops.
pub(super) struct Drain {
    since: Instant,
    per_second: usize,
    /// Place and generation of those that are to be closed; the last is the next.
    open: Vec<(usize, u16)>,
    closed: usize,
    /// When the last was closed.
    over_since: Option<Instant>,
}

impl Reactor {
    /// Tells every client that we are going, and when to come back.
    pub fn begin_drain(&mut self) {
        self.now = self.net.now();
        let longest = self.shared.limits.drain_s as usize;
        let mut open: Vec<_> = self.connections.iter().map(|(at, it)| (at, it.generation)).collect();
        open.reverse();
        let per_second = CLOSED_PER_SECOND.max(open.len() / longest.max(1));
        for (after, (at, _)) in open.iter().rev().enumerate() {
            let its_turn = after.saturating_sub(CLOSED_AT_ONCE) * 1000 / per_second;
            self.announce_end(*at, Duration::from_millis(its_turn as u64));
        }
        self.drain = Some(Drain { since: Instant::now(), per_second, open, closed: 0, over_since: None });
    }

    /// Tells a client whose handshake came to its end only now. Its turn is unknown here, and comes no later than the last one's.
    pub fn announce_late(&mut self, at: usize) {
        if let Some(drain) = &self.drain {
            let rest = Duration::from_millis((drain.open.len() * 1000 / drain.per_second) as u64);
            self.announce_end(at, rest);
        }
    }

    fn announce_end(&mut self, at: usize, its_turn: Duration) {
        if let Phase::Native(..) = self.connections[at].phase {
            let (now, wait_ms) = (self.now, (RECONNECT_AFTER + its_turn).as_millis() as u64);
            let outbox = self.connections[at].outbox.end();
            ws::frame::append_frame(outbox, Opcode::Text, 100, |out| {
                control::server_shutdown(out, now, wait_ms)
            });
            self.touch(at);
        }
    }

    /// Closes those whose turn it is. True when nobody waits for a word of this reactor, or it has waited long enough.
    pub fn go_on_draining(&mut self) -> bool {
        self.now = self.net.now();
        let Some(drain) = &mut self.drain else { return true };
        let elapsed = drain.since.elapsed();
        let due = CLOSED_AT_ONCE + (drain.per_second as f64 * elapsed.as_secs_f64()) as usize;
        let left = drain.open.len() - (due.saturating_sub(drain.closed)).min(drain.open.len());
        let leaving = drain.open.split_off(left);
        drain.closed += leaving.len();
        if drain.open.is_empty() {
            drain.over_since.get_or_insert_with(Instant::now);
        }
        let over_since = drain.over_since;
        for (at, generation) in leaving.into_iter().rev() {
            if self.connections.get(at).is_some_and(|connection| connection.generation == generation) {
                self.part_with(at);
            }
        }
        let is_too_late = over_since.is_some_and(|since| since.elapsed() > LAST_BYTES_MAX);
        // Farewells that need not wait are said while there is an engine to say them to.
        let has_said_all = self.hurry_farewells() && self.connections.is_empty();
        if is_too_late && !has_said_all {
            let connections = self.connections.len();
            tracing::warn!(reactor = self.index, connections, "clients have not taken their last bytes");
        }
        has_said_all || is_too_late
    }

    fn part_with(&mut self, at: usize) {
        match self.connections[at].phase {
            Phase::Native(..) | Phase::Echo(_) => {
                self.close(at, Some(CloseCode::GOING_AWAY), "shutting down")
            }
            Phase::Handshake(_) => {
                let connection = &mut self.connections[at];
                Refusal::new(Status::Unavailable, SHUTTING_DOWN).write_response(connection.outbox.end());
                connection.phase = Phase::Closing(self.now);
                self.touch(at);
            }
            Phase::Closing(_) => {}
        }
    }
}
