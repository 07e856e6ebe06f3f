//! Any bytes as a client message. The promise is in `promises/request.rs`; the seeds in `seeds/request`.
//!
//! `cargo +nightly fuzz run request fuzz/corpus/request fuzz/seeds/request`

#![no_main]

use std::cell::RefCell;

use gateway::wire;
use libfuzzer_sys::fuzz_target;
use wire::request::Buffers;

#[path = "../promises/request.rs"]
mod promises;

thread_local! {
    // Kept from run to run, as a reactor keeps it: what one message leaves behind must not touch the next.
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

fuzz_target!(|bytes: &[u8]| BUFFERS.with_borrow_mut(|buffers| promises::check(bytes, buffers)));
