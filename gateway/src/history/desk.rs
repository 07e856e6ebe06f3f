//! Where reactors ask: a reactor never waits for a database, so it leaves a question here and finds the answer in its mail.
//!
//! ```text
//! session ─▶ Host::ask_history ─▶ Desk ═bounded queue═▶ serve (control plane) ─▶ Reader
//!    ▲                                                     │
//!    ╰──── turn ◀── mail of the reactor, and its wake ◀────╯
//! ```

use super::reader::{CONNECTIONS, Entry, Page, Reader};
use crate::reactor::Mail;
use crate::rooms::ReactorDoor;
use engine_core::bell::Bell;
use engine_core::units::AccountId;
use std::convert::Infallible;
use std::sync::{Arc, mpsc as mail};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout_at};

/// Questions that may be without an answer. A connection has one at a time.
const QUESTIONS_MAX: usize = 4096;

/// Entries of one answer, however many were asked for: 128 KB, so that one question does not hold up the others for long.
pub const PAGE_ENTRIES: u32 = 256;

/// How long the history may lag behind what a session has been told.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same while the history does not have all that the journal had at the start: after a crash it is read first.
const PATIENCE_AT_START: Duration = Duration::from_secs(60);

/// Between two looks of one who waits, which doubles from the first to the second: commits come faster than that.
const PAUSE: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(500)];

/// A question: entries of an account.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Whose mail the answer goes to.
    pub reactor: usize,
    /// Of the connection, and of what it asked.
    pub session: u32,
    pub request: u32,
    /// Whose entries, from and to which, both included.
    pub account: AccountId,
    pub from: u64,
    pub to: u64,
}

/// The answer: the first of these entries, without a hole, maybe not all; nothing if the history has them not, or not in time.
#[derive(Debug)]
pub struct Answer {
    /// As in the question.
    pub session: u32,
    pub request: u32,
    pub page: Option<Vec<Entry>>,
}

/// The reactors' side.
#[derive(Clone)]
pub struct Desk {
    questions: mpsc::UnboundedSender<Asked>,
    /// One for each question that may be without an answer.
    places: Arc<Semaphore>,
}

/// A question, and its place until it is answered.
type Asked = (Question, OwnedSemaphorePermit);

impl Desk {
    /// False if there are too many questions.
    pub fn ask(&self, question: Question) -> bool {
        let place = self.places.clone().try_acquire_owned();
        place.is_ok_and(|place| self.questions.send((question, place)).is_ok())
    }
}

/// The control plane's side.
pub struct Clerk {
    questions: mpsc::UnboundedReceiver<Asked>,
    reader: Reader,
    mail: Vec<mail::Sender<Mail>>,
    doors: Vec<Arc<ReactorDoor>>,
}

/// A desk for these reactors.
pub fn desk(reader: Reader, doors: Vec<Arc<ReactorDoor>>, mail: Vec<mail::Sender<Mail>>) -> (Desk, Clerk) {
    let (sender, questions) = mpsc::unbounded_channel();
    let places = Arc::new(Semaphore::new(QUESTIONS_MAX));
    (Desk { questions: sender, places }, Clerk { questions, reader, mail, doors })
}

impl Clerk {
    /// Answers until it is dropped.
    pub async fn run(mut self) -> Infallible {
        let turns = Arc::new(Semaphore::new(CONNECTIONS as usize));
        while let Some((question, place)) = self.questions.recv().await {
            let (reader, turns) = (self.reader.clone(), turns.clone());
            let (mail, door) = (self.mail[question.reactor].clone(), self.doors[question.reactor].clone());
            tokio::spawn(async move {
                let Question { session, request, .. } = question;
                let page = answer(&reader, &turns, question).await;
                drop(place);
                let _ = mail.send(Mail::History(Answer { session, request, page })); // or the reactor has ended
                door.ring();
            });
        }
        std::future::pending().await // no reactor is left
    }
}

/// What there is of it, at once; who asks for what lacks waits.
async fn answer(reader: &Reader, turns: &Semaphore, question: Question) -> Option<Vec<Entry>> {
    let Question { account, from, to, .. } = question;
    let page_end = to.min(from.saturating_add(PAGE_ENTRIES.into()) - 1);
    let mut progress = reader.progress();
    let [mut pause, longest] = PAUSE;
    let (begun, mut caught_up) = (Instant::now(), None);
    loop {
        let has_start = progress.borrow_and_update().has_start;
        let page = {
            let _turn = turns.acquire().await.ok()?;
            reader.page(account, (from, page_end)).await.ok()?
        };
        match page {
            Page::Entries(entries) => return Some(entries),
            Page::Hole => return None,
            Page::NotYet => {}
        }
        if has_start {
            caught_up.get_or_insert_with(Instant::now);
        }
        let until = caught_up.map_or(begun + PATIENCE_AT_START, |since| since + PATIENCE);
        let news = async {
            sleep(pause).await;
            progress.changed().await
        };
        timeout_at(until, news).await.ok()?.ok()?; // a writer that has ended writes nothing more
        pause = (pause * 2).min(longest);
    }
}
