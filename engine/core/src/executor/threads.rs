//! A thread per shard, joined by bounded lanes.
//!
//! ```text
//! port p ═ingress═▶ sequencer i ═orders═▶ matcher j        every ═▶ is one lane, one producer, one consumer
//!        ◀═reports═             ◀═settlements═
//! ```
//! What keeps it from growing and from locking up:
//! - A sequencer takes settlements before anything else, whether there is room at a matcher or not: settling puts out
//!   nothing for matchers but transfers on their way, of which accounts may have only so many, and those can wait in the
//!   backlog. So matchers are never blocked by sequencers for long, and settlement never blocks matching.
//! - A sequencer whose lane to a matcher is full takes no more inputs. Its ingress lanes fill, and [`Port::submit`]
//!   says OVERLOADED: that is the answer the client sees.
//! - What a log holds back is bounded, too: a shard with too much behind its gate takes no more until the log has
//!   caught up. A sequencer goes on settling, which is bounded by what it has sent.
//! - A port that does not read its reports holds up its sequencers, so a port's owner reads before it sends.
//!
//! A batch is appended to the log before its outputs are handed on; what the outside learns waits in a [`Gate`]
//! until the log says the batch is durable.

use super::{AtRest, MarketSink, MatcherLog, MatcherShard, SequencerShard};
use crate::bell::{Bell, ThreadBell};
use crate::counters::{MatcherCounters, SequencerCounters};
use crate::lane::{Receiver, Sender, lane};
use crate::limits::{
    GATE_REPORTS_MAX, INGRESS_LANE, LINK_LANE, ORDERS_REACHED_PER_TURN_MAX, REPORT_LANE, TURN_BATCH,
};
use crate::log::{Entry, Gate, Position};
use crate::matcher::{self, MarketEvent, Relief};
use crate::message::*;
use crate::units::{AccountId, SymbolId};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a thread that waits for room sleeps before it looks again: lanes do not ring when they drain.
const CONGESTED_NAP: Duration = Duration::from_micros(50);

/// A producer of inputs (a reactor, the control plane, a replay): its lanes to and from every sequencer.
pub struct Port {
    index: u16,
    ingress: Vec<Sender<Ingress>>,
    reports: Vec<Receiver<Report>>,
    bells: Vec<Arc<ThreadBell>>,
}

/// What goes into a sequencer's lane. Only inputs are logged; the rest concerns who hears what.
enum Ingress {
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

    /// Asks for the account as it stands; the answer is a [`ReportBody::Account`], in line with all other reports.
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

    fn push(&mut self, account: AccountId, ingress: Ingress) -> Result<(), Overloaded> {
        let to = account.0 as usize % self.ingress.len();
        self.ingress[to].push(ingress).map_err(|_| Overloaded)
    }
}

impl Port {
    /// Ends the port: what was flushed or submitted still takes effect, nothing more can be submitted or heard.
    pub fn close(&mut self) {
        self.ingress.clear(); // dropping a lane's end closes it
        self.reports.clear();
        self.bells.iter().for_each(|bell| bell.ring());
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.close();
    }
}

/// The running engine.
pub struct Threads {
    sequencers: Vec<JoinHandle<SequencerShard>>,
    matchers: Vec<JoinHandle<MatcherShard>>,
    /// Rung to have a matcher call its sink's `publish`.
    pub matcher_bells: Vec<Arc<ThreadBell>>,
    /// By sequencer.
    pub sequencer_counters: Vec<Arc<SequencerCounters>>,
    /// By matcher.
    pub matcher_counters: Vec<Arc<MatcherCounters>>,
}

impl Threads {
    /// Waits until every port is dropped and everything accepted has had its effect, and gives the shards back.
    ///
    /// # Panics
    /// If a shard's thread did.
    pub fn join(self) -> AtRest {
        AtRest {
            sequencers: self
                .sequencers
                .into_iter()
                .map(|t| t.join().expect("a sequencer panicked"))
                .collect(),
            matchers: self.matchers.into_iter().map(|t| t.join().expect("a matcher panicked")).collect(),
        }
    }
}

/// How the threads use the machine.
#[derive(Clone)]
pub struct Manner {
    /// How often a thread looks for work before it parks. 0 where cores are few.
    pub spins: u32,
    /// Called on each thread before it works, with its number: sequencers from 0, then matchers. May tie it to a core.
    pub begin: Arc<dyn Fn(usize) + Send + Sync>,
}

impl Default for Manner {
    fn default() -> Self {
        Self { spins: 0, begin: Arc::new(|_| {}) }
    }
}

