//! What is done once a second.

use super::connection::Phase;
use super::{Reactor, Shell};
use crate::ws::{CloseCode, Opcode};
use engine_core::units::Timestamp;
use std::time::Duration;

/// How long a closing connection may take to say its own goodbye.
const CLOSE_TIMEOUT_S: u32 = 2;

/// Has it done.
pub(super) async fn sweep(shell: Shell) {
    loop {
        monoio::time::sleep(Duration::from_secs(1)).await;
        shell.borrow_mut().sweep();
    }
}

impl Reactor {
    /// Once a second: who is too slow, too quiet or has not finished.
    pub fn sweep(&mut self) {
        self.now = self.net.now();
        self.audit();
        if self.index == 0 {
            self.shared.admission.forget_quiet_addresses(&self.shared.limits, self.now);
        }
        let limits = self.shared.limits.clone();
        let due =
            |since: Timestamp, seconds: u32| self.now.0.saturating_sub(since.0) >= seconds as u64 * 1_000_000;
        let mut pings = Vec::new();
        let mut ends = Vec::new();
        let mut returning = Vec::new();
        for (at, connection) in &self.connections {
            if let Phase::Native(_, session) = &connection.phase
                && session.is_coming_back()
            {
                returning.push(at);
            }
            let end = match &connection.phase {
                Phase::Handshake(_) => due(connection.opened, limits.handshake_timeout_s).then_some(None),
                Phase::Closing(since) => due(*since, CLOSE_TIMEOUT_S).then_some(None),
                _ if connection.full_since.is_some_and(|since| due(since, limits.write_timeout_s)) => {
                    Some(Some((CloseCode::SLOW_CONSUMER, "not reading")))
                }
                _ if due(connection.heard, limits.idle_timeout_s) => {
                    Some(Some((CloseCode::IDLE, "no sign of life")))
                }
                _ => {
                    if due(connection.heard.max(connection.pinged), limits.ping_interval_s) {
                        pings.push(at);
                    }
                    None
                }
            };
            ends.extend(end.map(|close| (at, close)));
        }
        returning.into_iter().for_each(|at| self.go_on(at)); // who could not ask for a view asks again
        for at in pings {
            self.connections[at].pinged = self.now;
            self.send_frame(at, Opcode::Ping, b"");
        }
        for (at, close) in ends {
            match close {
                Some((code, reason)) => {
                    self.counters.closed_slow.add((code == CloseCode::SLOW_CONSUMER) as u64);
                    self.close(at, Some(code), reason);
                }
                None => self.drop_connection(at),
            }
        }
    }
}
