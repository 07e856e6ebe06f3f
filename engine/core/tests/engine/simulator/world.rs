//! The shards, what is between them, and who moves next.
//!
//! A step is one turn of one shard, or the arrival of one input, or a mishap. Which, is drawn: so every shard is now
//! fast, now slow, and messages of different links overtake each other, while a link keeps its order. As in the
//! threaded executor a sequencer whose lane to a matcher is full takes no inputs, a matcher whose lane to a sequencer
//! is full takes nothing, and settlements are always taken, so nothing can wait in a circle.

use super::clients::Clients;
use super::commands::Script;
use super::crash;
use super::history::History;
use super::links::{Carried, Link};
use super::model::Heard;
use super::plan::{Luck, Plan};
use crate::witness::Tape;
use engine_core::book::Book;
use engine_core::executor::{AtRest, MarketSink, MatcherShard, SequencerShard};
use engine_core::link::Gap;
use engine_core::log::Entry;
use engine_core::matcher::MarketEvent;
use engine_core::message::*;
use engine_core::pipeline::{self, Shape};
use engine_core::units::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// A run that is not quiet after so many steps for each command never will be.
const STEPS_PER_COMMAND_MAX: u64 = 10_000;
/// Repeats for each command of a run before links stop repeating themselves. Picked by eye.
const AGAIN_PER_COMMAND_MAX: u64 = 10;

pub struct World {
    pub seed: u64,
    pub plan: Plan,
    pub random: ChaCha8Rng,
    pub shards: AtRest,
    /// From sequencer i to matcher j, at `i * matchers + j`.
    pub orders: Vec<Link<ToMatcher>>,
    /// From matcher j to sequencer i, at `j * sequencers + i`.
    pub settlements: Vec<Link<FromMatcher>>,
    /// By sequencer: inputs that have arrived and are not taken.
    ingress: Vec<VecDeque<Input>>,
    script: Script,
    step: u64,
    clients: Clients,
    tape: Tape,
    history: History,
    /// By sequencer and by matcher: all it ever told the outside, which a rebuilt one must tell again.
    pub reports: Vec<Vec<Report>>,
    pub market_events: Vec<Vec<MarketEvent>>,
    /// What all logs say, in the order in which it was written.
    pub journal: Vec<Logged>,
    pub seen: Seen,
}

/// An entry of one of the logs.
#[derive(Clone, Copy, Debug)]
pub enum Logged {
    Input { sequencer: usize, input: Input },
    Settlements { sequencer: usize, from: usize, count: u32 },
    Orders { matcher: usize, from: usize, count: u32 },
}

/// What a run came across, so that a run over many seeds can show that it misses nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub steps: u64,
    pub inputs: u64,
    pub told: ToldCounts,
    pub stalls: u64,
    pub repeats: u64,
    pub gaps: u64,
    pub naps: u64,
    pub crashes: u64,
    pub blackouts: u64,
    pub power_losses: u64,
    pub snapshots: u64,
    /// Trades that the auditor judged.
    pub audited: u64,
    /// Symbols that were compared with an engine of one sequencer and one matcher.
    pub alike: u64,
    pub rejects: [u64; Reject::ALL.len()],
}

impl Seen {
    /// Everything that every long run must come across.
    pub fn counts(&mut self) -> [&mut u64; 20] {
        let Seen { steps, inputs, stalls, repeats, gaps, naps, crashes, blackouts, .. } = self;
        let Seen { power_losses, snapshots, audited, alike, told, .. } = self;
        let ToldCounts { trades, auction_trades, triggered, amended, .. } = told;
        let ToldCounts { decremented, timed_out, self_trades, delisted, .. } = told;
        #[rustfmt::skip]
        let all = [
            steps, inputs, stalls, repeats, gaps, naps, crashes, blackouts, power_losses, snapshots, audited, alike,
            trades, auction_trades, triggered, amended, decremented, timed_out, self_trades, delisted,
        ];
        all
    }
}

/// Of what kinds of orders a run had.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToldCounts {
    pub trades: u64,
    pub auction_trades: u64,
    pub triggered: u64,
    pub amended: u64,
    pub decremented: u64,
    pub timed_out: u64,
    pub self_trades: u64,
    pub delisted: u64,
}

