//! The command line: options in, one scenario, a summary for people and a report for programs.
//!
//! Exit codes: 0 all promises kept, 1 a violation or a failure, 2 wrong usage or a target we refuse.

mod cli;

use anyhow::{Context, Result};
use clap::Parser;
use cli::{Cli, Scenario};
use indicatif::{ProgressBar, ProgressStyle};
use loadtest::client::now_us;
use loadtest::html;
use loadtest::report::{Machine, Outcome, Report, commit};
use loadtest::scenario::{
    audience, bare, churn, curve, fanout, follow, idle, orders, plan, rush, simulate, slow,
};
use loadtest::target::WrongUsage;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let cli = Cli::parse(); // wrong usage exits with 2 here
    match runtime(cli.threads).and_then(|runtime| runtime.block_on(cli.run())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::from(if error.is::<WrongUsage>() { 2 } else { 1 })
        }
    }
}

fn runtime(threads: u64) -> Result<tokio::runtime::Runtime> {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(threads as usize).enable_all().build().context("starting the runtime")
}

impl Cli {
    async fn run(&self) -> Result<bool> {
        let run = Run { cli: self, started_us: now_us(), started: Instant::now() };
        match &self.scenario {
            Scenario::Follow(arguments) => {
                let outcome = follow::run(&arguments.options()?).await?;
                run.finish("follow", arguments, outcome)
            }
            Scenario::Orders(arguments) => {
                let progress = progress("connections done");
                let outcome = orders::run(&arguments.options(&run).await?, &progress).await?;
                run.finish("orders", arguments, outcome)
            }
            Scenario::Fanout(arguments) => {
                let progress = progress("subscribers");
                let outcome = fanout::run(&arguments.options(&run).await?, &progress).await?;
                run.finish("fanout", arguments, outcome)
            }
            Scenario::Curve(arguments) => {
                let progress = progress("points");
                let outcome = curve::run(&arguments.options(&run).await?, &progress).await?;
                if let Some(file) = arguments.markdown() {
                    std::fs::write(file, outcome.results.markdown())
                        .with_context(|| format!("writing {}", file.display()))?;
                }
                run.finish("curve", arguments, outcome)
            }
            Scenario::Simulate(arguments) => {
                let progress = progress("simulated");
                let outcome = simulate::run(&arguments.options(self.seed, self.threads), &progress)?;
                run.finish("simulate", arguments, outcome)
            }
            Scenario::Slow(arguments) => {
                let progress = progress("subscribers");
                let (options, clients) = (arguments.options(&run).await?, arguments.clients(&run));
                let outcome = slow::run_as(&options, &clients, &progress).await?;
                run.finish("slow", arguments, outcome)
            }
            Scenario::Rush(arguments) => {
                let progress = progress("subscribers");
                let outcome = rush::run(&arguments.options(&run).await?, &progress).await?;
                run.finish("rush", arguments, outcome)
            }
            Scenario::Idle(arguments) => {
                let progress = progress("connections");
                let outcome = idle::run(&arguments.options()?, &progress).await?;
                run.finish("idle", arguments, outcome)
            }
            Scenario::Churn(arguments) => {
                let progress = progress("stayers");
                let outcome = churn::run(&arguments.options(&run).await?, &progress).await?;
                run.finish("churn", arguments, outcome)
            }
            Scenario::Plan(arguments) => {
                let progress = progress("measured");
                let outcome = plan::run(&arguments.options(&run)?, &progress).await?;
                run.finish("plan", arguments, outcome)
            }
            Scenario::Bare(arguments) => {
                let progress = progress("subscribers");
                let outcome = bare::run(&arguments.options(&run)?, &progress).await?;
                run.finish("bare", arguments, outcome)
            }
            Scenario::BareSender(arguments) => bare::sender::run(&arguments.options()?).map(|()| true),
            Scenario::Part => audience::run_part().await,
        }
    }
}

/// What is the same for every scenario.
struct Run<'a> {
    cli: &'a Cli,
    started_us: u64,
    started: Instant,
}

impl Run<'_> {
    fn finish<R: Serialize + std::fmt::Display>(
        &self,
        scenario: &str,
        arguments: &impl Serialize,
        outcome: Outcome<R>,
    ) -> Result<bool> {
        let Outcome { results, verdict } = outcome;
        println!("{results}");
        match verdict.violation_count {
            0 => println!("  no violations"),
            count => println!("  {count} violations, the first:"),
        }
        for violation in &verdict.violations {
            println!("    {violation}");
        }
        let report = Report {
            tool: "loadtest",
            version: env!("CARGO_PKG_VERSION"),
            scenario,
            ok: verdict.ok(),
            commit: commit(),
            machine: Machine::this(),
            seed: self.cli.seed,
            started_us: self.started_us,
            elapsed_seconds: self.started.elapsed().as_secs_f64(),
            arguments: serde_json::to_value(arguments)?,
            results: &results,
            verdict: &verdict,
        };
        if let Some(file) = &self.cli.json {
            let text = serde_json::to_string_pretty(&report)?;
            std::fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
        }
        if let Some(file) = &self.cli.html {
            let page = html::page(&serde_json::to_value(&report)?)?;
            std::fs::write(file, page).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(verdict.ok())
    }

    /// Order ids of this run differ from any earlier run's.
    fn id(&self) -> u64 {
        self.started_us
    }
}

/// Draws on stderr, and only if that is a terminal.
fn progress(unit: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!(
        "{{elapsed_precise}} {{bar:30}} {{pos}}/{{len}} {unit} {{msg}}"
    ));
    ProgressBar::new(0)
        .with_style(style.expect("the template is valid"))
        .with_finish(indicatif::ProgressFinish::AndClear)
}
