//! The script, read and run: with a program in place of asdbench that writes down what it gets.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;

fn request() -> SlurmRequest {
    SlurmRequest {
        name: "study".to_owned(),
        program: "/opt/asdbench".into(),
        folder: "/srv/study".into(),
        study: "configs/study.toml".into(),
        arguments: vec!["--set".to_owned(), "data.root=data".to_owned()],
        tasks: 8,
        logs: "/srv/study/runs/.studies/study/logs".into(),
        resources: Resources::default(),
    }
}

#[test]
fn the_head_is_what_slurm_needs() {
    let resources = Resources {
        partition: Some("gpu,long".to_owned()),
        time: Some("1-12:00:00".to_owned()),
        gpus: Some(1),
        cpus: Some(8),
        mem: Some("32G".to_owned()),
        options: vec!["--account=lab".to_owned()],
    };
    let text = script(&SlurmRequest { resources, ..request() }).unwrap();
    let head: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#SBATCH ")).collect();
    assert_eq!(
        head,
        [
            "--job-name=asdbench-study",
            "--array=1-8",
            "--output=\"/srv/study/runs/.studies/study/logs/slurm-%A_%a.log\"",
            "--open-mode=append",
            "--requeue",
            "--signal=B:USR1@300",
            "--partition=gpu,long",
            "--time=1-12:00:00",
            "--mem=32G",
            "--gpus-per-task=1",
            "--ntasks=1",
            "--cpus-per-task=8",
            "--account=lab",
        ]
    );
    // sbatch stops reading options at the first line that is none.
    let last = text.lines().position(|line| line.starts_with("#SBATCH --account")).unwrap();
    assert!(text.lines().take(last).all(|line| line.starts_with('#')), "{text}");
    let command = "/opt/asdbench sweep configs/study.toml --shard \"$SLURM_ARRAY_TASK_ID/8\" --no-progress \
                   --set data.root=data &";
    assert!(text.lines().any(|line| line == command), "{text}");
}

#[test]
fn what_slurm_would_read_otherwise_is_refused() {
    let with = |change: &dyn Fn(&mut SlurmRequest)| {
        let mut request = request();
        change(&mut request);
        script(&request).unwrap_err().to_string()
    };
    let partition = with(&|request| request.resources.partition = Some("a b".to_owned()));
    assert!(partition.starts_with("the partition \"a b\" cannot stand in a Slurm script"), "{partition}");
    let time = with(&|request| request.resources.time = Some("10\n#SBATCH --wrap=x".to_owned()));
    assert!(time.starts_with("the time "), "{time}");
    assert!(with(&|request| request.logs = "a\"b".into()).starts_with("the folder of the logs "));
    assert!(with(&|request| request.name = "a\nb".to_owned()).starts_with("the study's name "));
    assert!(with(&|request| request.resources.options = vec![String::new()]).starts_with("the option "));
    assert_eq!(with(&|request| request.tasks = 0), "a job array needs one task or more");
}

#[test]
fn a_percent_sign_in_a_folder_is_none_of_slurm_s() {
    let text = script(&SlurmRequest { logs: "/my runs/100%A".into(), ..request() }).unwrap();
    assert!(text.contains("#SBATCH --output=\"/my runs/100%%A/slurm-%A_%a.log\"\n"), "{text}");
}

/// A script in a folder of an awkward name, with programs in place of asdbench and scontrol.
struct Staged {
    folder: TempDir,
    script: String,
}

