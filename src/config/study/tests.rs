//! Study files: what a family gets, and what its errors look like.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::config::Origin;

const AE: &str = "[task.autoencoder]\nhidden = 32\n[train]\nepochs = 3\nseeds = [7]\n\
                  [grid]\n\"task.autoencoder.bottleneck\" = [2, 4]\n";
const SIMCLR: &str = "[task.contrastive]\nwidth = 8\n[train]\nepochs = 5\n";

/// A folder with two families' files and the ones given.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("ae.toml", AE), ("sub/simclr.toml", SIMCLR)].iter().chain(files) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn strings(sets: &[&str]) -> Vec<String> {
    sets.iter().map(|&set| set.to_owned()).collect()
}

fn load(text: &str, sets: &[&str]) -> Study {
    let dir = folder(&[("s.toml", text)]);
    load_study(&dir.path().join("s.toml"), &strings(sets)).unwrap_or_else(|e| panic!("{}", e.render(false)))
}

/// The message of a study that cannot be used, with its folder cut away.
fn refused(files: &[(&str, &str)], sets: &[&str]) -> String {
    let dir = folder(files);
    let error = load_study(&dir.path().join("s.toml"), &strings(sets)).unwrap_err();
    error.render(false).replace(&format!("{}/", dir.path().display()), "")
}

fn slugs(family: &StudyFamily) -> Vec<String> {
    family.experiments.iter().map(Experiment::slug).collect()
}

const BOTH: &str = "[[family]]\nconfig = \"ae.toml\"\n[[family]]\nconfig = \"sub/simclr.toml\"\n";

#[test]
fn a_study_is_its_families_files() {
    let dir = folder(&[("s.toml", BOTH)]);
    let study = load_study(&dir.path().join("s.toml"), &[]).unwrap();
    assert_eq!((study.name.as_str(), study.protocol), ("s", ProtocolConfig::default()));
    let files: Vec<PathBuf> = study.families.iter().map(|family| family.file.clone()).collect();
    assert_eq!(files, [dir.path().join("ae.toml"), dir.path().join("sub/simclr.toml")]);
    assert_eq!(slugs(&study.families[0]), ["h32-b2", "h32-b4"]);
    assert_eq!(slugs(&study.families[1]), ["resnet18-w8"]);
    assert_eq!(study.families[0].experiments[0].train.seeds, [7]);
    let alone = crate::config::load(&dir.path().join("ae.toml"), &[]).unwrap().expand().unwrap();
    assert_eq!(study.families[0].experiments, alone);
}

#[test]
fn layers_lie_in_the_order_that_is_promised() {
    let text = format!(
        "[study]\nname = \"x\"\nseeds = [1, 2]\n\
         [common]\ntrain.epochs = 10\ntrain.batch_size = 20\neval.linear_probe.c = 2.0\n{BOTH}\
         [family.override]\ntrain.epochs = 11\ntrain.seeds = [3]\n[protocol]\nsignificance = 0.01\n"
    );
    let study = load(&text, &["train.batch_size=30", "protocol.significance=0.2", "study.name=y"]);
    assert_eq!((study.name.as_str(), study.protocol.significance), ("y", 0.2));
    let of = |nth: usize| {
        let first = &study.families[nth].experiments[0];
        (first.train.epochs, first.train.batch_size, first.train.seeds.clone(), first.eval.linear_probe.c)
    };
    assert_eq!(of(0), (10, 30, vec![1, 2], 2.0), "common over the file, --set over all");
    assert_eq!(of(1), (11, 30, vec![3], 2.0), "a family's own word over what is common");
    assert_eq!(load(&text, &["train.seeds=[9]"]).families[1].experiments[0].train.seeds, [9]);
}

#[test]
fn a_family_takes_its_own_table_of_task() {
    let text = format!("[common.task]\ncontrastive.width = 16\nautoencoder.hidden = 24\n{BOTH}");
    let study = load(&text, &[]);
    assert_eq!(slugs(&study.families[0]), ["h24-b2", "h24-b4"]);
    assert_eq!(slugs(&study.families[1]), ["resnet18-w16"]);
    let study = load(&text, &["task.contrastive.width=4"]);
    assert_eq!(
        (slugs(&study.families[0])[0].as_str(), slugs(&study.families[1])[0].as_str()),
        ("h24-b2", "resnet18-w4")
    );
}

#[test]
fn a_grid_or_a_list_stands_in_for_that_of_the_file() {
    let grid =
        load("[[family]]\nconfig = \"ae.toml\"\n[family.grid]\ntask.autoencoder.hidden = [5, 6, 7]\n", &[]);
    assert_eq!(slugs(&grid.families[0]), ["h5-b8", "h6-b8", "h7-b8"]);
    let none = load("[[family]]\nconfig = \"ae.toml\"\ngrid = {}\n", &[]);
    assert_eq!(slugs(&none.families[0]), ["h32-b8"]);
    let text = "[[family]]\nconfig = \"ae.toml\"\n\
                [[family.list]]\ntask.autoencoder.hidden = 9\n\
                [[family.list]]\ntask.autoencoder = { hidden = 8, bottleneck = 1 }\ntrain.epochs = 1\n";
    let list = load(text, &[]);
    assert_eq!(slugs(&list.families[0]), ["h9-b8", "h8-b1"]);
    assert_eq!(list.families[0].experiments[1].train.epochs, 1);
    // The command line has the last word.
    let epochs: Vec<usize> =
        load(text, &["train.epochs=2"]).families[0].experiments.iter().map(|one| one.train.epochs).collect();
    assert_eq!(epochs, [2, 2]);
}

