//! How many sockets one run may hold, and from which addresses.

use crate::target::{Target, WrongUsage};
use std::net::{IpAddr, Ipv4Addr};

/// Of one process. Both ends of a loopback connection live on this machine and cost it kernel memory.
pub const DESCRIPTORS_MAX: usize = 20_000;

/// Kept free for the runtime, files, fresh subscribers and the order flow.
pub const DESCRIPTORS_RESERVED: usize = 100;

/// One source address has 28,232 ports by Linux's default range; fewer, as closed ones rest a minute.
const CONNECTIONS_PER_SOURCE: usize = 10_000;

/// Raises the soft limit if it has to, or says what is in the way.
pub fn allow(connections: usize) -> Result<(), WrongUsage> {
    let wanted = connections + DESCRIPTORS_RESERVED;
    if wanted > DESCRIPTORS_MAX {
        let most = DESCRIPTORS_MAX - DESCRIPTORS_RESERVED;
        return Err(WrongUsage(format!(
            "{connections} connections are too many for one process: at most {most}"
        )));
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit to write to for the length of the call.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    if got == 0 && limit.rlim_cur >= wanted as u64 {
        return Ok(());
    }
    limit.rlim_cur = limit.rlim_max.min(DESCRIPTORS_MAX as u64);
    // SAFETY: `limit` is a valid rlimit to read from for the length of the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    if got == 0 && set == 0 && limit.rlim_cur >= wanted as u64 {
        return Ok(());
    }
    let allowed = limit.rlim_max;
    Err(WrongUsage(format!(
        "{connections} connections need {wanted} descriptors, but ulimit -Hn allows {allowed}"
    )))
}

/// The address the `index`th connection comes from; None leaves it to the kernel.
pub fn source(target: &Target, connections: usize, index: usize) -> Option<IpAddr> {
    if connections <= CONNECTIONS_PER_SOURCE || target.address.is_ipv6() {
        return None;
    }
    Some(Ipv4Addr::new(127, 0, 0, 1 + (index / CONNECTIONS_PER_SOURCE) as u8).into())
}

/// `::1` is one address, and so is its range of ports.
pub fn expect_sources(target: &Target, connections: usize) -> Result<(), WrongUsage> {
    if connections > CONNECTIONS_PER_SOURCE && target.address.is_ipv6() {
        return Err(WrongUsage(format!(
            "more than {CONNECTIONS_PER_SOURCE} connections need a 127.0.0.1 target"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_connections_are_refused_with_the_number() {
        assert!(allow(10).is_ok());
        assert!(allow(20_000).unwrap_err().0.contains("at most 19900"));
    }

    #[test]
    fn many_connections_come_from_many_addresses() {
        let target = Target::websocket("ws://127.0.0.1:1/ws").unwrap();
        assert_eq!(source(&target, 10_000, 9_999), None);
        assert_eq!(source(&target, 15_000, 9_999).unwrap().to_string(), "127.0.0.1");
        assert_eq!(source(&target, 15_000, 10_000).unwrap().to_string(), "127.0.0.2");
        let target = Target::websocket("ws://[::1]:1/ws").unwrap();
        assert!(expect_sources(&target, 15_000).is_err());
    }
}
