//! The history as the keeper keeps it: it hears every report once more, and says when the keeper has to wait for the store.
//!
//! A store that fails or is slow for long is set aside: what was noted and not written is dropped, and the keeper goes on
//! without. The journal keeps what the history lacks ([`Recorder::needed`]), so when the store answers again the keeper begins
//! again before that, as at a start.
//!
//! Accounts without a name are drivers', and nobody can ask for their history: what they are told is not noted.

use super::writer::{Saved, Writer};
use engine_core::executor::AtRest;
use engine_core::executor::follower::{Followed, Follower, RecoveryError};
use engine_core::journal::{JournalError, Positions, Watch};
use engine_core::message::Report;
use engine_core::units::AccountId;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How often it is written how far a history without news is, so that a restart does not read far.
const PLACE_EVERY: Duration = Duration::from_secs(1);

/// Hears what the keeper follows; without a writer it forgets it.
pub struct Recorder {
    writer: Option<Writer>,
    mode: Mode,
    /// Accounts that have no name.
    nameless: HashSet<AccountId>,
    /// Of a record, what was told to accounts of which it is not known yet whether they have one.
    undecided: Vec<Report>,
    /// Whether the store was asked to take something that it lacks since it was begun.
    has_asked: bool,
    /// When the history last said how far it is.
    placed: Instant,
    /// The store does not take it now: when it is worth another attempt.
    retry: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// What is followed is noted, and written.
    Noting,
    /// Nothing is, until the store answers again.
    Aside,
    /// It does, and what is followed is not yet what it lacks.
    Back,
}

impl Recorder {
    /// For this history, if there is one.
    pub fn new(writer: Option<Writer>) -> Self {
        let is_open = writer.as_ref().is_none_or(Writer::is_open);
        Self {
            writer,
            mode: if is_open { Mode::Noting } else { Mode::Aside },
            nameless: HashSet::new(),
            undecided: Vec::new(),
            has_asked: false,
            placed: Instant::now(),
            retry: None,
        }
    }

