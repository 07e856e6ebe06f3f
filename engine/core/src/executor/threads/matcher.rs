//! A matcher's thread.

use super::{CONGESTED_NAP, Link, Outgoing, any_next, flush_all, idle};
use crate::bell::ThreadBell;
use crate::counters::MatcherCounters;
use crate::executor::{MarketSink, MatcherLog, MatcherShard};
use crate::lane::Receiver;
use crate::limits::{GATE_REPORTS_MAX, TURN_BATCH};
use crate::log::{Entry, Gate, Position, Reach};
use crate::matcher::{self, MarketEvent, Relief};
use crate::message::{FromMatcher, Numbered, ToMatcher};
use crate::units::SymbolId;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) struct MatcherThread {
    shard: MatcherShard,
    orders: Vec<Receiver<Link<ToMatcher>>>,
    exits: MatcherExits,
    /// The next ticket of each symbol that has tickets.
    next_tickets: HashMap<SymbolId, u64>,
    /// The turn's messages and entries, reused.
    batch: Vec<(usize, Numbered<ToMatcher>)>,
    entries: Vec<Entry<std::convert::Infallible>>,
    sequencers_done: usize,
    bell: Arc<ThreadBell>,
    counters: Arc<MatcherCounters>,
}

/// The ends of a matcher's lanes: both by sequencer.
pub(super) struct MatcherLanes {
    pub orders: Vec<Receiver<Link<ToMatcher>>>,
    pub settlements: Vec<Outgoing<Link<FromMatcher>, ThreadBell>>,
}

impl MatcherThread {
    pub fn new(
        mut shard: MatcherShard,
        lanes: MatcherLanes,
        market: Box<dyn MarketSink>,
        bell: Arc<ThreadBell>,
        counters: Arc<MatcherCounters>,
    ) -> Self {
        shard.log.ring_when_durable(bell.clone());
        let MatcherLanes { orders, settlements } = lanes;
        let position = shard.log.durable();
        Self {
            orders,
            exits: MatcherExits { settlements, market, gate: Gate::default(), position },
            shard,
            next_tickets: HashMap::new(),
            batch: Vec::new(),
            entries: Vec::new(),
            sequencers_done: 0,
            bell,
            counters,
        }
    }

    pub fn run(mut self, spins: u32) -> MatcherShard {
        self.bell.attach();
        loop {
            let worked = flush_all(&mut self.exits.settlements) && self.turn();
            let settlements_out = flush_all(&mut self.exits.settlements);
            if self.sequencers_done == self.orders.len() && self.exits.gate.is_empty() {
                self.exits.settlements.iter_mut().for_each(|lane| lane.push(Link::Finished));
                while !flush_all(&mut self.exits.settlements) {
                    idle(&self.bell, spins, true, || false);
                }
                return self.shard;
            }
            if !worked {
                // A message that waits for its ticket is no work yet, and a bell may not ring for the one before it.
                let early = !self.next_tickets.is_empty() && any_next(&mut self.orders);
                let Self { shard, orders, exits: MatcherExits { gate, market, .. }, bell, .. } = &mut self;
                idle(bell, spins, !settlements_out || early, || {
                    let takes_orders = gate.len() < GATE_REPORTS_MAX;
                    gate.opens(shard.log.reach())
                        || market.wants_publish()
                        || takes_orders && any_next(orders)
                });
                self.exits.market.publish();
            }
        }
    }

    fn turn(&mut self) -> bool {
        if self.exits.gate.len() < GATE_REPORTS_MAX {
            self.gather();
        }
        let worked = !self.batch.is_empty();
        let Self { shard: MatcherShard { machine, out, log }, exits, batch, bell, counters, .. } = self;
        if worked {
            exits.position = log.append(&self.entries);
        }
        self.entries.clear();
        batch.iter().for_each(|(_, message)| machine.warm(&message.message));
        for (from, message) in batch.drain(..) {
            let mut relief = Relieving { exits, log: &**log, bell, counters };
            machine.apply_with(from, &message, out, &mut relief).expect("lanes lose nothing");
        }
        let news = exits.hand_on(out, log.reach());
        // Settlement first: money waits for nobody's market data.
        flush_all(&mut exits.settlements);
        counters.trades.add(news.unwrap_or(0));
        if news.is_some() || exits.market.wants_publish() {
            exits.market.publish();
        }
        worked
    }

