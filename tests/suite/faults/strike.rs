//! A fault happens, and what may never follow from it is looked for.
//!
//! After every fault: no panic; an exit code that is documented; a message that names the file; whatever there is of results
//! is whole and right; the same command, undisturbed, ends with the bytes of a way that nothing disturbed, and leaves nothing
//! half-written behind.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::draw::{Drawn, Fault};
use super::same::{difference, leftovers, walk};
use super::way::{Base, Ended, Scene, Stage, Step, end};
use crate::killing::wait_until_left;

/// SIGKILL.
const KILLED: i32 = 9;
/// Older than what a process that lives could still be writing.
const LONG_AGO: Duration = Duration::from_secs(2 * 3600);

/// How a fault went by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// The process did not come to it, or it changed nothing.
    Unharmed,
    /// The process was killed.
    Killed,
    /// It was said, by its file's name.
    Told,
}

/// Let a fault happen; what it broke is the error.
pub fn strike(base: &Base, drawn: &Drawn) -> Result<Passed, String> {
    match &drawn.fault {
        Fault::Plan(plan) => planned(base, drawn.stage, plan),
        Fault::Lost { plan, what } => lost(base, drawn.stage, plan, what),
        Fault::Clip { how, at, clip } => clip_changes(base, drawn.stage, (how, *at), clip),
        Fault::Bit { at, file, place, bit } => turned(base, drawn.stage, at, (file, *place, *bit)),
        Fault::Checkpoint { kill, place, bit } => checkpoint(base, drawn.stage, *kill, (*place, *bit)),
        Fault::Twice => twice(base, drawn.stage),
    }
}

/// What the stage makes for its readers.
fn is_made_by(stage: Stage, path: &Path) -> bool {
    let judged = ["eval.json", "scores.csv", "features.npz", "training_scores.csv"];
    let among = |names: &[&str]| names.iter().any(|name| path.ends_with(name));
    let trained = ["model.safetensors", "manifest.json", "config.toml", "status", "metrics.jsonl"];
    match stage {
        Stage::Synth => path.starts_with("data"),
        Stage::Autoencoder => path.starts_with("runs/autoencoder") && among(&trained),
        Stage::Classifier => path.starts_with("runs/ce") && among(&trained),
        Stage::Judge => path.starts_with("runs") && among(&judged),
        Stage::Report => path.starts_with("report"),
        Stage::Sweep => path.starts_with("runs") && (among(&judged) || among(&trained)),
    }
}

fn planned(base: &Base, stage: Stage, plan: &str) -> Result<Passed, String> {
    let (before, after) = stage.between();
    let scene = base.scene(before);
    let ended = scene.run(stage, Some(plan));
    let passed = look(base, stage, &scene, &ended, None)?;
    // A report goes on without what it cannot read, and says so.
    if !(stage == Stage::Report && ended.code == Some(0) && passed == Passed::Told) {
        whole(base, stage, &scene)?;
    }
    // What could not be removed may stay: it is no part of any result.
    let struck = scene.steps().into_iter().filter(|step| step.kind == "remove" && !step.what.is_empty());
    let stays: Vec<String> = struck
        .map(|step| format!("after the same command again {} should not be there", step.path))
        .collect();
    match again(base, stage, &scene, after) {
        Err(told) if !stays.contains(&told) => Err(told),
        _ => Ok(passed),
    }
}

