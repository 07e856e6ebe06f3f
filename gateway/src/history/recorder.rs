//! The history as the keeper keeps it: it hears every report once more, and says when the keeper has to wait for the store.
//!
//! Accounts without a name are drivers', and nobody can ask for their history: what they are told is not noted.

use super::writer::{Saved, Writer};
use engine_core::executor::AtRest;
use engine_core::executor::follower::{Followed, Follower, RecoveryError};
use engine_core::journal::storage::is_passing;
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
    /// Accounts that have no name.
    nameless: HashSet<AccountId>,
    /// Of a record, what was told to accounts of which it is not known yet whether they have one.
    undecided: Vec<Report>,
    /// When the history last said how far it is.
    placed: Instant,
    /// The store does not take it now: when it is worth another attempt.
    retry: Option<Instant>,
}

impl Recorder {
    /// For this history, if there is one.
    pub fn new(writer: Option<Writer>) -> Self {
        Self { writer, nameless: HashSet::new(), undecided: Vec::new(), placed: Instant::now(), retry: None }
    }

    /// Begins to follow: at the newest snapshot or, with a history, at the newest that is not beyond it. Where the journal does
    /// not reach back to what the history lacks, it begins as early as it can, and the history has a hole. `fresh` makes the
    /// shards that the journal began with.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn begin(&mut self, watch: &Watch, fresh: impl Fn() -> AtRest) -> Result<Follower, RecoveryError> {
        let Some(writer) = &mut self.writer else { return Ok(Follower::begin(watch, fresh(), None)?) };
        match begin_with(writer, watch, fresh()) {
            Err(error) if !passes(&error) => {
                let error = anyhow::Error::from(error);
                tracing::error!(
                    "the journal does not give the history what it lacks, which is a hole: {error:#}"
                );
                let follower = Follower::begin(watch, fresh(), None)?;
                writer.skip_to(follower.positions());
                Ok(follower)
            }
            begun => Ok(begun?),
        }
    }

    /// Follows the next record and takes note of what was told; `None` where nothing more is durable now.
    ///
    /// # Errors
    /// If the journal cannot be read, or is not what was written.
    pub fn follow(&mut self, follower: &mut Follower) -> Result<Option<Followed>, RecoveryError> {
        let Self { writer, nameless, undecided, .. } = self;
        // Written positions are ends of records: what begins before them ends before them.
        let writer = writer.as_mut().filter(|writer| {
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
        let writer = self.writer.as_ref()?;
        let (is_worth_it, is_full) = (writer.is_worth_saving(), writer.is_full());
        if is_worth_it && !self.save(follower) && is_full { self.retry_in() } else { None }
    }

    /// Writes what was noted, up to where `follower` is, at the end of what can be followed now.
    pub fn rest(&mut self, follower: &Follower) {
        let Some(writer) = &self.writer else { return };
        if writer.has_news() || self.placed.elapsed() >= PLACE_EVERY {
            self.save(follower);
        }
    }

    /// Writes what was noted, up to where `follower` is. True if nothing is left to be written: what was followed can be
    /// forgotten.
    pub fn save(&mut self, follower: &Follower) -> bool {
        let Some(writer) = &mut self.writer else { return true };
        (self.placed, self.retry) = (Instant::now(), None);
        // The history must not know more than the journal after a power loss.
        if let Err(error) = follower.make_safe() {
            tracing::error!(%error, "what the history is about to tell cannot be made safe");
            self.retry = Some(Instant::now() + PLACE_EVERY);
        } else if let Saved::NotYet(wait) = writer.save(follower.positions()) {
            self.retry = Some(Instant::now() + wait);
        }
        self.retry.is_none()
    }

    /// When it should be asked again though nothing has happened.
    pub fn retry_in(&self) -> Option<Duration> {
        self.retry.map(|retry| retry.saturating_duration_since(Instant::now()))
    }
}

fn begin_with(writer: &mut Writer, watch: &Watch, fresh: AtRest) -> Result<Follower, JournalError> {
    let zero = Positions::zero(watch.positions().shards());
    let wanted = writer.positions().unwrap_or(&zero);
    let oldest = watch.snapshots().oldest()?.filter(|oldest| !oldest.all_within(wanted));
    // Without the journal's beginning it is a snapshot that is begun with.
    let Some(oldest) = oldest.filter(|_| watch.first() != zero) else {
        return Follower::begin(watch, fresh, Some(wanted));
    };
    let follower = Follower::begin(watch, fresh, Some(&oldest))?;
    writer.skip_to(follower.positions());
    Ok(follower)
}

/// Whether it is worth another attempt: the process has too much open, or too little memory.
pub fn passes(error: &JournalError) -> bool {
    matches!(error, JournalError::Io { source, .. } if is_passing(source))
}
