use clap::Parser;
use gateway::cli::{Cli, Command, ReplayCommand, ServeArgs};
use gateway::config::Config;
use gateway::demo;
use gateway::journal::{self, JournalCommand};
use gateway::listen::Addresses;
use gateway::log;
use gateway::recovery;
use gateway::replay::{self, Clock, ReplayArgs};
use gateway::start::{self, Driver, Exchange, Seat};
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Wrong usage or configuration.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::start();
    outlive_file_limits();
    let code = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => serve(&args),
        Command::Replay(args) if args.replay.serve => serve_replay(&args),
        Command::Replay(args) => replay(&args.replay),
        Command::Journal(command) => journal(&command),
    };
    log::end();
    code
}

/// A file that has its largest size (`ulimit -f`) is then an error of the write, which is dealt with as a full disk, and not
/// the end of the process.
fn outlive_file_limits() {
    // SAFETY: the signal is ignored, so no handler of ours ever runs.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

fn journal(command: &JournalCommand) -> ExitCode {
    match journal::run(command, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn serve(args: &ServeArgs) -> ExitCode {
    let config = match Config::load(args.config.as_deref(), &args.keys, &args.shards) {
        Ok(config) => config,
        Err(error) => return wrong_usage(error),
    };
    let exchange = match demo_exchange(&config) {
        Ok(exchange) => exchange,
        Err(error) => return wrong_usage(error),
    };
    run(config, exchange, args.json)
}

/// The configured market, with the demo flow if wanted.
fn demo_exchange(config: &Config) -> anyhow::Result<Exchange> {
    let market = Arc::new(config.market()?);
    let symbols = if config.demo_flow { config.demo_prices(&market)? } else { Vec::new() };
    let symbols = symbols.into_iter().take(demo::SYMBOLS_MAX).collect();
    let seed = config.demo_seed;
    let demo = Driver { name: "demo", run: Box::new(move |seat| demo::run(seat, symbols, seed)) };
    let drivers = if config.demo_flow { vec![demo] } else { Vec::new() };
    Ok(Exchange { paper_funds: config.paper_funds()?, market, first_account: demo::ACCOUNTS, drivers })
}

fn replay(args: &ReplayArgs) -> ExitCode {
    match replay::run(args) {
        Ok(outcome) => {
            let text = if args.json {
                serde_json::to_string(&outcome).expect("figures are plain data")
            } else {
                outcome.to_string()
            };
            match writeln!(std::io::stdout(), "{text}") {
                Ok(()) => ExitCode::from(outcome.exit_code()),
                Err(error) => failed(&anyhow::Error::from(error).context("standard output")),
            }
        }
        Err(error) => wrong_usage(error),
    }
}

/// The recording's market, fed by the recording, for clients to watch and to trade in.
fn serve_replay(args: &ReplayCommand) -> ExitCode {
    let shards =
        json!({"sequencers": args.replay.sequencers, "matchers": args.replay.matchers, "demo_flow": false});
    let loaded = Config::load(args.config.as_deref(), &args.keys, &shards)
        .and_then(|config| Ok((config, replay::load(&args.replay.dir)?.0)));
    let (config, flow) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return wrong_usage(error),
    };
    let funded = flow.funding.iter().filter_map(|input| input.command.account());
    let accounts = funded.map(|account| account.0 + 1).max().unwrap_or(0);
    let paper_funds = replay::paper_funds(&flow.market);
    let (market, speed, wait_for) = (flow.market.clone(), args.replay.speed, args.wait_for_subscriptions);
    let driver = Driver {
        name: "replay",
        run: Box::new(move |mut seat| {
            let open =
                |seat: &Seat| seat.reactors.iter().map(|reactor| reactor.memberships.get()).sum::<u64>();
            while open(&seat) < wait_for && !seat.stopping.load(Ordering::Relaxed) {
                seat.bell.wait(Some(Duration::from_millis(5)), || false);
            }
            let progress = replay::bar(&flow);
            replay::feed(&mut seat.port, &flow, speed, Clock::Wall, &seat.stopping, &progress, |_| {});
            progress.finish();
            tracing::info!("the recording has been replayed; its book stays open");
            while !seat.stopping.load(Ordering::Relaxed) {
                seat.port.take_reports(usize::MAX, |_| {});
                seat.bell.wait(Some(Duration::from_millis(100)), || false);
            }
        }),
    };
    run(
        config,
        Exchange { market, paper_funds, first_account: accounts, drivers: vec![driver] },
        args.replay.json,
    )
}

fn run(mut config: Config, exchange: Exchange, json: bool) -> ExitCode {
    if let Err(error) = recovery::take_shards_of_journal(&mut config) {
        return failed(&error);
    }
    match start::run(&config, exchange, |addresses| announce(addresses, json), interrupted) {
        Ok(at_rest) => {
            at_rest.check();
            tracing::info!("stopped: all money accounted for");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    log::say_last(&format!("error: {error:#}"));
    ExitCode::FAILURE
}

fn wrong_usage(error: anyhow::Error) -> ExitCode {
    log::say_last(&format!("error: {error:#}"));
    ExitCode::from(USAGE)
}

/// If nobody can hear it, the exchange runs all the same: its addresses are known to who chose them.
fn announce(addresses: &Addresses, json: bool) {
    let (ws, http) = (format!("ws://{}/ws", addresses.ws), format!("http://{}/", addresses.http));
    let text = match json {
        true => json!({"event": "ready", "ws": ws, "http": http}).to_string(),
        false => format!("ready: page {http}  orders and market data {ws}  (Ctrl-C stops)"),
    };
    tracing::info!(ws, http, "ready");
    if let Err(error) = writeln!(std::io::stdout(), "{text}") {
        tracing::warn!(%error, "that could not be written to standard output");
    }
}

/// Listens from now on; what it returns completes on Ctrl-C or SIGTERM.
fn interrupted() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be listened to");
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to");
    async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
    }
}
