//! `asdbench config`: what a configuration says, whether it is right, and what it may say.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

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
        /// The configuration, study or fusion file
        config: PathBuf,
        /// Set one setting, such as train.epochs=20; may be given several times
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
        /// Print the complete experiment as a configuration file, without the grid
        #[arg(long)]
        toml: bool,
    },
    /// Say whether configurations, studies and fusions are right, and print every problem where they are not
    Check {
        /// Configuration, study and fusion files
        #[arg(required = true)]
        configs: Vec<PathBuf>,
        /// Set one setting, such as train.epochs=20; may be given several times
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
    },
    /// Print the JSON schema of configuration files, for editors
    Schema {
        /// That of study files
        #[arg(long)]
        study: bool,
        /// That of fusion files
        #[arg(long, conflicts_with = "study")]
        fusion: bool,
    },
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
        ConfigAction::Show { config, sets, toml } if config::is_study(config) => {
            let study = config::resolve_study(config, sets)?;
            match format {
                _ if *toml => {
                    return Err(Error::OneExperiment {
                        path: config.clone(),
                        families: study.resolved.len(),
                    });
                }
                Format::Json => writeln!(out, "{:#}", study.json(config))?,
                other => crate::report::print(out, other, &table(&["file"], study.rows()), &())?,
            }
        }
        ConfigAction::Show { config, sets, toml } if config::is_fusion(config) => {
            let resolved = config::resolve_fusion(config, sets)?;
            match format {
                _ if *toml => write!(out, "{}", resolved.to_toml())?,
                Format::Json => writeln!(out, "{:#}", resolved.json(config))?,
                other => crate::report::print(out, other, &table(&[], resolved.rows()), &())?,
            }
        }
        ConfigAction::Show { config, sets, toml } => {
            let resolved = config::load(config, sets)?;
            match format {
                _ if *toml => write!(out, "{}", resolved.experiment.to_toml())?,
                Format::Json => writeln!(out, "{:#}", resolved.json())?,
                other => crate::report::print(out, other, &table(&[], resolved.rows()), &())?,
            }
        }
        ConfigAction::Check { configs, sets } => check(configs, sets, format, out)?,
        ConfigAction::Schema { study: true, .. } => write!(out, "{}", config::study_schema_text())?,
        ConfigAction::Schema { fusion: true, .. } => write!(out, "{}", config::fusion_schema_text())?,
        ConfigAction::Schema { .. } => write!(out, "{}", config::json_schema_text())?,
    }
    Ok(())
}

fn table<const N: usize>(first: &[&str], rows: Vec<[String; N]>) -> Table {
    let names = first.iter().chain(&["setting", "value", "from"]);
    let columns: Vec<(&str, Align)> = names.map(|name| (*name, Align::Left)).collect();
    let mut table = Table::new(&columns);
    rows.into_iter().for_each(|row| table.row(row));
    table
}

/// Every file is looked at, the right ones are said, the wrong ones are the error.
fn check(configs: &[PathBuf], sets: &[String], format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let (mut errors, mut entries) = (Vec::new(), Vec::new());
    for path in configs {
        let name = path.display().to_string();
        match checked(path, sets) {
            Ok((words, mut entry)) => {
                if format != Format::Json {
                    writeln!(out, "{name}: ok ({words})")?;
                }
                (entry["config"], entry["ok"]) = (name.into(), true.into());
                entries.push(entry);
            }
            Err(error) => {
                entries.push(json!({ "config": name, "ok": false, "why": error.to_string() }));
                errors.push(error);
            }
        }
    }
    if format == Format::Json {
        writeln!(out, "{:#}", json!({ "schema": 1, "configs": entries }))?;
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::join(errors)) }
}

/// What a file that is right holds, in words and for programs.
fn checked(path: &Path, sets: &[String]) -> Result<(String, Value), Error> {
    if config::is_fusion(path) {
        let systems = config::load_fusion(path, sets)?.system;
        let names: Vec<&str> = systems.iter().map(|system| system.name.as_str()).collect();
        let words = format!("fusion, {}", counted(names.len(), "system", "systems"));
        return Ok((words, json!({ "systems": names })));
    }
    if !config::is_study(path) {
        let resolved = config::load(path, sets)?;
        let (family, trials) = (resolved.experiment.family(), resolved.grid.trials());
        let words = format!("{family}, {}", counted(trials, "trial", "trials"));
        return Ok((words, json!({ "family": family, "trials": trials })));
    }
    let study = config::resolve_study(path, sets)?;
    let (name, trials) = (&study.study.name, study.configurations());
    let family = |of: &Resolved| json!({ "config": of.source.display().to_string(), "family": of.experiment.family(), "trials": of.trials() });
    let families: Vec<Value> = study.resolved.iter().map(family).collect();
    let number = counted(families.len(), "family", "families");
    let words = format!("study {name}: {number}, {}", counted(trials, "configuration", "configurations"));
    Ok((words, json!({ "study": name, "families": families, "trials": trials })))
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}
