//! A sequencer's thread.

use super::port::Ingress;
use super::{Link, Outgoing, any_next, flush_all, idle};
use crate::bell::{Bell, ThreadBell};
use crate::counters::SequencerCounters;
use crate::executor::SequencerShard;
use crate::lane::Receiver;
use crate::limits::{GATE_REPORTS_MAX, ORDERS_REACHED_PER_TURN_MAX, TURN_BATCH};
use crate::log::{Entry, Gate, Position};
use crate::message::*;
use crate::sequencer::Sequencer;
use crate::units::AccountId;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) struct SequencerThread {
    shard: SequencerShard,
    /// The log's end. What a look shows was caused by all before it, news or no news.
    position: Position,
    ingress: Vec<Receiver<Ingress>>,
    /// The port whose inputs are taken first in the next turn.
    first_port: usize,
    settlements: Vec<Receiver<Link<FromMatcher>>>,
    orders: Vec<Outgoing<Link<ToMatcher>, ThreadBell>>,
    reports: Vec<Outgoing<Report, dyn Bell>>,
    gate: Gate<Report>,
    /// The ports that watch an account, one bit each.
    watchers: HashMap<AccountId, u64>,
    /// The turn's entries, reused.
    entries: Vec<Entry<Input>>,
    /// The turn's requests to look at an account, with the number of entries before them.
    looks: Vec<(usize, AccountId, Origin)>,
    matchers_done: usize,
    flush_sent: bool,
    bell: Arc<ThreadBell>,
    counters: Arc<SequencerCounters>,
}

/// The ends of a sequencer's lanes: by port, by matcher, by matcher, by port.
pub(super) struct SequencerLanes {
    pub ingress: Vec<Receiver<Ingress>>,
    pub settlements: Vec<Receiver<Link<FromMatcher>>>,
    pub orders: Vec<Outgoing<Link<ToMatcher>, ThreadBell>>,
    pub reports: Vec<Outgoing<Report, dyn Bell>>,
}

impl SequencerThread {
    pub fn new(
        mut shard: SequencerShard,
        lanes: SequencerLanes,
        bell: Arc<ThreadBell>,
        counters: Arc<SequencerCounters>,
    ) -> Self {
        shard.log.ring_when_durable(bell.clone());
        let SequencerLanes { ingress, settlements, orders, reports } = lanes;
        Self {
            position: shard.log.durable(), // what is there at the start was read from what is durable
            shard,
            ingress,
            first_port: 0,
            settlements,
            orders,
            reports,
            gate: Gate::default(),
            watchers: HashMap::new(),
            entries: Vec::new(),
            looks: Vec::new(),
            matchers_done: 0,
            flush_sent: false,
            bell,
            counters,
        }
    }

    pub fn run(mut self, spins: u32) -> SequencerShard {
        self.bell.attach();
        let (mut reports_out, mut orders_out) = (true, true);
        loop {
            let worked = reports_out && self.turn(orders_out && self.gate.len() < GATE_REPORTS_MAX);
            // Everything a turn put out is on its way before the thread may rest.
            reports_out = flush_all(&mut self.reports);
            orders_out = flush_all(&mut self.orders);
            if self.is_finished() {
                return self.shard;
            }
            if !worked {
                let Self { shard, bell, ingress, settlements, gate, flush_sent, .. } = &mut self;
                idle(bell, spins, !reports_out || !orders_out, || {
                    let ports_gone = !*flush_sent && ingress.iter_mut().all(Receiver::is_finished);
                    let takes_inputs = gate.len() < GATE_REPORTS_MAX;
                    gate.opens(shard.log.reach())
                        || any_next(settlements)
                        || takes_inputs && (ports_gone || any_next(ingress))
                });
            }
        }
    }

    /// Takes a batch, logs it, applies it, hands its outputs on.
    fn turn(&mut self, take_inputs: bool) -> bool {
        self.gather_settlements();
        if take_inputs {
            self.gather_inputs();
        }
        let worked = !self.entries.is_empty() || !self.looks.is_empty();
        if !self.entries.is_empty() {
            self.position = self.shard.log.append(&self.entries);
        }
        self.apply();
        for (to, message) in self.shard.out.to_matchers.drain(..) {
            self.orders[to].push(Link::Message(message));
        }
        let Self { gate, shard, position, reports, watchers, counters, .. } = self;
        gate.pass(&mut shard.out.reports, *position, shard.log.reach(), |report| {
            counters.count(&report);
            route(report, reports, watchers);
        });
        self.finish_inputs();
        worked
    }

    fn gather_settlements(&mut self) {
        let mut depth = 0;
        for (from, lane) in self.settlements.iter_mut().enumerate() {
            let mut count = 0;
            // Only counted here: the messages are applied straight from the lane once they are logged.
            while count < TURN_BATCH as u32 && lane.peek_at(count as usize).is_some_and(Link::is_message) {
                count += 1;
            }
            if count > 0 {
                self.entries.push(Entry::Received { from: from as u16, count });
            } else if let Some(Link::Finished) = lane.peek() {
                lane.pop();
                self.matchers_done += 1;
            }
            depth += lane.waiting() as u64;
        }
        self.counters.settlement_depth.set(depth);
    }

    /// Takes inputs from all ports, until there is a batch of each or the turn has enough.
    fn gather_inputs(&mut self) {
        let ports = self.ingress.len();
        let mut gathered = Gathered::default();
        let mut depth = 0;
        for port in (self.first_port..ports).chain(0..self.first_port) {
            if !gathered.is_enough() {
                // If it ends here, the next turn begins with the port after this one: nobody's large inputs starve others.
                self.first_port = (port + 1) % ports;
                self.gather_from(port, &mut gathered);
            }
            let lane = &mut self.ingress[port];
            depth += lane.waiting() as u64;
            lane.release();
        }
        self.counters.ingress_depth.set(depth);
    }