impl ToldCounts {
    fn count(&mut self, heard: &Heard) {
        let count = match heard {
            Heard::Filled(.., Liquidity::Taker) => &mut self.trades,
            Heard::Filled(.., Liquidity::Auction) => &mut self.auction_trades,
            Heard::Triggered => &mut self.triggered,
            Heard::Amended(_) => &mut self.amended,
            Heard::Decremented(_) => &mut self.decremented,
            Heard::Closed(_, CloseReason::TimedOut, _) => &mut self.timed_out,
            Heard::Closed(_, CloseReason::SelfTrade, _) => &mut self.self_trades,
            Heard::Closed(_, CloseReason::Delisted, _) => &mut self.delisted,
            _ => return,
        };
        *count += 1;
    }
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let plan = Plan::draw(&mut random);
        let (n, m) = (plan.sequencers, plan.matchers);
        let mut capacity = || random.random_range(1..=plan.lane_largest);
        let orders = (0..n * m).map(|_| Link::new(capacity())).collect();
        let settlements = (0..n * m).map(|_| Link::new(capacity())).collect();
        World {
            seed,
            shards: empty_shards(&plan),
            orders,
            settlements,
            ingress: vec![VecDeque::new(); n],
            script: Script::new(&plan, &mut random),
            step: 0,
            clients: Clients::new(&plan.market, n),
            tape: Tape::default(),
            history: History::default(),
            reports: vec![Vec::new(); n],
            market_events: vec![Vec::new(); m],
            journal: Vec::new(),
            seen: Seen::default(),
            plan,
            random,
        }
    }

    /// Plays the script to its end, looks at everything, takes all orders out, and looks again.
    pub fn run(mut self) -> Seen {
        while !self.script.is_over() {
            self.step();
        }
        self.come_to_rest();
        if self.plan.luck.power_loss {
            crash::of_the_power(&mut self);
        }
        for input in self.script.reopening(&self.plan, &mut self.random) {
            self.arrive(input);
        }
        self.come_to_rest();
        for input in self.script.clearing(&self.plan, &mut self.random) {
            self.arrive(input);
        }
        self.come_to_rest();
        assert_eq!(self.clients.live_orders(), (0, 0), "everything is cancelled");
        let [audited, alike] = self.history.judge(&self.plan.market, self.clients.market(), &self.shards);
        let Self { seen, step, history, clients, .. } = &mut self;
        history.told().for_each(|heard| seen.told.count(heard));
        Seen { steps: *step, audited, alike, rejects: clients.rejects, ..*seen }
    }

    /// Does again what the logs say was done.
    pub fn replay(&mut self, journal: &[Logged]) {
        for logged in journal {
            match *logged {
                Logged::Input { sequencer, input } => {
                    if !matches!(input.command, Command::TimeOut { .. }) {
                        self.clients.ask(&input);
                    }
                    self.take_input(sequencer, &input);
                }
                Logged::Settlements { sequencer, from, count } => {
                    self.take_settlements(sequencer, from, count)
                }
                Logged::Orders { matcher, from, count } => self.take_orders(matcher, from, count),
            }
        }
        assert_eq!(self.journal.len(), journal.len(), "what was done can be done again");
    }

    /// No more customers.
    pub fn close(&mut self) {
        self.script.end();
    }

    /// A command that one sequencer has not got arrives there.
    pub fn arrive_late(&mut self, sequencer: usize, input: Input) {
        self.ingress[sequencer].push_back(input);
    }

    pub fn come_to_rest(&mut self) {
        while !self.is_quiet() {
            self.step();
        }
        self.look_at_rest();
    }

    fn step(&mut self) {
        self.step += 1;
        let bound = (self.plan.commands as u64 + 100) * STEPS_PER_COMMAND_MAX;
        assert!(self.step < bound, "the engine does not come to rest");
        if self.random.random_range(0..1000) < self.plan.luck.mishaps_permille {
            self.mishap();
        }
        self.perhaps_crash();
        let (n, m) = (self.plan.sequencers, self.plan.matchers);
        match self.random.random_range(0..=n + m) {
            0 => self.customers_turn(),
            shard if shard <= n => self.sequencers_turn(shard - 1),
            shard => self.matchers_turn(shard - n - 1),
        }
        if self.step.is_multiple_of(self.plan.look_every) {
            self.look_on_the_way();
        }
    }

    fn is_quiet(&self) -> bool {
        self.ingress.iter().all(VecDeque::is_empty)
            && self.orders.iter().all(Link::is_quiet)
            && self.settlements.iter().all(Link::is_quiet)
    }

    // ---- turns --------------------------------------------------------------------------------------------------

    fn customers_turn(&mut self) {
        // A few at once, so that something is waiting even where there are many shards to wait for.
        for _ in 0..self.random.random_range(1..=4) {
            let has_room = self.ingress.iter().all(|waiting| waiting.len() < self.plan.ingress);
            if has_room && !self.script.is_over() {
                let input = self.script.next(&self.plan, &mut self.random);
                self.arrive(input);
            }
        }
    }

    fn arrive(&mut self, input: Input) {
        self.seen.inputs += 1;
        self.clients.ask(&input);
        match input.command.route(self.plan.sequencers) {
            Route::One(sequencer) => self.ingress[sequencer].push_back(input),
            Route::All => self.ingress.iter_mut().for_each(|waiting| waiting.push_back(input)),
        }
    }

    fn sequencers_turn(&mut self, i: usize) {
        let (n, m) = (self.plan.sequencers, self.plan.matchers);
        let first = self.random.random_range(0..m);
        let has_next = |from: &usize| self.settlements[from * n + i].has_next(self.step);
        if let Some(from) = (first..m).chain(0..first).find(has_next) {
            let batch = self.random.random_range(1..=self.plan.batch_largest);
            self.take_settlements(i, from, batch);
        }
        if (0..m).any(|to| self.orders[i * m + to].is_full()) {
            self.seen.stalls += !self.ingress[i].is_empty() as u64;
            return;
        }
        if let Some(input) = self.ingress[i].front() {
            // An account whose timer has run out goes first.
            let due = self.shards.sequencers[i].machine.overdue(input.at);
            let input = due.or_else(|| self.ingress[i].pop_front()).expect("there is one");
            self.take_input(i, &input);
        }
    }

    fn take_input(&mut self, i: usize, input: &Input) {
        self.clients.enter(i, input);
        let SequencerShard { machine, log, out } = &mut self.shards.sequencers[i];
        log.append(&[Entry::Input(*input)]);
        self.journal.push(Logged::Input { sequencer: i, input: *input });
        machine.input(input, out);
        for (_, Numbered { message, .. }) in &out.to_matchers {
            match (&input.command, &message.order) {
                (Command::Submit(submit), _) => self.history.sent(submit, message),
                (Command::Transfer { .. }, MatcherOrder::Relay(transfer)) => self.clients.sent(transfer),
                _ => {}
            }
        }
        self.deliver_from_sequencer(i);
    }

    fn take_settlements(&mut self, i: usize, from: usize, batch: u32) {
        let link = from * self.plan.sequencers + i;
        let mut count = 0;
        for _ in 0..batch {
            if !self.settlements[link].has_next(self.step) {
                break;
            }
            let Carried { message, is_new } = self.settlements[link].carry();
            if let (true, FromMatcher::Relayed(transfer)) = (is_new, &message.message) {
                self.clients.relayed(transfer);
            }
            let SequencerShard { machine, out, .. } = &mut self.shards.sequencers[i];
            machine.settle(from, &message, out).expect("a link keeps its order");
            if !is_new {
                self.seen.repeats += 1;
                assert!(
                    out.reports.is_empty() && out.to_matchers.is_empty(),
                    "a repeat is heard: {message:?}"
                );
            }
            count += is_new as u32;
            self.deliver_from_sequencer(i);
        }
        // Repeats are not in the log: a sender that is replayed does not repeat itself.
        if count > 0 {
            self.shards.sequencers[i].log.append(&[Entry::Received { from: from as u16, count }]);
            self.journal.push(Logged::Settlements { sequencer: i, from, count });
        }
    }

    fn matchers_turn(&mut self, j: usize) {
        let (n, m) = (self.plan.sequencers, self.plan.matchers);
        let first = self.random.random_range(0..n);
        let has_next = |from: &usize| self.orders[from * m + j].has_next(self.step);
        if let Some(from) = (first..n).chain(0..first).find(has_next) {
            let batch = self.random.random_range(1..=self.plan.batch_largest);
            self.take_orders(j, from, batch);
        }
    }

    fn take_orders(&mut self, j: usize, from: usize, batch: u32) {
        let (n, m) = (self.plan.sequencers, self.plan.matchers);
        let mut count = 0;
        for _ in 0..batch {
            if (0..n).any(|to| self.settlements[j * n + to].is_full()) {
                self.seen.stalls += 1;
                break;
            }
            if !self.orders[from * m + j].has_next(self.step) {
                break;
            }
            let carried = self.orders[from * m + j].carry();
            self.take_order(j, from, &carried);
            count += carried.is_new as u32;
        }
        if count > 0 {
            self.shards.matchers[j].log.append(&[Entry::Received { from: from as u16, count }]);
            self.journal.push(Logged::Orders { matcher: j, from, count });
        }
    }

    fn take_order(&mut self, j: usize, from: usize, carried: &Carried<ToMatcher>) {
        let Carried { message, is_new } = carried;
        let MatcherShard { machine, out, .. } = &mut self.shards.matchers[j];
        machine.apply(from, message, out).expect("a link keeps its order");
        if *is_new {
            let answers = out.to_sequencers.iter().map(|(_, answer)| &answer.message);
            self.history.took(j, &message.message, answers);
        } else {
            self.seen.repeats += 1;
            assert!(out.to_sequencers.is_empty() && out.market.is_empty(), "a repeat is heard: {message:?}");
        }
        for (to, message) in out.to_sequencers.drain(..) {
            self.settlements[j * self.plan.sequencers + to].send(message);
        }
        for event in out.market.drain(..) {
            self.tape.event(&event);
            self.market_events[j].push(event);
        }
    }

    fn deliver_from_sequencer(&mut self, i: usize) {
        let out = &mut self.shards.sequencers[i].out;
        for (to, message) in out.to_matchers.drain(..) {
            self.orders[i * self.plan.matchers + to].send(message);
        }
        for report in out.reports.drain(..) {
            self.clients.hear(&report);
            self.reports[i].push(report);
        }
    }

    // ---- mishaps ------------------------------------------------------------------------------------------------

    fn mishap(&mut self) {
        let link = self.random.random_range(0..self.orders.len());
        let to_matcher = self.random.random_bool(0.5);
        match self.random.random_range(0..3) {
            // Bounded: a link that says everything again and again leaves no room for anything new.
            0 if self.seen.repeats < AGAIN_PER_COMMAND_MAX * self.seen.inputs => {
                let count = self.random.random_range(1..=self.plan.luck.again_largest);
                match to_matcher {
                    true => self.orders[link].send_again(count),
                    false => self.settlements[link].send_again(count),
                }
            }
            1 => self.lose(link, to_matcher),
            _ => {
                let until = self.step + self.random.random_range(1..=self.plan.luck.nap_longest);
                self.seen.naps += 1;
                match to_matcher {
                    true => self.orders[link].sleep_until(until),
                    false => self.settlements[link].sleep_until(until),
                }
            }
        }
    }

    /// A message is lost and the one after it arrives: the receiver must notice and do nothing.
    fn lose(&mut self, link: usize, to_matcher: bool) {
        let (n, m) = (self.plan.sequencers, self.plan.matchers);
        if to_matcher {
            let (from, to, taken) = (link / m, link % m, self.orders[link].taken());
            let Some(message) = self.orders[link].after_next() else { return };
            let MatcherShard { machine, out, .. } = &mut self.shards.matchers[to];
            assert_eq!(machine.apply(from, &message, out), Err(gap(from, taken)));
            assert!(out.to_sequencers.is_empty() && out.market.is_empty());
        } else {
            let (from, to, taken) = (link / n, link % n, self.settlements[link].taken());
            let Some(message) = self.settlements[link].after_next() else { return };
            let SequencerShard { machine, out, .. } = &mut self.shards.sequencers[to];
            assert_eq!(machine.settle(from, &message, out), Err(gap(from, taken)));
            assert!(out.to_matchers.is_empty() && out.reports.is_empty());
        }
        self.seen.gaps += 1;
    }

    fn perhaps_crash(&mut self) {
        let Luck { crashes, blackouts, .. } = self.plan.luck;
        // Spread over the run: some ten steps carry a command through a small engine.
        let steps = self.plan.commands as u32 * 10;
        if self.seen.crashes < u64::from(2 * crashes) && self.random.random_range(0..steps) < crashes {
            self.seen.crashes += 1;
            crash::of_one_shard(self);
        }
        if self.seen.blackouts < u64::from(blackouts) && self.random.random_range(0..steps) < blackouts {
            self.seen.blackouts += 1;
            crash::of_all(self);
        }
        if self.seen.snapshots < u64::from(blackouts) && self.random.random_range(0..steps) < blackouts {
            self.seen.snapshots += 1;
            crash::to_a_snapshot(self);
        }
    }

    // ---- looks --------------------------------------------------------------------------------------------------

    /// What is true whatever is on the way.
    fn look_on_the_way(&mut self) {
        self.shards.sequencers.iter().for_each(|shard| shard.machine.check());
        self.shards.matchers.iter().for_each(|shard| shard.machine.check());
        let on_the_way = self.money_on_the_way();
        for (asset, money) in self.shards.money().into_iter().enumerate() {
            let has = money.of_accounts as i128 + money.fees + on_the_way.get(asset).unwrap_or(&0);
            // A transfer is counted by both sides for a moment.
            let arrived = money.transferred_in as i128 - money.transferred_out as i128;
            let came = money.deposited as i128 - money.withdrawn as i128 + arrived;
            assert_eq!(has, came, "money of asset {asset}, with what is on the way: {money:?}");
        }
    }

    /// By asset: what accounts will have more, or less, when every trade has reached both of its sides.
    fn money_on_the_way(&self) -> Vec<i128> {
        let mut sums = vec![0; self.clients.market().assets.len()];
        for message in self.settlements.iter().flat_map(Link::on_the_way) {
            let FromMatcher::Order(news) = message.message else { continue };
            let MatcherOutcome::Filled { price, quantity, .. } = news.outcome else { continue };
            let Submit { symbol, side, .. } = *self.history.submit(news.key);
            let instrument = &self.clients.market().instruments[symbol.0 as usize];
            let sign = if side == Side::Buy { 1 } else { -1 };
            sums[instrument.base.0 as usize] += sign * instrument.base_amount(quantity).0 as i128;
            sums[instrument.quote.0 as usize] -= sign * instrument.notional(price, quantity).0 as i128;
        }
        sums
    }

    /// What is true when nothing is on the way.
    fn look_at_rest(&mut self) {
        self.look_on_the_way();
        self.shards.check();
        self.clients.agree_with(&self.shards);
        self.tape.agrees_with(&self.shards);
        self.books_have_the_live_orders();
    }

    /// Ordered = traded + resting, order by order, and no book holds more.
    fn books_have_the_live_orders(&self) {
        let book = |symbol: SymbolId| {
            self.shards.matchers[symbol.0 as usize % self.plan.matchers].machine.book(symbol)
        };
        let mut resting = 0;
        for (key, submit) in self.history.submits() {
            if let Some(left) = book(submit.symbol).remaining(*key) {
                assert_eq!(self.clients.left(submit), Some(left.0), "{submit:?}");
                resting += 1;
            }
        }
        let symbols = self.clients.market().instruments.iter().map(|instrument| instrument.id);
        let in_books: usize = symbols.map(|symbol| book(symbol).len()).sum();
        let (live, _) = self.clients.live_orders();
        assert_eq!((in_books, live), (resting, resting), "orders in books, and live ones");
    }
}

/// The shards of a plan before anything has happened.
pub fn empty_shards(plan: &Plan) -> AtRest {
    let Plan { sequencers, matchers, .. } = *plan;
    pipeline::build(Shape { sequencers, matchers, log_entries_max: usize::MAX }, &plan.market)
}

fn gap(from: usize, taken: usize) -> Gap {
    Gap { from, expected: taken as u64 + 1, got: taken as u64 + 2 }
}
