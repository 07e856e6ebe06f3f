//! Where inputs come in and reports go out.

use crate::bell::{Bell, ThreadBell};
use crate::journal::{Condition, Watch};
use crate::lane::{Receiver, Sender};
use crate::message::{Input, Origin, Report, Route};
use crate::units::AccountId;
use std::sync::Arc;
use thiserror::Error;

/// A producer of inputs (a reactor, the control plane, a replay): its lanes to and from every sequencer.
pub struct Port {
    pub(super) index: u16,
    pub(super) ingress: Vec<Sender<Ingress>>,
    pub(super) reports: Vec<Receiver<Report>>,
    pub(super) bells: Vec<Arc<ThreadBell>>,
    /// The journal that the logs are in: while it is full, not everything is taken.
    pub(super) journal: Option<Watch>,
}

/// What goes into a sequencer's lane. Only inputs are logged; the rest concerns who hears what.
pub(super) enum Ingress {
    Input(Input),
    Watch { account: AccountId, on: bool },
    Look { account: AccountId, asker: Origin },
}

/// Why the engine takes nothing now. Nothing was accepted, and the same may be accepted later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Overloaded {
    /// The lane is full.
    #[error("the engine has too much to do, try again")]
    Busy,
    /// The journal has no space. What [`Command::is_taken_without_space`](crate::message::Command::is_taken_without_space)
    /// is taken.
    #[error("the disk of the exchange is full: cancels are taken, nothing new is until there is space again")]
    DiskFull,
    /// The journal cannot open its next file. The same is taken.
    #[error("the exchange can open no more files: cancels are taken, nothing new is until it can")]
    NoFiles,
}

impl Port {
    /// The port's number, to be used in [`Origin::port`].
    pub fn index(&self) -> u16 {
        self.index
    }

    /// How many more inputs, watches and looks the account's sequencer takes now.
    pub fn room(&mut self, account: AccountId) -> usize {
        let to = account.0 as usize % self.ingress.len();
        self.ingress[to].free()
    }

    /// Hands an input to its sequencer, or to all; it travels with the next [`Port::flush`].
    pub fn submit(&mut self, input: Input) -> Result<(), Overloaded> {
        if !input.command.is_taken_without_space() {
            self.check_space()?;
        }
        self.put(input)
    }

    /// Hands inputs of one account to its sequencer, all of them or none.
    pub fn submit_together(&mut self, account: AccountId, inputs: &[Input]) -> Result<(), Overloaded> {
        if self.room(account) < inputs.len() {
            return Err(Overloaded::Busy);
        }
        if !inputs.iter().all(|input| input.command.is_taken_without_space()) {
            self.check_space()?;
        }
        inputs.iter().try_for_each(|input| self.put(*input))
    }

    /// Starts or ends the port's interest in an account's executions and balances.
    pub fn watch(&mut self, account: AccountId, on: bool) -> Result<(), Overloaded> {
        self.push(account, Ingress::Watch { account, on })
    }

    /// Asks for the account as it stands; the answer is a [`ReportBody::Account`](crate::message::ReportBody::Account), in line with all other reports.
    pub fn look(&mut self, account: AccountId, asker: Origin) -> Result<(), Overloaded> {
        self.push(account, Ingress::Look { account, asker })
    }

    /// Makes everything submitted visible to the sequencers.
    pub fn flush(&mut self) {
        for (lane, bell) in self.ingress.iter_mut().zip(&self.bells) {
            if lane.publish() {
                bell.ring();
            }
        }
    }

    /// Takes at most `most` reports from every sequencer. Returns how many there were.
    pub fn take_reports(&mut self, most: usize, mut take: impl FnMut(Report)) -> usize {
        let mut taken = 0;
        for lane in &mut self.reports {
            for report in std::iter::from_fn(|| lane.pop()).take(most) {
                take(report);
                taken += 1;
            }
            lane.release();
        }
        taken
    }

    /// Whether a report waits.
    pub fn has_reports(&mut self) -> bool {
        self.reports.iter_mut().any(Receiver::has_next)
    }

    /// Ends the port: what was flushed or submitted still takes effect, nothing more can be submitted or heard.
    pub fn close(&mut self) {
        self.ingress.clear(); // dropping a lane's end closes it
        self.reports.clear();
        self.bells.iter().for_each(|bell| bell.ring());
    }

    fn check_space(&self) -> Result<(), Overloaded> {
        match self.journal.as_ref().map(Watch::condition) {
            Some(Condition::Full) => Err(Overloaded::DiskFull),
            Some(Condition::NoFiles) => Err(Overloaded::NoFiles),
            _ => Ok(()),
        }
    }

    fn put(&mut self, input: Input) -> Result<(), Overloaded> {
        let push = |lane: &mut Sender<_>| lane.push(Ingress::Input(input)).map_err(|_| Overloaded::Busy);
        match input.command.route(self.ingress.len()) {
            Route::One(to) => push(&mut self.ingress[to]),
            Route::All if self.ingress.iter_mut().any(|lane| lane.free() == 0) => Err(Overloaded::Busy),
            Route::All => self.ingress.iter_mut().try_for_each(push),
        }
    }

    fn push(&mut self, account: AccountId, ingress: Ingress) -> Result<(), Overloaded> {
        let to = account.0 as usize % self.ingress.len();
        self.ingress[to].push(ingress).map_err(|_| Overloaded::Busy)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.close();
    }
}
