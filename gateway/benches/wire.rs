//! What does JSON cost us? Nanoseconds for one decoded order and for one encoded push, beside serde_json on the same
//! text in the same run. serde_json is given its best case: structs derived for exactly this message, borrowing from
//! the text, no check of any value; and what it writes has its numbers as text already. On the way it is asserted
//! that ours allocates nothing once its buffers have grown.
//!
//! `cargo bench -p gateway --bench wire`; with `RINGSIDE_BENCH=tiny`, or under `cargo test`, a few rounds only.

use std::alloc::{GlobalAlloc, Layout, System};
use std::env;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use engine_core::units::{Price, Quantity, Sequence, Side, Timestamp, TradeId};
use gateway::wire::NumberFormat;
use gateway::wire::encode::market::{self, DepthUpdate, Trade};
use gateway::wire::encode::{SymbolFormat, private};
use gateway::wire::name::OrderStatus;
use gateway::wire::request::{Action, Buffers, Size, decode};
use serde::{Deserialize, Serialize};

/// Rounds of the two are measured in turn and the best of each counts: what disturbs a round makes it slower.
const ROUNDS: usize = 15;
const PRICE: NumberFormat = NumberFormat::new(2, 1);
const QUANTITY: NumberFormat = NumberFormat::new(8, 1);
const BTC_USDT: SymbolFormat<'static> =
    SymbolFormat { symbol: "BTC-USDT", price: PRICE, quantity: QUANTITY, quote_decimals: 6 };
const TIME: Timestamp = Timestamp(1_760_000_000_000_000);

const BARE_ORDER: &str =
    r#"{"order_id":"abc123","symbol":"BTC-USDT","side":"buy","price":"30000","quantity":"0.5"}"#;
const FULL_ORDER: &str = r#"{"action":"submit_order","id":7,"order_id":"0b5c7b52-6f2c-4a53-9f0e-6d2f3f5f1c11","symbol":"BTC-USDT","side":"buy","price":"30123.45","quantity":"0.12345678","order_type":"limit","tif":"gtc","post_only":false,"stp":"none"}"#;

/// An order as serde_json reads it.
#[derive(Deserialize)]
struct SerdeOrder<'a> {
    order_id: &'a str,
    symbol: &'a str,
    side: &'a str,
    price: &'a str,
    quantity: &'a str,
    id: Option<u64>,
    order_type: Option<&'a str>,
    tif: Option<&'a str>,
    post_only: Option<bool>,
    stp: Option<&'a str>,
}

/// A push as serde_json writes it.
#[derive(Serialize)]
struct SerdePush<'a, D> {
    channel: &'a str,
    r#type: &'a str,
    data: D,
}

#[derive(Serialize)]
struct SerdeDepth<'a> {
    prev_seq: u64,
    seq: u64,
    ts: u64,
    bids: &'a [[String; 2]],
    asks: &'a [[String; 2]],
}

#[derive(Serialize)]
struct SerdeTrade<'a> {
    trade_id: u64,
    seq: u64,
    price: &'a str,
    quantity: &'a str,
    side: &'a str,
    ts: u64,
}

