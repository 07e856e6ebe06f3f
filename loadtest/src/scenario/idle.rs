//! `loadtest idle`: what a connection costs that is subscribed and hears nothing.
//!
//! The server's user memory comes from /proc/PID; the kernel's from the slab caches and TCP's own account. Both ends of
//! each connection live in this kernel, so its figure is for two sockets, and anything else the machine does in the
//! meantime is in it too.

use super::audience::{Audience, Spread};
use super::fleet::{Clients, Plan};
use crate::monitor::Sample;
use crate::report::{Outcome, Verdict, field, kib};
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::read_to_string;
use std::time::Duration;

/// Slab caches worth a line in the report.
const CACHES_SHOWN: usize = 10;

#[derive(Clone, Debug)]
pub struct Options {
    pub plan: Plan,
    /// Over several processes; otherwise they are all in this one.
    pub spread: Option<Spread>,
    /// Of the server.
    pub pid: u32,
    /// Quiet time before each reading of the memory.
    pub settle: Duration,
}

#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// The server's own anonymous memory: heap, stacks, rings.
    pub server_anonymous_bytes: u64,
    pub server_resident_bytes: u64,
    pub kernel_slab_bytes: u64,
    /// Pages TCP has charged to socket buffers.
    pub tcp_buffer_bytes: u64,
    /// Objects in use times their size; empty unless we are root.
    pub caches: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
pub struct Results {
    pub connections: usize,
    pub before: Memory,
    pub after: Memory,
    pub user_bytes_per_connection: f64,
    /// Both ends of the connection.
    pub kernel_slab_bytes_per_connection: f64,
    pub tcp_buffer_bytes_per_connection: f64,
    /// The caches that grew most.
    pub cache_bytes_per_connection: Vec<(String, f64)>,
    pub samples: Vec<Sample>,
}

pub async fn run(options: &Options, progress: &ProgressBar) -> Result<Outcome<Results>> {
    tokio::time::sleep(options.settle).await;
    let before = Memory::read(options.pid)?;
    let clients = Clients { pid: Some(options.pid), ..Clients::default() };
    let spread = options.spread.as_ref();
    let mut audience = Audience::launch(&options.plan, &clients, spread, progress).await?;
    audience.pass(options.settle, progress).await?;
    let samples = audience.samples();
    let after = Memory::read(options.pid)?;
    let (live, wanted) = (audience.live(), options.plan.subscribers);
    let mut verdict = Verdict::default();
    verdict.expect(live == wanted, || format!("{live} of {wanted} connections became live"));
    verdict.merge(audience.gather().await?.verdict);
    Ok(Outcome { results: Results::new(live, before, after, samples), verdict })
}

impl Memory {
    fn read(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let server = read_to_string(&path).with_context(|| format!("reading {path}; is the server ours?"))?;
        let kernel = read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
        let sockets = read_to_string("/proc/net/sockstat").context("reading /proc/net/sockstat")?;
        let bytes = |text: &str, name: &str| field(text, name).and_then(kib).map(|kib| kib * 1024);
        Ok(Memory {
            server_anonymous_bytes: bytes(&server, "Anonymous").context("no Anonymous in smaps_rollup")?,
            server_resident_bytes: bytes(&server, "Rss").context("no Rss in smaps_rollup")?,
            kernel_slab_bytes: bytes(&kernel, "Slab").context("no Slab in /proc/meminfo")?,
            tcp_buffer_bytes: tcp_pages(&sockets).context("no TCP mem in /proc/net/sockstat")? * page_bytes(),
            caches: caches(&read_to_string("/proc/slabinfo").unwrap_or_default()),
        })
    }
}

/// `TCP: inuse 3 orphan 0 tw 98 alloc 3 mem 69`
fn tcp_pages(sockstat: &str) -> Option<u64> {
    let mut words = field(sockstat, "TCP")?.split(' ');
    words.find(|word| *word == "mem")?;
    words.next()?.parse().ok()
}

fn page_bytes() -> u64 {
    // SAFETY: sysconf takes no pointers.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as u64 }
}

/// `name <active_objs> <num_objs> <objsize> ...`, after two header lines.
fn caches(slabinfo: &str) -> BTreeMap<String, u64> {
    let cache = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, active, _, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
        Some((name.to_owned(), active.parse::<u64>().ok()? * size.parse::<u64>().ok()?))
    };
    slabinfo.lines().skip(2).filter_map(cache).collect()
}

impl Results {
    fn new(connections: usize, before: Memory, after: Memory, samples: Vec<Sample>) -> Self {
        let each = |before: u64, after: u64| (after as f64 - before as f64) / connections.max(1) as f64;
        let grown = |(name, bytes): (&String, &u64)| {
            (name.clone(), each(before.caches.get(name).copied().unwrap_or(0), *bytes))
        };
        let mut caches: Vec<(String, f64)> = after.caches.iter().map(grown).collect();
        caches.sort_by(|one, other| other.1.total_cmp(&one.1));
        caches.truncate(CACHES_SHOWN);
        Results {
            connections,
            user_bytes_per_connection: each(before.server_anonymous_bytes, after.server_anonymous_bytes),
            kernel_slab_bytes_per_connection: each(before.kernel_slab_bytes, after.kernel_slab_bytes),
            tcp_buffer_bytes_per_connection: each(before.tcp_buffer_bytes, after.tcp_buffer_bytes),
            cache_bytes_per_connection: caches,
            before,
            after,
            samples,
        }
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} idle subscribed connections, bytes for each:", self.connections)?;
        writeln!(f, "  server, user memory:      {:.0}", self.user_bytes_per_connection)?;
        writeln!(f, "  kernel slab, both ends:   {:.0}", self.kernel_slab_bytes_per_connection)?;
        write!(f, "  socket buffers, both ends: {:.0}", self.tcp_buffer_bytes_per_connection)?;
        for (name, bytes) in self.cache_bytes_per_connection.iter().filter(|(_, bytes)| *bytes >= 1.0) {
            write!(f, "\n    {name}: {bytes:.0}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_accounts_are_read() {
        let sockstat = "sockets: used 18\nTCP: inuse 3 orphan 0 tw 98 alloc 3 mem 69\nUDP: inuse 0 mem 0\n";
        assert_eq!(tcp_pages(sockstat), Some(69));
        let slabinfo =
            "slabinfo - version: 2.1\n# name <active_objs>\nTCP  65  70  2368  13 8 : tunables 0 0 0\n";
        assert_eq!(caches(slabinfo), BTreeMap::from([("TCP".to_owned(), 65 * 2368)]));
        assert!(caches("").is_empty());
    }

    #[test]
    fn our_own_memory_can_be_read() {
        let memory = Memory::read(std::process::id()).unwrap();
        assert!(
            memory.server_anonymous_bytes > 0
                && memory.server_resident_bytes >= memory.server_anonymous_bytes
        );
        assert!(memory.kernel_slab_bytes > 0);
    }
}
