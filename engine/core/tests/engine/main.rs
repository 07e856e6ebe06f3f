//! What the engine as a whole promises, whichever way its shards are run.

mod auditor;
mod bounded_work;
mod by_hand;
mod durable_gate;
mod full_disk;
mod journaled;
mod links;
mod money;
mod on_its_way;
mod operator;
mod order_ids;
mod order_kinds;
mod order_semantics;
mod overload;
mod shards_agree;
mod simulator;
mod stage;
mod witness;
