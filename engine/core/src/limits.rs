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

/// Bytes of records that may wait for the journal's disk. At 50 bytes an order and 500,000 orders a second this bridges a
/// disk that stands still for 300 ms; the gates above close earlier, so that clients are refused and shards do not wait.
pub const JOURNAL_STAGING_BYTES: usize = 8 << 20;

/// Bytes of entries in one record of the journal. A batch that is longer becomes several records. Picked by eye: large
/// enough that headers do not count, small enough that a reader's buffer and the unused end of a segment stay small.
pub const JOURNAL_RECORD_BYTES_MAX: usize = 256 << 10;

/// Bytes of one segment of the journal: at 25 MB/s a new one every 2.7 s, so that what a rotation costs does not count, and
/// small enough that one more for the reserve is cheap.
pub const JOURNAL_SEGMENT_BYTES: u64 = 64 << 20;

/// Messages a shard takes from one lane before it looks at the next: large enough to pay for the lane's two cache
/// lines, small enough that a quiet lane behind a busy one waits some tens of microseconds. Picked by eye.
pub const TURN_BATCH: usize = 256;

/// Live orders of one account. Also bounds what one cancel-all may put on the links.
pub const OPEN_ORDERS_PER_ACCOUNT_MAX: u32 = 20_000;

/// Changes and cancels of one order that the matcher has not answered. Beyond, its owner is refused OVERLOADED; the
/// exchange's own cancels always go, and the counter has room for many more of them than fit on a link.
pub const REQUESTS_PER_ORDER_MAX: u16 = 1024;

/// Fee tiers of an exchange.
pub const FEE_TIERS: usize = 8;

/// How far ahead a dead-man timer may be set: a day.
pub const DEAD_MAN_US_MAX: u64 = 24 * 3600 * 1_000_000;

/// Withdrawals and transfers of one account that have not ended.
pub const PARKED_PER_ACCOUNT_MAX: usize = 1024;

/// How often an iceberg may refill at most: its quantity is no more than this many displays. A taker trades with each
/// refill by itself, so this bounds what one resting order can make it do.
pub const ICEBERG_REFILLS_MAX: u64 = 100;

/// Orders of one symbol that have terms (stops, OCOs, icebergs) or an end. One trade can set off all the stops, and one
/// instant end all that have an end, before the symbol takes another command: some 50 ms.
pub const SPECIALS_PER_SYMBOL_MAX: usize = 1 << 16;

/// Those of one account in one symbol, so that no few accounts can take all the places.
pub const SPECIALS_PER_ACCOUNT_MAX: u32 = 1000;

/// Messages and market events a matcher may have put out before it hands them on, were it in the middle of a command
/// that makes more: a taker through thousands of orders, an auction, a symbol that is delisted.
pub const OUTBOX_MAX: usize = 2 * LINK_LANE;

/// Guards that stand at one sequencer: more than a process has connections, of which Linux allows a million files. At the
/// bound a login that wants one is refused OVERLOADED.
pub const GUARDS_MAX: usize = 1 << 20;

/// Live orders that the inputs of one turn may reach, by cancel-alls and timers, before a sequencer takes no more of them
/// into the turn. One input may reach [`OPEN_ORDERS_PER_ACCOUNT_MAX`] by itself, so the backlog for matchers is at
/// most the sum of both.
pub const ORDERS_REACHED_PER_TURN_MAX: usize = LINK_LANE;

/// Accounts of one engine: ids are dense, so this bounds the account table.
pub const ACCOUNTS_MAX: u32 = 1 << 26;

/// How far beyond a sequencer's last account the next one may be, in places of its table: ids are dense, so one that is
/// further away is a mistake, and would cost memory for all between.
pub const ACCOUNT_GAP_MAX: usize = 1 << 20;

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
