//! All shards in one thread: each input is carried to its last consequence before the next begins.
//!
//! Messages are taken in the order they were sent, across all links. Logs and numbering are those of the threaded
//! executor. There is no gate: reports and market events go out as they are made, to callers who replay what is
//! durable already or who hold back themselves.

use super::{AtRest, MarketSink, MatcherShard, ReportSink, SequencerShard};
use crate::log::Entry;
use crate::message::{FromMatcher, Input, Numbered, Route, ToMatcher};
use std::collections::VecDeque;

/// The engine in the caller's thread.
pub struct Inline {
    shards: AtRest,
    /// Messages on the way: (sender, receiver, message).
    orders: VecDeque<(usize, usize, Numbered<ToMatcher>)>,
    settlements: VecDeque<(usize, usize, Numbered<FromMatcher>)>,
}

impl Inline {
    /// Runs `shards`.
    pub fn new(shards: AtRest) -> Self {
        Self { shards, orders: VecDeque::new(), settlements: VecDeque::new() }
    }

    /// Applies `input` and everything that follows from it.
    ///
    /// # Panics
    /// If a link has a gap or an invariant is broken.
    pub fn apply(&mut self, input: &Input, reports: &mut impl ReportSink, market: &mut impl MarketSink) {
        let shards = match input.command.route(self.shards.sequencers.len()) {
            Route::One(at) => at..at + 1,
            Route::All => 0..self.shards.sequencers.len(),
        };
        for at in shards {
            let shard = &mut self.shards.sequencers[at];
            shard.log.append(&[Entry::Input(*input)]);
            shard.machine.input(input, &mut shard.out);
            self.collect_sequencer(at, reports);
        }
        loop {
            if let Some((from, to, message)) = self.settlements.pop_front() {
                let shard = &mut self.shards.sequencers[to];
                shard.log.append(&[Entry::Received { from: from as u16, count: 1 }]);
                shard.machine.settle(from, &message, &mut shard.out).expect("nothing is lost in one thread");
                self.collect_sequencer(to, reports);
            } else if let Some((from, to, message)) = self.orders.pop_front() {
                let shard = &mut self.shards.matchers[to];
                shard.log.append(&[Entry::Received { from: from as u16, count: 1 }]);
                shard.machine.apply(from, &message, &mut shard.out).expect("nothing is lost in one thread");
                self.collect_matcher(to, market);
            } else {
                break;
            }
        }
    }

    /// The shards, with nothing on the way.
    pub fn at_rest(&self) -> &AtRest {
        &self.shards
    }

    /// Ends the run.
    pub fn into_rest(self) -> AtRest {
        self.shards
    }

    fn collect_sequencer(&mut self, at: usize, reports: &mut impl ReportSink) {
        let SequencerShard { out, .. } = &mut self.shards.sequencers[at];
        self.orders.extend(out.to_matchers.drain(..).map(|(to, message)| (at, to, message)));
        for report in out.reports.drain(..) {
            reports.report(&report);
        }
    }

    fn collect_matcher(&mut self, at: usize, market: &mut impl MarketSink) {
        let MatcherShard { out, .. } = &mut self.shards.matchers[at];
        self.settlements.extend(out.to_sequencers.drain(..).map(|(to, message)| (at, to, message)));
        for event in out.market.drain(..) {
            market.event(&event);
        }
    }
}
