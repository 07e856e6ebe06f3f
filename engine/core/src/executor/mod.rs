//! The ways to run the same shards.
//!
//! [`inline`] runs all of them in the caller's thread in a defined order: replay, tests. [`threads`] gives each its own
//! thread and joins them by lanes: the live exchange. Neither adds to what a shard decides; they move messages.
//! [`shadow`] does again what their logs say they did: recovery, where `replay` reads ahead. [`follower`] has one follow a
//! running engine: snapshots, history. [`verify`] looks whether a journal and its snapshots say the same.

pub mod follower;
pub mod inline;
pub(crate) mod replay;
pub mod shadow;
mod state;
pub mod threads;
pub mod verify;

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
    /// So much has happened that it is told before the last command is complete: what no later event can change may go out.
    fn relieve(&mut self) {}
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

/// All money of one asset, in atoms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// Available and held, of all accounts.
    pub of_accounts: u128,
    /// Charged less rebated.
    pub fees: i128,
    /// From outside, ever.
    pub deposited: u128,
    /// To the outside, ever.
    pub withdrawn: u128,
    /// By transfers, as the receivers count.
    pub transferred_in: u128,
    /// By transfers, as the givers count.
    pub transferred_out: u128,
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
    /// available + held + fees = deposits − withdrawals.
    ///
    /// # Panics
    /// If it is not.
    pub fn check(&self) {
        self.sequencers.iter().for_each(|shard| shard.machine.check_at_rest());
        self.matchers.iter().for_each(|shard| shard.machine.check());
        for (asset, money) in self.money().into_iter().enumerate() {
            assert_eq!(money.transferred_in, money.transferred_out, "what was sent of {asset} has arrived");
            let are = money.of_accounts as i128 + money.fees;
            let came = money.deposited as i128 - money.withdrawn as i128;
            assert_eq!(are, came, "money of asset {asset} is conserved: {money:?}");
        }
    }

    /// Per asset: what all accounts have, and what came and went.
    pub fn money(&self) -> Vec<Money> {
        // A new asset reaches one sequencer after the other.
        let known = self.sequencers.iter().map(|shard| shard.machine.flows().totals().len());
        let assets = known.max().unwrap_or(0);
        let mut sums = vec![Money::default(); assets];
        for shard in &self.sequencers {
            for (sum, flow) in sums.iter_mut().zip(shard.machine.flows().totals()) {
                sum.deposited += flow.deposited;
                sum.withdrawn += flow.withdrawn;
                sum.transferred_in += flow.transferred_in;
                sum.transferred_out += flow.transferred_out;
                sum.fees += flow.fees;
            }
            for account in shard.machine.accounts() {
                for balance in shard.machine.balances(account) {
                    sums[balance.asset.0 as usize].of_accounts += balance.available.0 + balance.held.0;
                }
            }
        }
        sums
    }

    /// Every balance, sorted by account and asset: available and held.
    pub fn balances(&self) -> Vec<(AccountId, AssetId, Amount, Amount)> {
        let of_shard = |shard: &SequencerShard| -> Vec<_> {
            let machine = &shard.machine;
            let each =
                |account| machine.balances(account).map(move |b| (account, b.asset, b.available, b.held));
            machine.accounts().flat_map(each).collect()
        };
        let mut all: Vec<_> = self.sequencers.iter().flat_map(of_shard).collect();
        all.sort();
        all
    }
}
