//! All shards once more, from what their logs say.
//!
//! A shadow does what is logged, entry by entry, and keeps what is on the way between shards until an entry says that it was
//! taken. It may follow one log far before it looks at another, as long as what an entry takes has been sent: the order
//! among shards does not matter, and the order of a journal is always good. What it tells the outside is what was told.

use super::{AtRest, MarketSink, MatcherLog, MatcherShard, ReportSink, SequencerLog, SequencerShard};
use crate::journal::{Logged, ShardId};
use crate::limits::TURN_BATCH;
use crate::log::Entry;
use crate::matcher::{self, Matcher};
use crate::message::{Command, FromMatcher, Input, Numbered, ToMatcher};
use crate::sequencer::{self, Sequencer};
use std::collections::VecDeque;
use std::convert::Infallible;
use thiserror::Error;

/// Entries whose memory is fetched together: a turn of a busy shard.
const WARMED: usize = TURN_BATCH;

/// The state of all shards, and what is on the way between them.
#[derive(Default)]
pub struct Shadow {
    pub(super) sequencers: Vec<Sequencer>,
    pub(super) matchers: Vec<Matcher>,
    /// From sequencer i to matcher j, at `i * matchers + j`.
    pub(super) orders: Vec<VecDeque<Numbered<ToMatcher>>>,
    /// From matcher j to sequencer i, at `j * sequencers + i`.
    pub(super) settlements: Vec<VecDeque<Numbered<FromMatcher>>>,
    /// Commands for all sequencers that some have not got yet, in order.
    pub(super) common: VecDeque<Input>,
    /// By sequencer: how many of `common` it has got.
    pub(super) common_got: Vec<usize>,
    pub(super) sequencer_out: sequencer::Outbox,
    pub(super) matcher_out: matcher::Outbox,
}

/// An entry takes more messages of a link than were sent: logs that do not belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{count} messages were taken from shard {from}, and {sent} were on the way")]
pub struct Misfit {
    /// The sending shard.
    pub from: u16,
    /// As the entry says.
    pub count: u32,
    /// As there were.
    pub sent: usize,
}

impl Shadow {
    /// Begins with shards at rest, before their next entries.
    pub fn new(shards: AtRest) -> Self {
        let (n, m) = (shards.sequencers.len(), shards.matchers.len());
        Self {
            sequencers: shards.sequencers.into_iter().map(|shard| shard.machine).collect(),
            matchers: shards.matchers.into_iter().map(|shard| shard.machine).collect(),
            orders: (0..n * m).map(|_| VecDeque::new()).collect(),
            settlements: (0..n * m).map(|_| VecDeque::new()).collect(),
            common_got: vec![0; n],
            ..Self::default()
        }
    }

    /// Does what the shards did, one after the other, as [`Shadow::apply`].
    pub fn apply_all(
        &mut self,
        logged: &[Logged],
        reports: &mut impl ReportSink,
        market: &mut impl MarketSink,
    ) -> Result<(), Misfit> {
        for ahead in logged.chunks(WARMED) {
            for Logged { shard, entry, .. } in ahead {
                if let (ShardId::Sequencer(i), Entry::Input(input)) = (shard, entry) {
                    self.sequencers[usize::from(*i)].warm(input);
                }
            }
            for logged in ahead {
                self.apply(logged, reports, market)?;
            }
        }
        Ok(())
    }

    /// Does what a shard did. On a misfit nothing has changed.
    pub fn apply(
        &mut self,
        logged: &Logged,
        reports: &mut impl ReportSink,
        market: &mut impl MarketSink,
    ) -> Result<(), Misfit> {
        match (logged.shard, logged.entry) {
            (ShardId::Sequencer(i), entry) => self.sequencer(i.into(), &entry, reports),
            (ShardId::Matcher(j), Entry::Received { from, count }) => {
                self.matcher(j.into(), Entry::Received { from, count }, market)
            }
            (ShardId::Matcher(_), Entry::Input(_)) => unreachable!("a matcher's log has no inputs"),
        }
    }

    /// Does what sequencer `i` did. On a misfit nothing has changed.
    pub fn sequencer(
        &mut self,
        i: usize,
        entry: &Entry<Input>,
        reports: &mut impl ReportSink,
    ) -> Result<(), Misfit> {
        let (n, m) = (self.sequencers.len(), self.matchers.len());
        let (machine, out) = (&mut self.sequencers[i], &mut self.sequencer_out);
        match entry {
            Entry::Input(input) => {
                if is_common(input) {
                    note_common(&mut self.common, &mut self.common_got, i, input);
                }
                machine.input(input, out);
            }
            Entry::Received { from, count } => {
                let link = &mut self.settlements[*from as usize * n + i];
                link.iter().take(*count as usize).for_each(|next| machine.warm_for(&next.message));
                for message in take(link, *from, *count)? {
                    machine.settle(*from as usize, &message, out).expect("links are dense");
                }
            }
        }
        for (to, message) in out.to_matchers.drain(..) {
            self.orders[i * m + to].push_back(message);
        }
        out.reports.drain(..).for_each(|report| reports.report(&report));
        Ok(())
    }

