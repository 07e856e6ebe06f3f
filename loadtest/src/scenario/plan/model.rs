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
mod tests {
    use super::*;

    fn goal() -> Goal {
        Goal {
            connections: 1_000_000,
            orders_per_second: 1000,
            symbols: 100,
            ram_bytes_of_node: 32.0 * (1u64 << 30) as f64,
            cpu_share_max: 0.7,
        }
    }

    fn assumptions() -> Assumptions {
        Assumptions {
            cores_of_node: 32,
            nic_gbit: 25.0,
            nic_share_max: 0.7,
            subscriptions_of_connection: 1.0,
            zipf: 1.0,
            frames_per_order: 2.0,
            batch_ms: 100.0,
            rtt_ms: 50.0,
            window_bytes: 1_048_576.0,
            write_bytes_max: None,
        }
    }

    fn costs() -> Costs {
        Costs {
            send_points: Vec::new(),
            send_ns: 3000.0,
            send_ns_per_byte: 0.2,
            frame_bytes: 150.0,
            command_ns: 3000.0,
            encode_ns: 50.0,
            push_ns: 10.0,
            loopback_send_ns: 4000.0,
            loopback_queue_ns: 1000.0,
            user_bytes: 320.0,
            kernel_bytes: 5000.0,
            base_bytes: 20e6,
        }
    }

    #[test]
    fn one_symbol_is_arithmetic_that_a_hand_can_do() {
        let goal = Goal { symbols: 1, connections: 1000, orders_per_second: 100, ..goal() };
        let assumptions = Assumptions { batch_ms: 0.0, ..assumptions() };
        let plan = plan(&goal, &costs(), &assumptions);
        let near =
            |value: f64, wanted: f64| assert!((value / wanted - 1.0).abs() < 1e-9, "{value}, not {wanted}");
        near(plan.demand.frames_made, 200.0);
        near(plan.demand.frames_delivered, 200_000.0);
        near(plan.demand.writes, 100_000.0);
        // Two frames of 150 bytes in a packet.
        near(plan.demand.bytes, 100_000.0 * 390.0 + 50.0 * (92.0 + 96.0));
        near(plan.demand.send_cores, 100_000.0 * (3000.0 + 300.0 * 0.2) / 1e9);
        near(plan.demand.command_cores, 100.0 * 3000.0 / 1e9);
        near(plan.demand.keepalive_cores, 50.0 * 2.0 * (3000.0 + 2.0 * 0.2) / 1e9);
        near(plan.gbit_of_node, 0.312 + 50.0 * 188.0 * 8.0 / 1e9);
        near(plan.ram_bytes_of_node, 20e6 + 1_048_576.0 + 1000.0 * (5320.0 + 2.0 * 39_009.4 * 0.05));
        assert_eq!((plan.nodes, plan.connections_of_node), (1, 1000));
    }

