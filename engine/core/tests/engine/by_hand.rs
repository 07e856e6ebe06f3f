//! Shards whose messages are carried by the test: as late and as often as it likes.

use engine_core::instrument::Market;
use engine_core::matcher::{self, Matcher};
use engine_core::message::*;
use engine_core::sequencer::{self, Sequencer};
use std::collections::VecDeque;
use std::sync::Arc;

pub struct ByHand {
    pub sequencers: Vec<Sequencer>,
    pub matchers: Vec<Matcher>,
    /// On the way: (sender, receiver, message).
    pub orders: VecDeque<(usize, usize, Numbered<ToMatcher>)>,
    pub settlements: VecDeque<(usize, usize, Numbered<FromMatcher>)>,
    pub reports: Vec<Report>,
    sequencer_out: sequencer::Outbox,
    matcher_out: matcher::Outbox,
}

impl ByHand {
    pub fn new(sequencers: usize, matchers: usize, market: &Arc<Market>) -> Self {
        Self {
            sequencers: (0..sequencers)
                .map(|i| Sequencer::new(i, sequencers, matchers, market.clone()))
                .collect(),
            matchers: (0..matchers).map(|j| Matcher::new(j, matchers, sequencers, market)).collect(),
            orders: VecDeque::new(),
            settlements: VecDeque::new(),
            reports: Vec::new(),
            sequencer_out: Default::default(),
            matcher_out: Default::default(),
        }
    }

    /// Gives an input to its sequencer, or to all, and carries nothing.
    pub fn input(&mut self, input: &Input) {
        let shards = match input.command.route(self.sequencers.len()) {
            Route::One(at) => at..at + 1,
            Route::All => 0..self.sequencers.len(),
        };
        for at in shards {
            self.sequencers[at].input(input, &mut self.sequencer_out);
            self.collect_sequencer(at);
        }
    }

    /// Carries the oldest message to a matcher, `times` times. Returns whether there was one.
    pub fn carry_order(&mut self, times: usize) -> bool {
        let Some((from, to, message)) = self.orders.pop_front() else { return false };
        for _ in 0..times {
            self.matchers[to].apply(from, &message, &mut self.matcher_out).expect("no gap");
            let told = self.matcher_out.to_sequencers.drain(..);
            self.settlements.extend(told.map(|(sequencer, message)| (to, sequencer, message)));
        }
        self.matcher_out.market.clear();
        true
    }

    /// Carries the oldest message to a sequencer, `times` times. Returns whether there was one.
    pub fn carry_settlement(&mut self, times: usize) -> bool {
        let Some((from, to, message)) = self.settlements.pop_front() else { return false };
        for _ in 0..times {
            self.sequencers[to].settle(from, &message, &mut self.sequencer_out).expect("no gap");
            self.collect_sequencer(to);
        }
        true
    }

    /// Carries everything, each message `times` times.
    pub fn carry_all(&mut self, times: usize) {
        while self.carry_settlement(times) || self.carry_order(times) {}
    }

    fn collect_sequencer(&mut self, at: usize) {
        let sent = self.sequencer_out.to_matchers.drain(..);
        self.orders.extend(sent.map(|(to, message)| (at, to, message)));
        self.reports.append(&mut self.sequencer_out.reports);
    }
}