/// What a disturbed process may say and leave.
fn look(
    base: &Base,
    stage: Stage,
    scene: &Scene,
    ended: &Ended,
    file: Option<&Path>,
) -> Result<Passed, String> {
    no_panic(ended)?;
    let struck: Vec<Step> = scene.steps().into_iter().filter(|step| !step.what.is_empty()).collect();
    let said =
        ended.err.lines().filter(|line| !line.contains("ASDBENCH_FAULTS")).collect::<Vec<_>>().join("\n");
    let file_name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let says = |path: &Path| {
        let name = file_name(path);
        said.contains(&*path.to_string_lossy()) || !name.is_empty() && said.contains(&name)
    };
    let listed = |path: &Path| stage == Stage::Report && is_listed(scene, path);
    let named = struck.iter().map(|step| Path::new(&step.path)).any(|path| says(path) || listed(path))
        || file.is_some_and(|file| {
            // Of a folder that is damaged or gone, or a set of clips that lacks one.
            let folder = file.parent().is_some_and(|folder| said.contains(&*folder.to_string_lossy()));
            says(file) || folder || listed(file)
        });
    if ended.signal == Some(KILLED) && struck.iter().any(|step| matches!(&*step.what, "kill" | "torn")) {
        return Ok(Passed::Killed);
    }
    match ended.code {
        Some(0) => {
            let (expected, found) = (base.results(stage.between().1), scene.results());
            // What went after it had been made is missed by its next reader only.
            let gone =
                |path: &Path| file.is_some_and(|file| path.starts_with(file)) && !found.contains_key(path);
            match difference(expected, &found, |path| is_made_by(stage, path) && !gone(path)) {
                Some(differs) if !named => Err(format!("ended well, and {differs}:\n{}", ended.err)),
                Some(_) => Ok(Passed::Told),
                None => Ok(Passed::Unharmed),
            }
        }
        // Of several runs some may have been killed.
        Some(1 | 5 | 6) if stage == Stage::Sweep && ended.err.contains("signal 9") => Ok(Passed::Killed),
        Some(1 | 4 | 6) if named => Ok(Passed::Told),
        Some(1 | 4 | 6) => Err(format!("does not name what was struck ({struck:?}):\n{}", ended.err)),
        _ => Err(format!("ended with {:?}, signal {:?}:\n{}", ended.code, ended.signal, ended.err)),
    }
}

/// A report goes on without what it cannot use, and lists it with the reason.
fn is_listed(scene: &Scene, file: &Path) -> bool {
    let text = fs::read(scene.path("report/report.json")).unwrap_or_default();
    let report: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let listed = format!("{}{}", report["left_out"], report["figures_missing"]);
    // Below the runs folder: family/config/machine/seed-n
    let run: PathBuf = file.components().skip(1).take(4).collect();
    run.components().count() == 4 && listed.contains(&*run.to_string_lossy())
}

fn no_panic(ended: &Ended) -> Result<(), String> {
    match ended.err.contains("panicked") || ended.err.contains("stack backtrace") {
        true => Err(format!("panicked:\n{}", ended.err)),
        false => Ok(()),
    }
}

/// Workers whose sweep was killed go too, a moment later.
fn settle(stage: Stage, scene: &Scene) {
    if stage == Stage::Sweep {
        wait_until_left(&scene.path("runs"));
    }
}

/// What a killed or failed process leaves is whole: a result is there with all that belongs to it, or not at all.
fn whole(base: &Base, stage: Stage, scene: &Scene) -> Result<(), String> {
    settle(stage, scene);
    let (expected, found) = (base.results(stage.between().1), scene.results());
    let broken = |of: &dyn Fn(&Path) -> bool| {
        let there = |path: &Path| found.contains_key(path) && of(path);
        difference(expected, &found, there)
    };
    let broken = match stage {
        Stage::Synth | Stage::Report => broken(&|path| is_made_by(stage, path)),
        _ => found.iter().find_map(|(path, bytes)| {
            let folder = path.parent().unwrap_or(Path::new(""));
            if path.ends_with("eval.json") {
                return broken(&|other| other.parent() == Some(folder) && is_made_by(Stage::Judge, other));
            }
            let done = path.ends_with("status") && bytes.starts_with(b"done");
            let model = folder.join("model.safetensors");
            if done { broken(&|other| other == model) } else { None }
        }),
    };
    broken.map_or(Ok(()), |broken| Err(format!("left something that is not whole: {broken}")))
}

