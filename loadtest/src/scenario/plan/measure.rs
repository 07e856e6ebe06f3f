//! Short runs, one for each cost. All of them together take half a minute.

use super::costs::{Costs, SendPoint, line};
use super::server::Server;
use super::{Options, loopback};
use crate::market::Market;
use crate::monitor::Usage;
use crate::report::Verdict;
use crate::scenario::fleet::{Clients, Plan};
use crate::scenario::flow::{Load, heavy};
use crate::scenario::{fanout, idle, orders};
use anyhow::{Context, Result, ensure};
use engine_core::units::{Price, Quantity, Sequence, Side, Timestamp, TradeId};
use gateway::simulate;
use gateway::wire::NumberFormat;
use gateway::wire::encode::SymbolFormat;
use gateway::wire::encode::market::{self, DepthUpdate, Trade};
use gateway::ws::{Opcode, frame};
use indicatif::ProgressBar;
use std::hint::black_box;
use std::time::Duration;

const SYMBOL: &str = "BTC-USDT";

/// Enough for a cost of a kilobyte to stand out of what the machine does besides.
const IDLE_CONNECTIONS: usize = 8000;
const SETTLE: Duration = Duration::from_secs(1);

const SUBSCRIBERS: usize = 400;
const SWEEPS_PER_SECOND: u64 = 100;
/// Trades of a sweep: a send of two frames, of some kilobytes, of what a busy symbol has.
const TRADES: [u32; 3] = [1, 20, 100];
const FANOUT: Duration = Duration::from_secs(4);
const FANOUT_ALONE: Duration = Duration::from_secs(2);
/// Of the one subscriber that is checked.
const RECORD_BYTES_MAX: usize = 64 << 20;

const ORDERS: Duration = Duration::from_secs(2);
/// Below what a server with default limits takes from one connection, cancels included.
const ORDERS_PER_SECOND: u64 = 5000;
const ORDERS_WINDOW: usize = 64;

/// Of either kind.
const ENCODED: u64 = 1_000_000;

const SIMULATED_CONNECTIONS: u64 = 200_000;
const SIMULATED_SYMBOLS_MAX: u64 = 1000;

pub(super) async fn costs(
    options: &Options,
    server: &Server,
    verdict: &mut Verdict,
    progress: &ProgressBar,
) -> Result<Costs> {
    let memory = memory(server, verdict).await?;
    progress.set_message("sends");
    let mut send_points = Vec::new();
    // The plan's orders make a trade and a change, as the first run's do.
    let mut frame_bytes = None;
    for (index, trades) in TRADES.into_iter().enumerate() {
        let run = options.run + 100 * index as u64;
        let (point, bytes_of_frame) = send_point(options, server, trades, run, verdict).await?;
        send_points.push(point);
        frame_bytes.get_or_insert(bytes_of_frame);
    }
    let (send_ns, send_ns_per_byte) = line(&send_points);
    progress.set_message("orders");
    let command_ns = command_ns(options, server, verdict).await?;
    let (loopback_send_ns, loopback_queue_ns) = tokio::task::spawn_blocking(loopback::measure).await??;
    progress.set_message("our own part");
    let push_ns = push_ns(options)?;
    Ok(Costs {
        send_points,
        send_ns,
        send_ns_per_byte,
        frame_bytes: frame_bytes.unwrap_or(0.0),
        command_ns,
        encode_ns: encode_ns()?,
        push_ns,
        loopback_send_ns,
        loopback_queue_ns,
        user_bytes: memory.user_bytes_per_connection.max(0.0),
        kernel_bytes: (memory.kernel_slab_bytes_per_connection + memory.tcp_buffer_bytes_per_connection)
            .max(0.0)
            / 2.0,
        base_bytes: memory.before.server_anonymous_bytes as f64,
    })
}

async fn memory(server: &Server, verdict: &mut Verdict) -> Result<idle::Results> {
    let options =
        idle::Options { plan: plan(server, IDLE_CONNECTIONS), spread: None, pid: server.pid, settle: SETTLE };
    let outcome = idle::run(&options, &ProgressBar::hidden()).await.context("memory of connections")?;
    verdict.merge(outcome.verdict);
    Ok(outcome.results)
}

fn plan(server: &Server, subscribers: usize) -> Plan {
    Plan { target: server.ws.clone(), channel: SYMBOL.into(), subscribers, full_every: subscribers }
}

/// The same flow to many and to one: what it costs the server besides sending is in both.
async fn send_point(
    options: &Options,
    server: &Server,
    trades: u32,
    run: u64,
    verdict: &mut Verdict,
) -> Result<(SendPoint, f64)> {
    let alone = fanout(options, server, (1, FANOUT_ALONE), (trades, run), verdict).await?;
    let many = fanout(options, server, (SUBSCRIBERS, FANOUT), (trades, run + 1), verdict).await?;
    let sent = many.server.filter(|sent| sent.sends > 0 && sent.frames_out > 0);
    let sent = sent.context("the server did not say what it sent")?;
    let sends_per_second = sent.sends as f64 / many.window_seconds;
    let each = |of: fn(&fanout::Results) -> Option<f64>| {
        let rate = |results: &fanout::Results| Some(of(results)? / results.window_seconds);
        let beyond = (rate(&many)? - rate(&alone)?).max(0.0);
        Some(beyond * 1e9 / sends_per_second)
    };
    let point = SendPoint {
        bytes: sent.bytes_out as f64 / sent.sends as f64,
        server_ns: each(|results| results.server_cpu_seconds).context("--pid: no such process to look at")?,
        reader_ns: each(|results| results.client_cpu_seconds).unwrap_or(0.0),
        sends: sent.sends,
    };
    Ok((point, sent.bytes_out as f64 / sent.frames_out as f64))
}