/// The system's allocator, which counts.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to `System` as it came; growing goes through `alloc` by the default `realloc`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise that `memory` is of `layout` and from here, thus from `System`, is passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn main() {
    let tiny = env::var("RINGSIDE_BENCH").is_ok_and(|size| size == "tiny")
        || !env::args().any(|argument| argument == "--bench");
    let bench = Bench { rounds: if tiny { 1 } else { ROUNDS }, times: if tiny { 10 } else { 200_000 } };
    println!("best of {} rounds of {} each, one thread", bench.rounds, bench.times);
    println!("{:<34} {:>9} {:>12} {:>8}", "", "ours ns", "serde_json", "ratio");
    let checksum = [
        orders(bench, "decode bare order", BARE_ORDER),
        orders(bench, "decode full order", FULL_ORDER),
        orders_to_numbers(bench),
        depth_updates(bench, "encode depth_update, 1 level", 1, 0),
        depth_updates(bench, "encode depth_update, 10+10 levels", 10, 10),
        trades(bench),
        acks(bench),
        hostile(bench, "decode 64 KiB of [", "[".repeat(64 << 10)),
        hostile(bench, "decode 64 KiB of numbers", format!(r#"{{"streams":[{}0]}}"#, "0,".repeat(32 << 10))),
        hostile(bench, "decode 64 KiB of one key", format!("{{{}\"id\":0}}", "\"id\":0,".repeat(8 << 10))),
    ];
    println!("checksum {:x}", checksum.iter().fold(0u64, |sum, part| sum.rotate_left(7) ^ part));
}

#[derive(Clone, Copy)]
struct Bench {
    rounds: usize,
    times: usize,
}

impl Bench {
    /// The time of one call in nanoseconds, and the sum of what the calls returned.
    fn round(self, work: &mut impl FnMut(usize) -> u64) -> (f64, u64) {
        let start = Instant::now();
        let checksum = (0..self.times).fold(0u64, |sum, turn| sum.wrapping_add(black_box(work(turn))));
        (start.elapsed().as_nanos() as f64 / self.times as f64, checksum)
    }

    /// Measures ours alone, and returns a checksum of the work.
    fn alone(self, name: &str, mut ours: impl FnMut(usize) -> u64) -> u64 {
        let rounds: Vec<_> = (0..self.rounds).map(|_| self.round(&mut ours)).collect();
        let best = rounds.iter().map(|(time, _)| *time).fold(f64::INFINITY, f64::min);
        println!("{name:<34} {best:>9.1}");
        rounds[0].1
    }

    /// Measures ours and theirs, which must return the same: the length of what they read or wrote.
    fn beside(
        self,
        name: &str,
        mut ours: impl FnMut(usize) -> u64,
        mut theirs: impl FnMut(usize) -> u64,
    ) -> u64 {
        let (mut best_ours, mut best_theirs, mut checksum) = (f64::INFINITY, f64::INFINITY, 0);
        black_box(ours(self.times)); // grows the buffers, with the longest numbers that come
        for _ in 0..self.rounds {
            let allocations = ALLOCATIONS.load(Relaxed);
            let (time_ours, work_ours) = self.round(&mut ours);
            assert_eq!(ALLOCATIONS.load(Relaxed), allocations, "{name}: ours allocates nothing");
            let (time_theirs, work_theirs) = self.round(&mut theirs);
            assert_eq!(work_ours, work_theirs, "both do the same");
            (best_ours, best_theirs) = (best_ours.min(time_ours), best_theirs.min(time_theirs));
            checksum = work_ours;
        }
        println!("{name:<34} {best_ours:>9.1} {best_theirs:>12.1} {:>7.2}x", best_theirs / best_ours);
        checksum
    }
}

/// Both get the text anew each time, as it comes from a socket.
fn orders(bench: Bench, name: &str, text: &str) -> u64 {
    let mut bytes = text.as_bytes().to_vec();
    let mut buffers = Buffers::default();
    let ours = |_| {
        bytes.copy_from_slice(black_box(text.as_bytes()));
        let Ok(request) = decode(&mut bytes, &mut buffers) else { panic!("a good order") };
        let Action::SubmitOrder(order) = black_box(request).action else { panic!("an order") };
        let Size::Quantity(quantity) = order.size else { panic!("an order by quantity") };
        (order.order_id.len() + quantity.len()) as u64
    };
    let mut bytes_theirs = text.as_bytes().to_vec();
    let theirs = |_| {
        bytes_theirs.copy_from_slice(black_box(text.as_bytes()));
        let order: SerdeOrder<'_> = serde_json::from_slice(&bytes_theirs).expect("a good order");
        black_box((order.symbol, order.side, order.price, order.id));
        black_box((order.order_type, order.tif, order.post_only, order.stp));
        (order.order_id.len() + order.quantity.len()) as u64
    };
    bench.beside(name, ours, theirs)
}

fn orders_to_numbers(bench: Bench) -> u64 {
    let ours = |_| {
        let price = PRICE.parse_price(black_box("30123.45")).expect("a good price");
        let quantity = QUANTITY.parse_quantity(black_box("0.12345678")).expect("a good quantity");
        price.0 + quantity.0
    };
    bench.alone("price and quantity to integers", ours)
}

fn depth_updates(bench: Bench, name: &str, bids: usize, asks: usize) -> u64 {
    let side = |count: usize, price: u64| -> Vec<(u64, u64)> {
        (0..count as u64).map(|level| (price + level * 7, 12_345_678 * (level + 1))).collect()
    };
    let (bids, asks) = (side(bids, 3_012_345), side(asks, 3_012_400));
    let mut out = Vec::new();
    let ours = |turn| {
        out.clear();
        let seq = turn as u64 + 1_000_000;
        let span = DepthUpdate { prev_seq: Sequence(seq), seq: Sequence(seq + 1), ts: TIME };
        let (bids, asks) = (black_box(&bids), black_box(&asks));
        market::depth_update(&mut out, &BTC_USDT, span, bids.iter().copied(), asks.iter().copied());
        black_box(&out).len() as u64
    };
    let texts = |levels: &[(u64, u64)]| -> Vec<[String; 2]> {
        levels.iter().map(|&(ticks, lots)| [text_of(PRICE, ticks), text_of(QUANTITY, lots)]).collect()
    };
    let (bids, asks) = (texts(&bids), texts(&asks));
    let mut out_theirs = Vec::new();
    let theirs = |turn| {
        out_theirs.clear();
        let seq = turn as u64 + 1_000_000;
        let data = SerdeDepth { prev_seq: seq, seq: seq + 1, ts: TIME.0, bids: &bids, asks: &asks };
        let push = SerdePush { channel: "BTC-USDT", r#type: "depth_update", data };
        serde_json::to_writer(&mut out_theirs, black_box(&push)).expect("plain data");
        black_box(&out_theirs).len() as u64
    };
    bench.beside(name, ours, theirs)
}

fn trades(bench: Bench) -> u64 {
    let mut out = Vec::new();
    let ours = |turn| {
        out.clear();
        let trade = Trade {
            trade_id: TradeId(turn as u64),
            seq: Sequence(turn as u64 + 1_000_000),
            price: Price(3_012_345),
            quantity: Quantity(12_345_678),
            side: Side::Buy,
            ts: TIME,
        };
        market::trade(&mut out, &BTC_USDT, black_box(trade));
        black_box(&out).len() as u64
    };
    let mut out_theirs = Vec::new();
    let theirs = |turn| {
        out_theirs.clear();
        let data = SerdeTrade {
            trade_id: turn as u64,
            seq: turn as u64 + 1_000_000,
            price: "30123.45",
            quantity: "0.12345678",
            side: "buy",
            ts: TIME.0,
        };
        let push = SerdePush { channel: "BTC-USDT", r#type: "trade", data };
        serde_json::to_writer(&mut out_theirs, black_box(&push)).expect("plain data");
        black_box(&out_theirs).len() as u64
    };
    bench.beside("encode trade", ours, theirs)
}

fn acks(bench: Bench) -> u64 {
    let mut out = Vec::new();
    let ours = |turn| {
        out.clear();
        let ack = private::OrderAck {
            id: None,
            order_id: "abc123",
            exchange_order_id: turn as u64,
            symbol: "BTC-USDT",
            status: OrderStatus::New,
            seq: Sequence(turn as u64),
            ts_in: TIME,
            ts_out: TIME,
            duplicate: false,
        };
        private::order_ack(&mut out, black_box(&ack));
        black_box(&out).len() as u64
    };
    bench.alone("encode order_ack", ours)
}

/// What is the most that a message can cost?
fn hostile(bench: Bench, name: &str, text: String) -> u64 {
    let mut bytes = text.as_bytes().to_vec();
    let mut buffers = Buffers::default();
    let bench = Bench { times: (bench.times / 1000).max(1), ..bench };
    bench.alone(name, |_| {
        bytes.copy_from_slice(black_box(text.as_bytes()));
        decode(&mut bytes, &mut buffers).expect_err("it is no request").refusal.code.num().into()
    })
}

fn text_of(format: NumberFormat, steps: u64) -> String {
    let mut out = Vec::new();
    format.write(&mut out, steps);
    String::from_utf8(out).expect("digits")
}
