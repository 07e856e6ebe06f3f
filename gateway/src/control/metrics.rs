//! `/metrics` in the Prometheus text format.
//!
//! The counters are read where they are, one writer each; a scrape costs the hot path nothing. Labels are few and
//! bounded: the thread, the reason, the symbol (the first [`SYMBOLS_MAX`]).

use super::Control;
use crate::keeper::KeeperCounters;
use crate::reactor::clock;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use engine_core::counters::Histogram;
use engine_core::decimal::scaled_to_string;
use engine_core::journal::{Condition, Watch};
use engine_core::message::Reject;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Symbols that get labels of their own.
const SYMBOLS_MAX: usize = 100;

pub async fn all(State(control): State<Arc<Control>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text(&control))
}

fn text(control: &Control) -> String {
    let mut out = Exposition::default();
    macro_rules! each {
        ($of:ident, $label:literal, $($kind:ident $name:literal $field:ident $help:literal)+) => {$(
            out.family($name, stringify!($kind), $help);
            for (index, of) in control.$of.iter().enumerate() {
                out.sample($name, &[($label, &index.to_string())], of.$field.get());
            }
        )+};
    }
    each!(reactors, "reactor",
        gauge "ringside_connections" connections "Open connections."
        gauge "ringside_memberships" memberships "Rooms that connections are in, all together."
        gauge "ringside_connections_behind" behind "Connections whose socket is full."
        counter "ringside_connections_accepted_total" accepted "Connections accepted."
        counter "ringside_connections_refused_total" refused "Connections refused."
        counter "ringside_connections_handed_over_total" handed_over "Connections that a reactor with fewer has taken over."
        counter "ringside_messages_in_total" messages_in "Messages of clients."
        counter "ringside_bytes_in_total" bytes_in "Bytes of clients."
        counter "ringside_inflated_total" inflated "Messages of clients that came compressed."
        counter "ringside_inflated_bytes_total" inflated_bytes "Bytes that these were inflated to."
        counter "ringside_frames_out_total" frames_out "Market data frames taken by sockets."
        counter "ringside_bytes_out_total" bytes_out "Market data bytes taken by sockets."
        counter "ringside_sends_total" sends "Sends of market data."
        counter "ringside_private_bytes_out_total" private_bytes_out "Private bytes taken by sockets."
        counter "ringside_fell_behind_total" fell_behind "Times a socket became full."
        counter "ringside_lapped_total" lapped "Times a connection left the window: it got a snapshot, or was closed if it had asked for that."
        counter "ringside_skipped_bytes_total" skipped_bytes "Market data bytes that connections which were lapped did not get."
        gauge "ringside_waiting_bytes" waiting_bytes "Market data bytes that connections have not been handed yet."
        gauge "ringside_held_bytes" held_bytes "Market data bytes held for connections that fall behind; reactors share them."
        counter "ringside_accounts_wrong_total" accounts_wrong "Rooms whose members were given other than what there was: never."
        counter "ringside_gaps_total" gaps "Gaps announced to clients."
        counter "ringside_closed_slow_total" closed_slow "Connections closed for not reading, for leaving the window if they had asked for that, or for too much unsent."
        counter "ringside_turns_total" turns "Turns of the reactor."
    );
    each!(sequencers, "sequencer",
        counter "ringside_inputs_total" inputs "Inputs applied."
        counter "ringside_orders_acked_total" orders_acked "Orders acknowledged, repeats included."
        counter "ringside_cancels_acked_total" cancels_acked "Cancels acknowledged."
        counter "ringside_ledger_audits_total" audits "Accounts whose holds were added up again and found right."
        gauge "ringside_order_ids" order_ids "Order ids remembered; at the most that docs/OPERATIONS.md names new orders are refused."
        gauge "ringside_order_id_bytes" order_id_bytes "Memory of these."
        gauge "ringside_ingress_depth" ingress_depth "Inputs waiting."
        gauge "ringside_settlement_depth" settlement_depth "Settlements waiting."
    );
    each!(matchers, "matcher",
        counter "ringside_matcher_messages_total" messages "Messages applied."
        counter "ringside_trades_total" trades "Trades made."
        gauge "ringside_matcher_depth" depth "Messages waiting."
    );
    each!(feeds, "matcher",
        counter "ringside_feed_frames_total" frames "Frames written to rooms."
        counter "ringside_feed_bytes_total" bytes "Bytes written to rooms."
        counter "ringside_feed_snapshots_total" snapshots "Snapshots cut."
        counter "ringside_feed_deflated_total" deflated "Frames compressed, once for all rooms and subscribers."
        counter "ringside_feed_deflate_bytes_in_total" deflate_bytes_in "Bytes of these before compression."
        counter "ringside_feed_deflate_bytes_out_total" deflate_bytes_out "Bytes of these after compression."
        counter "ringside_feed_deflate_refused_total" deflate_refused "Frames written as they are, because compression saved too little."
        counter "ringside_feed_deflate_nanoseconds_total" deflate_ns "Time spent compressing."
        counter "ringside_feed_conflated_total" conflated "Level changes replaced by a later one in the same batch."
    );
    out.family("ringside_rejects_total", "counter", "Refusals by the engine, by reason.");
    for reason in Reject::ALL {
        let count = control.sequencers.iter().map(|of| of.rejects[reason as usize].get()).sum();
        out.sample("ringside_rejects_total", &[("reason", &snake_case(reason))], count);
    }
    let acks = control.reactors.iter().map(|of| &of.order_to_ack);
    out.histogram(
        "ringside_order_to_ack_seconds",
        "From reading an order to writing its acknowledgement.",
        acks,
    );
    let rooms = control.feeds.iter().map(|of| &of.order_to_room);
    out.histogram(
        "ringside_order_to_room_seconds",
        "From reading an order to its depth update in the rooms.",
        rooms,
    );
    if let Some(journal) = &control.journal {
        of_journal(&mut out, journal);
    }
    if let Some(keeper) = &control.keeper {
        let durable = control.journal.as_ref().map_or(0, |journal| journal.positions().total());
        of_keeper(&mut out, keeper, durable);
    }
    history(&mut out, control);
    http(&mut out, control);
    process(&mut out, control);
    tops(&mut out, control);
    out.text
}