/// Starts a thread for every shard. `port_bells` wake the owners of the ports, one port each; `markets` are the sinks
/// of the matchers.
pub fn start(
    shards: AtRest,
    port_bells: Vec<Arc<dyn Bell>>,
    markets: Vec<Box<dyn MarketSink>>,
    manner: Manner,
) -> (Threads, Vec<Port>) {
    let (n, m) = (shards.sequencers.len(), shards.matchers.len());
    assert_eq!(markets.len(), m, "one market sink for each matcher");
    assert!(port_bells.len() <= u64::BITS as usize, "a watch mask has 64 ports");
    let sequencer_bells: Vec<Arc<ThreadBell>> = (0..n).map(|_| Arc::default()).collect();
    let matcher_bells: Vec<Arc<ThreadBell>> = (0..m).map(|_| Arc::default()).collect();

    let (ingress_in, ingress_out) = lanes(port_bells.len(), n, INGRESS_LANE);
    let (reports_in, reports_out) = lanes(n, port_bells.len(), REPORT_LANE);
    let (orders_in, orders_out) = lanes(n, m, LINK_LANE);
    let (settlements_in, settlements_out) = lanes(m, n, LINK_LANE);

    let ports = ingress_in.into_iter().zip(reports_out).enumerate().map(|(index, (ingress, reports))| Port {
        index: index as u16,
        ingress,
        reports,
        bells: sequencer_bells.clone(),
    });
    let mut threads = Threads {
        sequencers: Vec::new(),
        matchers: Vec::new(),
        matcher_bells: matcher_bells.clone(),
        sequencer_counters: (0..n).map(|_| Arc::default()).collect(),
        matcher_counters: (0..m).map(|_| Arc::default()).collect(),
    };
    let lanes = ingress_out.into_iter().zip(settlements_out).zip(orders_in).zip(reports_in);
    for (i, (mut shard, (((ingress, settlements), orders), reports))) in
        shards.sequencers.into_iter().zip(lanes).enumerate()
    {
        shard.log.ring_when_durable(sequencer_bells[i].clone());
        let thread = SequencerThread {
            position: shard.log.durable(), // what is there at the start was read from what is durable
            shard,
            ingress,
            first_port: 0,
            settlements,
            orders: outgoing(orders, &matcher_bells),
            reports: outgoing(reports, &port_bells),
            gate: Gate::default(),
            watchers: HashMap::new(),
            entries: Vec::new(),
            looks: Vec::new(),
            matchers_done: 0,
            flush_sent: false,
            bell: sequencer_bells[i].clone(),
            counters: threads.sequencer_counters[i].clone(),
        };
        threads.sequencers.push(spawn(format!("sequencer-{i}"), i, &manner, move |spins| thread.run(spins)));
    }
    let lanes = orders_out.into_iter().zip(settlements_in).zip(markets);
    for (j, (mut shard, ((orders, settlements), market))) in
        shards.matchers.into_iter().zip(lanes).enumerate()
    {
        shard.log.ring_when_durable(matcher_bells[j].clone());
        let thread = MatcherThread {
            orders,
            exits: MatcherExits {
                settlements: outgoing(settlements, &sequencer_bells),
                market,
                gate: Gate::default(),
                position: shard.log.durable(),
            },
            shard,
            next_tickets: HashMap::new(),
            batch: Vec::new(),
            entries: Vec::new(),
            sequencers_done: 0,
            bell: matcher_bells[j].clone(),
            counters: threads.matcher_counters[j].clone(),
        };
        threads.matchers.push(spawn(format!("matcher-{j}"), n + j, &manner, move |spins| thread.run(spins)));
    }
    (threads, ports.collect())
}

fn spawn<T: Send + 'static>(
    name: String,
    number: usize,
    manner: &Manner,
    run: impl FnOnce(u32) -> T + Send + 'static,
) -> JoinHandle<T> {
    let Manner { spins, begin } = manner.clone();
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        begin(number);
        run(spins)
    });
    thread.expect("the system has a thread for each shard")
}

/// The senders by sender, the receivers by receiver.
type Lanes<T> = (Vec<Vec<Sender<T>>>, Vec<Vec<Receiver<T>>>);

/// A lane from each of `from` to each of `to`.
fn lanes<T>(from: usize, to: usize, capacity: usize) -> Lanes<T> {
    let mut receivers: Vec<Vec<Receiver<T>>> = (0..to).map(|_| Vec::new()).collect();
    let senders = (0..from).map(|_| {
        let to_each = receivers.iter_mut().map(|receivers| {
            let (sender, receiver) = lane(capacity);
            receivers.push(receiver);
            sender
        });
        to_each.collect()
    });
    (senders.collect(), receivers)
}

/// What travels between shards: messages, and at the end the word that there will be no more.
enum Link<T> {
    Message(Numbered<T>),
    Finished,
}

/// A lane with a backlog for what one turn put out beyond the lane's room. The owner takes no more work while there
/// is a backlog, so it is bounded by the output of one turn.
struct Outgoing<T, B: ?Sized> {
    lane: Sender<T>,
    backlog: VecDeque<T>,
    bell: Arc<B>,
}

