//! A link between two shards as the simulator has it: it keeps its order, and nothing else is certain.
//!
//! Everything that was ever sent is kept, so sending again is moving back in it. A message is on the way until it is
//! carried; a lane that is full of such messages stalls its sender.

use engine_core::message::Numbered;
use std::fmt::Debug;

#[derive(Clone, Debug)]
pub struct Link<T> {
    sent: Vec<Numbered<T>>,
    /// How many the receiver has applied.
    taken: usize,
    /// The next to be carried: before `taken` when something is sent again.
    next: usize,
    capacity: usize,
    /// Nothing is carried before this step.
    asleep_until: u64,
}

/// What a link hands to its receiver.
pub struct Carried<T> {
    pub message: Numbered<T>,
    /// Whether the receiver has never had it.
    pub is_new: bool,
}

impl<T: Copy + Debug> Link<T> {
    pub fn new(capacity: usize) -> Self {
        Self { sent: Vec::new(), taken: 0, next: 0, capacity, asleep_until: 0 }
    }

    /// Takes what the sender put out. The lane may get fuller than it can be: a sender is stalled from then on, as
    /// the executor's is by its backlog.
    pub fn send(&mut self, message: Numbered<T>) {
        self.sent.push(message);
        assert_eq!(message.number, self.sent.len() as u64, "a link's numbers are dense");
    }

    /// Whether the sender has to wait.
    pub fn is_full(&self) -> bool {
        self.sent.len() - self.next >= self.capacity
    }

    pub fn has_next(&self, step: u64) -> bool {
        self.next < self.sent.len() && self.asleep_until <= step
    }

    pub fn carry(&mut self) -> Carried<T> {
        let is_new = self.next == self.taken;
        let message = self.sent[self.next];
        self.next += 1;
        self.taken = self.taken.max(self.next);
        Carried { message, is_new }
    }

    /// The message after the next new one: what arrives if that one is lost.
    pub fn after_next(&self) -> Option<Numbered<T>> {
        self.sent.get(self.taken + 1).copied()
    }

    /// How many the receiver has applied.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Sends the last `count` of the carried messages again.
    pub fn send_again(&mut self, count: usize) {
        self.next = self.next.saturating_sub(count);
    }

    pub fn sleep_until(&mut self, step: u64) {
        self.asleep_until = step;
    }

    /// Everything that was ever sent, whether applied or not.
    pub fn sent(&self) -> &[Numbered<T>] {
        &self.sent
    }

    /// What its receiver has not applied yet.
    pub fn on_the_way(&self) -> &[Numbered<T>] {
        &self.sent[self.taken..]
    }

    pub fn is_quiet(&self) -> bool {
        self.next == self.sent.len()
    }
}