impl Staged {
    fn new(asdbench: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("it's a $HOME; \"").tempdir().unwrap();
        let bin = folder.path().join("bin dir");
        fs::create_dir(&bin).unwrap();
        let executable = |name: &str, text: &str| {
            use std::os::unix::fs::PermissionsExt;
            fs::write(bin.join(name), format!("#!/bin/bash\n{text}\n")).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        };
        executable("asdbench", asdbench);
        executable("scontrol", "echo \"$@\" > scontrol");
        let request = SlurmRequest {
            program: bin.join("asdbench"),
            folder: folder.path().to_owned(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            logs: "/logs".into(),
            ..request()
        };
        let script = script(&request).unwrap();
        Self { folder, script }
    }

    fn start(&self) -> Child {
        let path = format!("{}:/usr/bin:/bin", self.folder.path().join("bin dir").display());
        let mut bash = Command::new("bash");
        bash.args(["-c", &self.script]).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own, as a job of Slurm's is.
        bash.process_group(0);
        bash.env("PATH", path).env("SLURM_ARRAY_TASK_ID", "3").env("SLURM_JOB_ID", "77").spawn().unwrap()
    }

    /// What was written to a file, once it is there.
    fn written(&self, name: &str) -> String {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            match fs::read_to_string(self.folder.path().join(name)) {
                Ok(text) if text.ends_with('\n') => return text,
                _ if Instant::now() > end => panic!("{name} was not written"),
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Exit code of a task that is told something once it works; `to` is what `kill` calls its shell or all of it.
    fn told(&self, signal: &str, to: impl Fn(u32) -> String) -> Option<i32> {
        let mut task = self.start();
        self.written("ready");
        let kill = Command::new("kill").args([signal, "--", &to(task.id())]).status().unwrap();
        assert!(kill.success());
        task.wait().unwrap().code()
    }

    /// As Slurm tells it that its time is nearly up.
    fn time_up(&self) -> Option<i32> {
        self.told("-USR1", |shell| shell.to_string())
    }

    /// As Slurm cancels it.
    fn cancelled(&self) -> Option<i32> {
        self.told("-TERM", |shell| format!("-{shell}"))
    }

    fn requeued(&self) -> bool {
        Path::exists(&self.folder.path().join("scontrol"))
    }
}

/// Ends on TERM as a sweep does, a little later, and says how often it was told.
const INTERRUPTIBLE: &str = "told=0
trap 'told=$((told + 1))' TERM
echo ready > ready
while [ $told = 0 ]; do sleep 0.02; done
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 0.02; done
echo $told > told
exit 130";

#[test]
fn arguments_arrive_as_they_are() {
    let awkward = ["--set", "data.root=a b/$HOME's `x`\n\"y\"", "*", ""];
    let staged = Staged::new("pwd > here; printf '<%s>' \"$@\" > got; echo >> got; exit 6", &awkward);
    assert_eq!(staged.start().wait().unwrap().code(), Some(6), "the sweep's own exit code");
    let expected = "<sweep><configs/study.toml><--shard><3/8><--no-progress>\
                    <--set><data.root=a b/$HOME's `x`\n\"y\"><*><>\n";
    assert_eq!(staged.written("got"), expected);
    let here = fs::canonicalize(staged.written("here").trim_end()).unwrap();
    assert_eq!(here, fs::canonicalize(staged.folder.path()).unwrap());
}

#[test]
fn a_task_whose_time_is_up_is_queued_again() {
    let staged = Staged::new(INTERRUPTIBLE, &[]);
    assert_eq!(staged.time_up(), Some(0));
    assert_eq!((staged.written("told"), staged.written("scontrol")), ("1\n".into(), "requeue 77\n".into()));
}

#[test]
fn a_task_that_is_cancelled_stays_away_and_is_told_once() {
    let staged = Staged::new(INTERRUPTIBLE, &[]);
    assert_eq!(staged.cancelled(), Some(130));
    assert_eq!(staged.written("told"), "1\n");
    assert!(!staged.requeued());
}

#[test]
fn a_task_that_failed_when_its_time_was_up_is_not_queued_again() {
    let staged = Staged::new(&INTERRUPTIBLE.replace("exit 130", "exit 6"), &[]);
    assert_eq!(staged.time_up(), Some(6));
    assert!(!staged.requeued());
}
