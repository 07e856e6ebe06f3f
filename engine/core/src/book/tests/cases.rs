//! What a user may rely on. The language of the tables is explained in [`super::script`].

mod auctions;
mod budgets;
mod cancels;
mod far_ends;
mod icebergs;
mod market_data;
mod priority;
mod reduce;
mod self_trade;
mod time_in_force;
