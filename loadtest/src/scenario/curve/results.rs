//! The table, as Markdown, and the same as lines for a page.

use crate::scenario::fanout;
use serde::Serialize;
use std::fmt;

/// A best point that can do so much more at twice its rate was not what the server can do.
const NOT_AT_THE_LIMIT: f64 = 1.25;

/// One point of the grid.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub subscribers: usize,
    /// As asked for, of sweeps.
    pub orders_per_second: u64,
    /// What of that left for the server in time. Without all of it the point tells nothing of its rate.
    pub offered_percent: f64,
    pub was_offered: bool,
    pub frames_per_second: f64,
    pub sends_per_second: f64,
    /// Of the frames that the reference got meanwhile, times the subscribers: below 100 where others were lapped or had
    /// more to wait for.
    pub delivered_percent: Option<f64>,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub server_cores: Option<f64>,
    pub client_cores: Option<f64>,
    pub fell_behind: u64,
    pub lapped: u64,
}

/// The best point once more, at twice its rate.
#[derive(Clone, Debug, Serialize)]
pub struct Cliff {
    pub best_frames_per_second: f64,
    pub twice: Row,
    /// Of the best point's frames.
    pub delivered_at_twice: f64,
    /// False also if that rate was not offered, and so nothing was found out.
    pub no_cliff: bool,
}

#[derive(Debug, Serialize)]
pub struct Results {
    pub trades_per_order: u32,
    pub rows: Vec<Row>,
    pub cliff: Option<Cliff>,
    pub curves: Vec<Curve>,
}

/// A plot: its lines go over the rate, one for each number of subscribers.
#[derive(Debug, Serialize)]
pub struct Curve {
    pub title: &'static str,
    pub unit: &'static str,
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl Row {
    pub(super) fn of(orders_per_second: u64, results: &fanout::Results) -> Self {
        let (server, asked) = (results.server.unwrap_or_default(), results.offered.unwrap_or_default());
        let delivered = |due: u64| results.frames as f64 / due.max(1) as f64 * 100.0;
        let latency = if results.latency_lean.count > 0 { results.latency_lean } else { results.latency };
        let cores = |seconds: Option<f64>| seconds.map(|seconds| seconds / results.window_seconds);
        Row {
            subscribers: results.subscribers,
            orders_per_second,
            offered_percent: asked.share() * 100.0,
            was_offered: asked.is_enough(),
            frames_per_second: results.frames_per_second,
            sends_per_second: results.sends_per_second.unwrap_or(0.0),
            delivered_percent: results.frames_for_all.map(delivered),
            p50_ms: latency.p50_us / 1000.0,
            p99_ms: latency.p99_us / 1000.0,
            p999_ms: latency.p999_us / 1000.0,
            server_cores: cores(results.server_cpu_seconds),
            client_cores: cores(results.client_cpu_seconds),
            fell_behind: server.fell_behind,
            lapped: server.lapped,
        }
    }
}

impl Cliff {
    pub(super) fn of(best: &Row, twice: Row, delivered_min: f64) -> Self {
        let delivered_at_twice = twice.frames_per_second / best.frames_per_second.max(1e-9);
        Cliff {
            best_frames_per_second: best.frames_per_second,
            delivered_at_twice,
            no_cliff: twice.was_offered && delivered_at_twice >= delivered_min,
            twice,
        }
    }
}

impl Results {
    pub(super) fn new(trades_per_order: u32, rows: Vec<Row>, cliff: Option<Cliff>) -> Self {
        let curves = vec![
            Curve::of("Delivered", "frames a second", &rows, |row| Some(row.frames_per_second)),
            Curve::of("Latency, p50", "ms", &rows, |row| Some(row.p50_ms)),
            Curve::of("Latency, p99", "ms", &rows, |row| Some(row.p99_ms)),
            Curve::of("Server", "cores", &rows, |row| row.server_cores),
        ];
        Results { trades_per_order, rows, cliff, curves }
    }

