//! `asdbench sweep --slurm`: the sweep as a job array.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use super::SweepArgs;
use crate::cli::{Context, Failure};
use crate::config::Study;
use crate::files::{self, Durability};
use crate::study::plan::Plan;
use crate::study::slurm::{self, Resources, SlurmRequest};
use crate::study::{Error, sweep};

/// Options of a job array.
#[derive(Args, Debug)]
pub struct ArrayOptions {
    /// Write a job array for Slurm to FILE, and do nothing else
    #[arg(long, value_name = "FILE", requires = "tasks", conflicts_with_all = ["shard", "dry_run"])]
    slurm: Option<PathBuf>,
    /// Submit it with sbatch
    #[arg(long, requires = "slurm")]
    submit: bool,
    /// Tasks of the job array; each does one part of the study
    #[arg(long, value_name = "N", requires = "slurm", value_parser = clap::value_parser!(u16).range(1..))]
    tasks: Option<u16>,
    /// What each task needs of the cluster, as sbatch takes it, such as --sbatch=--time=12:00:00; may be given several times
    #[arg(long, value_name = "OPTION", requires = "slurm", allow_hyphen_values = true)]
    sbatch: Vec<String>,
}

impl ArrayOptions {
    /// The script to be written, if one is.
    pub fn script(&self) -> Option<&Path> {
        self.slurm.as_deref()
    }
}

/// Write the script, and submit it where that is asked for.
pub fn write(script: &Path, study: &Study, args: &SweepArgs, context: &Context) -> Result<(), Failure> {
    // Each task would find it out for itself, days later.
    sweep::check_names(study, &args.only).map_err(Error::from)?;
    let lost = |what: &str, e| Error::from(files::Error::new("find", Path::new(what), e));
    let folder = std::env::current_dir().map_err(|e| lost("the working folder", e))?;
    let program = std::env::current_exe().map_err(|e| lost("this program", e))?;
    let logs = Plan::folder(&folder.join(&args.options.runs), &study.name).join("logs");
    let request = SlurmRequest {
        name: study.name.clone(),
        program,
        folder,
        study: args.study.clone(),
        arguments: arguments(args)?,
        tasks: usize::from(args.array.tasks.unwrap_or(1)),
        logs: logs.clone(),
        resources: Resources { options: args.array.sbatch.clone(), ..Resources::default() },
    };
    let text = slurm::script(&request).map_err(|e| Error::from(sweep::Error::from(e)))?;
    files::write(script, text.as_bytes(), Durability::Flushed).map_err(Error::from)?;
    context.ui.say(&format!("wrote {}, an array of {} tasks", script.display(), request.tasks));
    if args.array.submit {
        // Slurm makes no folder for what its tasks print.
        files::make_folder(&logs).map_err(Error::from)?;
        submit(script, context)?;
    } else {
        context.ui.say(&format!("mkdir -p {} && sbatch {} submits it", logs.display(), script.display()));
    }
    Ok(())
}

fn submit(script: &Path, context: &Context) -> Result<(), Failure> {
    let refused = |why: String| Error::from(sweep::Error::Submit { script: script.to_owned(), why });
    let output = Command::new("sbatch").arg(script).output().map_err(|e| refused(e.to_string()))?;
    if !output.status.success() {
        return Err(refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()).into());
    }
    context.ui.say(String::from_utf8_lossy(&output.stdout).trim());
    Ok(())
}

/// What the tasks are given of this command's own arguments.
fn arguments(args: &SweepArgs) -> Result<Vec<String>, Failure> {
    let runs =
        args.options.runs.to_str().ok_or(Failure::Usage("--runs must be UTF-8 to stand in a script"))?;
    let mut all = vec!["--runs".to_owned(), runs.to_owned()];
    all.extend(["--device".to_owned(), args.options.device.device.to_string()]);
    all.extend(args.jobs.iter().flat_map(|jobs| ["--jobs".to_owned(), jobs.to_string()]));
    if !args.only.is_empty() {
        all.extend(["--only".to_owned(), args.only.join(",")]);
    }
    all.extend(args.sets.iter().flat_map(|set| ["--set".to_owned(), set.clone()]));
    Ok(all)
}
