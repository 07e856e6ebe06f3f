//! What open files the system lets this process have, and who may have them.
//!
//! Whoever comes in takes one; the journal needs one now and then, and an exchange that cannot open its next file takes no
//! orders. So connections get what is left after everything else has its part, and never more.

use crate::config::Config;
use crate::{control, reactor};
use anyhow::{Context, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Of the process: its standard streams, listeners, the control plane's runtime, the journal's segments, snapshots that are written
/// and read, the history and who reads it. An idle one with all of it has 25.
const OF_PROCESS: u64 = 96;
/// Of each reactor and the engine's threads beside it: rings, polls, wake-ups, a listener, the rooms' file. They have 11.
const OF_REACTOR: u64 = 16;
/// Where not all connections fit, HTTP has an eighth of them at most.
const HTTP_PART: u64 = 8;
/// Fewer connections than this are no exchange.
const CONNECTIONS_MIN: u64 = 64;

/// Takes as many descriptors as the system gives, and returns the configuration with bounds of connections that these allow.
///
/// # Errors
/// If they do not allow any.
pub fn fitted(config: &Config) -> anyhow::Result<Config> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the number of open files stays as it is");
    }
    let mut config = config.clone();
    if let Some(descriptors) = getrlimit(Resource::Nofile).current {
        fit(&mut config, descriptors)
            .with_context(|| format!("open files (`ulimit -n` says {descriptors})"))?;
    }
    Ok(config)
}

fn fit(config: &mut Config, descriptors: u64) -> anyhow::Result<()> {
    let reactors = config.shape().reactors as u64;
    let beside = OF_PROCESS + control::serve::REFUSALS_MAX as u64 + reactors * OF_REACTOR;
    let refused = |left: u64| reactors * reactor::waited_for_max((left / reactors) as usize) as u64;
    let needed = beside + refused(0) + CONNECTIONS_MIN;
    ensure!(descriptors >= needed, "at least {needed} are needed");
    let left = descriptors - beside - refused(descriptors - beside);
    let limits = &mut config.limits;
    let of_http = (left / HTTP_PART).max(left.saturating_sub(limits.connections_max as u64));
    let http = (limits.http_connections_max as u64).min(of_http);
    let connections = (limits.connections_max as u64).min(left - http);
    if (connections, http) != (limits.connections_max as u64, limits.http_connections_max as u64) {
        tracing::warn!(
            descriptors,
            connections_max = connections,
            http_connections_max = http,
            "there are fewer open files than limits.connections_max ({}) and limits.http_connections_max ({}) need: raise `ulimit -n`",
            limits.connections_max,
            limits.http_connections_max,
        );
    }
    limits.connections_max = connections as usize;
    limits.http_connections_max = http as usize;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bounds(descriptors: u64) -> anyhow::Result<(usize, usize)> {
        let keys = json!({"reactors": 2, "limits": {"connections_max": 1000, "http_connections_max": 100}});
        let mut config = Config::load(None, &keys, &json!({})).unwrap();
        fit(&mut config, descriptors)?;
        Ok((config.limits.connections_max, config.limits.http_connections_max))
    }

    #[test]
    fn connections_leave_descriptors_to_the_journal() {
        // Beside connections: the process, its two reactors, those whom HTTP refuses.
        let beside = 96 + 2 * 16 + 64;
        assert_eq!(bounds(beside + 1172).unwrap(), (1000, 100), "all fit, with 36 that each reactor refuses");
        assert_eq!(bounds(beside + 1171).unwrap(), (999, 100));
        assert_eq!(bounds(beside + 160).unwrap(), (126, 18), "an eighth is for HTTP");
        let error = bounds(beside + 16 + 63).unwrap_err().to_string();
        assert!(error.contains(&(beside + 16 + 64).to_string()), "{error}");
        assert_eq!(bounds(beside + 16 + 64).unwrap(), (56, 8));
    }

    #[test]
    fn http_has_what_others_leave() {
        let keys = json!({"reactors": 1, "limits": {"connections_max": 1000, "http_connections_max": 512}});
        let mut config = Config::load(None, &keys, &json!({})).unwrap();
        fit(&mut config, 4096).unwrap();
        let limits = config.limits;
        assert_eq!((limits.connections_max, limits.http_connections_max), (1000, 512));
    }

    #[test]
    fn a_large_machine_with_few_descriptors_starts() {
        let mut config = Config::load(None, &json!({"reactors": 62}), &json!({})).unwrap();
        fit(&mut config, 4096).unwrap();
        assert!(config.limits.connections_max > 2000, "{}", config.limits.connections_max);
    }
}
