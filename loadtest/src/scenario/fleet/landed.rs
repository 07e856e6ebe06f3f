//! What came home of a fleet, and what is to be said of it.

use super::full::{Full, Places};
use crate::check::Mark;
use crate::lean::{Lean, Span, Tally};
use crate::report::Verdict;
use crate::target::Target;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Rebuilt books compared with a fresh snapshot.
const BOOKS_COMPARED_MAX: usize = 16;
const MEETING_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Landed {
    pub full: Vec<Full>,
    pub lean: Vec<Lean>,
    pub verdict: Verdict,
}

/// Subscribers whose count of messages was held against the reference's.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Spans {
    pub compared: usize,
    /// Lapped, or beyond what the reference saw, or without data where the reference has none either.
    pub skipped: usize,
}

/// The end of the stream, as the reference saw it.
#[derive(Clone, Copy, Debug)]
pub struct Reference {
    pub seq: u64,
    pub trade_id_last: Option<u64>,
}

impl Landed {
    pub(super) fn judge(&mut self) {
        for (index, full) in self.full.iter().enumerate() {
            self.verdict.absorb(&format!("checked subscriber {index}"), &full.following.follower);
        }
        for lean in &self.lean {
            let tally = lean.tally();
            if let Some(reason) = &tally.closed {
                self.verdict.violate(format!("a lean subscriber was closed: {reason}"));
            }
            let backward = tally.order.backward;
            self.verdict.expect(backward == 0, || format!("a sequence went back {backward} times"));
        }
    }

    /// Where the one is that was there all the time, if there is one.
    pub fn reference(&self) -> Option<Reference> {
        let follower = &reference(&self.full)?.following.follower;
        Some(Reference { seq: follower.seq(), trade_id_last: follower.trade_id_last() })
    }

    pub fn laps(&self) -> u64 {
        let full = self.full.iter().map(|full| full.following.follower.laps());
        full.chain(self.lean.iter().map(|lean| lean.tally().snapshots.saturating_sub(1))).sum()
    }

    pub fn gaps(&self) -> u64 {
        let full = self.full.iter().map(|full| full.following.follower.counts().gaps);
        full.chain(self.lean.iter().map(|lean| lean.tally().gaps)).sum()
    }

    /// Numbers that a foreign server left out, of all subscribers together.
    pub fn sequences_missing(&self) -> u64 {
        self.lean.iter().map(|lean| lean.tally().order.missing).sum()
    }

    /// Messages that passed the reference.
    pub fn distinct_frames(&self) -> u64 {
        reference(&self.full).map_or(0, |reference| reference.frames)
    }

    /// Messages of the steady phase as the reference got them, times the subscribers. None: it did not see all of them.
    pub fn frames_for_all(&self) -> Option<u64> {
        let reference = reference(&self.full).filter(|reference| reference.bytes_unchecked == 0)?;
        Some(reference.frames_steady * (self.full.len() + self.lean.len()) as u64)
    }

    /// Messages whose every field was looked at, of all checked subscribers together.
    pub fn frames_checked(&self) -> u64 {
        self.full.iter().map(|full| full.frames).sum()
    }

    /// Of recordings that were too small.
    pub fn bytes_unchecked(&self) -> u64 {
        self.full.iter().map(|full| full.bytes_unchecked).sum()
    }

    /// Takes up to sixteen of the checked subscribers and compares their books with fresh ones. Returns how many.
    pub async fn compare_books(&mut self, target: &Target) -> usize {
        let step = self.full.len().div_ceil(BOOKS_COMPARED_MAX).max(1);
        let sampled = self.full.iter_mut().map(|full| &mut full.following).step_by(step);
        let sampled = sampled.filter(|following| following.follower.has_book() && !following.is_closed());
        let compared = join_all(sampled.map(|following| async {
            let violations_before = following.follower.counts().violations;
            let compared = following.compare_with_fresh(target, MEETING_TIMEOUT).await;
            let follower = &following.follower;
            let new = follower.counts().violations - violations_before;
            let first = follower.violations().get(violations_before as usize).map(ToString::to_string);
            (compared, new, first)
        }))
        .await;
        for (result, new, first) in &compared {
            let first = first.as_deref().unwrap_or("see the first violations");
            self.verdict.expect(*new == 0, || format!("book of a checked subscriber: {first}"));
            if let Err(error) = result {
                self.verdict.violate(format!("comparing a book: {error:#}"));
            }
        }
        compared.len()
    }

    /// Asks the reference whether everyone got as many messages as lie between their first and last.
    pub fn compare_spans(&mut self) -> Spans {
        let mut spans = Spans::default();
        let Self { full, lean, verdict } = self;
        let reference = reference(full).filter(|full| !full.was_lapped());
        let Some(places) = reference.and_then(|full| full.places.as_ref()) else {
            spans.skipped = full.len() + lean.len();
            return spans;
        };
        if let Some(due) = reference.and_then(Full::due) {
            lean.iter().for_each(|lean| expect_all(lean.tally(), places, due, verdict));
        }
        let full = full.iter().map(|full| ("a checked", full.was_lapped(), full.span()));
        let lean = lean.iter().map(|lean| ("a lean", lean.tally().was_lapped(), lean.tally().span()));
        for (who, lapped, span) in full.chain(lean) {
            match span.and_then(|span| Some((span, places.frames_between(&span)?))) {
                Some((span, expected)) if !lapped => {
                    spans.compared += 1;
                    let (first, last, frames) = (span.first, span.last, span.frames);
                    verdict.expect(frames == expected, || {
                        format!("{who} subscriber counted {frames} frames from {first:?} to {last:?}, not {expected}")
                    });
                }
                _ => spans.skipped += 1,
            }
        }
        spans
    }
}

/// Somebody who was neither lapped nor closed and has less than the reference had in the end was left out.
fn expect_all(tally: &Tally, places: &Places, due: Mark, verdict: &mut Verdict) {
    if tally.was_lapped() || tally.closed.is_some() {
        return;
    }
    match tally.span() {
        None => verdict.violate(format!("a lean subscriber got nothing, and the reference all up to {due:?}")),
        Some(Span { last, frames, .. }) => verdict.expect(places.reaches(last, due), || {
            format!("a lean subscriber got nothing after {last:?}, its frame {frames}, and the reference all up to {due:?}")
        }),
    }
}

fn reference(full: &[Full]) -> Option<&Full> {
    full.iter().find(|full| full.places.is_some())
}
