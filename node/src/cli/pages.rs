//! `lymph completions` and `lymph man`: made from the command line's own description.

use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use super::args::Cli;
use super::out::Out;

pub(super) fn completions(shell: Shell, out: &mut Out) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lymph", &mut script);
    Ok(out.raw(&script)?)
}

pub(super) fn man(dir: Option<&Path>, out: &mut Out) -> Result<()> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        return Ok(out.raw(&page)?);
    };
    let cannot = || format!("cannot write manual pages to {}", dir.display());
    std::fs::create_dir_all(dir).with_context(cannot)?;
    clap_mangen::generate_to(Cli::command(), dir).with_context(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_describes_itself_without_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        fn check(command: &clap::Command) {
            assert!(
                command.get_about().is_some(),
                "{} has no description",
                command.get_name()
            );
            command.get_subcommands().for_each(check);
            let is_leaf = command.get_subcommands().next().is_none();
            assert!(
                !is_leaf || command.get_after_help().is_some(),
                "{} has no example",
                command.get_name()
            );
        }
        check(&Cli::command());
    }
}
