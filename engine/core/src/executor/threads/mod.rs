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
//! - A disk without space makes the journal say so while there is a reserve, and [`Port::submit`] then takes only what ends
//!   things. A journal that has ended says so, too: what is held back then is dropped, and the threads can end.
//! - A port that does not read its reports holds up its sequencers, so a port's owner reads before it sends.
//!
//! A batch is appended to the log before its outputs are handed on; what the outside learns waits in a
//! [`Gate`](crate::log::Gate) until the log says the batch is durable.
//!
//! In reading order: [`start`] wires all of it; `port` is the way in and out, `sequencer` and `matcher` are the threads.

mod matcher;
mod port;
mod sequencer;

pub use port::{Overloaded, Port};

use super::{AtRest, MarketSink, MatcherShard, SequencerShard};
use crate::bell::{Bell, ThreadBell};
use crate::counters::{MatcherCounters, SequencerCounters};
use crate::journal::Watch;
use crate::lane::{Receiver, Sender, lane};
use crate::limits::{INGRESS_LANE, LINK_LANE, REPORT_LANE};
use crate::message::Numbered;
use matcher::{MatcherLanes, MatcherThread};
use sequencer::{SequencerLanes, SequencerThread};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a thread that waits for room sleeps before it looks again: lanes do not ring when they drain.
const CONGESTED_NAP: Duration = Duration::from_micros(50);

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

/// How the threads use the machine: its cores, its disk.
#[derive(Clone)]
pub struct Manner {
    /// How often a thread looks for work before it parks. 0 where cores are few.
    pub spins: u32,
    /// Called on each thread before it works, with its number: sequencers from 0, then matchers. May tie it to a core.
    pub begin: Arc<dyn Fn(usize) + Send + Sync>,
    /// The journal that the shards' logs are in, if they are in one: while it has no space or no files, ports refuse
    /// what would make the exchange owe more ([`Overloaded::DiskFull`], [`Overloaded::NoFiles`]).
    pub journal: Option<Watch>,
}

impl Default for Manner {
    fn default() -> Self {
        Self { spins: 0, begin: Arc::new(|_| {}), journal: None }
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

    let mut threads = Threads {
        sequencers: Vec::new(),
        matchers: Vec::new(),
        matcher_bells: matcher_bells.clone(),
        sequencer_counters: (0..n).map(|_| Arc::default()).collect(),
        matcher_counters: (0..m).map(|_| Arc::default()).collect(),
    };
    let lanes = ingress_out.into_iter().zip(settlements_out).zip(orders_in).zip(reports_in);
    let lanes = lanes.map(|(((ingress, settlements), orders), reports)| SequencerLanes {
        ingress,
        settlements,
        orders: outgoing(orders, &matcher_bells),
        reports: outgoing(reports, &port_bells),
    });
    for (i, (shard, lanes)) in shards.sequencers.into_iter().zip(lanes).enumerate() {
        let (bell, counters) = (sequencer_bells[i].clone(), threads.sequencer_counters[i].clone());
        let thread = SequencerThread::new(shard, lanes, bell, counters);
        threads.sequencers.push(spawn(format!("sequencer-{i}"), i, &manner, move |spins| thread.run(spins)));
    }
    let lanes = orders_out.into_iter().zip(settlements_in);
    let lanes = lanes.map(|(orders, settlements)| MatcherLanes {
        orders,
        settlements: outgoing(settlements, &sequencer_bells),
    });
    for (j, ((shard, lanes), market)) in shards.matchers.into_iter().zip(lanes).zip(markets).enumerate() {
        let (bell, counters) = (matcher_bells[j].clone(), threads.matcher_counters[j].clone());
        let thread = MatcherThread::new(shard, lanes, market, bell, counters);
        threads.matchers.push(spawn(format!("matcher-{j}"), n + j, &manner, move |spins| thread.run(spins)));
    }
    let ports = ingress_in.into_iter().zip(reports_out).enumerate().map(|(index, (ingress, reports))| Port {
        index: index as u16,
        ingress,
        reports,
        bells: sequencer_bells.clone(),
        journal: manner.journal.clone(),
    });
    (threads, ports.collect())
}

fn spawn<T: Send + 'static>(
    name: String,
    number: usize,
    manner: &Manner,
    run: impl FnOnce(u32) -> T + Send + 'static,
) -> JoinHandle<T> {
    let Manner { spins, begin, .. } = manner.clone();
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

impl<T> Link<T> {
    fn is_message(&self) -> bool {
        matches!(self, Link::Message(_))
    }
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

fn any_next<T>(lanes: &mut [Receiver<T>]) -> bool {
    lanes.iter_mut().any(Receiver::has_next)
}

fn flush_all<T, B: Bell + ?Sized>(lanes: &mut [Outgoing<T, B>]) -> bool {
    lanes.iter_mut().fold(true, |all, lane| lane.flush() & all)
}
