//! Where inputs come in and reports go out.

use crate::bell::{Bell, ThreadBell};
use crate::lane::{Receiver, Sender};
use crate::message::{Input, Origin, Report, Route};
use crate::units::AccountId;
use std::sync::Arc;

/// A producer of inputs (a reactor, the control plane, a replay): its lanes to and from every sequencer.
pub struct Port {
    pub(super) index: u16,
    pub(super) ingress: Vec<Sender<Ingress>>,
    pub(super) reports: Vec<Receiver<Report>>,
    pub(super) bells: Vec<Arc<ThreadBell>>,
}

/// What goes into a sequencer's lane. Only inputs are logged; the rest concerns who hears what.
pub(super) enum Ingress {
    Input(Input),
    Watch { account: AccountId, on: bool },
    Look { account: AccountId, asker: Origin },
}

/// The lane is full: the engine has more to do than it can. Nothing was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded;

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
        match input.command.route(self.ingress.len()) {
            Route::One(to) => self.ingress[to].push(Ingress::Input(input)).map_err(|_| Overloaded),
            Route::All if self.ingress.iter_mut().any(|lane| lane.free() == 0) => Err(Overloaded),
            Route::All => self
                .ingress
                .iter_mut()
                .try_for_each(|lane| lane.push(Ingress::Input(input)).map_err(|_| Overloaded)),
        }
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

    fn push(&mut self, account: AccountId, ingress: Ingress) -> Result<(), Overloaded> {
        let to = account.0 as usize % self.ingress.len();
        self.ingress[to].push(ingress).map_err(|_| Overloaded)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.close();
    }
}
