//! From costs to nodes: arithmetic, and nothing else.
//!
//! Symbols have popularity p(k) by Zipf's law, for subscribers and for orders alike. Of symbol k there are s(k)
//! subscriptions and f(k) frames a second, which come with λ(k) commands a second at random times. A connection gets what
//! it has new at most once in a batch time T:
//!
//! ```text
//! writes a second of a subscription   w(k) = (1 - exp(-λ(k) T)) / T
//! bytes of a write                    b(k) = f(k) · frame bytes / w(k), or less where clients take a view that has a bound
//! cores of all nodes                  Σ s(k) w(k) send(b(k)) + commands · command + keepalives · 2 · send(ping)
//!                                     + nodes · frames · encode
//! memory of a node                    base + windows + connections · (user + kernel + 2 · bytes a second · round trip)
//! bandwidth of all nodes              Σ s(k) w(k) (b(k) + 90 for each packet of 1448) + keepalives · (ping + pong)
//! ```
//! Subscribers say nothing, so each is sent a ping every twenty seconds and answers it.
//!
//! The nodes are the most that any one resource asks for; that one binds.

use super::Costs;
use serde::Serialize;

/// Of Ethernet, IP and TCP with timestamps, for each packet, and what a packet carries.
const PACKET_OVERHEAD_BYTES: f64 = 90.0;
const PACKET_PAYLOAD_BYTES: f64 = 1448.0;

/// Who is silent for so long is sent a ping: the server's `ping_interval_s`.
const KEEPALIVE_SECONDS: f64 = 20.0;
/// Frames without payload, from the server and, masked, from the client.
const PING_BYTES: f64 = 2.0;
const PONG_BYTES: f64 = 6.0;

/// Of a node's memory, the part in which the server lets nobody in: its `memory_reserve_bytes`.
const MEMORY_RESERVED: f64 = 1.0 / 16.0;

/// More would be no plan; the sum below is made by steps of one.
const NODES_MAX: u64 = 10_000_000;

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Goal {
    pub connections: u64,
    /// Orders a second, of all symbols together.
    pub orders_per_second: u64,
    pub symbols: u64,
    pub ram_bytes_of_node: f64,
    /// Of its processors, the part that may be busy.
    pub cpu_share_max: f64,
}

/// What no measurement on one machine can tell.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Assumptions {
    pub cores_of_node: u64,
    pub nic_gbit: f64,
    /// Of the network card, the part that may be busy.
    pub nic_share_max: f64,
    pub subscriptions_of_connection: f64,
    /// The exponent of Zipf's law.
    pub zipf: f64,
    /// Trades and changes of the book that an order makes, on average.
    pub frames_per_order: f64,
    /// New frames of a symbol are gathered so long before they are written.
    pub batch_ms: f64,
    /// To the client and back: so long the kernel keeps what it has sent.
    pub rtt_ms: f64,
    pub window_bytes: f64,
    /// Of a write, at most: clients then take a view that tells less than every trade and change. None: they take it all.
    pub write_bytes_max: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    Cpu,
    Memory,
    Bandwidth,
}

/// What all nodes together have to do in a second.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Demand {
    pub frames_made: f64,
    pub frames_delivered: f64,
    pub writes: f64,
    /// Payload and packets, also of keepalives, in either direction.
    pub bytes: f64,
    /// Of all connections together, to a symbol each.
    pub subscriptions: f64,
    /// Pings, each with its pong.
    pub keepalives: f64,
    /// Cores that sending takes.
    pub send_cores: f64,
    pub command_cores: f64,
    pub keepalive_cores: f64,
    /// Cores that encoding takes on each node, as each has all symbols.
    pub encode_cores_of_node: f64,
    /// 99 of 100 deliveries are in a symbol that takes all nodes together at most so many seconds of a core a write.
    pub pass_core_seconds_p99: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    pub demand: Demand,
    pub nodes: u64,
    pub binds: Resource,
    /// Nodes that each resource alone would ask for. None: no number of nodes would do.
    pub nodes_by_cpu: Option<u64>,
    pub nodes_by_memory: Option<u64>,
    pub nodes_by_bandwidth: Option<u64>,
    pub connections_of_node: u64,
    /// Busy, of those it has.
    pub cores_busy_of_node: f64,
    pub ram_bytes_of_node: f64,
    pub gbit_of_node: f64,
    /// From the event to the kernel's hands. What the network adds is not in it.
    pub p99_ms: f64,
    /// Whether a node of the goal's size can do it at all, in any number.
    pub feasible: bool,
}

pub fn plan(goal: &Goal, costs: &Costs, assumptions: &Assumptions) -> Plan {
    let demand = demand(goal, costs, assumptions);
    let (connections, cores) = (goal.connections as f64, assumptions.cores_of_node as f64);
    let cores_usable = cores * goal.cpu_share_max - demand.encode_cores_of_node;
    let divided_cores = demand.send_cores + demand.command_cores + demand.keepalive_cores;
    let by_cpu = nodes(divided_cores, cores_usable);
    // Depth and trades of a symbol are in one room, so they have one window.
    let base = costs.base_bytes + goal.symbols as f64 * assumptions.window_bytes;
    let each = memory_of_connection(&demand, goal, costs, assumptions);
    let ram_usable = goal.ram_bytes_of_node * (1.0 - MEMORY_RESERVED);
    let by_memory = nodes(connections * each, ram_usable - base);
    let gbit = demand.bytes * 8.0 / 1e9;
    let by_bandwidth = nodes(gbit, assumptions.nic_gbit * assumptions.nic_share_max);
    let wanted =
        [(Resource::Cpu, by_cpu), (Resource::Memory, by_memory), (Resource::Bandwidth, by_bandwidth)];
    let (binds, most) = wanted.into_iter().max_by_key(|(_, nodes)| nodes.unwrap_or(u64::MAX)).expect("three");
    let nodes = most.unwrap_or(NODES_MAX).max(1);
    let of_node = |all: f64| all / nodes as f64;
    let busy = of_node(divided_cores) + demand.encode_cores_of_node;
    Plan {
        demand,
        nodes,
        binds,
        nodes_by_cpu: by_cpu,
        nodes_by_memory: by_memory,
        nodes_by_bandwidth: by_bandwidth,
        connections_of_node: goal.connections.div_ceil(nodes),
        cores_busy_of_node: busy,
        ram_bytes_of_node: base + of_node(connections * each),
        gbit_of_node: of_node(gbit),
        p99_ms: p99_ms(&demand, nodes, busy, assumptions),
        feasible: most.is_some(),
    }
}

