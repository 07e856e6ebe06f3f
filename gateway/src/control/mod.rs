//! Placeholder while the module is being put in place.
use crate::feed::FeedCounters;
use crate::reactor::ReactorCounters;
use crate::rooms::Registry;
use crate::venue::Venue;
use engine_core::counters::*;
use std::sync::{Arc, atomic::AtomicBool};
pub struct Control {
    pub venue: Arc<Venue>,
    pub registry: Arc<Registry>,
    pub reactors: Vec<Arc<ReactorCounters>>,
    pub feeds: Vec<Arc<FeedCounters>>,
    pub sequencers: Vec<Arc<SequencerCounters>>,
    pub matchers: Vec<Arc<MatcherCounters>>,
    pub ready: Arc<AtomicBool>,
    pub info: Info,
    pub started: std::time::Instant,
}
pub struct Info {
    pub ws_url: String,
    pub mode: &'static str,
    pub demo: bool,
    pub version: &'static str,
}
pub async fn serve(
    _l: tokio::net::TcpListener,
    _c: Arc<Control>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    stop.await;
    Ok(())
}
