//! The child's side: a fleet of its own, told what to do by lines of JSON on its input. Each has one answer.

use super::Seen;
use crate::descriptors;
use crate::scenario::fleet::{Clients, Fleet, Harvest, Phase, Plan};
use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use tokio::sync::mpsc;

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    Launch(Box<(Plan, Clients)>),
    Enter(Phase),
    Look,
    Land,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Live(usize),
    Entered,
    Seen(Seen),
    Home(Box<Harvest>),
    /// The process ends after it.
    Failed(String),
}

/// Ends when the subscribers are home, or when there is nobody to obey any more. False: it failed, and has told so.
pub async fn run() -> Result<bool> {
    let ended = obey().await;
    if let Err(error) = &ended {
        say(&Answer::Failed(format!("{error:#}")))?;
    }
    Ok(ended.is_ok())
}

async fn obey() -> Result<()> {
    let (heard, mut orders) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if heard.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut fleet = None;
    while let Some(line) = orders.recv().await {
        match serde_json::from_str(&line).context("an order")? {
            Order::Launch(task) => {
                let (plan, clients) = *task;
                descriptors::allow(plan.subscribers)?;
                let launched = Fleet::launch_as(&plan, &clients, &ProgressBar::hidden()).await?;
                say(&Answer::Live(launched.live))?;
                fleet = Some(launched);
            }
            Order::Enter(phase) => {
                fleet.as_ref().context("a phase before the launch")?.enter(phase);
                say(&Answer::Entered)?;
            }
            Order::Look => {
                let (seen, _) = fleet.as_ref().context("a look before the launch")?.look();
                say(&Answer::Seen(seen))?;
            }
            Order::Land => {
                let harvest = fleet.take().context("landing before the launch")?.harvest().await?;
                return say(&Answer::Home(Box::new(harvest)));
            }
        }
    }
    bail!("the process that started this one is gone")
}

fn say(answer: &Answer) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(answer)?)?;
    Ok(out.flush()?)
}
