//! `asdbench completions` and `asdbench man`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Context, Failure};

/// Arguments of `asdbench completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Print completions for a shell.
pub fn completions(args: &CompletionsArgs, context: &Context) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "asdbench", &mut text);
    context.print(|out| out.write_all(&text))
}

/// Print the manual page, in roff.
pub fn man(context: &Context) -> Result<(), Failure> {
    context.print(|out| clap_mangen::Man::new(Cli::command()).render(&mut &mut *out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }
}
