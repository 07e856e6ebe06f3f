//! The figures of a replay, for people and for machines.

use super::bitstamp::Judgement;
use super::drive::Played;
use super::tally::Trade;
use super::{Flow, ReplayArgs};
use engine_core::decimal::scaled_to_string;
use engine_core::executor::{AtRest, Money};
use engine_core::message::{Command, Reject};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// What a replay gave. `Display` is the report; serialised it is one JSON object.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What was replayed.
    pub title: String,
    /// "threads 1×1".
    pub engine: String,
    /// Trades the engine made, without those of `given`.
    pub trades_made: u64,
    /// Of those, trades that were recorded: same buyer, seller, quantity and price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trades_matched: Option<u64>,
    /// Trades that were recorded.
    pub recorded: u64,
    /// Recorded trades that prove nothing, each with the reason; made as recorded.
    pub given: Vec<String>,
    /// Recorded trades the engine did not make.
    pub missing: Vec<String>,
    /// Moments at which the feed's top of book equals the recorded bookTicker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tops_equal: Option<u64>,
    /// Moments compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tops: Option<u64>,
    /// Moments at which the recorded diffs themselves give the bookTicker's top: what can be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tops_expected: Option<u64>,
    /// Whether available + held + fees = deposits − withdrawals, for every asset.
    pub conserved: bool,
    /// By asset: what all accounts have with the fees they paid, and what was deposited and not withdrawn.
    pub money: BTreeMap<String, [String; 2]>,
    /// By symbol: over everything that happened in its book, in order.
    pub event_hashes: BTreeMap<String, String>,
    /// Over all balances.
    pub balances_hash: String,
    /// Inputs and answers by kind.
    pub counts: BTreeMap<String, u64>,
    /// How the recording was read.
    pub notes: Vec<String>,
    /// From the first input to the last effect.
    pub seconds: f64,
    /// Orders a second.
    pub orders_per_second: f64,
    /// Whether the engine did what the recording says.
    pub passed: bool,
}

impl Outcome {
    /// 0, or 1 when the recording says otherwise than the engine.
    pub fn exit_code(&self) -> u8 {
        !self.passed as u8
    }

    /// The figures every replay has; the oracle's are added by [`Self::trades`] or [`Self::tops`].
    pub(super) fn new(args: &ReplayArgs, flow: &Flow, played: &Played) -> Self {
        let Played { rest, tally, elapsed, .. } = played;
        rest.sequencers.iter().for_each(|shard| shard.machine.check());
        let money: Vec<[i128; 2]> = rest.money().iter().map(both_sides).collect();
        let counters = || rest.matchers.iter().flat_map(|shard| shard.machine.counters());
        let hash_of = |(symbol, counters): (engine_core::units::SymbolId, engine_core::matcher::Counters)| {
            let name = flow.market.instruments[symbol.0 as usize].symbol.clone();
            (name, format!("{:016x}", counters.event_hash))
        };
        let orders = flow.inputs.iter().filter(|input| matches!(input.command, Command::Submit(_))).count();
        let seconds = elapsed.as_secs_f64();
        let mut counts = BTreeMap::from([
            ("orders".into(), orders as u64),
            ("orders_acked".into(), tally.orders_acked),
            ("cancels".into(), (flow.inputs.len() - orders) as u64),
            ("cancels_acked".into(), tally.cancels_acked),
            ("cancels_missed".into(), tally.cancels_missed),
        ]);
        for reason in Reject::ALL {
            let count = tally.orders_rejected[reason as usize];
            if count > 0 {
                counts.insert(format!("rejected_{reason:?}"), count);
            }
        }
        Self {
            title: flow.title.clone(),
            engine: format!("{} {}×{}", args.executor, args.sequencers, args.matchers),
            trades_made: counters().map(|(_, counters)| counters.trade.0).sum(),
            trades_matched: None,
            recorded: 0,
            given: Vec::new(),
            missing: Vec::new(),
            tops_equal: None,
            tops: None,
            tops_expected: None,
            conserved: money.iter().all(|[are, came]| are == came),
            money: money_by_name(flow, &money),
            event_hashes: counters().map(hash_of).collect(),
            balances_hash: balances_hash(rest),
            counts,
            notes: flow.notes.clone(),
            seconds,
            orders_per_second: (orders as f64 / seconds).round(),
            passed: false,
        }
    }

