//! `lymph`: parse what was typed, do it, say what went wrong, exit.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use lymph_node::cli;

fn main() -> ExitCode {
    // clap says what is wrong with the usage itself, and exits with 2.
    let typed = cli::args::Cli::parse();
    match cli::run(typed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let label = if io::stderr().is_terminal() {
                "\x1b[31merror\x1b[0m"
            } else {
                "error"
            };
            // Nobody is left to tell if this fails.
            let _ = writeln!(
                io::stderr(),
                "{label}: {}",
                cli::safe_lines(&format!("{error:#}"))
            );
            ExitCode::FAILURE
        }
    }
}
