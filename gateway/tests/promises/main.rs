//! What Ringside promises to those outside, tried on the real binary. Each module is one promise and opens with its
//! story; [`exchange`] starts the process.

mod exchange;

mod browser;
mod followed;
mod replay;
mod slow_reader_does_not_stall_others;