/// None if a node has nothing left for it, or if it would take absurdly many.
fn nodes(demand: f64, of_node: f64) -> Option<u64> {
    let nodes = (demand / of_node).ceil();
    (of_node > 0.0 && nodes <= NODES_MAX as f64).then_some((nodes as u64).max(1))
}

fn memory_of_connection(demand: &Demand, goal: &Goal, costs: &Costs, assumptions: &Assumptions) -> f64 {
    // The kernel keeps what is not acknowledged, in buffers about twice as large as what is in them.
    let in_flight = 2.0 * demand.bytes / goal.connections as f64 * assumptions.rtt_ms / 1000.0;
    costs.user_bytes + costs.kernel_bytes + in_flight
}

fn demand(goal: &Goal, costs: &Costs, assumptions: &Assumptions) -> Demand {
    let batch = assumptions.batch_ms / 1000.0;
    let weights: Vec<f64> = (1..=goal.symbols).map(|rank| (rank as f64).powf(-assumptions.zipf)).collect();
    let all: f64 = weights.iter().sum();
    let mut demand = Demand::default();
    let mut passes = Vec::with_capacity(weights.len());
    let mut surplus = 0.0;
    for weight in weights {
        let popularity = weight / all;
        // Nobody is subscribed to a symbol twice: who would be takes the next.
        let wanted = goal.connections as f64 * assumptions.subscriptions_of_connection * popularity + surplus;
        let subscribers = wanted.min(goal.connections as f64);
        surplus = wanted - subscribers;
        demand.subscriptions += subscribers;
        let orders = goal.orders_per_second as f64 * popularity;
        let frames = orders * assumptions.frames_per_order;
        let writes = writes(orders, batch);
        let all_bytes = if writes > 0.0 { frames * costs.frame_bytes / writes } else { 0.0 };
        let bytes = all_bytes.min(assumptions.write_bytes_max.unwrap_or(f64::INFINITY));
        let send = costs.send(bytes) / 1e9;
        demand.frames_made += frames;
        demand.frames_delivered += subscribers * writes * bytes / costs.frame_bytes;
        demand.writes += subscribers * writes;
        demand.bytes += subscribers * writes * on_the_wire(bytes);
        demand.send_cores += subscribers * writes * send;
        passes.push((subscribers * send, subscribers * writes));
    }
    demand.command_cores = goal.orders_per_second as f64 * costs.command_ns / 1e9;
    keep_alive(&mut demand, goal, costs);
    demand.encode_cores_of_node = demand.frames_made * costs.encode_ns / 1e9;
    demand.pass_core_seconds_p99 = weighted_p99(passes);
    demand
}

/// What it takes to read a pong was not measured; it is taken for as much as to send a ping.
fn keep_alive(demand: &mut Demand, goal: &Goal, costs: &Costs) {
    demand.keepalives = goal.connections as f64 / KEEPALIVE_SECONDS;
    demand.keepalive_cores = demand.keepalives * 2.0 * costs.send(PING_BYTES) / 1e9;
    demand.bytes += demand.keepalives * (on_the_wire(PING_BYTES) + on_the_wire(PONG_BYTES));
}

/// A second, of events at random times that are gathered for a while. Without a while each is written by itself.
fn writes(events: f64, batch_seconds: f64) -> f64 {
    if batch_seconds <= 0.0 { events } else { -(-events * batch_seconds).exp_m1() / batch_seconds }
}

fn on_the_wire(bytes: f64) -> f64 {
    bytes + (bytes / PACKET_PAYLOAD_BYTES).ceil().max(1.0) * PACKET_OVERHEAD_BYTES
}

/// The value below which 99 of 100 of the weight lie.
fn weighted_p99(mut values: Vec<(f64, f64)>) -> f64 {
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let enough = values.iter().map(|(_, weight)| weight).sum::<f64>() * 0.99;
    let mut sum = 0.0;
    let found = values.iter().find(|(_, weight)| {
        sum += weight;
        sum >= enough
    });
    found.or(values.last()).map_or(0.0, |(value, _)| *value)
}

/// The wait for the batch, then the pass through a node's subscribers of the symbol, on all its cores; the busier they are,
/// the longer that waits for other symbols' passes.
fn p99_ms(demand: &Demand, nodes: u64, busy: f64, assumptions: &Assumptions) -> f64 {
    let cores = assumptions.cores_of_node as f64;
    let idle = (1.0 - busy / cores).max(0.01);
    let pass = demand.pass_core_seconds_p99 / nodes as f64 / cores * 1000.0;
    0.99 * (assumptions.batch_ms + pass / idle)
}

#[cfg(test)]
mod tests;