    /// Does what matcher `j` did. On a misfit nothing has changed.
    pub fn matcher(
        &mut self,
        j: usize,
        entry: Entry<Infallible>,
        market: &mut (impl MarketSink + ?Sized),
    ) -> Result<(), Misfit> {
        let (n, m) = (self.sequencers.len(), self.matchers.len());
        let Entry::Received { from, count } = entry;
        let (machine, out) = (&mut self.matchers[j], &mut self.matcher_out);
        let link = &mut self.orders[from as usize * m + j];
        link.iter().take(count as usize).for_each(|next| machine.warm(&next.message));
        for message in take(link, from, count)? {
            machine.apply(from as usize, &message, out).expect("links are dense");
        }
        for (to, message) in out.to_sequencers.drain(..) {
            self.settlements[j * n + to].push_back(message);
        }
        out.market.drain(..).for_each(|event| market.event(&event));
        Ok(())
    }

    /// Ends: shards with these logs, once everything that is on the way has arrived. That it has is appended to the logs.
    ///
    /// A command for all sequencers may have reached the logs of some only, when the power failed. Whoever has it says so to
    /// the others: it was accepted, and without it they would not know the same market.
    pub fn settle(
        mut self,
        mut logs: (Vec<Box<SequencerLog>>, Vec<Box<MatcherLog>>),
        reports: &mut impl ReportSink,
        market: &mut impl MarketSink,
    ) -> AtRest {
        let (n, m) = (self.sequencers.len(), self.matchers.len());
        while let Some(i) = self.common_got.iter().position(|got| *got < self.common.len()) {
            let entry = Entry::Input(self.common[self.common_got[i]]);
            logs.0[i].append(&[entry]);
            self.sequencer(i, &entry, reports).expect("an input takes nothing");
        }
        loop {
            if let Some(link) = self.settlements.iter().position(|link| !link.is_empty()) {
                let entry = arrived(link / n, &self.settlements[link]);
                logs.0[link % n].append(&[entry]);
                self.sequencer(link % n, &entry, reports).expect("they are on the way");
            } else if let Some(link) = self.orders.iter().position(|link| !link.is_empty()) {
                let entry = arrived(link / m, &self.orders[link]);
                logs.1[link % m].append(&[entry]);
                self.matcher(link % m, entry, market).expect("they are on the way");
            } else {
                break;
            }
        }
        self.into_shards(logs)
    }

    /// Ends: shards with these logs, as they are; what is on the way is dropped.
    pub fn into_shards(self, logs: (Vec<Box<SequencerLog>>, Vec<Box<MatcherLog>>)) -> AtRest {
        let sequencers = self.sequencers.into_iter().zip(logs.0);
        let matchers = self.matchers.into_iter().zip(logs.1);
        AtRest {
            sequencers: sequencers
                .map(|(machine, log)| SequencerShard { machine, log, out: Default::default() })
                .collect(),
            matchers: matchers
                .map(|(machine, log)| MatcherShard { machine, log, out: Default::default() })
                .collect(),
        }
    }

    /// By index.
    pub fn sequencers(&self) -> &[Sequencer] {
        &self.sequencers
    }

    /// By index.
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }
}

/// The oldest `count` messages of a link, if so many were sent.
fn take<T>(
    link: &mut VecDeque<T>,
    from: u16,
    count: u32,
) -> Result<std::collections::vec_deque::Drain<'_, T>, Misfit> {
    let sent = link.len();
    if sent < count as usize {
        return Err(Misfit { from, count, sent });
    }
    Ok(link.drain(..count as usize))
}

/// All of a link arrives.
fn arrived<T, I>(from: usize, link: &VecDeque<T>) -> Entry<I> {
    Entry::Received { from: from as u16, count: link.len() as u32 }
}

/// Whether a command changes what all sequencers must know alike. Ticks come again by themselves.
fn is_common(input: &Input) -> bool {
    matches!(input.command, Command::ListAsset(_) | Command::List(_) | Command::SetFees { .. })
}

/// Sequencer `i` gets a common command: one that others have got, or a new one.
fn note_common(common: &mut VecDeque<Input>, got: &mut [usize], i: usize, input: &Input) {
    match common.get(got[i]) {
        Some(known) => assert_eq!(input.command, known.command, "all sequencers get the same in one order"),
        None => common.push_back(*input),
    }
    got[i] += 1;
    while got.iter().all(|got| *got > 0) {
        common.pop_front();
        got.iter_mut().for_each(|got| *got -= 1);
    }
}