    fn gather_from(&mut self, port: usize, gathered: &mut Gathered) {
        for _ in 0..TURN_BATCH {
            let Some(next) = self.ingress[port].peek() else { return };
            if let Some(due) = overdue_before(next, &self.shard.machine) {
                gathered.timer_ran_out = true;
                return self.entries.push(Entry::Input(due));
            }
            gathered.orders_reached += orders_reached(next, &self.shard.machine);
            let taken = self.ingress[port].pop().expect("it was seen");
            self.take(port, taken);
            if gathered.is_enough() {
                return;
            }
        }
    }

    fn take(&mut self, port: usize, taken: Ingress) {
        match taken {
            Ingress::Input(input) => self.entries.push(Entry::Input(input)),
            Ingress::Watch { account, on: true } => {
                *self.watchers.entry(account).or_default() |= 1 << port;
            }
            Ingress::Watch { account, on: false } => {
                if let Some(mask) = self.watchers.get_mut(&account) {
                    *mask &= !(1 << port);
                }
            }
            Ingress::Look { account, asker } => self.looks.push((self.entries.len(), account, asker)),
        }
    }

    fn apply(&mut self) {
        self.warm();
        let Self { shard, settlements, entries, looks, counters, .. } = self;
        let mut looks = looks.drain(..).peekable();
        for (done, entry) in entries.iter().enumerate() {
            while let Some((_, account, asker)) = looks.next_if(|(after, ..)| *after == done) {
                look(shard, account, asker);
            }
            match entry {
                Entry::Input(input) => shard.machine.input(input, &mut shard.out),
                Entry::Received { from, count } => {
                    let lane = &mut settlements[*from as usize];
                    for _ in 0..*count {
                        let Some(Link::Message(message)) = lane.pop() else {
                            unreachable!("counted before it was logged")
                        };
                        let settled = shard.machine.settle(*from as usize, &message, &mut shard.out);
                        settled.expect("lanes lose nothing");
                    }
                    lane.release();
                }
            }
        }
        for (_, account, asker) in looks {
            look(shard, account, asker);
        }
        counters.audits.set(shard.machine.audits());
        let (order_ids, order_id_bytes) = shard.machine.order_ids();
        counters.order_ids.set(order_ids as u64);
        counters.order_id_bytes.set(order_id_bytes as u64);
        counters.inputs.add(entries.iter().filter(|entry| matches!(entry, Entry::Input(_))).count() as u64);
        entries.clear();
    }

    /// Has the machine fetch what the batch will need.
    fn warm(&mut self) {
        let Self { shard, settlements, entries, .. } = self;
        for entry in entries.iter() {
            match entry {
                Entry::Input(input) => shard.machine.warm(input),
                Entry::Received { from, count } => {
                    let lane = &mut settlements[*from as usize];
                    for ahead in 0..*count as usize {
                        if let Some(Link::Message(Numbered { message, .. })) = lane.peek_at(ahead) {
                            shard.machine.warm_for(message);
                        }
                    }
                }
            }
        }
    }

    /// When all ports are gone and their inputs applied, tells the matchers that nothing more will come.
    fn finish_inputs(&mut self) {
        if !self.flush_sent && self.ingress.iter_mut().all(Receiver::is_finished) {
            self.flush_sent = true;
            self.orders.iter_mut().for_each(|lane| lane.push(Link::Finished));
        }
    }

    fn is_finished(&mut self) -> bool {
        self.matchers_done == self.settlements.len() && self.gate.is_empty() && flush_all(&mut self.reports)
    }
}

/// What a turn has taken from the ports so far.
#[derive(Default)]
struct Gathered {
    /// Live orders that it reaches: what one input may cause has a bound, and so has the turn.
    orders_reached: usize,
    /// An account's dead-man timer has run out. What is overdue is seen from the state before the turn, so the turn ends.
    timer_ran_out: bool,
}

impl Gathered {
    fn is_enough(&self) -> bool {
        self.timer_ran_out || self.orders_reached >= ORDERS_REACHED_PER_TURN_MAX
    }
}

/// The account whose timer has run out when `next` comes: that goes first.
fn overdue_before(next: &Ingress, machine: &Sequencer) -> Option<Input> {
    match next {
        Ingress::Input(input) => machine.overdue(input.at),
        Ingress::Watch { .. } | Ingress::Look { .. } => None,
    }
}

fn orders_reached(next: &Ingress, machine: &Sequencer) -> usize {
    match next {
        Ingress::Input(input) => machine.orders_reached(input),
        Ingress::Look { account, .. } => machine.open_orders(*account),
        Ingress::Watch { .. } => 0,
    }
}

fn look(shard: &mut SequencerShard, account: AccountId, asker: Origin) {
    if let Some(view) = shard.machine.view(account) {
        let (at, body) = (shard.machine.now(), ReportBody::Account(Box::new(view)));
        shard.out.reports.push(Report { account, to: Recipient::Asker(asker), at, body });
    }
}

fn route(report: Report, ports: &mut [Outgoing<Report, dyn Bell>], watchers: &HashMap<AccountId, u64>) {
    match report.to {
        Recipient::Asker(origin) => ports[origin.port as usize].push(report),
        Recipient::Watchers => {
            let mut mask = watchers.get(&report.account).copied().unwrap_or(0);
            while mask != 0 {
                let port = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                ports[port].push(report.clone());
            }
        }
    }
}
