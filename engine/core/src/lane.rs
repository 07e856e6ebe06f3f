//! A lane: a bounded queue from one thread to one other.
//!
//! A ring of slots and two counters. The producer fills slots and then publishes them with one release store,
//! however many they are; the consumer takes what is published and gives the slots back with one release store.
//! Each side keeps a stale copy of the other's counter and rereads it only when the copy says full or empty, so a
//! busy lane costs each side less than one shared cache line per message.
//!
//! A lane never blocks and never grows: a full lane is the caller's answer to give.

use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering, UnsafeCell};
use std::mem::MaybeUninit;

/// Keeps the two counters on cache lines of their own (128: the adjacent-line prefetcher pairs lines).
#[repr(align(128))]
struct Padded<T>(T);

struct Shared<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// Messages ever published; written by the producer.
    published: Padded<AtomicUsize>,
    /// Messages ever taken; written by the consumer.
    taken: Padded<AtomicUsize>,
    /// The producer is gone and will publish nothing more.
    closed: AtomicBool,
    /// The consumer is gone and will take nothing more.
    abandoned: AtomicBool,
}

// SAFETY: a slot is touched by one side at a time: by the producer while its number is in [published, taken +
// capacity), by the consumer while it is in [taken, published). The release stores of the two counters hand it over.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above; `Sender` and `Receiver` are the only ways in and neither can be cloned.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Drop for Shared<T> {
    /// Drops what was sent to a consumer that had gone.
    fn drop(&mut self) {
        let published = self.published.0.load(Ordering::Relaxed);
        for number in self.taken.0.load(Ordering::Relaxed)..published {
            self.slots[number & (self.slots.len() - 1)].with_mut(|slot| {
                // SAFETY: both ends are gone; a slot between the counters holds a message nobody has read out.
                unsafe { (*slot).assume_init_drop() };
            });
        }
    }
}

/// The producer's end.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
    mask: usize,
    /// Messages ever pushed, of which `published` are visible to the consumer.
    pushed: usize,
    published: usize,
    /// The consumer's counter as last read.
    taken_seen: usize,
}

/// The consumer's end.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    mask: usize,
    taken: usize,
    /// What `taken` was when it was last handed back.
    released: usize,
    /// The producer's counter as last read.
    published_seen: usize,
}

/// A lane with room for `capacity` messages, a power of two.
pub fn lane<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity.is_power_of_two(), "a lane's capacity is a power of two, not {capacity}");
    let slots = (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
    let shared = Arc::new(Shared {
        slots,
        published: Padded(AtomicUsize::new(0)),
        taken: Padded(AtomicUsize::new(0)),
        closed: AtomicBool::new(false),
        abandoned: AtomicBool::new(false),
    });
    let mask = capacity - 1;
    (
        Sender { shared: shared.clone(), mask, pushed: 0, published: 0, taken_seen: 0 },
        Receiver { shared, mask, taken: 0, released: 0, published_seen: 0 },
    )
}

impl<T> Sender<T> {
    /// Puts `message` into the lane, invisible until [`Sender::publish`]. Gives it back when the lane is full.
    pub fn push(&mut self, message: T) -> Result<(), T> {
        if self.free() == 0 {
            return Err(message);
        }
        self.shared.slots[self.pushed & self.mask].with_mut(|slot| {
            // SAFETY: `free() > 0`, so this slot is the producer's until published; it holds no live message.
            unsafe { (*slot).write(message) };
        });
        self.pushed += 1;
        Ok(())
    }

    /// Makes everything pushed visible. Returns whether there was anything new.
    pub fn publish(&mut self) -> bool {
        let news = self.published != self.pushed;
        if news {
            self.shared.published.0.store(self.pushed, Ordering::Release);
            self.published = self.pushed;
        }
        news
    }

    /// Slots that can be pushed into now.
    pub fn free(&mut self) -> usize {
        let capacity = self.mask + 1;
        self.taken_seen = self.shared.taken.0.load(Ordering::Acquire);
        capacity - (self.pushed - self.taken_seen)
    }

    /// Whether the consumer is gone: nothing sent will ever be taken.
    pub fn is_abandoned(&self) -> bool {
        self.shared.abandoned.load(Ordering::Relaxed)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.publish();
        self.shared.closed.store(true, Ordering::Release);
    }
}

impl<T> Receiver<T> {
    /// Whether a message is waiting; rereads the producer's counter if the last look saw none.
    pub fn has_next(&mut self) -> bool {
        if self.taken == self.published_seen {
            self.published_seen = self.shared.published.0.load(Ordering::Acquire);
        }
        self.taken != self.published_seen
    }

