//! The plan by hand, and what always holds of it.

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
    let of =
        |write_bytes_max| plan(&goal(), &costs(), &Assumptions { write_bytes_max, ..assumptions() }).demand;
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
    for (connections, orders_per_second) in [(10_000_000, 100), (10_000_000, 10_000), (100_000, 100_000)] {
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
    assert!(!plan.feasible && plan.nodes_by_memory.is_none(), "the windows alone are more than a node has");
    assert_eq!(plan.binds, Resource::Memory);
}
