//! Appending to the journal must not stop now and then to ask for memory.
//!
//! So this binary counts what its thread allocates. It has an allocator of its own, which is why it is one of its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use engine_core::journal::storage::Disk;
use engine_core::journal::{Options, Recovery, Shards};
use engine_core::log::{Entry, ShardLog};
use engine_core::message::{Command, Input, Origin, Submit};
use engine_core::units::*;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed to the system's allocator as it came; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `dealloc`, and `at` came from `alloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn appending_allocates_nothing() {
    let directory = std::env::temp_dir().join(format!("ringside-journal-memory-{}", std::process::id()));
    let shards = Shards { sequencers: 1, matchers: 1 };
    // Segments of which there are many, and a buffer that is full now and then.
    let options = Options { segment_bytes: 1 << 19, staging_bytes: 1 << 19, ..Options::new(shards) };
    let disk = Arc::new(Disk::new(&directory).unwrap());
    let journal = Recovery::open(disk, options).unwrap().start(Box::new(|error| panic!("{error}"))).unwrap();
    let (mut sequencer, mut matcher) = (journal.sequencer_log(0), journal.matcher_log(0));
    let inputs = [Entry::Input(order()); 64];
    let merges = [Entry::Received { from: 0, count: 64 }; 2];
    sequencer.append(&inputs);
    let before = ALLOCATIONS.get();
    for _ in 0..1000 {
        sequencer.append(&inputs);
        matcher.append(&merges);
        sequencer.durable();
    }
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations in a thousand batches");
    journal.close().unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}

fn order() -> Input {
    let id = ClientOrderId::new("0f8fad5b-d9cb-469f-a165-70867728950e").unwrap();
    let submit = Submit::limit(AccountId(7), SymbolId(1), id, Side::Buy, Price(3_000_000), Quantity(5));
    let origin = Origin { port: 1, session: 1000, request: 1 };
    Input { origin, at: Timestamp(1_790_000_000_000_000), ticket: 0, command: Command::Submit(submit) }
}
