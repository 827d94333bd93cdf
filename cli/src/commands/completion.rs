//! `completion`: the script that makes a shell complete commands and options.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{args::Args, exit::Exit, failure::Failure, output::Output};

/// Writes the script to stdout.
pub(crate) fn completion(shell: Shell, output: &mut Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "studio-search", &mut script);
    output.write(&script)?;
    Ok(Exit::Done)
}