fn of_journal(out: &mut Exposition, journal: &Watch) {
    let condition = match journal.condition() {
        Condition::Good => 0,
        Condition::Full => 1,
        Condition::Failed => 2,
        Condition::NoFiles => 3,
    };
    let counters = journal.counters();
    let rows = [
        (
            "ringside_journal_condition",
            "gauge",
            "0 good, 1 full (nothing new is taken), 2 failed (the process stops), 3 no file can be opened (as when full).",
            condition,
        ),
        (
            "ringside_journal_waits_for_space",
            "gauge",
            "1 while the reserve of a full disk is used up: cancels are not answered either.",
            u64::from(journal.waits_for_space()),
        ),
        (
            "ringside_journal_waiting_bytes",
            "gauge",
            "Bytes logged that the writer has not begun to write.",
            journal.staged_bytes() as u64,
        ),
        (
            "ringside_journal_disk_bytes",
            "gauge",
            "Bytes of the journal's segments, those ahead not counted.",
            journal.disk_bytes(),
        ),
        ("ringside_journal_records_total", "counter", "Records written.", counters.records.get()),
        ("ringside_journal_bytes_total", "counter", "Bytes written.", counters.bytes.get()),
        ("ringside_journal_segments_total", "counter", "Segments begun.", counters.segments.get()),
        ("ringside_journal_syncs_total", "counter", "Syncs of data.", counters.syncs.get()),
    ];
    each(out, rows);
    out.histogram("ringside_journal_sync_seconds", "How long a sync took.", [&counters.sync_us].into_iter());
}

fn of_keeper(out: &mut Exposition, keeper: &KeeperCounters, durable: u64) {
    let behind = durable.saturating_sub(keeper.position.get());
    let rows = [
        (
            "ringside_keeper_entries_total",
            "counter",
            "Entries of the journal followed.",
            keeper.entries.get(),
        ),
        ("ringside_keeper_behind", "gauge", "Durable entries not followed yet.", behind),
        (
            "ringside_keeper_bytes_since_snapshot",
            "gauge",
            "Bytes of journal followed since the newest snapshot.",
            keeper.since_snapshot.get(),
        ),
        (
            "ringside_keeper_order_id_bytes",
            "gauge",
            "Memory of the order ids it remembers as the engine does.",
            keeper.order_id_bytes.get(),
        ),
        ("ringside_snapshots_total", "counter", "Snapshots written.", keeper.snapshots.get()),
        (
            "ringside_snapshots_failed_total",
            "counter",
            "Snapshots not written.",
            keeper.snapshots_failed.get(),
        ),
        ("ringside_snapshots_kept", "gauge", "Snapshots on the disk.", keeper.snapshots_kept.get()),
        ("ringside_snapshot_bytes", "gauge", "Bytes of the newest snapshot.", keeper.snapshot_bytes.get()),
        ("ringside_snapshot_microseconds", "gauge", "How long it took.", keeper.snapshot_us.get()),
    ];
    each(out, rows);
}