    #[test]
    fn popularity_adds_up_to_everybody() {
        for zipf in [0.0, 0.5, 1.0, 2.0] {
            let plan = plan(&goal(), &costs(), &Assumptions { zipf, ..assumptions() });
            assert!((plan.demand.frames_made - 2000.0).abs() < 1e-6, "each order is in one symbol");
            if zipf == 0.0 {
                // Alike symbols: each has a hundredth of the orders, and a connection has one of them.
                assert!((plan.demand.frames_delivered / 20e6 - 1.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn subscriptions_that_the_most_popular_have_no_room_for_are_to_the_next() {
        for (wanted, reached) in [(1.0, 1.0), (20.0, 20.0), (100.0, 100.0), (300.0, 100.0)] {
            let assumptions = Assumptions { subscriptions_of_connection: wanted, ..assumptions() };
            let subscriptions = plan(&goal(), &costs(), &assumptions).demand.subscriptions;
            assert!((subscriptions / 1e6 - reached).abs() < 1e-6, "{subscriptions} of {wanted} each");
        }
    }

    #[test]
    fn who_hears_nothing_is_still_asked_for_a_sign_of_life() {
        let quiet = Goal { connections: 20_000_000, orders_per_second: 1, ..goal() };
        let demand = plan(&quiet, &costs(), &assumptions()).demand;
        assert!((demand.keepalives - 1e6).abs() < 1e-6);
        assert!(demand.keepalive_cores > demand.send_cores / 10.0, "{demand:?}");
    }

    #[test]
    fn a_batch_time_bounds_the_writes_and_loses_no_frame() {
        let of = |batch_ms| plan(&goal(), &costs(), &Assumptions { batch_ms, ..assumptions() }).demand;
        let (each, batched) = (of(0.0), of(100.0));
        assert!((each.frames_delivered - batched.frames_delivered).abs() < 1.0);
        assert!(batched.writes < each.writes && batched.writes <= 1e6 * 10.0);
        assert!((writes(1e9, 0.1) - 10.0).abs() < 1e-9 && (writes(0.001, 0.1) - 0.001).abs() < 1e-6);
    }

    #[test]
    fn a_view_of_bounded_writes_takes_less_of_everything() {
        let of = |write_bytes_max| {
            plan(&goal(), &costs(), &Assumptions { write_bytes_max, ..assumptions() }).demand
        };
        let (all, view, roomy) = (of(None), of(Some(300.0)), of(Some(1e9)));
        assert!(view.bytes < all.bytes && view.send_cores < all.send_cores && view.writes == all.writes);
        assert!(view.bytes <= view.writes * (300.0 + 90.0) + view.keepalives * 188.0);
        assert_eq!((roomy.bytes, roomy.frames_delivered), (all.bytes, all.frames_delivered));
    }

    #[test]
    fn more_of_anything_never_takes_fewer_nodes() {
        let plan_of = |goal: &Goal, costs: &Costs| plan(goal, costs, &assumptions()).nodes;
        let (mut last, before) = (0, costs());
        for connections in [1, 1000, 100_000, 10_000_000, 100_000_000] {
            let nodes = plan_of(&Goal { connections, ..goal() }, &before);
            assert!(nodes >= last);
            last = nodes;
        }
        let dearer: [fn(&mut Costs); 5] = [
            |costs| costs.send_ns *= 2.0,
            |costs| costs.send_ns_per_byte *= 2.0,
            |costs| costs.kernel_bytes *= 20.0,
            |costs| costs.user_bytes *= 100.0,
            |costs| costs.command_ns *= 2.0,
        ];
        let goal = Goal { connections: 50_000_000, ..goal() };
        for make_dearer in dearer {
            let mut costs = costs();
            make_dearer(&mut costs);
            assert!(plan_of(&goal, &costs) >= plan_of(&goal, &before));
        }
        let faster = Goal { orders_per_second: 10_000, ..goal };
        assert!(plan_of(&faster, &before) > plan_of(&goal, &before));
    }

    #[test]
    fn no_node_is_given_more_than_it_may_have() {
        for (connections, orders_per_second) in [(10_000_000, 100), (10_000_000, 10_000), (100_000, 100_000)]
        {
            let goal = Goal { connections, orders_per_second, ..goal() };
            let plan = plan(&goal, &costs(), &assumptions());
            assert!(plan.feasible);
            assert!(plan.cores_busy_of_node <= 32.0 * 0.7 + 1e-9);
            assert!(plan.ram_bytes_of_node <= goal.ram_bytes_of_node * 15.0 / 16.0);
            assert!(plan.gbit_of_node <= 25.0 * 0.7 + 1e-9);
            assert!(plan.nodes * plan.connections_of_node >= connections);
        }
    }

    #[test]
    fn what_binds_is_said() {
        let quiet = Goal { connections: 100_000_000, orders_per_second: 1, ..goal() };
        assert_eq!(plan(&quiet, &costs(), &assumptions()).binds, Resource::Memory);
        let busy = Goal { orders_per_second: 10_000, ..goal() };
        assert_eq!(plan(&busy, &costs(), &assumptions()).binds, Resource::Bandwidth);
        let fast = Assumptions { nic_gbit: 10_000.0, ..assumptions() };
        assert_eq!(plan(&busy, &costs(), &fast).binds, Resource::Cpu);
    }

    #[test]
    fn what_no_number_of_nodes_can_do_is_said() {
        let goal = Goal { symbols: 100_000, ..goal() };
        let plan = plan(&goal, &costs(), &assumptions());
        assert!(
            !plan.feasible && plan.nodes_by_memory.is_none(),
            "the windows alone are more than a node has"
        );
        assert_eq!(plan.binds, Resource::Memory);
    }
}
