//! `asdbench fuse`: several systems' scores as one.

use std::path::PathBuf;

use clap::Args;

use super::{Context, Failure};
use crate::config::{self, FusionConfig};
use crate::report::{self, Align, Format, Table};
use crate::study::Error;
use crate::study::fuse::{self, FuseRequest, Planned};

/// Arguments of `asdbench fuse`.
#[derive(Args, Debug)]
pub struct FuseArgs {
    /// The fusion file: its systems, and how their weights are tuned
    config: PathBuf,
    /// Folder for the fused score files, weights, tables and figures
    #[arg(short, long, default_value = "fused", value_name = "DIR")]
    output: PathBuf,
    /// What the weights are tuned on: machine=fan,valve or section=00,01; may be given several times
    #[arg(long, value_name = "WHAT", value_parser = choice)]
    tune_on: Vec<Choice>,
    /// What the weights are applied to, in the same form
    #[arg(long, value_name = "WHAT", value_parser = choice)]
    apply_to: Vec<Choice>,
    /// Seed of the search and of the intervals
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Change a setting, such as tune.evaluations=100
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Say what would be fused; read no label and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Machine types or sections.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    Machines(Vec<String>),
    Sections(Vec<String>),
}

fn choice(text: &str) -> Result<Choice, String> {
    let form = "write machine=fan,valve or section=00,01";
    let (what, names) = text.split_once('=').ok_or(form)?;
    let names: Vec<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err(format!("a name is missing; {form}"));
    }
    match what {
        "machine" | "machines" => Ok(Choice::Machines(names)),
        "section" | "sections" => Ok(Choice::Sections(names)),
        _ => Err(form.to_owned()),
    }
}

/// Tune, apply, judge, write, and print Table 1, the weights and what they are worth.
pub fn run(args: &FuseArgs, context: &Context) -> Result<(), Failure> {
    let mut config = config::load_fusion(&args.config, &args.sets)?;
    overlay(args, &mut config);
    if args.dry_run {
        let planned = fuse::plan(&config).map_err(Error::from)?;
        planned.notes.iter().for_each(|note| context.ui.warn(note));
        context.ui.say(&format!(
            "{} systems ({}), metrics of {}, normalised by {} ({}), {} evaluations",
            planned.systems.len(),
            planned.systems.join(", "),
            planned.year,
            planned.normalise.method,
            planned.normalise.statistics,
            planned.evaluations
        ));
        return context.print(|out| report::print(out, context.format, &sections(&planned), &planned));
    }
    let request = FuseRequest { config: &config, output: &args.output, ui: &context.ui };
    let fused = fuse::fuse(&request).map_err(Error::from)?;
    fused.document.notes.iter().for_each(|note| context.ui.warn(note));
    context.print(|out| match context.format {
        Format::Json | Format::Csv => {
            // One table as CSV: the first, which is Table 1.
            let first = fused.tables.first().map(|(_, table)| table.clone()).unwrap_or(Table::new(&[]));
            report::print(out, context.format, &first, &fused.document)
        }
        format => {
            for (place, (title, table)) in fused.tables.iter().enumerate() {
                let gap = if place > 0 { "\n" } else { "" };
                match format {
                    Format::Md => write!(out, "{gap}### {title}\n\n")?,
                    Format::Latex => writeln!(out, "{gap}% {title}")?,
                    _ => write!(out, "{gap}{title}\n\n")?,
                }
                report::print(out, format, table, &())?;
            }
            Ok(())
        }
    })?;
    context.ui.say(&format!("written to {}", args.output.display()));
    Ok(())
}

/// The command line over the file. Several options of one kind are one list.
fn overlay(args: &FuseArgs, config: &mut FusionConfig) {
    config.seed = args.seed.unwrap_or(config.seed);
    let set = |choices: &[Choice], machines: &mut Vec<String>, sections: &mut Vec<String>| {
        let of = |pick: fn(&Choice) -> Option<&Vec<String>>| -> Vec<String> {
            choices.iter().filter_map(pick).flatten().cloned().collect()
        };
        let named = of(|choice| if let Choice::Machines(names) = choice { Some(names) } else { None });
        let numbered = of(|choice| if let Choice::Sections(names) = choice { Some(names) } else { None });
        if !choices.is_empty() {
            (*machines, *sections) = (named, numbered);
        }
    };
    set(&args.tune_on, &mut config.tune.machines, &mut config.tune.sections);
    set(&args.apply_to, &mut config.apply.machines, &mut config.apply.sections);
}

fn sections(planned: &Planned) -> Table {
    let columns = ["machine", "section"].map(|name| (name, Align::Left));
    let counts = ["clips", "training clips"].map(|name| (name, Align::Right));
    let uses = ["tuned on", "applied to"].map(|name| (name, Align::Left));
    let mut table = Table::new(&[columns, counts, uses].concat());
    let word = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    for one in &planned.sections {
        let counts = [one.clips, one.training_clips].map(|count| count.to_string());
        let names = [one.machine.clone(), one.section.clone()];
        table.row(names.into_iter().chain(counts).chain([one.tuned, one.applied].map(word)));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_names_machines_or_sections() {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(choice("machine=fan, valve"), Ok(Choice::Machines(owned(&["fan", "valve"]))));
        assert_eq!(choice("section=00,01"), Ok(Choice::Sections(owned(&["00", "01"]))));
        for text in ["fan", "clip=3", "machine=", "machine=fan,,valve", ""] {
            assert!(choice(text).unwrap_err().contains("machine=fan,valve"), "{text}");
        }
    }
}
