//! Every bound of the engine, in one place, each with its reason.
//!
//! Nothing in the engine grows without one of these: what does not fit is refused, and the client sees why.

/// Inputs a producer (a reactor, the control plane, a replay) may have waiting at one sequencer. At 500,000 orders a
/// second this is 4 ms of work; a client that would wait longer is better served by OVERLOADED.
pub const INGRESS_LANE: usize = 2048;

/// Messages waiting between a sequencer and a matcher, per direction. A taker that sweeps a deep book answers with
/// two messages per fill, so the way back needs room for more than the way there; both use the larger.
pub const LINK_LANE: usize = 4096;

/// Reports waiting for one port at one sequencer. An order that rests causes three (ack, execution, balance), so
/// this is a full ingress lane's worth and some fills.
pub const REPORT_LANE: usize = 4 * INGRESS_LANE;

/// Reports a sequencer may hold back for its log before it takes no more inputs, and market events a matcher may
/// before it takes no more orders. At 500,000 orders a second, three reports each, this bridges a log that stands
/// still for 80 ms; longer than that a client is better served by OVERLOADED than by memory that grows.
pub const GATE_REPORTS_MAX: usize = 1 << 17;

/// Messages a shard takes from one lane before it looks at the next: large enough to pay for the lane's two cache
/// lines, small enough that a quiet lane behind a busy one waits some tens of microseconds. Picked by eye.
pub const TURN_BATCH: usize = 256;

/// Live orders of one account. Also bounds what one cancel-all may put on the links.
pub const OPEN_ORDERS_PER_ACCOUNT_MAX: u32 = 20_000;

/// Fee tiers of an exchange.
pub const FEE_TIERS: usize = 8;

/// How far ahead a dead-man timer may be set: a day.
pub const DEAD_MAN_US_MAX: u64 = 24 * 3600 * 1_000_000;

/// Withdrawals and transfers of one account that have not ended.
pub const PARKED_PER_ACCOUNT_MAX: usize = 1024;

/// How often an iceberg may refill at most: its quantity is no more than this many displays. A taker trades with each
/// refill by itself, so this bounds what one resting order can make it do.
pub const ICEBERG_REFILLS_MAX: u64 = 1000;

/// Stops and stop-limits of one symbol that wait for their trigger.
pub const STOPS_PER_SYMBOL_MAX: usize = 1 << 17;

/// Trailing stops of one symbol. A trade at a new extreme moves the triggers of all that follow it, one by one: a
/// thousand take some hundred microseconds, and nobody should wait longer for that.
pub const TRAILING_STOPS_PER_SYMBOL_MAX: usize = 1000;

/// Accounts of one engine: ids are dense, so this bounds the account table.
pub const ACCOUNTS_MAX: u32 = 1 << 26;

/// How long an order id is remembered after the order came in, in log time: 24 hours.
pub const ORDER_ID_WINDOW_US: u64 = 24 * 3600 * 1_000_000;

/// Order ids one sequencer remembers. Within the window nothing is forgotten: at the bound new orders are refused
/// OVERLOADED. 2^26 records are about 7 GB, a day at 770 orders a second and shard.
pub const ORDER_IDS_MAX: usize = 1 << 26;

/// Repeats of order ids whose first submit is still on its way to the matcher, per sequencer. They wait for its
/// answer; more than this many are refused OVERLOADED.
pub const REPEATS_WAITING_MAX: usize = 1024;

/// Sequencer or matcher shards of one engine: an index must fit the byte it has in an order key.
pub const SHARDS_MAX: usize = 64;

const _: () =
    assert!(INGRESS_LANE.is_power_of_two() && LINK_LANE.is_power_of_two() && REPORT_LANE.is_power_of_two());
const _: () = assert!(TURN_BATCH <= INGRESS_LANE && SHARDS_MAX <= 256);