/// The same command, undisturbed, after a while.
fn again(base: &Base, stage: Stage, scene: &Scene, after: &str) -> Result<(), String> {
    let _ = fs::remove_file(scene.path("ops.txt"));
    settle(stage, scene);
    for path in leftovers(&scene.path("")) {
        let file = File::options().append(true).open(&path);
        let aged = file.and_then(|file| file.set_modified(SystemTime::now() - LONG_AGO));
        aged.map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let ended = scene.run(stage, None);
    no_panic(&ended)?;
    if ended.code != Some(0) {
        return Err(format!("the same command again ended with {:?}:\n{}", ended.code, ended.err));
    }
    if let Some(differs) = unlike(base, scene, after) {
        return Err(format!("after the same command again {differs}"));
    }
    let left = leftovers(&scene.path(""));
    if !left.is_empty() {
        return Err(format!("half-written files stay: {left:?}"));
    }
    Ok(())
}

/// What differs from a way that nothing disturbed, when all is done. A report leaves what else is in its folder, such as an
/// earlier one's list of runs that it could not use.
fn unlike(base: &Base, scene: &Scene, after: &str) -> Option<String> {
    let expected = base.results(after);
    let counts = |path: &Path| !path.starts_with("report") || expected.contains_key(path);
    difference(expected, &scene.results(), counts)
}

/// The way again up to a stage; where a message names a run that is beyond repair, without that run.
fn mend(base: &Base, stage: Stage, scene: &Scene, after: &str, damaged: &Path) -> Result<(), String> {
    let _ = fs::remove_file(scene.path("ops.txt"));
    if again(base, stage, scene, after).is_ok() {
        return Ok(());
    }
    let way = || {
        for stage in stage.way().into_iter().skip(1) {
            let ended = scene.run(stage, None);
            no_panic(&ended)?;
            if ended.code != Some(0) {
                return Err(ended.err);
            }
        }
        unlike(base, scene, after).map_or(Ok(()), Err)
    };
    let Err(first) = way() else { return Ok(()) };
    // runs/family/config/machine/seed-n
    let run: PathBuf = damaged.components().take(5).collect();
    if run.starts_with("runs") && !run.starts_with("runs/.cache") {
        let _ = fs::remove_dir_all(scene.path(&run));
    }
    way().map_err(|second| {
        format!("cannot be mended: first {first}\nthen, without {}, {second}", run.display())
    })
}

fn lost(base: &Base, stage: Stage, plan: &str, what: &Path) -> Result<Passed, String> {
    let (before, after) = stage.between();
    let scene = base.scene(before);
    let ended = scene.run(stage, Some(plan));
    let passed = look(base, stage, &scene, &ended, Some(what))?;
    mend(base, stage, &scene, after, what)?;
    Ok(passed)
}

/// A result is of the clip as it was or as it is, whenever it changed, and says of which.
fn clip_changes(base: &Base, stage: Stage, (how, at): (&str, u64), clip: &Path) -> Result<Passed, String> {
    let (before, after) = stage.between();
    let scene = base.scene(before);
    let ended = scene.run(stage, Some(&format!("{how}:{at}={}", clip.display())));
    no_panic(&ended)?;
    let name = clip.file_name().unwrap_or_default().to_string_lossy();
    let passed = match ended.code {
        Some(0) => of_one_version(base, stage, &scene, clip)?,
        // The clip, or the set that it belongs to, or the run that was trained on another one.
        Some(4 | 6) if [&*name, "`fan`", "seed-0"].iter().any(|name| ended.err.contains(name)) => {
            Passed::Told
        }
        code => return Err(format!("ended with {code:?} and does not name {name}:\n{}", ended.err)),
    };
    fs::copy(base.file(before, clip), scene.path(clip)).map_err(|e| e.to_string())?;
    let relative = |path: &PathBuf| path.strip_prefix(scene.path("")).map(Path::to_owned).ok();
    let manifests = walk(&scene.path("runs")).into_iter().filter(|path| path.ends_with("manifest.json"));
    let run = manifests.filter_map(|path| relative(&path)).find(|path| is_made_by(stage, path));
    mend(base, stage, &scene, after, &run.unwrap_or_default())?;
    Ok(passed)
}

/// Each family's results are those of the clip as it was, or those of the clip as it is from the beginning.
fn of_one_version(base: &Base, stage: Stage, scene: &Scene, clip: &Path) -> Result<Passed, String> {
    let (before, after) = stage.between();
    let found = scene.results();
    let (other, mut changed) = (base.scene(before), None);
    for family in ["runs/autoencoder", "runs/ce"] {
        let made = |path: &Path| path.starts_with(family) && is_made_by(stage, path);
        let Some(old) = difference(base.results(after), &found, made) else { continue };
        if changed.is_none() {
            let altered = match scene.path(clip).exists() {
                true => fs::copy(scene.path(clip), other.path(clip)).map(drop),
                false => fs::remove_file(other.path(clip)),
            };
            altered.map_err(|e| format!("{}: {e}", clip.display()))?;
            let ended = other.run(stage, None);
            if ended.code != Some(0) {
                return Err(format!("took what is refused otherwise: {old}:\n{}", ended.err));
            }
        }
        let of_new = changed.get_or_insert_with(|| other.results());
        if let Some(new) = difference(of_new, &found, made) {
            return Err(format!("is of two versions of {} at once: {old}; {new}", clip.display()));
        }
    }
    Ok(if changed.is_some() { Passed::Told } else { Passed::Unharmed })
}

/// One bit of a file, from its place among the bytes in [0, 1).
fn flip(path: &Path, place: f64, bit: u32) -> Result<(), String> {
    let mut bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let at = (place * bytes.len() as f64) as usize;
    let byte = bytes.get_mut(at).ok_or_else(|| format!("{} is empty", path.display()))?;
    *byte ^= 1 << bit;
    fs::write(path, bytes).map_err(|e| format!("{}: {e}", path.display()))
}

fn turned(
    base: &Base,
    stage: Stage,
    at: &str,
    (file, place, bit): (&Path, f64, u32),
) -> Result<Passed, String> {
    let after = stage.between().1;
    let scene = base.scene(at);
    flip(&scene.path(file), place, bit)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if base.verifies && is_hashed(file) {
        let verified = scene.verify();
        no_panic(&verified)?;
        if verified.code == Some(0) || !verified.err.contains(&*name) {
            return Err(format!("verify ended with {:?} and says:\n{}", verified.code, verified.err));
        }
    }
    let ended = scene.run(stage, None);
    let passed = look(base, stage, &scene, &ended, Some(file))
        .map_err(|why| format!("a damaged file was served: {why}"))?;
    mend(base, stage, &scene, after, file)?;
    Ok(passed)
}

/// Files of whose content the run holds a hash or a seal: all but its status and its lock.
fn is_hashed(file: &Path) -> bool {
    !file.starts_with("runs/.cache") && !file.ends_with("status")
}

fn checkpoint(base: &Base, stage: Stage, kill: u64, (place, bit): (f64, u32)) -> Result<Passed, String> {
    let (before, after) = stage.between();
    let scene = base.scene(before);
    let killed = scene.run(stage, Some(&format!("kill:{kill}")));
    if killed.signal != Some(KILLED) {
        return Err(format!("was not killed:\n{}", killed.err));
    }
    let _ = fs::remove_file(scene.path("ops.txt"));
    let is_state = |path: &PathBuf| path.ends_with("state.zip");
    let state = walk(&scene.path("runs")).into_iter().find(is_state).ok_or("there is no checkpoint")?;
    flip(&state, place, bit)?;
    let ended = scene.run(stage, None);
    let passed = look(base, stage, &scene, &ended, Some(state.as_path()))?;
    if passed == Passed::Told {
        // As the message says.
        let _ = fs::remove_file(&state);
    }
    again(base, stage, &scene, after)?;
    Ok(passed)
}

fn twice(base: &Base, stage: Stage) -> Result<Passed, String> {
    let (before, after) = stage.between();
    let scene = base.scene(before);
    let both = [scene.start(stage, None), scene.start(stage, None)];
    let mut refused = 0;
    for ended in both.map(end) {
        no_panic(&ended)?;
        match ended.code {
            Some(0) => {}
            Some(1 | 4 | 6) if ended.err.contains("in use by another process") => refused += 1,
            code => return Err(format!("one of two ended with {code:?}:\n{}", ended.err)),
        }
    }
    // Two that judge several runs may each hold one when the other comes to it.
    if refused == 2 && stage != Stage::Judge {
        return Err("each of two was refused for the other".to_owned());
    }
    whole(base, stage, &scene)?;
    again(base, stage, &scene, after)?;
    Ok(if refused > 0 { Passed::Told } else { Passed::Unharmed })
}
