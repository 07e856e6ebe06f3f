//! What Ringside promises to those outside, tried on the real binary. Each module is one promise and opens with its
//! story; [`exchange`] starts the process.

mod client;
mod exchange;

mod bad_input;
mod browser;
mod echo;
mod followed;
mod limits;
mod order_life;
mod replay;
mod slow_reader_does_not_stall_others;