async fn fanout(
    options: &Options,
    server: &Server,
    (subscribers, duration): (usize, Duration),
    (trades_per_sweep, run): (u32, u64),
    verdict: &mut Verdict,
) -> Result<fanout::Results> {
    let load = heavy::Options {
        target: server.ws.clone(),
        market: Market::fetch(&server.http, SYMBOL).await?,
        sweeps_per_second: SWEEPS_PER_SECOND,
        trades_per_sweep,
        seed: options.seed,
        run,
    };
    let fanned = fanout::Options {
        plan: plan(server, subscribers),
        clients: Clients {
            checked: Some(1),
            record_bytes_max: Some(RECORD_BYTES_MAX),
            pid: Some(server.pid),
            ..Clients::default()
        },
        spread: None,
        warm_up: Duration::from_millis(500),
        duration,
        load: Some(Load::Sweeps(load)),
        counters: Some(server.http.clone()),
        against: None,
    };
    let outcome = fanout::run(&fanned, &ProgressBar::hidden()).await.context("fan-out")?;
    verdict.merge(outcome.verdict);
    Ok(outcome.results)
}

/// Closed loop where nothing limits it: a server that is asked seldom pays for its own waking.
async fn command_ns(options: &Options, server: &Server, verdict: &mut Verdict) -> Result<f64> {
    let load = match server.is_ours() {
        true => orders::Load::Closed { window: ORDERS_WINDOW },
        false => orders::Load::Open { per_second: ORDERS_PER_SECOND },
    };
    let asked = orders::Options {
        target: server.ws.clone(),
        market: Market::fetch(&server.http, SYMBOL).await?,
        connections: 1,
        load,
        lean: server.is_ours(),
        duration: ORDERS,
        distance_percent: 10,
        pid: Some(server.pid),
        seed: options.seed,
        run: options.run + 1000,
    };
    let before = Usage::of(server.pid).context("--pid: no such process to look at")?;
    let outcome = orders::run(&asked, &ProgressBar::hidden()).await.context("orders")?;
    let after = Usage::of(server.pid).context("the server is gone")?;
    verdict.merge(outcome.verdict);
    let commands = outcome.results.submitted + outcome.results.canceled;
    ensure!(commands > 0, "no order was answered");
    Ok((after.cpu.saturating_sub(before.cpu)).as_nanos() as f64 / commands as f64)
}

/// In the mean of a trade and the change of the book it makes, with their frames' headers, by the gateway's own encoder.
fn encode_ns() -> Result<f64> {
    let number = |decimals| NumberFormat::new(decimals, 1);
    let format = SymbolFormat { symbol: SYMBOL, price: number(2), quantity: number(8), quote_decimals: 6 };
    let (mut payload, mut header) = (Vec::new(), Vec::new());
    let begun = loopback::thread_time()?;
    for number in 1..=ENCODED {
        let trade = Trade {
            trade_id: TradeId(number),
            seq: Sequence(number * 3),
            price: Price(3_000_000 + number % 1000),
            quantity: Quantity(50_000 + number % 1000),
            side: Side::Buy,
            ts: Timestamp(1_760_000_000_000_000 + number),
        };
        let update = DepthUpdate { prev_seq: Sequence(number * 3 - 3), seq: trade.seq, ts: trade.ts };
        let (bids, asks) = ([(trade.price, trade.quantity)], [(trade.price, trade.quantity); 0]);
        frame_of(&mut payload, &mut header, |out| market::trade(out, &format, trade));
        frame_of(&mut payload, &mut header, |out| market::depth_update(out, &format, update, bids, asks));
    }
    Ok(loopback::thread_time()?.saturating_sub(begun).as_nanos() as f64 / (2 * ENCODED) as f64)
}

fn frame_of(payload: &mut Vec<u8>, header: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    payload.clear();
    header.clear();
    encode(payload);
    frame::write_frame_header(header, Opcode::Text, payload.len());
    black_box((payload, header));
}

/// Of a write, by the gateway's reactors over simulated sockets.
fn push_ns(options: &Options) -> Result<f64> {
    let simulated = simulate::run(
        &simulate::Options {
            connections: SIMULATED_CONNECTIONS,
            of_a_reactor: SIMULATED_CONNECTIONS,
            symbols: options.goal.symbols.min(SIMULATED_SYMBOLS_MAX) as usize,
            ticks: 30,
            tick_us: 100_000,
            commands_per_tick: 200,
            slow_per_mille: 0,
            stalled_per_mille: 0,
            resets_per_tick: 0,
            threads: 1,
            seed: options.seed,
        },
        |_, _, _| {},
    )?;
    Ok(simulated.ticks_seconds * 1e9 / simulated.writes.max(1) as f64)
}
