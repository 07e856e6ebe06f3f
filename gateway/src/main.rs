use clap::Parser;
use gateway::cli::{Cli, Command, ServeArgs};
use gateway::config::Config;
use gateway::start::{self, Addresses, Driver, Exchange};
use gateway::{demo, reactor};
use std::process::ExitCode;
use std::sync::Arc;

/// Wrong usage or configuration.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("RINGSIDE_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => serve(&args),
    }
}

fn serve(args: &ServeArgs) -> ExitCode {
    let config = match Config::load(args.config.as_deref(), &args.keys) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(USAGE);
        }
    };
    match exchange(&config).and_then(|exchange| {
        start::run(&config, exchange, |addresses| announce(addresses, args.json), interrupted())
    }) {
        Ok(at_rest) => {
            at_rest.check();
            tracing::info!("stopped: every client was told, all money accounted for");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The configured market, with the demo flow if wanted.
fn exchange(config: &Config) -> anyhow::Result<Exchange> {
    let market = Arc::new(config.market()?);
    let symbols = if config.demo_flow { config.demo_prices(&market)? } else { Vec::new() };
    let first_account = demo::accounts(symbols.len());
    let seed = config.demo_seed;
    let demo = Driver {
        name: "demo",
        run: Box::new(move |port, bell, venue, stopping| {
            demo::run(port, bell, venue, stopping, symbols, seed)
        }),
    };
    let drivers = if config.demo_flow { vec![demo] } else { Vec::new() };
    Ok(Exchange { paper_funds: config.paper_funds()?, market, first_account, drivers })
}

fn announce(addresses: &Addresses, json: bool) {
    let (ws, http) = (format!("ws://{}/ws", addresses.ws), format!("http://{}/", addresses.http));
    if json {
        println!("{}", serde_json::json!({"event": "ready", "ws": ws, "http": http}));
    } else {
        println!("ready: page {http}  orders and market data {ws}  (Ctrl-C stops)");
    }
}

/// Completes on Ctrl-C or SIGTERM.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!(at = %reactor::clock(), "stopping");
}
