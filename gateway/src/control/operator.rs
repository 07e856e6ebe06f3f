//! The operator's port to the engine: the clock that ticks in a quiet market, and what HTTP asks for.
//!
//! One task of the control plane owns the port, so commands that all sequencers must get in one order come through one
//! door. HTTP reaches it by a bounded queue and waits for the engine's answer.

use engine_core::bell::Bell;
use engine_core::executor::threads::{Overloaded, Port};
use engine_core::message::{AccountView, Command, Input, Origin, Recipient, Reject, Report, ReportBody};
use engine_core::units::AccountId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::MissedTickBehavior;

/// Between two ticks. Orders that end at a time and dead-man timers end with the first command after it, and in a quiet
/// market that is a tick: so this is how late they may be. A tenth of a second is less than a client can tell from the
/// network's own delays over a long way, and ten small records a second are nothing to the log of a busy exchange and
/// bearable (a million a day) in that of an idle one.
const TICK: Duration = Duration::from_millis(100);

/// Questions that may wait: they come from people and their scripts.
const QUESTIONS_MAX: usize = 64;

/// How long the engine may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Reports taken at a time.
const REPORTS_MAX: usize = 256;

/// Rung by sequencers, heard by the task.
#[derive(Default)]
pub struct OperatorBell(Notify);

impl Bell for OperatorBell {
    fn ring(&self) {
        self.0.notify_one();
    }
}

/// How HTTP reaches the task.
#[derive(Clone)]
pub struct Operator(mpsc::Sender<Question>);

/// Why there is no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The engine refused; nothing was changed.
    Refused(Reject),
    /// The engine takes nothing of the kind now; nothing was changed.
    Overloaded(Overloaded),
    /// The engine did not answer in time; ask again to know.
    Unknown,
}

/// Done, or an account as asked for.
type Answer = Result<Option<Box<AccountView>>, Trouble>;

struct Question {
    what: What,
    answer: oneshot::Sender<Answer>,
}

enum What {
    Do(Command),
    Look(AccountId),
}

/// The task's end of it.
pub struct Task {
    port: Port,
    bell: Arc<OperatorBell>,
    questions: mpsc::Receiver<Question>,
    next_request: u32,
    waiting: HashMap<u32, oneshot::Sender<Answer>>,
}

/// A task that must be run, and how to reach it.
pub fn operator(port: Port, bell: Arc<OperatorBell>) -> (Operator, Task) {
    let (sender, questions) = mpsc::channel(QUESTIONS_MAX);
    (Operator(sender), Task { port, bell, questions, next_request: 0, waiting: HashMap::new() })
}

impl Operator {
    /// Has the engine carry out a command.
    pub async fn carry_out(&self, command: Command) -> Result<(), Trouble> {
        self.ask(What::Do(command)).await.map(|_| ())
    }

    /// An account as it stands; nothing if it is not open.
    pub async fn look(&self, account: AccountId) -> Result<Box<AccountView>, Trouble> {
        self.ask(What::Look(account)).await?.ok_or(Trouble::Unknown)
    }

    async fn ask(&self, what: What) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Question { what, answer }).map_err(|_| Trouble::Overloaded(Overloaded::Busy))?;
        match tokio::time::timeout(ANSWER_TIMEOUT, answered).await {
            Ok(Ok(answer)) => answer,
            _ => Err(Trouble::Unknown),
        }
    }
}

impl Task {
    /// Runs until it is dropped, which ends the port.
    pub async fn run(mut self) -> std::convert::Infallible {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    // If there is no room, what is before it in the lane tells the time as well.
                    let _ = self.submit(Command::Tick, 0);
                }
                Some(question) = self.questions.recv() => self.put(question),
                () = self.bell.0.notified() => {}
            }
            self.port.flush();
            self.hear();
        }
    }

    fn put(&mut self, Question { what, answer }: Question) {
        self.waiting.retain(|_, answer| !answer.is_closed()); // those who asked have given up
        self.next_request = self.next_request.wrapping_add(1).max(1);
        let request = self.next_request;
        let put = match what {
            What::Do(command) => self.submit(command, request),
            What::Look(account) => self.port.look(account, self.origin(request)),
        };
        match put {
            Ok(()) => drop(self.waiting.insert(request, answer)),
            Err(why) => drop(answer.send(Err(Trouble::Overloaded(why)))),
        }
    }

    fn submit(&mut self, command: Command, request: u32) -> Result<(), Overloaded> {
        let (origin, at) = (self.origin(request), crate::reactor::clock());
        self.port.submit(Input { origin, at, ticket: 0, command })
    }

    fn origin(&self, request: u32) -> Origin {
        Origin { port: self.port.index(), session: 0, request }
    }

    fn hear(&mut self) {
        let Self { port, waiting, .. } = self;
        while port.take_reports(REPORTS_MAX, |report| answer(waiting, report)) > 0 {}
    }
}

fn answer(waiting: &mut HashMap<u32, oneshot::Sender<Answer>>, Report { to, body, .. }: Report) {
    let Recipient::Asker(origin) = to else { return };
    let said = match body {
        ReportBody::Done => Ok(None),
        ReportBody::Account(view) => Ok(Some(view)),
        ReportBody::Refused { reason } => Err(Trouble::Refused(reason)),
        _ => return,
    };
    if let Some(answer) = waiting.remove(&origin.request) {
        let _ = answer.send(said); // or they have given up
    }
}