/// Nothing where none is kept.
fn history(out: &mut Exposition, control: &Control) {
    let Some(reader) = &control.history else { return };
    let counters = reader.counters();
    let lag_us = match counters.waiting_since.get() {
        0 => 0,
        since => clock().0.saturating_sub(since),
    };
    let rows = [
        ("ringside_history_entries_total", "counter", "Entries of accounts written.", counters.entries.get()),
        ("ringside_history_commits_total", "counter", "Transactions of the history.", counters.commits.get()),
        (
            "ringside_history_failures_total",
            "counter",
            "Attempts to write that failed.",
            counters.failures.get(),
        ),
        (
            "ringside_history_kept",
            "gauge",
            "1 while the store takes what is written, 0 after an attempt that failed.",
            counters.kept.get(),
        ),
        (
            "ringside_history_aside",
            "gauge",
            "1 while what it lacks is kept in the journal only, because its store fails or is slow.",
            counters.aside.get(),
        ),
        ("ringside_history_waiting", "gauge", "Entries that wait to be written.", counters.waiting.get()),
        ("ringside_history_lag_microseconds", "gauge", "Age of the oldest entry that waits.", lag_us),
    ];
    each(out, rows);
}

fn http(out: &mut Exposition, control: &Control) {
    let (connections, refused) = (&control.http.connections, &control.http.refused);
    let rows = [
        (
            "ringside_http_connections",
            "gauge",
            "Open connections of HTTP.",
            connections.load(Ordering::Relaxed),
        ),
        (
            "ringside_http_connections_refused_total",
            "counter",
            "Connections of HTTP for which there was no place.",
            refused.load(Ordering::Relaxed),
        ),
    ];
    each(out, rows);
}

/// One family each, with one sample.
fn each<const N: usize>(out: &mut Exposition, rows: [(&str, &str, &str, u64); N]) {
    for (name, kind, help, value) in rows {
        out.family(name, kind, help);
        out.sample(name, &[], value);
    }
}

fn process(out: &mut Exposition, control: &Control) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    let rows = [
        ("ringside_rooms", "Open rooms.", control.registry.list().len() as u64),
        ("ringside_uptime_seconds", "Seconds since the start.", control.started.elapsed().as_secs()),
        ("ringside_resident_memory_bytes", "Memory in RAM.", field("VmRSS:") * 1024),
        ("ringside_threads", "Threads.", field("Threads:")),
    ];
    for (name, help, value) in rows {
        out.family(name, "gauge", help);
        out.sample(name, &[], value);
    }
}

fn tops(out: &mut Exposition, control: &Control) {
    out.family("ringside_best_price_ticks", "gauge", "Best price in ticks, 0 for an empty side.");
    for (instrument, top) in
        control.venue.market.instruments.iter().zip(&control.venue.tops).take(SYMBOLS_MAX)
    {
        for (side, price) in [("bid", &top.bid), ("ask", &top.ask)] {
            let labels = [("symbol", instrument.symbol.as_str()), ("side", side)];
            out.sample("ringside_best_price_ticks", &labels, price.load(Ordering::Relaxed));
        }
    }
}

fn seconds(microseconds: u64) -> String {
    scaled_to_string(microseconds as u128, 6)
}

/// `InsufficientBalance` as `insufficient_balance`.
fn snake_case(reason: Reject) -> String {
    let mut text = String::new();
    for letter in format!("{reason:?}").chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[derive(Default)]
struct Exposition {
    text: String,
}

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n").expect("a string takes any text");
    }

    fn histogram<'a>(&mut self, name: &str, help: &str, parts: impl Iterator<Item = &'a Histogram>) {
        self.family(name, "histogram", help);
        let (mut counts, mut sum) = ([0; Histogram::BUCKETS], 0);
        for part in parts {
            sum += part.sum();
            part.buckets().zip(&mut counts).for_each(|((_, more), count)| *count += more);
        }
        let mut total = 0;
        for ((end, _), count) in Histogram::default().buckets().zip(counts) {
            total += count;
            let end = end.map_or("+Inf".into(), seconds);
            self.sample(&format!("{name}_bucket"), &[("le", &end)], total);
        }
        writeln!(self.text, "{name}_sum {}\n{name}_count {total}", seconds(sum))
            .expect("a string takes any text");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.text.push_str(name);
        for (i, (label, of)) in labels.iter().enumerate() {
            let open = if i == 0 { '{' } else { ',' };
            write!(self.text, "{open}{label}=\"{of}\"").expect("a string takes any text");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        writeln!(self.text, "{close} {value}").expect("a string takes any text");
    }
}
