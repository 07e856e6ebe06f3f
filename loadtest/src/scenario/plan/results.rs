//! The plan for people, with everything it was made of.

use super::Costs;
use super::loopback;
use super::model::{Assumptions, Demand, Goal, Plan, Resource};
use serde::Serialize;
use std::fmt;

#[derive(Debug, Serialize)]
pub struct Results {
    pub goal: Goal,
    pub plan: Plan,
    /// On this machine, over loopback.
    pub costs: Costs,
    pub assumptions: Assumptions,
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Goal { connections, orders_per_second, symbols, ram_bytes_of_node, cpu_share_max } = self.goal;
        writeln!(
            f,
            "{connections} connections, {orders_per_second} orders/s in {symbols} symbols, at most {:.0} GiB and {:.0} % of the processors of a node",
            gib(ram_bytes_of_node),
            cpu_share_max * 100.0
        )?;
        self.nodes(f)?;
        demand(f, &self.plan.demand)?;
        self.measured(f)?;
        self.assumed(f)
    }
}

impl Results {
    fn nodes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { nodes, binds, connections_of_node, cores_busy_of_node, gbit_of_node, p99_ms, .. } =
            &self.plan;
        if !self.plan.feasible {
            return writeln!(f, "  no number of such nodes can do it: {} is the reason", name(*binds));
        }
        let cores = self.assumptions.cores_of_node;
        writeln!(f, "  {nodes} nodes of {connections_of_node} connections; {} binds", name(*binds))?;
        writeln!(
            f,
            "  each: {cores_busy_of_node:.1} of {cores} cores busy, {:.2} GiB, {gbit_of_node:.2} Gbit/s; expected p99 {p99_ms:.1} ms from event to kernel",
            gib(self.plan.ram_bytes_of_node)
        )?;
        let Plan { nodes_by_cpu, nodes_by_memory, nodes_by_bandwidth, .. } = &self.plan;
        let alone = |nodes: &Option<u64>| nodes.map_or("no number".to_owned(), |nodes| nodes.to_string());
        writeln!(
            f,
            "  nodes that each alone would ask for: processors {}, memory {}, bandwidth {}",
            alone(nodes_by_cpu),
            alone(nodes_by_memory),
            alone(nodes_by_bandwidth)
        )
    }

    fn measured(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Costs { send_ns, send_ns_per_byte, command_ns, encode_ns, push_ns, frame_bytes, .. } =
            &self.costs;
        writeln!(f, "  measured here, over loopback:")?;
        writeln!(f, "    a send: {send_ns:.0} ns and {send_ns_per_byte:.3} ns a byte of the server's, from")?;
        for point in &self.costs.send_points {
            let (server, reader) = (point.server_ns, point.reader_ns);
            writeln!(
                f,
                "      {:6.0} bytes: server {server:.0} ns, its reader {reader:.0} ns, {} sends",
                point.bytes, point.sends
            )?;
        }
        writeln!(f, "    of it our own code, by simulation: {push_ns:.0} ns a write")?;
        let (sent, queued) = (self.costs.loopback_send_ns, self.costs.loopback_queue_ns);
        writeln!(
            f,
            "    a bare send of {} bytes: {sent:.0} ns; {queued:.0} ns when only queued. The other {:.0} % are both halves of the way through the stack: loopback does the receiver's half in the sender's time, a network card does not",
            loopback::BYTES,
            self.costs.receiver_share_max() * 100.0
        )?;
        writeln!(f, "    an order or cancel, received, matched and answered: {command_ns:.0} ns")?;
        writeln!(
            f,
            "    a frame, of a trade and a change by turns: {encode_ns:.0} ns to encode, {frame_bytes:.0} bytes"
        )?;
        let Costs { user_bytes, kernel_bytes, base_bytes, .. } = &self.costs;
        writeln!(
            f,
            "    an idle connection: {user_bytes:.0} bytes of ours, {kernel_bytes:.0} of the kernel's (half of both ends); without any {:.3} GiB",
            gib(*base_bytes)
        )
    }

    fn assumed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Assumptions { cores_of_node, nic_gbit, nic_share_max, zipf, frames_per_order, .. } =
            self.assumptions;
        let reached = self.plan.demand.subscriptions / self.goal.connections as f64;
        let Assumptions { subscriptions_of_connection, batch_ms, rtt_ms, window_bytes, .. } =
            self.assumptions;
        writeln!(f, "  assumed:")?;
        writeln!(
            f,
            "    {cores_of_node} cores as fast as these, {nic_gbit} Gbit/s of which {:.0} % are used; costs grow with cores in proportion",
            nic_share_max * 100.0
        )?;
        writeln!(
            f,
            "    {subscriptions_of_connection} symbols a connection (with these symbols it has {reached:.1}), popularity of orders and readers by Zipf with exponent {zipf}, {frames_per_order} frames an order"
        )?;
        writeln!(
            f,
            "    a connection is written to at most every {batch_ms} ms a symbol; the kernel keeps twice what is on the way for {rtt_ms} ms"
        )?;
        if let Some(bytes) = self.assumptions.write_bytes_max {
            writeln!(
                f,
                "    clients take a view of which a write has at most {bytes:.0} bytes, not every trade and change"
            )?;
        }
        write!(
            f,
            "    {window_bytes:.0} bytes of window a symbol; a sixteenth of the memory is left alone; a ping to every silent client each 20 s, and reading its pong costs as much as sending it; sockets cost the same beside a network card; every node encodes every symbol; the journal and the keeper, TLS, acknowledgements and interrupts of the card are in none of it"
        )
    }
}

fn demand(f: &mut fmt::Formatter<'_>, demand: &Demand) -> fmt::Result {
    let Demand {
        frames_made,
        frames_delivered,
        writes,
        bytes,
        send_cores,
        command_cores,
        keepalive_cores,
        encode_cores_of_node,
        ..
    } = demand;
    writeln!(
        f,
        "  all together: {frames_made:.0} frames/s made, {frames_delivered:.3e} delivered in {writes:.3e} writes, {:.1} Gbit/s",
        bytes * 8.0 / 1e9
    )?;
    writeln!(
        f,
        "    cores: {send_cores:.1} to send, {command_cores:.2} for orders, {keepalive_cores:.2} for pings and pongs, {encode_cores_of_node:.4} on each node to encode"
    )
}

fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::Cpu => "processor time",
        Resource::Memory => "memory",
        Resource::Bandwidth => "bandwidth",
    }
}

fn gib(bytes: f64) -> f64 {
    bytes / (1u64 << 30) as f64
}