    /// For docs/PERFORMANCE.md.
    pub fn markdown(&self) -> String {
        let head = "| subscribers | orders/s | offered | frames/s delivered | of the reference's | sends/s | p50 | p99 | p99.9 | server, cores | fell behind | lapped |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
        let twice = self.cliff.iter().map(|cliff| cliff.twice.markdown());
        let rows: String = self.rows.iter().map(Row::markdown).chain(twice).collect();
        let cliff = self.cliff.as_ref().map(|cliff| format!("\n{cliff}\n")).unwrap_or_default();
        format!("{head}{rows}{cliff}")
    }
}

impl Row {
    fn markdown(&self) -> String {
        let Row { subscribers, orders_per_second, offered_percent, sends_per_second, .. } = self;
        let delivered = self.delivered_percent.map_or("?".to_owned(), |percent| format!("{percent:.0} %"));
        let Row { p50_ms, p99_ms, p999_ms, fell_behind, lapped, .. } = self;
        let frames = self.frames_per_second / 1e6;
        let cores = self.server_cores.map_or("?".to_owned(), |cores| format!("{cores:.2}"));
        format!(
            "| {subscribers} | {orders_per_second} | {offered_percent:.0} % | {frames:.2} M | {delivered} | {sends_per_second:.0} | {p50_ms:.1} ms | {p99_ms:.1} ms | {p999_ms:.1} ms | {cores} | {fell_behind} | {lapped} |\n"
        )
    }
}

impl Curve {
    fn of(title: &'static str, unit: &'static str, rows: &[Row], value: fn(&Row) -> Option<f64>) -> Self {
        let mut lines: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
        for row in rows {
            let name = format!("{} subscribers", row.subscribers);
            if lines.last().is_none_or(|(last, _)| *last != name) {
                lines.push((name, Vec::new()));
            }
            let (_, points) = lines.last_mut().expect("it was just put there");
            points.extend(value(row).map(|value| (row.orders_per_second as f64, value)));
        }
        Curve { title, unit, lines }
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} trades and a change of the book an order; open loop", self.trades_per_order)?;
        f.write_str(self.markdown().trim_end())
    }
}

impl fmt::Display for Cliff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.delivered_at_twice * 100.0;
        let word = match self.no_cliff {
            _ if !self.twice.was_offered => "that rate was not offered",
            true if self.delivered_at_twice > NOT_AT_THE_LIMIT => {
                "no cliff, but the grid does not reach the limit"
            }
            true => "no cliff",
            false => "a cliff",
        };
        let best = self.best_frames_per_second / 1e6;
        write!(
            f,
            "Twice the rate of the best point ({best:.2} M frames/s) delivers {percent:.0} % of its frames: {word}."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subscribers: usize, orders_per_second: u64, frames_per_second: f64) -> Row {
        Row {
            subscribers,
            orders_per_second,
            offered_percent: 100.0,
            was_offered: true,
            frames_per_second,
            sends_per_second: 1000.0,
            delivered_percent: Some(100.0),
            p50_ms: 1.0,
            p99_ms: 2.0,
            p999_ms: 3.0,
            server_cores: Some(0.5),
            client_cores: None,
            fell_behind: 0,
            lapped: 0,
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_point_and_one_for_twice_the_best() {
        let rows = vec![row(10, 100, 1e6), row(10, 200, 2e6), row(20, 100, 1.5e6), row(20, 200, 1e6)];
        let cliff = Cliff::of(&rows[1], row(10, 400, 1.7e6), 0.9);
        assert!(!cliff.no_cliff && (cliff.delivered_at_twice - 0.85).abs() < 1e-9);
        let results = Results::new(5, rows, Some(cliff));
        let table = results.markdown();
        assert_eq!(table.lines().filter(|line| line.starts_with('|')).count(), 2 + 5);
        assert!(
            table.contains("| 10 | 200 | 100 % | 2.00 M | 100 % |")
                && table.contains("85 % of its frames: a cliff")
        );
        let columns =
            table.lines().filter(|line| line.starts_with('|')).map(|line| line.matches('|').count());
        assert!(columns.collect::<Vec<_>>().windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_rate_that_was_not_offered_is_no_rate_without_a_cliff() {
        for frames_per_second in [1e6, 5e6] {
            let twice = Row { was_offered: false, offered_percent: 60.0, ..row(10, 400, frames_per_second) };
            let cliff = Cliff::of(&row(10, 200, 2e6), twice, 0.9);
            assert!(
                !cliff.no_cliff && cliff.to_string().ends_with(": that rate was not offered."),
                "{cliff}"
            );
        }
    }

    #[test]
    fn a_line_for_each_number_of_subscribers() {
        let rows = vec![row(10, 100, 1.0), row(10, 200, 2.0), row(20, 100, 3.0)];
        let curve = Curve::of("", "", &rows, |row| Some(row.frames_per_second));
        assert_eq!(curve.lines[0], ("10 subscribers".to_owned(), vec![(100.0, 1.0), (200.0, 2.0)]));
        assert_eq!(curve.lines[1].1, [(100.0, 3.0)]);
    }
}
