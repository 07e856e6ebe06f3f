use clap::Parser;
use gateway::replay::{self, ReplayArgs};
use std::process::ExitCode;

#[derive(Parser)]
enum Cli {
    Replay(ReplayArgs),
}

fn main() -> ExitCode {
    let Cli::Replay(args) = Cli::parse();
    if args.serve {
        eprintln!("error: --serve is not here yet");
        return ExitCode::from(2);
    }
    match replay::run(&args) {
        Ok(outcome) if args.json => {
            println!("{}", serde_json::to_string(&outcome).expect("figures are plain data"));
            ExitCode::from(outcome.exit_code())
        }
        Ok(outcome) => {
            println!("{outcome}");
            ExitCode::from(outcome.exit_code())
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
