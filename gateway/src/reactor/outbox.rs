//! What is to go to one connection, until its socket has taken it: bytes of its own, and between these snapshots, which are everybody's.

use bytes::Bytes;

/// Bytes that a buffer may begin with after the socket has taken them, however little follows.
const TAKEN_BYTES_KEPT: usize = 64 << 10;

/// Whole frames, or the rest of a torn one first.
#[derive(Default)]
pub(super) struct Outbox {
    buffer: Vec<u8>,
    /// How many bytes at the beginning the socket has taken: fewer than there are, or none.
    taken: usize,
    /// Whether the socket may have taken the beginning of the first frame: nothing may come before the rest of it.
    torn: bool,
    /// What comes after the buffer. Few have any.
    next: Option<Box<Next>>,
}

/// Shared bytes that are not empty, and what comes after them.
struct Next {
    shared: Bytes,
    buffer: Vec<u8>,
    next: Option<Box<Next>>,
}

impl Outbox {
    /// With a buffer that another has had.
    pub fn reusing(buffer: Vec<u8>) -> Self {
        debug_assert!(buffer.is_empty());
        Self { buffer, ..Self::default() }
    }

    /// Bytes that the socket has not taken.
    pub fn len(&self) -> usize {
        self.own_len() + self.chain().map(|next| next.shared.len()).sum::<usize>()
    }

    /// The same, without those that are shared: what the connection takes of our memory.
    pub fn own_len(&self) -> usize {
        self.buffer.len() - self.taken + self.chain().map(|next| next.buffer.len()).sum::<usize>()
    }

    pub fn is_empty(&self) -> bool {
        self.buffer.len() == self.taken && self.next.is_none()
    }

    /// Whether there is a snapshot among it.
    pub fn has_shared(&self) -> bool {
        self.next.is_some()
    }

    fn chain(&self) -> impl Iterator<Item = &Next> {
        std::iter::successors(self.next.as_deref(), |next| next.next.as_deref())
    }

    /// Whether another would not do as well.
    pub fn has_buffer(&self) -> bool {
        self.buffer.capacity() > 0 || self.next.is_some()
    }

    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// What is to be sent first: all there is, or up to where shared bytes begin or end.
    pub fn unsent(&self) -> &[u8] {
        match &self.next {
            Some(next) if self.taken == self.buffer.len() => &next.shared,
            _ => &self.buffer[self.taken..],
        }
    }

    /// Where whole frames are appended.
    pub fn end(&mut self) -> &mut Vec<u8> {
        let Self { buffer, next, .. } = self;
        let (mut end, mut next) = (buffer, next);
        while let Some(after) = next {
            (end, next) = (&mut after.buffer, &mut after.next);
        }
        end
    }

    /// Appends whole frames that are not copied.
    pub fn share(&mut self, shared: Bytes) {
        if shared.is_empty() {
            return;
        }
        let mut next = &mut self.next;
        while let Some(after) = next {
            next = &mut after.next;
        }
        *next = Some(Box::new(Next { shared, buffer: Vec::new(), next: None }));
    }

    /// The rest of a frame whose beginning the socket has taken comes before all else.
    pub fn put_first(&mut self, rest: &[u8]) {
        debug_assert!(!self.torn || rest.is_empty(), "two frames cannot both be begun");
        self.torn |= !rest.is_empty();
        self.buffer.splice(..self.taken, rest.iter().copied());
        self.taken = 0;
    }

    /// The socket has taken so many of the bytes of [`Outbox::unsent`].
    pub fn took(&mut self, bytes: usize) {
        if self.taken == self.buffer.len() && self.next.is_some() {
            self.took_shared(bytes);
        } else {
            self.taken += bytes;
        }
        if self.is_empty() {
            self.clear();
            return;
        }
        self.torn |= bytes > 0;
        // What is moved is no more than what was sent since the last time, so it costs no more than sending it did.
        if self.taken >= self.len().max(TAKEN_BYTES_KEPT) {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
    }

    fn took_shared(&mut self, bytes: usize) {
        let Some(next) = &mut self.next else { return };
        bytes::Buf::advance(&mut next.shared, bytes);
        if next.shared.is_empty() {
            let (buffer, next) = (std::mem::take(&mut next.buffer), next.next.take());
            (self.buffer, self.taken, self.next) = (buffer, 0, next);
        }
    }

    pub fn clear(&mut self) {
        self.buffer.clear();
        (self.taken, self.torn, self.next) = (0, false, None);
    }

    /// The buffer of one that is empty.
    pub fn into_buffer(self) -> Vec<u8> {
        debug_assert!(self.is_empty());
        self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[derive(Clone, Debug)]
    enum Step {
        Append(usize),
        Share(usize),
        Take(usize),
        PutFirst(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = 0usize..200_000;
        prop_oneof![
            bytes.clone().prop_map(Step::Append),
            bytes.clone().prop_map(Step::Share),
            bytes.clone().prop_map(Step::Take),
            bytes.prop_map(Step::PutFirst)
        ]
    }

    proptest! {
        /// Against a plain queue.
        #[test]
        fn bytes_leave_in_the_order_they_are_meant_to(steps in prop::collection::vec(step(), 0..60)) {
            let (mut outbox, mut plain, mut next) = (Outbox::default(), VecDeque::new(), 0u8);
            let mut made = |bytes: usize| -> Vec<u8> {
                next = next.wrapping_add(1);
                (0..bytes).map(|at| next.wrapping_mul(31).wrapping_add(at as u8)).collect()
            };
            for step in steps {
                match step {
                    Step::Append(bytes) => {
                        let bytes = made(bytes);
                        outbox.end().extend_from_slice(&bytes);
                        plain.extend(bytes);
                    }
                    Step::Share(bytes) => {
                        let bytes = made(bytes);
                        outbox.share(Bytes::from(bytes.clone()));
                        plain.extend(bytes);
                    }
                    Step::Take(bytes) => {
                        let bytes = bytes.min(outbox.unsent().len());
                        prop_assert!(plain.drain(..bytes).eq(outbox.unsent()[..bytes].iter().copied()));
                        outbox.took(bytes);
                    }
                    Step::PutFirst(_) if outbox.is_torn() => {}
                    Step::PutFirst(bytes) => {
                        let bytes = made(bytes);
                        outbox.put_first(&bytes);
                        bytes.iter().rev().for_each(|byte| plain.push_front(*byte));
                    }
                }
                prop_assert_eq!(outbox.len(), plain.len());
                prop_assert_eq!(outbox.is_empty(), plain.is_empty());
                prop_assert_eq!(outbox.unsent().is_empty(), plain.is_empty(), "there is always something to send");
                prop_assert!(outbox.unsent().iter().eq(plain.iter().take(outbox.unsent().len())));
                prop_assert!(outbox.taken <= outbox.len().max(TAKEN_BYTES_KEPT), "what was sent is let go");
            }
        }
    }
}