    /// Begins to follow: at the newest snapshot or, with a history that is not aside, at the newest that is not beyond it. Where
    /// the journal does not reach back to what the history lacks, it begins as early as it can, and the history has a hole.
    /// `fresh` makes the shards that the journal began with.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn begin(&mut self, watch: &Watch, fresh: impl Fn() -> AtRest) -> Result<Follower, RecoveryError> {
        let Some(writer) = self.writer.as_mut().filter(|_| self.mode != Mode::Aside) else {
            return Ok(Follower::begin(watch, fresh(), None)?);
        };
        let follower = match begin_with(writer, watch, fresh()) {
            Err(error) if !error.is_passing() => {
                let error = anyhow::Error::from(error);
                tracing::error!(
                    "the journal does not give the history what it lacks, which is a hole: {error:#}"
                );
                let follower = Follower::begin(watch, fresh(), None)?;
                writer.skip_to(follower.positions());
                follower
            }
            begun => begun?,
        };
        (self.mode, self.has_asked, self.placed) = (Mode::Noting, false, Instant::now());
        Ok(follower)
    }

    /// Follows the next record and takes note of what was told; `None` where nothing more is durable now.
    ///
    /// # Errors
    /// If the journal cannot be read, or is not what was written.
    pub fn follow(&mut self, follower: &mut Follower) -> Result<Option<Followed>, RecoveryError> {
        let Self { writer, mode, nameless, undecided, .. } = self;
        // Written positions are ends of records: what begins before them ends before them.
        let writer = writer.as_mut().filter(|_| *mode == Mode::Noting).filter(|writer| {
            let begin = follower.positions();
            writer.positions().is_none_or(|written| begin == written || !begin.all_within(written))
        });
        let Some(writer) = writer else { return follower.follow(&mut |_: &Report| {}, &mut ()) };
        let mut said = |report: &Report| {
            if report.body.exec_sequence().is_none() || nameless.contains(&report.account) {
                return;
            }
            if writer.lacks_name(report.account) {
                undecided.push(report.clone());
            } else {
                writer.note(report);
            }
        };
        let followed = follower.follow(&mut said, &mut ())?;
        let sequencers = follower.shadow().sequencers();
        for report in undecided.drain(..) {
            let account = report.account;
            match sequencers[account.0 as usize % sequencers.len()].name(account) {
                Some(name) => {
                    writer.note_name(account, name);
                    writer.note(&report);
                }
                None => drop(nameless.insert(account)),
            }
        }
        Ok(followed)
    }

    /// Writes if enough was noted. How long there is to wait before more can be noted, if as much was as may be.
    pub fn keep_up(&mut self, follower: &Follower) -> Option<Duration> {
        let is_time = self.placed.elapsed() >= PLACE_EVERY;
        let writer = self.noting()?;
        // Also where there is little to note, as on the way back through journal of accounts without names.
        let (is_worth_it, is_full) = (writer.is_worth_saving() || is_time, writer.is_full());
        if is_worth_it && !self.save(follower) && is_full { self.retry_in() } else { None }
    }

    /// Writes what was noted, up to where `follower` is, at the end of what can be followed now.
    pub fn rest(&mut self, follower: &Follower) {
        if self.noting().is_some_and(|writer| writer.has_news()) || self.placed.elapsed() >= PLACE_EVERY {
            self.save(follower);
        }
    }

    /// Writes what was noted, up to where `follower` is. True if nothing is left to be written.
    pub fn save(&mut self, follower: &Follower) -> bool {
        if self.retry_in().is_some_and(|wait| !wait.is_zero()) {
            return false;
        }
        let Some(writer) = self.noting() else { return true };
        let lacks_some = writer.lacks(follower.positions());
        // The history must not know more than the journal after a power loss.
        let wait = match follower.make_safe() {
            Ok(()) => match writer.save(follower.positions()) {
                Saved::All => None,
                Saved::NotYet(wait) => Some(wait),
            },
            Err(error) => {
                tracing::error!(%error, "what the history is about to tell cannot be made safe");
                Some(PLACE_EVERY)
            }
        };
        let now = Instant::now();
        (self.placed, self.retry) = (now, wait.map(|wait| now + wait));
        self.has_asked |= lacks_some;
        wait.is_none()
    }

    fn noting(&mut self) -> Option<&mut Writer> {
        self.writer.as_mut().filter(|_| self.mode == Mode::Noting)
    }

    /// Whether it may be that the keeper is held up by the store: it was asked since it was begun. So whoever is set aside again
    /// and again gets on a bit each time.
    pub fn has_asked(&self) -> bool {
        self.writer.is_some() && self.mode == Mode::Noting && self.has_asked
    }

    /// Nothing is noted from now on.
    pub fn set_aside(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.put_aside();
            (self.mode, self.retry) = (Mode::Aside, None);
        }
    }

    /// Whether the history was set aside and its store takes what it lacks again: then it is time to begin again. `end` is where
    /// the journal ends.
    pub fn is_back(&mut self, end: &Positions) -> bool {
        if self.mode == Mode::Aside
            && let Some(writer) = &mut self.writer
        {
            let wait = writer.take_up(end);
            self.retry = wait.map(|wait| Instant::now() + wait);
            self.mode = if wait.is_none() { Mode::Back } else { Mode::Aside };
        }
        self.mode == Mode::Back
    }

    /// Of all shards, the first entry that the journal has to keep for a history, if there is one.
    pub fn needed(&self) -> Option<Positions> {
        self.writer.as_ref().map(Writer::needed)
    }

    /// When it should be asked again though nothing has happened.
    pub fn retry_in(&self) -> Option<Duration> {
        self.retry.map(|retry| retry.saturating_duration_since(Instant::now()))
    }
}

fn begin_with(writer: &mut Writer, watch: &Watch, fresh: AtRest) -> Result<Follower, JournalError> {
    let wanted = writer.needed();
    let oldest = watch.snapshots().oldest()?.filter(|oldest| !oldest.all_within(&wanted));
    // Without the journal's beginning it is a snapshot that is begun with.
    let Some(oldest) = oldest.filter(|_| watch.first() != Positions::zero(wanted.shards())) else {
        return Follower::begin(watch, fresh, Some(&wanted));
    };
    let follower = Follower::begin(watch, fresh, Some(&oldest))?;
    writer.skip_to(follower.positions());
    Ok(follower)
}