fn outgoing<T, B: ?Sized>(lanes: Vec<Sender<T>>, bells: &[Arc<B>]) -> Vec<Outgoing<T, B>> {
    let pairs = lanes.into_iter().zip(bells);
    pairs.map(|(lane, bell)| Outgoing { lane, backlog: VecDeque::new(), bell: bell.clone() }).collect()
}

impl<T, B: Bell + ?Sized> Outgoing<T, B> {
    fn push(&mut self, message: T) {
        if !self.backlog.is_empty() {
            return self.backlog.push_back(message);
        }
        if let Err(message) = self.lane.push(message) {
            self.backlog.push_back(message);
        }
    }

    /// Moves the backlog as far as there is room, publishes, rings. Returns whether all of it is out.
    fn flush(&mut self) -> bool {
        if self.lane.is_abandoned() {
            self.backlog.clear();
        }
        while let Some(message) = self.backlog.pop_front() {
            if let Err(message) = self.lane.push(message) {
                self.backlog.push_front(message);
                break;
            }
        }
        if self.lane.publish() {
            self.bell.ring();
        }
        self.backlog.is_empty()
    }
}

/// Spins or naps until there is work: what every shard's thread does between turns.
fn idle(bell: &ThreadBell, spins: u32, congested: bool, mut has_work: impl FnMut() -> bool) {
    for _ in 0..spins {
        if has_work() {
            return;
        }
        std::hint::spin_loop();
    }
    bell.wait(congested.then_some(CONGESTED_NAP), || !congested && has_work());
}

struct SequencerThread {
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

impl SequencerThread {
    fn run(mut self, spins: u32) -> SequencerShard {
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
                    gate.opens(shard.log.durable())
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
        gate.pass(&mut shard.out.reports, *position, shard.log.durable(), |report| {
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

    /// Takes inputs from all ports, until there is a batch of each or the orders that they reach are enough.
    fn gather_inputs(&mut self) {
        let Self { shard, ingress, first_port, entries, looks, watchers, .. } = self;
        let machine = &shard.machine;
        let (mut depth, mut reached) = (0, 0);
        let ports = ingress.len();
        let begin = *first_port;
        for port in (begin..ports).chain(0..begin) {
            let lane = &mut ingress[port];
            for _ in 0..TURN_BATCH {
                if reached >= ORDERS_REACHED_PER_TURN_MAX {
                    break;
                }
                // If it ends here, the next turn begins with the port after this one: nobody's large inputs starve others.
                *first_port = (port + 1) % ports;
                match lane.peek() {
                    None => break,
                    Some(Ingress::Input(input)) => {
                        // An account whose timer has run out goes first, and with it the turn ends: what is overdue is
                        // seen from the state before the turn.
                        if let Some(due) = machine.overdue(input.at) {
                            reached = usize::MAX;
                            entries.push(Entry::Input(due));
                            continue;
                        }
                        reached += machine.orders_reached(input);
                    }
                    Some(Ingress::Look { account, .. }) => reached += machine.open_orders(*account),
                    Some(Ingress::Watch { .. }) => {}
                }
                match lane.pop().expect("it was seen") {
                    Ingress::Input(input) => entries.push(Entry::Input(input)),
                    Ingress::Watch { account, on: true } => {
                        *watchers.entry(account).or_default() |= 1 << port;
                    }
                    Ingress::Watch { account, on: false } => {
                        if let Some(mask) = watchers.get_mut(&account) {
                            *mask &= !(1 << port);
                        }
                    }
                    Ingress::Look { account, asker } => looks.push((entries.len(), account, asker)),
                }
            }
            depth += lane.waiting() as u64;
            lane.release();
        }
        self.counters.ingress_depth.set(depth);
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

struct MatcherThread {
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
    fn hand_on(&mut self, out: &mut matcher::Outbox, durable: Position) -> Option<u64> {
        for (to, message) in out.to_sequencers.drain(..) {
            self.settlements[to].push(Link::Message(message));
        }
        let Self { gate, market, position, .. } = self;
        let mut trades = 0;
        let news = gate.pass(&mut out.market, *position, durable, |event| {
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
            if let Some(trades) = self.exits.hand_on(out, self.log.durable()) {
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

impl MatcherThread {
    fn run(mut self, spins: u32) -> MatcherShard {
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
                    gate.opens(shard.log.durable())
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
        let news = exits.hand_on(out, log.durable());
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

impl<T> Link<T> {
    fn is_message(&self) -> bool {
        matches!(self, Link::Message(_))
    }
}

fn any_next<T>(lanes: &mut [Receiver<T>]) -> bool {
    lanes.iter_mut().any(Receiver::has_next)
}

fn flush_all<T, B: Bell + ?Sized>(lanes: &mut [Outgoing<T, B>]) -> bool {
    lanes.iter_mut().fold(true, |all, lane| lane.flush() & all)
}
