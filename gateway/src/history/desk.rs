//! Where reactors ask: a reactor never waits for a database, so it leaves a question here and finds the answer in its mail.
//!
//! ```text
//! session ─▶ Host::ask_history ─▶ Desk ═bounded queue═▶ serve (control plane) ─▶ Reader
//!    ▲                                                     │
//!    ╰──── turn ◀── mail of the reactor, and its wake ◀────╯
//! ```

use super::reader::{CONNECTIONS, Entry, Reader};
use crate::rooms::ReactorDoor;
use engine_core::bell::Bell;
use engine_core::units::AccountId;
use std::convert::Infallible;
use std::sync::{Arc, mpsc as mail};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Questions of reactors that may wait to be looked at. A connection has one at a time.
const QUESTIONS_MAX: usize = 4096;

/// Entries of one answer, however many were asked for: 128 KB, so that one question does not hold up the others for long.
pub const PAGE_ENTRIES: u32 = 256;

/// How long the history may lag behind what a session has been told, and then how long the question may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

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

/// The answer: the first of these entries, without a hole; nothing if the history has them not, or not in time.
#[derive(Debug)]
pub struct Mail {
    /// As in the question.
    pub session: u32,
    pub request: u32,
    pub page: Option<Vec<Entry>>,
}

/// The reactors' side.
#[derive(Clone)]
pub struct Desk(mpsc::Sender<Question>);

impl Desk {
    /// False if there are too many questions.
    pub fn ask(&self, question: Question) -> bool {
        self.0.try_send(question).is_ok()
    }
}

/// The control plane's side.
pub struct Clerk {
    questions: mpsc::Receiver<Question>,
    reader: Reader,
    mail: Vec<mail::Sender<Mail>>,
    doors: Vec<Arc<ReactorDoor>>,
}

/// A desk for these reactors.
pub fn desk(reader: Reader, doors: Vec<Arc<ReactorDoor>>, mail: Vec<mail::Sender<Mail>>) -> (Desk, Clerk) {
    let (sender, questions) = mpsc::channel(QUESTIONS_MAX);
    (Desk(sender), Clerk { questions, reader, mail, doors })
}

impl Clerk {
    /// Answers until it is dropped.
    pub async fn run(mut self) -> Infallible {
        let places = Arc::new(Semaphore::new(CONNECTIONS as usize));
        while let Some(question) = self.questions.recv().await {
            let (reader, places) = (self.reader.clone(), places.clone());
            let (mail, door) = (self.mail[question.reactor].clone(), self.doors[question.reactor].clone());
            tokio::spawn(async move {
                let Question { session, request, .. } = question;
                let page = tokio::time::timeout(ANSWER_TIMEOUT, answer(&reader, &places, question)).await;
                let _ = mail.send(Mail { session, request, page: page.ok().flatten() }); // or the reactor has ended
                door.ring();
            });
        }
        std::future::pending().await // no reactor is left
    }
}

async fn answer(reader: &Reader, places: &Semaphore, question: Question) -> Option<Vec<Entry>> {
    let Question { account, from, to, .. } = question;
    let first_page_end = to.min(from.saturating_add(PAGE_ENTRIES.into()) - 1);
    reader.wait_for(account, first_page_end).await.ok()?;
    let _place = places.acquire().await.ok()?;
    let entries = reader.entries(account, (from, first_page_end), PAGE_ENTRIES).await.ok()?;
    let is_whole = entries.iter().map(|entry| entry.exec_seq).eq(from..=first_page_end);
    is_whole.then_some(entries)
}
