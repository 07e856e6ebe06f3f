//! Loopback by name. Listening there does not keep a browser's pages out: a name that its owner points here makes his page "ours".
//! So what is for this machine must have been sent to a name of loopback.

use std::net::IpAddr;

/// Whether a host with or without a port is this machine's own.
pub fn is_loopback(authority: &str) -> bool {
    let port = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
    let name = &authority[..port.unwrap_or(authority.len())];
    name.eq_ignore_ascii_case("localhost")
        || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn names_of_loopback() {
        for good in [
            "127.0.0.1:8080",
            "127.0.0.1",
            "127.3.2.1:1",
            "localhost:8080",
            "LocalHost",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in ["evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1:8080", "", ":8080", "[::2]:1"] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }
}
