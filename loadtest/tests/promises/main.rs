//! What the harness promises: a right server passes, and each planted fault is found, over real sockets.
//!
//! The server under test is a script in this process ([`scripted`]); it shares the WebSocket library with the
//! harness's checked client, but not with its lean one.

mod bare_loop_sends_whole_frames;
mod churn_leaves_nothing_behind;
mod curve_is_a_table;
mod exit_codes;
mod fanout_counts_every_frame;
mod follow_catches_planted_faults;
mod gateway;
mod idle_connections_are_weighed;
mod orders_are_answered_once;
mod processes_add_up;
mod python_client_agrees;
mod scripted;
mod slow_readers_are_told;