#[test]
fn what_only_the_entries_of_a_list_give_is_given() {
    let text = "[[family]]\nconfig = \"p.toml\"\n\
                [[family.list]]\ntask.pretrained.checkpoint = \"a.pt\"\n\
                [[family.list]]\ntask.pretrained.checkpoint = \"b.pt\"\n";
    let dir = folder(&[("s.toml", text), ("p.toml", "task.pretrained.pool = \"mean\"\n")]);
    let resolved = resolve_study(&dir.path().join("s.toml"), &[]).unwrap();
    assert_eq!(slugs(&resolved.study.families[0]), ["a", "b"]);
    let origin = resolved.resolved[0].origin("task.pretrained.checkpoint");
    assert_eq!(origin, Origin::File { path: dir.path().join("s.toml"), line: 4 });
    let rows = resolved.rows();
    let row = rows.iter().find(|row| row[1] == "list[1]").unwrap();
    assert_eq!(row[2], r#"{ task = { pretrained = { checkpoint = "b.pt" } } }"#);
}

#[test]
fn a_study_extends_another_from_its_own_folder() {
    let base = format!("[study]\nname = \"base\"\nseeds = [4]\n[common]\nextends = \"data.toml\"\n{BOTH}");
    let files = [
        ("far/base.toml", base.replace("config = \"", "config = \"../")),
        ("far/data.toml", "data.root = \"clips\"\ntrain.epochs = 2\n".to_owned()),
        ("here.toml", "data.root = \"other\"\n".to_owned()),
        ("s.toml", "extends = \"far/base.toml\"\n[common]\nextends = \"here.toml\"\n".to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let dir = folder(&files);
    let study = load_study(&dir.path().join("s.toml"), &[]).unwrap();
    assert_eq!(study.name, "s", "two studies of one name would share a plan");
    assert_eq!(study.families.len(), 2);
    let first = &study.families[0].experiments[0];
    assert_eq!((first.data.root.as_deref(), first.train.epochs), (Some(Path::new("other")), 2));
    assert_eq!(first.train.seeds, [4]);
    let own = "extends = \"far/base.toml\"\n[[family]]\nconfig = \"ae.toml\"\n";
    fs::write(dir.path().join("s.toml"), own).unwrap();
    assert_eq!(load_study(&dir.path().join("s.toml"), &[]).unwrap().families.len(), 1, "lists replace");
}

#[test]
fn a_study_is_told_from_a_configuration() {
    let dir = folder(&[
        ("s.toml", BOTH),
        ("more.toml", "extends = \"s.toml\"\n"),
        ("loop.toml", "extends = \"loop.toml\"\n"),
        ("broken.toml", "[study\n"),
    ]);
    let is = |name: &str| is_study(&dir.path().join(name));
    assert!(is("s.toml") && is("more.toml"));
    assert!(!is("ae.toml") && !is("loop.toml") && !is("broken.toml") && !is("none.toml"));
}

#[test]
fn errors_point_to_the_file_that_they_are_in() {
    let study = "[study]\nseed = [1]\n[[family]]\nconfg = \"ae.toml\"\n";
    let text = refused(&[("s.toml", study)], &[]);
    assert!(text.contains("s.toml:2:1") && text.contains("did you mean `study.seeds`?"), "{text}");
    assert!(text.contains("s.toml:4:1") && text.contains("did you mean `family.config`?"), "{text}");

    let over = "[[family]]\nconfig = \"ae.toml\"\n[family.override]\ntrain.epoch = 2\n";
    let text = refused(&[("s.toml", over)], &[]);
    assert!(text.contains("s.toml:4:7") && text.contains("did you mean `train.epochs`?"), "{text}");

    let text = refused(&[("s.toml", BOTH), ("ae.toml", "train.epochs = 0\n")], &[]);
    assert!(text.contains("ae.toml:1:16") && text.contains("`train.epochs` must be"), "{text}");

    let text = refused(&[("s.toml", "[[family]]\nconfig = \"ea.toml\"\n")], &[]);
    assert!(text.contains("s.toml:2:10") && text.contains("did you mean `ae.toml`?"), "{text}");
}

#[test]
fn what_is_wrong_for_all_families_is_told_once() {
    let text = refused(&[("s.toml", &format!("[common]\ntrain.epochs = -1\n{BOTH}"))], &[]);
    assert_eq!(text.matches("error:").count(), 1, "{text}");
    let text = refused(&[("s.toml", BOTH)], &["trian.epochs=1"]);
    assert_eq!(text.matches("error:").count(), 1, "{text}");
    assert!(text.contains("command line") && text.contains("did you mean `train`?"), "{text}");
}

#[test]
fn a_value_that_nobody_wrote_is_shown_at_its_family() {
    let files = [("s.toml", "[[family]]\nconfig = \"p.toml\"\n"), ("p.toml", "[task]\npretrained = {}\n")];
    let text = refused(&files, &[]);
    assert!(text.contains("p.toml:2:") && text.contains("names no file"), "{text}");
    let files =
        [("s.toml", "[[family]]\nconfig = \"p.toml\"\n"), ("p.toml", "frontend.logmel.fmin_hz = 9000.0\n")];
    let text = refused(&files, &[]);
    assert!(text.contains("p.toml:1:"), "{text}");
}

#[test]
fn another_task_than_the_file_s_is_refused() {
    let over = "[[family]]\nconfig = \"ae.toml\"\noverride.task.contrastive.width = 4\n";
    let text = refused(&[("s.toml", over)], &[]);
    assert!(
        text.contains("`task.contrastive` is not what ae.toml trains, which is `task.autoencoder`"),
        "{text}"
    );
    let text = refused(&[("s.toml", BOTH)], &["task.separation.blocks=1"]);
    assert!(text.contains("no family of the study has a table `task.separation`"), "{text}");
    assert!(text.contains("they have `task.autoencoder`, `task.contrastive`"), "{text}");
    let text = refused(&[("s.toml", &format!("[common]\ntask.autoencodr.hidden = 3\n{BOTH}"))], &[]);
    assert!(text.contains("did you mean `task.autoencoder`?"), "{text}");
}

#[test]
fn families_that_train_the_same_are_refused() {
    let twice = "[[family]]\nconfig = \"ae.toml\"\n[[family]]\nconfig = \"./ae.toml\"\noverride.eval.linear_probe.c = 3.0\n";
    let text = refused(&[("s.toml", twice)], &[]);
    assert!(text.contains("`h32-b2` of the autoencoder: the one at s.toml:2 and this one"), "{text}");
    assert!(text.contains("s.toml:4:10") && text.matches("error:").count() == 1, "{text}");
    let other = twice.replace("eval.linear_probe.c = 3.0", "train.epochs = 4");
    assert_eq!(load(&other, &[]).families.len(), 2);
    let list = "[[family]]\nconfig = \"ae.toml\"\n[[family.list]]\ntrain.epochs = 3\n[[family.list]]\ntrain.epochs = 3\n";
    let text = refused(&[("s.toml", list)], &[]);
    assert!(text.contains("two entries of the list train the same, `h32-b8` of the autoencoder"), "{text}");
    assert!(text.contains("s.toml:5:1"), "{text}");
}

#[test]
fn what_has_no_meaning_in_a_study_is_refused() {
    for (study, expected) in [
        ("[study]\nname = \"s\"\n", "the study has no family"),
        ("family = []\n", "`family` must be a list of 1 or more tables"),
        ("[[family]]\n", "the family names no configuration"),
        ("[[family]]\nconfig = \"ae.toml\"\ngrid = {}\nlist = [{}]\n", "the family has a grid and a list"),
        (
            "[[family]]\nconfig = \"ae.toml\"\noverride = 3\n",
            "`family.override` must hold an experiment's settings",
        ),
        (
            "[[family]]\nconfig = \"ae.toml\"\nlist = [3]\n",
            "`family.list` must hold an experiment's settings",
        ),
        ("[[family]]\nconfig = \"ae.toml\"\n[common.grid]\ntrain.epochs = [1]\n", "a grid cannot be common"),
        ("[[family]]\nconfig = \"ae.toml\"\noverride.grid = {}\n", "a grid cannot stand here"),
        ("[[family]]\nconfig = \"ae.toml\"\ncommon = 3\n[study]\n", "unknown key `family.common`"),
        ("common = 3\n[[family]]\nconfig = \"ae.toml\"\n", "`common` must hold"),
        ("[study]\nname = \"a/b\"\n[[family]]\nconfig = \"ae.toml\"\n", "\"a/b\" cannot be a file's name"),
        (
            "train.epochs = 3\n[[family]]\nconfig = \"ae.toml\"\n",
            "a study has its experiments' settings under [common]",
        ),
        (
            "[protocol]\nsignificance = 2\n[[family]]\nconfig = \"ae.toml\"\n",
            "`protocol.significance` must be",
        ),
        ("extends = \"s.toml\"\n", "in a circle"),
    ] {
        let text = refused(&[("s.toml", study)], &[]);
        assert!(text.contains(expected), "{study}\n{text}");
    }
    for set in ["grid={}", "family=[]", "common.train.epochs=1", "grid.train.epochs=[1]"] {
        assert!(refused(&[("s.toml", BOTH)], &[set]).contains("of a study cannot be set"), "{set}");
    }
}

#[test]
fn a_configuration_that_is_a_study_says_so() {
    let dir = folder(&[("s.toml", BOTH)]);
    let text = crate::config::load(&dir.path().join("s.toml"), &[]).unwrap_err().render(false);
    assert!(text.contains("`asdbench sweep` runs one"), "{text}");
}
