//! The two ways to run the same shards.
//!
//! [`inline`] runs all of them in the caller's thread in a defined order: recovery, replay, simulation. [`threads`]
//! gives each its own thread and joins them by lanes: the live exchange. Neither adds to what a shard decides; they
//! move messages.

pub mod inline;
pub mod threads;

use crate::log::ShardLog;
use crate::matcher::{self, MarketEvent, Matcher};
use crate::message::{Input, Report};
use crate::sequencer::{self, Sequencer};
use crate::units::{AccountId, Amount, AssetId};
use std::convert::Infallible;

/// The log of a sequencer: inputs, and the merge order of settlements.
pub type SequencerLog = dyn ShardLog<Input>;
/// The log of a matcher: only the merge order; all content comes from sequencers.
pub type MatcherLog = dyn ShardLog<Infallible>;

/// A sequencer with its log and what it has put out.
pub struct SequencerShard {
    /// The state.
    pub machine: Sequencer,
    /// What changes it.
    pub log: Box<SequencerLog>,
    /// What it put out.
    pub out: sequencer::Outbox,
}

/// A matcher with its log and what it has put out.
pub struct MatcherShard {
    /// The state.
    pub machine: Matcher,
    /// What changes it.
    pub log: Box<MatcherLog>,
    /// What it put out.
    pub out: matcher::Outbox,
}

/// Receives what the market may know, on the matcher's thread, once its cause is durable.
pub trait MarketSink: Send {
    /// Something happened.
    fn event(&mut self, event: &MarketEvent);
    /// A batch of events is complete: what was told may go out. Also called when a quiet matcher is woken by its
    /// bell. Bounded work, no waiting.
    fn publish(&mut self);
    /// Whether somebody waits for a `publish` that no event will cause. Asked before the matcher's thread rests;
    /// whoever makes it true rings the matcher's bell afterwards.
    fn wants_publish(&self) -> bool {
        false
    }
}

/// Nobody watches.
impl MarketSink for () {
    fn event(&mut self, _: &MarketEvent) {}
    fn publish(&mut self) {}
}

/// Receives reports from the inline executor.
pub trait ReportSink {
    /// Something is reported.
    fn report(&mut self, report: &Report);
}

impl<F: FnMut(&Report)> ReportSink for F {
    fn report(&mut self, report: &Report) {
        self(report)
    }
}

/// The engine at rest: every shard's state, nothing on the way.
pub struct AtRest {
    /// By index.
    pub sequencers: Vec<SequencerShard>,
    /// By index.
    pub matchers: Vec<MatcherShard>,
}

impl AtRest {
    /// Checks what must be true when nothing is on the way: each shard's own invariants, and per asset
    /// available + held = deposits.
    ///
    /// # Panics
    /// If it is not.
    pub fn check(&self) {
        for shard in &self.sequencers {
            shard.machine.check();
        }
        for (asset, [held_and_available, deposited]) in self.money().into_iter().enumerate() {
            assert_eq!(held_and_available, deposited, "money of asset {asset} is conserved");
        }
    }

    /// Per asset: what all accounts have, and what was deposited.
    pub fn money(&self) -> Vec<[Amount; 2]> {
        let assets = self.sequencers[0].machine.deposits().totals().len();
        let mut sums = vec![[Amount(0); 2]; assets];
        for shard in &self.sequencers {
            for (sum, total) in sums.iter_mut().zip(shard.machine.deposits().totals()) {
                sum[1].0 += total.0;
            }
            for account in shard.machine.accounts() {
                for balance in shard.machine.view(account).expect("listed accounts exist").balances {
                    sums[balance.asset.0 as usize][0].0 += balance.available.0 + balance.held.0;
                }
            }
        }
        sums
    }

    /// Every balance, sorted by account and asset: available and held.
    pub fn balances(&self) -> Vec<(AccountId, AssetId, Amount, Amount)> {
        let views = self.sequencers.iter().flat_map(|shard| {
            shard
                .machine
                .accounts()
                .map(|account| (account, shard.machine.view(account).expect("it is listed")))
        });
        let mut all: Vec<_> = views
            .flat_map(|(account, view)| {
                view.balances.into_iter().map(move |b| (account, b.asset, b.available, b.held))
            })
            .collect();
        all.sort();
        all
    }
}
