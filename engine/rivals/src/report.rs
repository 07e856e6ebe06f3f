//! The table, and what differs.

use crate::measure::{Contestant, RoundResult};
use crate::stream::Stream;

pub fn print(stream: &Stream, contestants: &[Contestant]) {
    println!("\n{}: {}", stream.name, stream.about);
    println!(
        "  {:<15} {:>9} {:>9} {:>8} {:>8}  {:>8} {:>8} {:>8}   {:>16}",
        "engine", "fastest", "middle", "M/s", "ratio", "p50", "p99", "p99.9", "fills"
    );
    println!("  {:<15} {:>9} {:>9} {:>8} {:>8}  {:>8} {:>8} {:>8}", "", "ns", "ns", "", "", "ns", "ns", "ns");
    let ours = middle(&contestants[0]);
    for contestant in contestants {
        print_row(stream, contestant, ours);
    }
    let judge = contestants.iter().find(|contestant| contestant.name == "ringside plain");
    let Some(expected) = judge.and_then(|judge| judge.result.as_ref()) else { return };
    for contestant in contestants {
        print_difference(stream, contestant, expected);
    }
}

fn print_row(stream: &Stream, contestant: &Contestant, ours: f64) {
    let Some(result) = &contestant.result else { return };
    let fastest = contestant.nanoseconds.iter().copied().fold(f64::INFINITY, f64::min);
    let middle = middle(contestant);
    let percentile = |percent: f64| match &contestant.latency {
        Some(histogram) => histogram.value_at_percentile(percent).to_string(),
        None => "-".into(),
    };
    println!(
        "  {:<15} {fastest:>9.1} {middle:>9.1} {:>8.2} {:>8.2}  {:>8} {:>8} {:>8}   {:016x}{}",
        contestant.name,
        1e3 / middle,
        middle / ours,
        percentile(50.0),
        percentile(99.0),
        percentile(99.9),
        result.tally.fill_checksum,
        if contestant.finished(stream) { "" } else { " stopped" },
    );
}

fn print_difference(stream: &Stream, contestant: &Contestant, expected: &RoundResult) {
    let Some(result) = &contestant.result else { return };
    if !contestant.finished(stream) {
        println!(
            "  {}: stopped after {} commands, its time was over; not compared",
            contestant.name, result.done
        );
        return;
    }
    let mut differs = Vec::new();
    let (told, wanted) = (&result.tally, &expected.tally);
    if (told.fills, told.lots) != (wanted.fills, wanted.lots) {
        differs.push(format!(
            "{} fills of {} lots, not {} of {}",
            told.fills, told.lots, wanted.fills, wanted.lots
        ));
    } else if told.fill_checksum != wanted.fill_checksum {
        differs.push("the fills' prices, sizes or order".into());
    }
    for (side, told, wanted) in
        [("bids", &result.bids, &expected.bids), ("asks", &result.asks, &expected.asks)]
    {
        if told != wanted {
            let at = told.iter().zip(wanted).take_while(|(told, wanted)| told == wanted).count();
            differs.push(format!("{side} from level {at}: {:?}, not {:?}", told.get(at), wanted.get(at)));
        }
    }
    if !differs.is_empty() {
        println!("  {} differs: {}", contestant.name, differs.join("; "));
    }
}

fn middle(contestant: &Contestant) -> f64 {
    let mut rounds = contestant.nanoseconds.clone();
    rounds.sort_by(f64::total_cmp);
    rounds.get(rounds.len() / 2).copied().unwrap_or(f64::NAN)
}
