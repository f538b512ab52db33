//! `asdbench config`: what a configuration says, whether it is right, and what it may say.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Context, Failure};
use crate::config::{self, Error, Resolved};
use crate::report::{Align, Format, Table};

/// Arguments of `asdbench config`.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// What to do with a configuration.
#[derive(Subcommand, Debug)]
pub enum ConfigAction {
    /// Print every setting with its value and where the value comes from
    Show {
        /// The configuration file
        config: PathBuf,
        /// Set one setting, such as train.epochs=20; may be given several times
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
        /// Print the complete experiment as a configuration file, without the grid
        #[arg(long)]
        toml: bool,
    },
    /// Say whether configurations are right, and print every problem where they are not
    Check {
        /// Configuration files
        #[arg(required = true)]
        configs: Vec<PathBuf>,
        /// Set one setting, such as train.epochs=20; may be given several times
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
    },
    /// Print the JSON schema of configuration files, for editors
    Schema,
}

/// Run `asdbench config`.
pub fn run(args: &ConfigArgs, context: &Context) -> Result<(), Failure> {
    let mut text = Vec::new();
    let result = write(args, context.format, &mut text);
    // What was found right before a problem is printed too.
    context.print(|out| out.write_all(&text))?;
    Ok(result?)
}

fn write(args: &ConfigArgs, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    match &args.action {
        ConfigAction::Show { config, sets, toml } => {
            let resolved = config::load(config, sets)?;
            match format {
                _ if *toml => write!(out, "{}", resolved.experiment.to_toml())?,
                Format::Json => writeln!(out, "{:#}", resolved.json())?,
                other => crate::report::print(out, other, &table(&resolved), &())?,
            }
        }
        ConfigAction::Check { configs, sets } => check(configs, sets, format, out)?,
        ConfigAction::Schema => write!(out, "{}", config::json_schema_text())?,
    }
    Ok(())
}

fn table(resolved: &Resolved) -> Table {
    let mut table = Table::new(&[("setting", Align::Left), ("value", Align::Left), ("from", Align::Left)]);
    for row in resolved.rows() {
        table.row(row.to_vec());
    }
    table
}

/// Every configuration is looked at, the right ones are said, the wrong ones are the error.
fn check(configs: &[PathBuf], sets: &[String], format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let (mut errors, mut entries) = (Vec::new(), Vec::new());
    for path in configs {
        let name = path.display().to_string();
        match config::load(path, sets) {
            Ok(resolved) => {
                let (family, trials) = (resolved.experiment.family(), resolved.grid.trials());
                let plural = if trials == 1 { "" } else { "s" };
                if format != Format::Json {
                    writeln!(out, "{name}: ok ({family}, {trials} trial{plural})")?;
                }
                entries.push(
                    serde_json::json!({ "config": name, "ok": true, "family": family, "trials": trials }),
                );
            }
            Err(error) => {
                entries.push(serde_json::json!({ "config": name, "ok": false, "why": error.to_string() }));
                errors.push(error);
            }
        }
    }
    if format == Format::Json {
        writeln!(out, "{:#}", serde_json::json!({ "schema": 1, "configs": entries }))?;
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::join(errors)) }
}
