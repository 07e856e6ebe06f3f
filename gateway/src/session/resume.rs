//! A client that comes back: what its account was told after the entry it knows, then what is told now, without a hole.
//!
//! The view that answers the login names the account's last entry at an exact place among the live ones. What is before it
//! comes from the history, a page at a time, as fast as the client takes it; what is told meanwhile is held, the newest
//! [`HELD_MAX`] of it, and older ones come from the history, too. So a slow client costs a bound, and not the promise.

use super::Host;
use super::trader::{Pending, Trader};
use crate::history::reader::Entry;
use crate::reports;
use crate::wire::code::{ErrorCode, Refusal};
use crate::wire::encode::control::{self, ErrorReply};
use crate::wire::encode::private;
use crate::wire::id::RequestId;
use engine_core::message::Report;
use engine_core::units::AccountId;
use std::collections::VecDeque;

/// Live entries that are held for a client while it gets older ones: at some 250 bytes each 256 KB, as much as may be unsent.
/// An account would have to be told a thousand things in the time of a query for one of them to be read back.
const HELD_MAX: usize = 1024;

/// How far a returning client is.
pub(super) struct Resume {
    /// The id of its login.
    id: Option<RequestId>,
    /// The entry that it gets next.
    next: u64,
    /// The newest entry that there is.
    newest: u64,
    /// The newest live entries, without a hole, up to `newest`.
    held: VecDeque<Report>,
    /// The question that the history has not answered.
    asked: Option<u32>,
}

impl Resume {
    /// After the entry `after`, where `newest` is the last one now.
    pub(super) fn new(id: Option<RequestId>, after: u64, newest: u64) -> Self {
        Self { id, next: after + 1, newest, held: VecDeque::new(), asked: None }
    }

    fn hold(&mut self, exec_sequence: u64, report: &Report) {
        if self.held.len() == HELD_MAX {
            self.held.pop_front();
        }
        self.held.push_back(report.clone());
        self.newest = exec_sequence;
    }

    /// The next entry, if it is held.
    fn take_held(&mut self) -> Option<Report> {
        let first = self.held.front()?.body.exec_sequence().expect("entries are held");
        (first == self.next).then(|| self.held.pop_front()).flatten()
    }

    /// The last entry that must come from the history.
    fn last_to_read(&self) -> u64 {
        self.newest - self.held.len() as u64
    }
}

impl Trader {
    /// Whether a report is news to this client now. To a client that is coming back it is news later.
    pub(super) fn hears(&mut self, report: &Report) -> bool {
        let Some(exec_sequence) = report.body.exec_sequence() else { return false };
        let since = self.account.as_ref().and_then(|login| login.since);
        if since.is_none_or(|since| exec_sequence <= since) {
            return false;
        }
        match &mut self.resume {
            Some(resume) => resume.hold(exec_sequence, report),
            None => return true,
        }
        false
    }

    /// Whether [`go_on`](Trader::go_on) may have something to do.
    pub(super) fn is_coming_back(&self) -> bool {
        self.resume.is_some() || self.lacks_view
    }

    /// Tells a returning client more, if there is room for it. Called whenever there may be.
    pub(super) fn go_on(&mut self, host: &mut impl Host) {
        if self.lacks_view {
            self.ask_for_view(host);
        }
        while let (Some(login), Some(resume)) = (&self.account, &mut self.resume)
            && resume.asked.is_none()
            && host.has_room()
        {
            if resume.next > resume.newest {
                self.resume = None;
            } else if let Some(report) = resume.take_held() {
                resume.next += 1;
                let now = host.now();
                host.say(|out, venue| reports::write(out, venue, &report, None, now));
            } else {
                let (account, from, to) = (login.id, resume.next, resume.last_to_read());
                self.ask_history(account, (from, to), host);
            }
        }
    }

    /// The history's answer: the entries that were asked for, as many of them as are a page.
    pub(super) fn history(&mut self, request: u32, page: Option<Vec<Entry>>, host: &mut impl Host) {
        let Some(resume) = self.resume.as_mut().filter(|resume| resume.asked == Some(request)) else {
            return;
        };
        resume.asked = None;
        let Some(page) = page.filter(|page| page.first().is_some_and(|entry| entry.exec_seq == resume.next))
        else {
            return self.give_up(host);
        };
        resume.next += page.len() as u64;
        for entry in &page {
            host.say(|out, _| private::entry(out, entry.kind, &entry.data));
        }
        self.go_on(host);
    }

    fn ask_history(&mut self, account: AccountId, entries: (u64, u64), host: &mut impl Host) {
        let request = self.number();
        match host.ask_history(account, entries, request) {
            true => self.resume.as_mut().expect("who asks comes back").asked = Some(request),
            false => self.give_up(host),
        }
    }

    /// The client is told that there is a hole, and gets the account as it stands instead; entries go on from there.
    fn give_up(&mut self, host: &mut impl Host) {
        let Some(Resume { id, next, .. }) = self.resume.take() else { return };
        let message =
            format!("resume_from: entries from {next} on are not in the history, a snapshot follows");
        let refusal = &Refusal::of_field(ErrorCode::ResumeTooOld, "resume_from", message);
        let (id, action, channel, retry_after_ms) = (id.as_ref(), Some("auth"), None, None);
        host.say(|out, _| control::error(out, &ErrorReply { id, action, channel, refusal, retry_after_ms }));
        self.lacks_view = true;
        self.ask_for_view(host);
    }

    /// Until the view comes no entry is news.
    fn ask_for_view(&mut self, host: &mut impl Host) {
        let Some(login) = &mut self.account else { return };
        login.since = None;
        let account = login.id;
        if let Ok(request) = self.expect(Pending::User) {
            self.lacks_view = host.look(account, request).inspect_err(|_| self.forget(request)).is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_core::message::{BalanceChange, Recipient, ReportBody};
    use engine_core::units::Timestamp;

    fn entry(exec_sequence: u64) -> Report {
        let body = ReportBody::Balance(BalanceChange { exec_sequence, balances: [None; 2] });
        Report { account: AccountId(1), to: Recipient::Watchers, at: Timestamp(0), body }
    }

    #[test]
    fn what_does_not_fit_is_read_from_the_history() {
        let held_max = HELD_MAX as u64;
        let mut resume = Resume::new(None, 3, 10);
        assert_eq!(resume.last_to_read(), 10);
        for live in 11..=10 + held_max {
            resume.hold(live, &entry(live));
        }
        assert_eq!(resume.last_to_read(), 10, "all of it is held");
        for live in 11 + held_max..=20 + held_max {
            resume.hold(live, &entry(live));
        }
        assert_eq!((resume.held.len(), resume.last_to_read()), (HELD_MAX, 20), "the newest are held");
        assert!(resume.take_held().is_none(), "4 comes first");
        resume.next = 21;
        for wanted in 21..=20 + held_max {
            assert_eq!(resume.take_held().and_then(|report| report.body.exec_sequence()), Some(wanted));
            resume.next += 1;
        }
        assert!(resume.next > resume.newest && resume.take_held().is_none());
    }
}
