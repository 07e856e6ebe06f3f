//! What Ringside promises to those outside, tried on the real binary. Each module is one promise and opens with its
//! story; [`exchange`] starts the process.

mod client;
mod exchange;
mod http;
mod postgres;
mod story;

mod bad_input;
mod bad_orders;
mod browser;
mod cancel_on_disconnect;
mod compressed;
mod crowd_at_http;
mod crowd_at_the_door;
mod dead_man_timer;
mod echo;
mod followed;
mod full_disk;
mod halt_and_auction;
mod heartbeat;
mod history_away;
mod history_reads;
mod history_store;
mod http_queries;
mod journal_tool;
mod killed;
mod lapped_and_let_go;
mod limits;
mod lost_journal;
mod many_rooms;
mod newcomers_of_a_deep_book;
mod order_life;
mod orders_of_every_kind;
mod paper_accounts;
mod patterns;
mod repeated;
mod replay;
mod restarted_differently;
mod resume;
mod slow_reader_does_not_stall_others;
mod taken_port;
mod timed_depth;
mod timed_prices;
mod unwritable_log;
