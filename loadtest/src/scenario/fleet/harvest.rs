//! What is to be told of a fleet when it is home, in a form that adds up and can leave the process.

use super::{Landed, Spans};
use crate::report::{Latencies, Verdict};
use crate::target::Target;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Harvest {
    pub checked: usize,
    pub lean: usize,
    /// Messages of the whole run as a reference counted them.
    pub distinct_frames: u64,
    /// Messages of the steady phase as a reference got them, times the subscribers it stands for.
    pub frames_for_all: Option<u64>,
    pub frames_checked: u64,
    pub bytes_unchecked: u64,
    pub laps: u64,
    pub gaps: u64,
    pub sequences_missing: u64,
    pub books_compared: usize,
    pub spans: Spans,
    /// Of the steady phase: every message of the checked ones.
    pub latency: Latencies,
    /// Every message of every eighth read of the lean ones.
    pub latency_lean: Latencies,
    pub verdict: Verdict,
}

impl Harvest {
    pub(super) async fn of(
        mut landed: Landed,
        target: &Target,
        [latency, latency_lean]: [Latencies; 2],
    ) -> Self {
        Harvest {
            checked: landed.full.len(),
            lean: landed.lean.len(),
            distinct_frames: landed.distinct_frames(),
            frames_for_all: landed.frames_for_all(),
            frames_checked: landed.frames_checked(),
            bytes_unchecked: landed.bytes_unchecked(),
            laps: landed.laps(),
            gaps: landed.gaps(),
            sequences_missing: landed.sequences_missing(),
            spans: landed.compare_spans(),
            books_compared: landed.compare_books(target).await,
            latency,
            latency_lean,
            verdict: landed.verdict,
        }
    }

    /// Another part of the same run. Distinct messages are the same ones, seen by another reference.
    pub fn add(&mut self, other: Harvest) {
        // Where a part has no reference, the sum is unknown; an empty sum has no part yet.
        self.frames_for_all = match self.checked + self.lean {
            0 => other.frames_for_all,
            _ => self.frames_for_all.zip(other.frames_for_all).map(|(one, another)| one + another),
        };
        self.checked += other.checked;
        self.lean += other.lean;
        self.distinct_frames = self.distinct_frames.max(other.distinct_frames);
        self.frames_checked += other.frames_checked;
        self.bytes_unchecked += other.bytes_unchecked;
        self.laps += other.laps;
        self.gaps += other.gaps;
        self.sequences_missing += other.sequences_missing;
        self.books_compared += other.books_compared;
        self.spans.compared += other.spans.compared;
        self.spans.skipped += other.spans.skipped;
        self.latency.add(&other.latency);
        self.latency_lean.add(&other.latency_lean);
        self.verdict.merge(other.verdict);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harvest(seed: u64) -> Harvest {
        let mut harvest = Harvest {
            lean: 3,
            distinct_frames: 10 + seed,
            frames_for_all: Some(3 * (10 + seed)),
            ..Harvest::default()
        };
        (1..1000).for_each(|n| harvest.latency_lean.record_us(n * n * seed));
        harvest.verdict.violate(format!("fault {seed}"));
        harvest
    }

    /// Through the text that leaves the process.
    fn sent(harvest: &Harvest) -> Harvest {
        serde_json::from_str(&serde_json::to_string(harvest).unwrap()).unwrap()
    }

    #[test]
    fn parts_add_up_to_the_same_percentiles_as_one_process_would_have() {
        let (one, other) = (harvest(1), harvest(7));
        let mut apart = Harvest::default();
        apart.add(sent(&one));
        apart.add(sent(&other));
        let mut together = one.latency_lean.clone();
        together.add(&other.latency_lean);
        assert_eq!(apart.latency_lean.percentiles(), together.percentiles());
        assert_eq!((apart.lean, apart.distinct_frames, apart.frames_for_all), (6, 17, Some(33 + 51)));
        apart.add(Harvest { lean: 1, ..Harvest::default() });
        assert_eq!(apart.frames_for_all, None, "one part has nobody who knows");
        assert_eq!(apart.verdict.violations, ["fault 1", "fault 7"]);
    }
}
