//! A turn: what has come together since the last one goes out. All of it that is private; of what is public, as much as is sent in a
//! millisecond or two, and the next turn goes on with it. So nobody's answer, and no other client's order, waits for everybody's market
//! data.

use super::Mail;
use super::Reactor;
use crate::history::desk::Answer;
use crate::reports;
use crate::ws::{self, Opcode};
use engine_core::message::{Recipient, Report, ReportBody};

/// Reports that are taken from each sequencer at once: they are sent before more are taken, or one client's would not fit its outbox.
const REPORTS_MAX: usize = 1024;

/// How often a turn takes reports. A sweep of the book makes thousands, and the engine waits once too many do.
const REPORTS_TIMES_MAX: usize = 4;

/// What a turn sends to those who have a snapshot to get, which may be large, and they may be thousands after an outage.
const SNAPSHOT_BYTES_A_TURN: u64 = 4 << 20;

/// Payload bytes of a typical report: what room is left for its header is guessed from this.
const EXPECTED_BYTES: usize = 400;

impl Reactor {
    /// Runs a turn. Returns whether there is more to do at once.
    pub(crate) fn turn(&mut self) -> bool {
        self.pump_wanted = false;
        self.now = self.net.now();
        self.counters.turns.add(1);
        // Inputs first: the engine works while we send.
        self.port.flush();
        let more_reports = self.pass_on_reports();
        self.take_mail();
        self.flush_touched();
        let more_snapshots = self.send_snapshots();
        let more_news = self.fan_out();
        self.flush_touched();
        self.port.flush();
        more_reports || more_snapshots || more_news
    }

    /// Returns whether there may be more.
    fn pass_on_reports(&mut self) -> bool {
        for _ in 0..REPORTS_TIMES_MAX {
            if !self.take_reports() {
                return false;
            }
            self.flush_touched();
        }
        true
    }

    fn take_reports(&mut self) -> bool {
        let mut reports = std::mem::take(&mut self.reports);
        self.port.take_reports(REPORTS_MAX, |report| reports.push(report));
        for report in &reports {
            match report.to {
                Recipient::Asker(origin) => {
                    if let Some(at) = self.connection_of(origin.session) {
                        self.answer(at, origin.request, report);
                    }
                }
                Recipient::Watchers => {
                    for i in 0.. {
                        let watchers = self.watchers.get(&report.account);
                        let Some(at) = watchers.and_then(|watchers| watchers.get(i)).copied() else { break };
                        if self.session_mut(at).is_some_and(|session| session.hears(report)) {
                            self.write_report(at, report, None);
                        }
                    }
                }
            }
        }
        let more = !reports.is_empty();
        reports.clear();
        self.reports = reports;
        more
    }

    /// Hands the history's answers to those who asked, and takes in who was handed over.
    fn take_mail(&mut self) {
        while let Some(mail) = self.letter.take().or_else(|| self.mail.try_recv().ok()) {
            match mail {
                Mail::History(Answer { session, request, page }) => {
                    if let Some(at) = self.connection_of(session) {
                        self.with_session(at, |session, client| session.history(request, page, client));
                    }
                }
                Mail::Arrival(arrival) => self.take_in(arrival),
            }
        }
    }

    /// Has a session that is coming back go on, if it is one.
    pub(super) fn go_on(&mut self, at: usize) {
        if self.session_mut(at).is_some_and(|session| session.is_coming_back()) {
            self.with_session(at, |session, client| session.go_on(client));
        }
    }

    fn answer(&mut self, at: usize, request: u32, report: &Report) {
        match &report.body {
            ReportBody::Account(view) => {
                let account = report.account;
                self.with_session(at, |session, client| session.account_view(request, account, view, client));
                return;
            }
            ReportBody::Refused { reason } => {
                self.with_session(at, |session, client| session.refused(request, *reason, client));
                return;
            }
            // An account is open, or has its money: the view that follows says so.
            ReportBody::Done => return,
            _ => {}
        }
        let id = match request {
            0 => None,
            request => self.session_mut(at).and_then(|session| session.take_request(request)),
        };
        self.write_report(at, report, id.as_ref());
    }

    fn write_report(&mut self, at: usize, report: &Report, id: Option<&crate::wire::id::RequestId>) {
        if self.session_mut(at).is_none() {
            return; // it is closing
        }
        let Self { connections, spare_outboxes, shared, now, counters, .. } = self;
        if let ReportBody::OrderAck { received, duplicate: false, .. } = report.body {
            counters.order_to_ack.record(now.0.saturating_sub(received.0));
        }
        let outbox = connections[at].outbox(spare_outboxes);
        ws::frame::append_frame(outbox, Opcode::Text, EXPECTED_BYTES, |out| {
            reports::write(out, &shared.venue, report, id, *now)
        });
        self.touch(at);
    }

    /// Sends everybody what is theirs, but those who begin with a snapshot wait for their turn.
    fn flush_touched(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        for at in touched.drain(..) {
            match self.connections.get(at) {
                Some(connection) if connection.outbox.has_shared() => self.beginners.push_back(at),
                Some(_) => self.bring_up_to_date(at),
                None => {}
            }
        }
        // Whoever was touched meanwhile comes with the next flush.
        touched.append(&mut self.touched);
        self.touched = touched;
    }

    /// Sends some of those who have a snapshot to get what is theirs. True if there are others.
    fn send_snapshots(&mut self) -> bool {
        let sent_max = self.counters.private_bytes_out.get() + SNAPSHOT_BYTES_A_TURN;
        while self.counters.private_bytes_out.get() < sent_max
            && let Some(at) = self.beginners.pop_front()
        {
            if self.connections.contains(at) {
                self.bring_up_to_date(at);
            }
        }
        !self.beginners.is_empty()
    }
}