    /// Judged by the trades: all made must be recorded ones, and all recorded ones made.
    pub(super) fn judge_trades(mut self, judgement: &Judgement) -> Self {
        self.trades_made -= judgement.given.len() as u64;
        let exact = judgement.matched as u64 == self.trades_made && judgement.missing.is_empty();
        self.passed = self.conserved && exact && self.trades_made > 0;
        self.trades_matched = Some(judgement.matched as u64);
        self.recorded = judgement.recorded as u64;
        let text = |trade: &Trade| {
            let Trade { buyer, seller, quantity, price } = trade;
            format!("buyer {buyer} seller {seller}, {quantity} lots at {price} ticks")
        };
        let sized = "its taker is a market buy by quote amount, sized by this trade";
        self.given = judgement.given.iter().map(|trade| format!("{}: {sized}", text(trade))).collect();
        self.missing = judgement.missing.iter().map(text).collect();
        self.counts.insert("remainders_told".into(), judgement.remainders as u64);
        self.counts.insert("remainders_equal".into(), judgement.remainders_equal as u64);
        self
    }

    /// Judged by the tops: as many must equal bookTicker as the recorded diffs allow.
    pub(super) fn judge_tops(mut self, recorded: u64, equal: u64, tops: u64, expected: u64) -> Self {
        self.recorded = recorded;
        self.passed = self.conserved && tops > 0 && equal >= expected;
        (self.tops_equal, self.tops, self.tops_expected) = (Some(equal), Some(tops), Some(expected));
        self
    }
}

/// What accounts and house have, and what came from outside: equal if nothing was made or lost.
fn both_sides(money: &Money) -> [i128; 2] {
    [money.of_accounts as i128 + money.fees, money.deposited as i128 - money.withdrawn as i128]
}

fn money_by_name(flow: &Flow, money: &[[i128; 2]]) -> BTreeMap<String, [String; 2]> {
    let text = |amount: i128, decimals| {
        let sign = if amount < 0 { "-" } else { "" };
        format!("{sign}{}", scaled_to_string(amount.unsigned_abs(), decimals))
    };
    let assets = flow.market.assets.iter().zip(money);
    assets
        .map(|(asset, both)| (asset.name.clone(), both.map(|amount| text(amount, asset.decimals))))
        .collect()
}

fn balances_hash(rest: &AtRest) -> String {
    let mut hash = Xxh3::new();
    for (account, asset, available, held) in rest.balances() {
        hash.update(&account.0.to_le_bytes());
        hash.update(&asset.0.to_le_bytes());
        hash.update(&available.0.to_le_bytes());
        hash.update(&held.0.to_le_bytes());
    }
    format!("{:016x}", hash.digest())
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", self.title, self.engine)?;
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        if let Some(matched) = self.trades_matched {
            writeln!(
                f,
                "{matched} trades matched of {} made (buyer, seller, quantity, price)",
                self.trades_made
            )?;
            writeln!(f, "{} recorded trades made but no proof:", self.given.len())?;
            self.given.iter().try_for_each(|given| writeln!(f, "  {given}"))?;
            let count = |name: &str| self.counts.get(name).copied().unwrap_or(0);
            let (equal, told) = (count("remainders_equal"), count("remainders_told"));
            writeln!(f, "{equal} of {told} remainders after fills as the venue told them")?;
            writeln!(f, "{} recorded trades not made", self.missing.len())?;
            self.missing.iter().try_for_each(|missing| writeln!(f, "  {missing}"))?;
        }
        if let (Some(equal), Some(tops), Some(expected)) = (self.tops_equal, self.tops, self.tops_expected) {
            writeln!(f, "{equal} of {tops} tops equal to bookTicker (the recorded diffs give {expected})")?;
            writeln!(f, "{} trades made from {} recorded", self.trades_made, self.recorded)?;
        }
        for (asset, [have, deposited]) in &self.money {
            let sign = if have == deposited { "=" } else { "≠" };
            writeln!(
                f,
                "money {asset}: available + held + fees {have} {sign} deposits − withdrawals {deposited}"
            )?;
        }
        for (symbol, hash) in &self.event_hashes {
            writeln!(f, "event hash {symbol}: {hash}")?;
        }
        writeln!(f, "balances hash: {}", self.balances_hash)?;
        let counts: Vec<String> = self.counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        writeln!(f, "{}", counts.join(", "))?;
        write!(f, "{:.3} s, {} orders a second", self.seconds, self.orders_per_second)
    }
}