    /// Takes a batch from the lanes in turn; ticketed messages only in the order of their tickets.
    fn gather(&mut self) {
        let Self { orders, batch, entries, next_tickets, sequencers_done, .. } = self;
        loop {
            let before = batch.len();
            for (from, lane) in orders.iter_mut().enumerate() {
                let start = batch.len();
                while batch.len() - start < TURN_BATCH {
                    match lane.peek() {
                        Some(Link::Message(next)) if is_due(&next.message, next_tickets) => {}
                        Some(Link::Finished) => *sequencers_done += 1,
                        _ => break,
                    }
                    if let Some(Link::Message(message)) = lane.pop() {
                        batch.push((from, message));
                    }
                }
                lane.release();
                if batch.len() > start {
                    entries.push(Entry::Received { from: from as u16, count: (batch.len() - start) as u32 });
                }
            }
            // Tickets may have become due in a lane that was passed over; without tickets one round is all.
            if next_tickets.is_empty() || batch.len() == before || batch.len() >= TURN_BATCH {
                break;
            }
        }
        self.counters.messages.add(batch.len() as u64);
        self.counters.depth.set(orders.iter().map(|lane| lane.waiting() as u64).sum());
    }
}

/// Whether a message may be taken now: it has no ticket, or the next one of its symbol.
fn is_due(message: &ToMatcher, next_tickets: &mut HashMap<SymbolId, u64>) -> bool {
    if message.ticket == 0 {
        return true;
    }
    let next = next_tickets.entry(message.symbol).or_insert(1);
    let due = *next == message.ticket;
    *next += due as u64;
    due
}

/// Where what a matcher puts out goes.
struct MatcherExits {
    settlements: Vec<Outgoing<Link<FromMatcher>, ThreadBell>>,
    market: Box<dyn MarketSink>,
    gate: Gate<MarketEvent>,
    /// After the entry that causes what is put out now.
    position: Position,
}

impl MatcherExits {
    /// Hands on what the matcher put out. Returns how many trades the market heard of, if it heard anything.
    fn hand_on(&mut self, out: &mut matcher::Outbox, reach: Reach) -> Option<u64> {
        for (to, message) in out.to_sequencers.drain(..) {
            self.settlements[to].push(Link::Message(message));
        }
        let Self { gate, market, position, .. } = self;
        let mut trades = 0;
        let news = gate.pass(&mut out.market, *position, reach, |event| {
            trades += matches!(event, MarketEvent::Trade(..)) as u64;
            market.event(&event);
        });
        news.then_some(trades)
    }

    fn are_free(&mut self) -> bool {
        flush_all(&mut self.settlements) && self.gate.len() < GATE_REPORTS_MAX
    }
}

/// Empties the outbox in the middle of a message, and waits until there is room again: sequencers take settlements
/// whatever else they do, and the log moves on by itself, so there will be.
struct Relieving<'a> {
    exits: &'a mut MatcherExits,
    log: &'a MatcherLog,
    bell: &'a ThreadBell,
    counters: &'a MatcherCounters,
}

impl Relief for Relieving<'_> {
    fn relieve(&mut self, out: &mut matcher::Outbox) {
        loop {
            if let Some(trades) = self.exits.hand_on(out, self.log.reach()) {
                self.counters.trades.add(trades);
                self.exits.market.relieve();
            }
            if self.exits.are_free() {
                return;
            }
            self.bell.wait(Some(CONGESTED_NAP), || false);
        }
    }
}
