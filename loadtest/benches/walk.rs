//! What does a received frame cost a lean subscriber? Nanoseconds for one trade of Ringside's, in reads of as many frames as
//! a busy room brings at once; without the system call.
//!
//! `cargo bench -p loadtest --bench walk`; with `RINGSIDE_BENCH=tiny`, or under `cargo test`, a few reads only.

use loadtest::lean::Ear;
use std::env;
use std::time::Instant;

/// The best of these counts: what disturbs a round makes it slower.
const ROUNDS: usize = 15;
const FRAMES_PER_READ: [usize; 4] = [1, 10, 100, 400];

fn main() {
    let is_tiny = env::var("RINGSIDE_BENCH").is_ok() || !env::args().any(|argument| argument == "--bench");
    let frames_per_round = if is_tiny { 4_000 } else { 2_000_000 };
    let payload = r#"{"channel":"BTC-USDT","type":"trade","data":{"trade_id":10234567,"seq":20345678,"price":"1000.25","quantity":"0.00005","side":"buy","ts":1760000000000000}}"#;
    let frame = [&[0x81, 126, 0, payload.len() as u8], payload.as_bytes()].concat();
    for frames_per_read in FRAMES_PER_READ {
        let read = frame.repeat(frames_per_read);
        let mut ear = Ear::new(None, None);
        let round = |_| {
            let start = Instant::now();
            for _ in 0..frames_per_round / frames_per_read {
                ear.take(&read).expect("these are frames");
            }
            start.elapsed().as_secs_f64() * 1e9 / frames_per_round as f64
        };
        let best = (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min);
        let counted = ear.tally().frames;
        println!(
            "{frames_per_read:>4} frames of {} bytes a read: {best:.1} ns a frame ({counted} counted)",
            frame.len()
        );
        assert_eq!(counted as usize, ROUNDS * (frames_per_round / frames_per_read) * frames_per_read);
    }
}