    /// The next message, left in the lane.
    pub fn peek(&mut self) -> Option<&T> {
        self.peek_at(0)
    }

    /// The message `ahead` places behind the next one, left in the lane.
    pub fn peek_at(&mut self, ahead: usize) -> Option<&T> {
        if ahead >= self.waiting() {
            self.published_seen = self.shared.published.0.load(Ordering::Acquire);
        }
        (ahead < self.waiting()).then(|| {
            self.shared.slots[(self.taken + ahead) & self.mask].with(|slot| {
                // SAFETY: the slot is among the published ones and the consumer's until released; `&mut self` keeps
                // it from being taken while the reference lives.
                unsafe { (*slot).assume_init_ref() }
            })
        })
    }

    /// Messages waiting, as far as this side has looked.
    pub fn waiting(&self) -> usize {
        self.published_seen - self.taken
    }

    /// Takes the next message. Its slot goes back to the producer with [`Receiver::release`].
    pub fn pop(&mut self) -> Option<T> {
        self.has_next().then(|| {
            let message = self.shared.slots[self.taken & self.mask].with(|slot| {
                // SAFETY: as in `peek`; `taken` moves past the slot, so the message is read out once.
                unsafe { (*slot).assume_init_read() }
            });
            self.taken += 1;
            message
        })
    }

    /// Gives the slots of taken messages back to the producer.
    pub fn release(&mut self) {
        if self.released != self.taken {
            self.shared.taken.0.store(self.taken, Ordering::Release);
            self.released = self.taken;
        }
    }

    /// Whether the producer is gone and everything it sent has been taken.
    pub fn is_finished(&mut self) -> bool {
        // The order matters: a message published before closing must be seen by the look after it.
        self.shared.closed.load(Ordering::Acquire) && !self.has_next()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::Relaxed);
        while self.pop().is_some() {}
        self.release();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_refuses_when_full() {
        let (mut sender, mut receiver) = lane(4);
        for i in 0..4 {
            sender.push(i).unwrap();
        }
        assert_eq!(sender.push(4), Err(4));
        assert!(!receiver.has_next(), "nothing is visible before it is published");
        assert!(sender.publish());
        assert_eq!((receiver.pop(), receiver.pop()), (Some(0), Some(1)));
        assert_eq!(sender.push(4), Err(4), "taken slots come back with release, not before");
        receiver.release();
        sender.push(4).unwrap();
        sender.publish();
        assert_eq!(std::iter::from_fn(|| receiver.pop()).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn nothing_is_leaked_or_dropped_twice() {
        let token = Arc::new(());
        let (mut sender, mut receiver) = lane(8);
        for _ in 0..6 {
            sender.push(token.clone()).unwrap();
        }
        sender.publish();
        receiver.pop();
        sender.push(token.clone()).unwrap(); // pushed, never published by hand
        drop(sender);
        assert!(!receiver.is_finished());
        drop(receiver);
        assert_eq!(Arc::strong_count(&token), 1);

        let (mut sender, receiver) = lane(8);
        sender.push(token.clone()).unwrap();
        drop(receiver);
        sender.push(token.clone()).unwrap();
        drop(sender);
        assert_eq!(Arc::strong_count(&token), 1, "what nobody took is dropped with the lane");
    }

    #[test]
    fn carries_everything_between_threads() {
        let total = if cfg!(miri) { 300 } else { 1_000_000u64 };
        let (mut sender, mut receiver) = lane(64);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for i in 0..total {
                    while sender.push(i).is_err() {
                        sender.publish();
                        std::thread::yield_now();
                    }
                    if i % 7 == 0 {
                        sender.publish();
                    }
                }
            });
            let mut expected = 0;
            while !receiver.is_finished() {
                while let Some(i) = receiver.pop() {
                    assert_eq!(i, expected);
                    expected += 1;
                }
                receiver.release();
                std::thread::yield_now();
            }
            assert_eq!(expected, total);
        });
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;

    #[test]
    fn loom_lane_hands_over_every_message_once() {
        loom::model(|| {
            let (mut sender, mut receiver) = lane(2);
            let producer = loom::thread::spawn(move || {
                for i in 0..3u64 {
                    while sender.push(i).is_err() {
                        sender.publish();
                        loom::thread::yield_now();
                    }
                    sender.publish();
                }
            });
            let mut expected = 0;
            while expected < 3 {
                match receiver.pop() {
                    Some(i) => {
                        assert_eq!(i, expected);
                        expected += 1;
                        receiver.release();
                    }
                    None => loom::thread::yield_now(),
                }
            }
            producer.join().unwrap();
            assert!(receiver.is_finished());
        });
    }
}
