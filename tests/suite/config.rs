//! Configurations through the library: layers, origins, grids, and what errors look like.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use asdbench::config::{
    AutoencoderConfig, Error, Experiment, Origin, ReconstructionLoss, SeparationConfig, TaskConfig,
    json_schema_text, load, load_str,
};
use insta::assert_snapshot;
use proptest::prelude::*;
use tempfile::TempDir;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(name)
}

/// A folder with configurations in it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn sets(sets: &[&str]) -> Vec<String> {
    sets.iter().map(|&set| set.to_owned()).collect()
}

/// The rendered error of a configuration's text.
fn refusal(text: &str) -> String {
    load_str(text, "a.toml").expect_err(text).render(false)
}

/// The rendered error of a `--set` argument over the shipped autoencoder.
fn set_refusal(argument: &str) -> String {
    load(&shipped("ae.toml"), &sets(&[argument])).expect_err(argument).render(false)
}

fn autoencoder(experiment: &Experiment) -> &AutoencoderConfig {
    let TaskConfig::Autoencoder(autoencoder) = &experiment.task else { panic!("{:?}", experiment.task) };
    autoencoder
}

// Shipped configurations

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let committed = fs::read_to_string(shipped("schema.json")).unwrap();
    let remedy = "run `asdbench config schema > configs/schema.json`";
    assert!(committed == json_schema_text(), "configs/schema.json has drifted: {remedy}");
}

#[test]
fn shipped_configurations_load_and_name_their_schema() {
    let mut names = HashSet::new();
    for (folder, directive) in [("", "#:schema schema.json\n"), ("micro/", "#:schema ../schema.json\n")] {
        for entry in fs::read_dir(shipped(folder)).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            if file.ends_with(".toml") {
                names.insert((format!("{folder}{file}"), directive));
            }
        }
    }
    assert!(names.len() >= 13, "{names:?}");
    for (name, directive) in names {
        let name = name.as_str();
        let text = fs::read_to_string(shipped(name)).unwrap();
        assert!(text.starts_with(directive), "{name}");
        let resolved = load(&shipped(name), &[]).unwrap_or_else(|e| panic!("{}", e.render(false)));
        assert_eq!(resolved.experiment.data.root, None, "{name} leaves the folder to the user");
    }
}

#[test]
fn the_separation_configuration_is_the_study_and_the_default() {
    let study = load(&shipped("separation.toml"), &[]).unwrap();
    let TaskConfig::Separation(task) = &study.experiment.task else { panic!("{:?}", study.experiment.task) };
    assert_eq!(task, &SeparationConfig::default());
    assert_eq!(study.experiment.eval, Experiment::default().eval);
    let slugs: Vec<String> = study.expand().unwrap().iter().map(Experiment::slug).collect();
    let expected =
        ["n0-c64", "n0-c128", "n1-c64", "n1-c128", "n2-c64", "n2-c128", "n4-c64", "n4-c128"];
    assert_eq!(slugs, expected);
    let micro = load(&shipped("micro/separation.toml"), &[]).unwrap();
    assert_eq!(micro.experiment.frontend, study.experiment.frontend);
    assert_eq!(micro.expand().unwrap().len(), 4);
}

#[test]
fn settings_of_the_separation_family_are_checked() {
    let refusal = |set: &str| {
        load(&shipped("separation.toml"), &sets(&[set])).expect_err(set).render(false)
    };
    assert!(refusal("task.separation.channels=66").contains("multiple of 4"));
    assert!(refusal("task.separation.blocks=17").contains("from 0 to 16"));
    assert!(refusal("task.separation.hop_samples=150").contains("does not divide the 400 samples"));
    assert!(refusal("task.separation.min_snr_db=6").contains("above `max_snr_db`, which is 5"));
    assert!(refusal("eval.separation.snrs_db=[]").contains("a list of 1 or more"));
    let elsewhere = set_refusal("train.checkpoint_blocks=true");
    assert!(elsewhere.contains("`train.checkpoint_blocks` is true, and autoencoder has no conformer blocks"));
    load(&shipped("separation.toml"), &sets(&["train.checkpoint_blocks=true"])).unwrap();
}

#[test]
fn the_autoencoder_configuration_is_the_study_and_the_default() {
    let resolved = load(&shipped("ae.toml"), &[]).unwrap();
    assert_eq!(resolved.experiment, Experiment::default());
    let slugs: Vec<String> = resolved.expand().unwrap().iter().map(Experiment::slug).collect();
    let expected =
        ["h64-b4", "h64-b8", "h64-b16", "h128-b4", "h128-b8", "h128-b16", "h256-b4", "h256-b8", "h256-b16"];
    assert_eq!(slugs, expected);
}

#[test]
fn the_micro_autoencoder_keeps_the_front_end() {
    let study = load(&shipped("ae.toml"), &[]).unwrap().experiment;
    let micro = load(&shipped("micro/ae.toml"), &[]).unwrap();
    assert_eq!(micro.experiment.frontend, study.frontend);
    assert!(micro.experiment.train.epochs < study.train.epochs);
    let hashes: HashSet<String> = micro.expand().unwrap().iter().map(Experiment::training_hash).collect();
    assert_eq!(hashes.len(), 4);
}

// Layers

#[test]
fn layers_merge_and_every_value_knows_its_origin() {
    let dir = folder(&[
        ("base.toml", "[train]\nepochs = 7\nseeds = [1, 2]\n[train.optimizer]\nlr = 1e-2\n"),
        ("sub/more.toml", "[train]\nbatch_size = 64\nepochs = 8\n"),
        ("top.toml", "extends = [\"base.toml\", \"sub/more.toml\"]\n[train]\noptimizer.weight_decay = 0\n"),
    ]);
    let top = dir.path().join("top.toml");
    let resolved =
        load(&top, &sets(&["train.seeds=[3]", "data.root=2022", "data.root=some/folder"])).unwrap();
    let train = &resolved.experiment.train;
    assert_eq!((train.epochs, train.batch_size, &train.seeds[..]), (8, 64, &[3][..]));
    assert_eq!((train.optimizer.lr, train.optimizer.weight_decay), (1e-2, 0.0));
    assert_eq!(resolved.experiment.data.root_dir().unwrap(), Path::new("some/folder"));
    assert_eq!(resolved.source, top);

    let at = |name: &str, line| Origin::File { path: dir.path().join(name), line };
    assert_eq!(resolved.origin("train.epochs"), at("sub/more.toml", 3));
    assert_eq!(resolved.origin("train.optimizer.lr"), at("base.toml", 5));
    assert_eq!(resolved.origin("train.optimizer.weight_decay"), at("top.toml", 3));
    assert_eq!(resolved.origin("train.seeds"), Origin::Set);
    assert_eq!(resolved.origin("train.schedule.gamma"), Origin::Default);
}

#[test]
fn a_file_may_be_reached_twice_but_not_by_itself() {
    let dir = folder(&[
        ("root.toml", "train.epochs = 5\n"),
        ("left.toml", "extends = \"root.toml\"\n"),
        ("right.toml", "extends = \"root.toml\"\n"),
        ("top.toml", "extends = [\"left.toml\", \"right.toml\"]\n"),
        ("loop.toml", "extends = \"./loop.toml\"\n"),
    ]);
    assert_eq!(load(&dir.path().join("top.toml"), &[]).unwrap().experiment.train.epochs, 5);
    let error = load(&dir.path().join("loop.toml"), &[]).unwrap_err();
    assert!(matches!(error, Error::Cycle(_)), "{error:?}");
}

#[test]
fn a_grid_replaces_the_grid_below_it() {
    let dir = folder(&[
        ("base.toml", "[grid]\n\"train.epochs\" = [1, 2]\n\"train.batch_size\" = [8, 16]\n"),
        ("top.toml", "extends = \"base.toml\"\n[grid]\ntrain.optimizer.lr = [1e-3, 1e-4, 1e-5]\n"),
    ]);
    let axes = |set: &[&str]| {
        let resolved = load(&dir.path().join("top.toml"), &sets(set)).unwrap();
        let paths: Vec<String> = resolved.grid.axes().iter().map(|axis| axis.path()).collect();
        (paths.join(" "), resolved.expand().unwrap().len())
    };
    assert_eq!(axes(&[]), ("train.optimizer.lr".to_owned(), 3));
    // An argument adds or replaces one axis, or the whole grid where it gives that.
    assert_eq!(axes(&["grid.train.epochs=[4, 5]"]), ("train.optimizer.lr train.epochs".to_owned(), 6));
    assert_eq!(axes(&["grid.\"train.optimizer.lr\"=[0.1]"]), ("train.optimizer.lr".to_owned(), 1));
    assert_eq!(axes(&["grid={}"]), (String::new(), 1));
}

#[test]
fn the_last_axis_varies_fastest() {
    let text = "[grid]\n\"train.epochs\" = [1, 2]\n\"task.autoencoder.hidden\" = [9, 3]\n";
    let trials = load_str(text, "a.toml").unwrap().expand().unwrap();
    let order: Vec<(usize, usize)> =
        trials.iter().map(|trial| (trial.train.epochs, autoencoder(trial).hidden)).collect();
    assert_eq!(order, [(1, 9), (1, 3), (2, 9), (2, 3)]);
}

#[test]
fn the_hash_does_not_depend_on_how_a_configuration_is_written() {
    let hash = |text: &str| load_str(text, "a.toml").unwrap().experiment.training_hash();
    let one = hash("[train]\nepochs = 3\noptimizer = { lr = 0.001, beta1 = 0.8 }\n");
    let other = hash("train.optimizer.beta1 = 8e-1\ntrain.optimizer.lr = 1e-3\ntrain.epochs = 3\n");
    assert_eq!(one, other);
    assert_eq!(hash(""), hash("[train.schedule]\ngamma = 0.5\n"));
    assert_ne!(one, hash(""));
}

// Errors

#[test]
fn an_unknown_key_names_the_nearest() {
    assert_snapshot!(refusal("[train]\nepoch = 3\n"), @r"
      error: unknown key `train.epoch`
       ,-[a.toml:2:1]
     1 | [train]
     2 | epoch = 3
       : ^^|^^
       :   `-- not known
       `----
      help: did you mean `train.epochs`?
    ");
    let elsewhere = refusal("epochs = 3\n");
    assert!(elsewhere.contains("did you mean `train.epochs`?"), "{elsewhere}");
    let nothing_near = refusal("[train.schedule]\nwarmup = 3\n");
    assert!(nothing_near.contains("`train.schedule` has `step_epochs`, `gamma`"), "{nothing_near}");
    let misplaced = refusal("[train]\nextends = \"b.toml\"\n");
    assert!(misplaced.contains("above its first table"), "{misplaced}");
}

#[test]
fn a_wrong_type_and_a_value_out_of_range_are_told_together() {
    let text = "[train]\nepochs = \"many\"\n[train.schedule]\ngamma = 1.5\n";
    assert_snapshot!(refusal(text), @r#"
      error: `train.epochs` must be a whole number from 1 to 1000000
       ,-[a.toml:2:10]
     1 | [train]
     2 | epochs = "many"
       :          ^^^|^^
       :             `-- found the string "many"
     3 | [train.schedule]
       `----

      error: `train.schedule.gamma` must be a number above 0 and at most 1
       ,-[a.toml:4:9]
     3 | [train.schedule]
     4 | gamma = 1.5
       :         ^|^
       :          `-- found 1.5
       `----
    "#);
}

#[test]
fn a_rule_between_settings_is_told_with_the_ranges() {
    let text = "[train]\nepochs = 0\n[frontend.logmel]\nn_fft = 64\n";
    let error = load_str(text, "a.toml").unwrap_err();
    let Error::Invalid(problems) = &error else { panic!("{error:?}") };
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message()).collect();
    assert_eq!(
        messages,
        [
            "`train.epochs` must be a whole number from 1 to 1000000",
            "`frontend.logmel.n_mels` is 128, more than the 33 frequency bins there are",
        ]
    );
    // The number of mels has its default: the caret stands under what was written.
    assert!(error.render(false).contains("[a.toml:4:9]"), "{}", error.render(false));
}

#[test]
fn values_out_of_range_are_refused() {
    for (text, message) in [
        ("train.batch_size = 1", "`train.batch_size` must be a whole number from 2 to 1048576"),
        ("train.seeds = []", "`train.seeds` must be a list of 1 or more whole numbers"),
        ("train.seeds = [0, 0]", "`train.seeds` has 0 more than once"),
        ("train.seeds = [-1]", "every value of `train.seeds` must be a whole number of at least 0"),
        ("train.optimizer.lr = 0", "`train.optimizer.lr` must be a number above 0"),
        ("train.optimizer.lr = nan", "`train.optimizer.lr` must be a number above 0"),
        ("train.optimizer.lr = inf", "`train.optimizer.lr` must be a number above 0"),
        ("train.optimizer.beta2 = 1.0", "must be a number of at least 0 and below 1"),
        ("train.schedule.gamma = 0.0", "must be a number above 0 and at most 1"),
        ("train.schedule.step_epochs = 0", "must be a whole number of at least 1"),
        ("train.checkpoint_every_s = -1", "must be a number of at least 0"),
        ("train.epochs = 99999999999999999999", "must be a whole number from 1 to 1000000"),
        ("train.epochs = 3.0", "write it without a point or exponent: 3"),
        ("task.autoencoder.hidden = 0", "must be a whole number from 1 to 65536"),
        ("task.autoencoder.bottleneck = 0", "must be a whole number from 1 to 65536"),
        ("task.autoencoder.frames = 0", "must be a whole number from 1 to 1024"),
        ("task.autoencoder.layers = 0", "must be a whole number from 1 to 64"),
        ("frontend.logmel.n_fft = 8", "must be a whole number from 16 to 65536"),
        ("frontend.logmel.hop_samples = 0", "must be a whole number from 1 to 65536"),
        ("frontend.logmel.n_mels = 0", "must be a whole number from 1 to 1024"),
        ("frontend.logmel.fmin_hz = -1.0", "must be a number of at least 0"),
        ("frontend.logmel.fmax_hz = 8001", "is 8001, above half the sampling rate"),
        ("frontend.logmel.fmin_hz = 8000", "is 8000, not below the upper edge of 8000 Hz"),
        ("eval.linear_probe.c = 0", "`eval.linear_probe.c` must be a number above 0"),
        ("eval.linear_probe.tolerance = 0", "must be a number above 0"),
        ("eval.linear_probe.swap = \"true\"", "write it without quotes: true"),
        ("eval.mahalanobis.ridge = 0", "`eval.mahalanobis.ridge` must be a number above 0"),
        ("data.root = \"\"", "`data.root` must be a string that is not empty"),
        ("data.machines = \"fan\"", "write it as a list: [\"fan\"]"),
        ("data.layout = 2022", "must be one of `auto`, `dcase2020`"),
        ("data = 3", "`data` must be a table"),
        ("task = {}", "`task` must be a table with one of the keys `autoencoder`"),
        ("extends = 3", "`extends` must be the path of a configuration"),
    ] {
        let rendered = refusal(text);
        assert!(rendered.contains(message), "{text}:\n{rendered}");
        assert!(rendered.contains("[a.toml:1:"), "{text}:\n{rendered}");
    }
}

#[test]
fn an_unknown_variant_lists_the_known_ones() {
    assert_snapshot!(refusal("[task.autoencodr]\nhidden = 3\n"), @r"
      error: `task` has no variant `autoencodr`
       ,-[a.toml:1:7]
     1 | [task.autoencodr]
       :       ^^^^^|^^^^
       :            `-- not known
     2 | hidden = 3
       `----
      help: did you mean `task.autoencoder`?
    ");
    let word = refusal("[eval.mahalanobis]\nestimator = \"ledoitwolf\"\n");
    assert!(word.contains("must be one of `ledoit-wolf`, `oas`, `ridge`, `pinv`"), "{word}");
    assert!(word.contains("did you mean `ledoit-wolf`?"), "{word}");
}

#[test]
fn a_syntax_error_is_told_at_the_first_place() {
    let error = load_str("[train]\nepochs =\nseeds = [\n", "a.toml").unwrap_err();
    assert!(matches!(error, Error::Syntax(_)), "{error:?}");
    assert!(error.render(false).contains("[a.toml:2:9]"), "{}", error.render(false));
    assert!(error.to_string().starts_with("a.toml:2: not valid TOML: "), "{error}");
}

#[test]
fn set_arguments_are_shown_with_a_caret() {
    assert_snapshot!(set_refusal("train.epoch=3"), @r"
      error: unknown key `train.epoch`
       ,-[command line:1:7]
     1 | --set train.epoch=3
       :       ^^^^^|^^^^^
       :            `-- not known
       `----
      help: did you mean `train.epochs`?
    ");
    assert_snapshot!(set_refusal("train.optimizer.lr=-1"), @r"
      error: `train.optimizer.lr` must be a number above 0
       ,-[command line:1:26]
     1 | --set train.optimizer.lr=-1
       :                          ^|
       :                           `-- found -1
       `----
    ");
    for (argument, message) in [
        ("train.epochs", "takes a key, `=` and a value"),
        ("train.epochs=", "has no value"),
        ("data.machines=[fan]", "strings in a list stand in quotes"),
        ("train=3", "`train` must be a table"),
        ("grid.train.epochs=3", "write it as a list: [3]"),
        ("grid.train.epoch=[3]", "did you mean `train.epochs`?"),
        ("extends=b.toml", "above its first table"),
    ] {
        let rendered = set_refusal(argument);
        assert!(rendered.contains(message), "{argument}:\n{rendered}");
        assert!(rendered.contains("command line:1:"), "{argument}:\n{rendered}");
    }
}

#[test]
fn a_missing_file_is_named_with_what_extends_it() {
    let dir = folder(&[
        ("a.toml", "train.epochs = 1\n"),
        ("top.toml", "extends = \"sub/../aa.toml\"\n"),
        ("one.toml", "extends = [\"two.toml\"]\n"),
        ("two.toml", "extends = \"one.toml\"\n"),
        ("latin.toml", ""),
    ]);
    fs::write(dir.path().join("latin.toml"), b"# caf\xe9\n").unwrap();
    let shown = |name: &str| {
        let error = load(&dir.path().join(name), &[]).unwrap_err();
        error.render(false).replace(&format!("{}/", dir.path().display()), "")
    };
    assert_snapshot!(shown("tap.toml"), @r"
      error: failed to read the configuration tap.toml: there is no such file
      help: did you mean `top.toml`?
    ");
    assert_snapshot!(shown("one.toml"), @r#"
      error: configurations extend each other in a circle: one.toml -> two.toml -> one.toml
       ,-[two.toml:1:11]
     1 | extends = "one.toml"
       :           ^^^^^|^^^^
       :                `-- comes back to a file that is being read
       `----
      help: remove one `extends` of the circle
    "#);
    assert!(shown("latin.toml").contains("it is not UTF-8 text"), "{}", shown("latin.toml"));
    assert!(shown("").contains("it is a folder"), "{}", shown(""));
    let extended = shown("top.toml");
    assert!(extended.contains("failed to read the configuration aa.toml"), "{extended}");
    assert!(extended.contains("[top.toml:1:11]"), "{extended}");
}

#[test]
fn files_that_extend_each_other_twice_over_come_to_an_end() {
    let chain: Vec<(String, String)> = (0..40)
        .map(|n| {
            let next = n + 1;
            (format!("{n}.toml"), format!("extends = [\"{next}.toml\", \"{next}.toml\"]\n"))
        })
        .chain([("40.toml".to_owned(), String::new())])
        .collect();
    let files: Vec<(&str, &str)> = chain.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let dir = folder(&files);
    let error = load(&dir.path().join("0.toml"), &[]).unwrap_err();
    assert!(error.to_string().contains("more than 64 files"), "{error}");
}

#[test]
fn a_grid_is_checked_like_the_rest() {
    for (axis, message) in [
        ("\"task.autoencoder.hiden\" = [1]", "did you mean `task.autoencoder.hidden`?"),
        ("\"train.optimizer.lr\" = [1e-3, -1.0]", "`train.optimizer.lr` must be a number above 0"),
        ("\"train.epochs\" = 3", "write it as a list: [3]"),
        ("\"train.epochs\" = []", "must be a list of one or more values"),
        ("\"train.epochs\" = [3, 3]", "has 3 more than once"),
        ("\"train.seeds\" = [[1], [2]]", "cannot vary in a grid"),
        ("\"eval.linear_probe.c\" = [1, 2]", "cannot vary in a grid"),
        ("\"frontend.logmel.n_fft\" = [1024, 64]", "more than the 33 frequency bins"),
        ("\"data\" = [{ root = \"a\" }, { root = \"b\" }]", "two trials of the grid train the same"),
        ("train = 3", "`train` in the grid must be a list"),
    ] {
        let rendered = refusal(&format!("[grid]\n{axis}\n"));
        assert!(rendered.contains(message), "{axis}:\n{rendered}");
        assert!(rendered.contains("[a.toml:2:"), "{axis}:\n{rendered}");
    }
    let values: Vec<String> = (1..=101).map(|n| n.to_string()).collect();
    let values = values.join(", ");
    let huge = format!("[grid]\n\"train.epochs\" = [{values}]\n\"task.autoencoder.hidden\" = [{values}]\n");
    assert!(refusal(&huge).contains("the grid has more than 10000 trials"));
    assert!(refusal("grid = 3\n").contains("`grid` must be a table"));
}

#[test]
fn colour_is_only_added_where_it_is_asked_for() {
    let error = load_str("[train]\nepoch = 3\n", "a.toml").unwrap_err();
    let plain = error.render(false);
    assert!(plain.is_ascii() && !plain.contains('\x1b'), "{plain}");
    assert!(error.render(true).contains('\x1b'));
}

#[test]
fn text_nested_without_end_is_an_error() {
    let depth = 100_000;
    for text in [
        format!("a = {}", "[".repeat(depth)),
        format!("a = {}", "{a=".repeat(depth)),
        format!("{}a = 1", "a.".repeat(depth)),
        format!("[{}a]", "a.".repeat(depth)),
        format!("[grid]\n{}a = 1", "a.".repeat(depth)),
    ] {
        let error = load_str(&text, "a.toml").expect_err("nested");
        assert!(!error.to_string().is_empty());
    }
}

// The command

/// Standard output, standard error and exit code of `asdbench config`.
fn config(arguments: &[&str]) -> (String, String, i32) {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_asdbench"))
        .arg("config")
        .args(arguments)
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stdout), text(output.stderr), output.status.code().expect("an exit code"))
}

fn show(config_file: &Path, options: &[&str]) -> String {
    let file = config_file.to_str().unwrap();
    let (out, err, code) = config(&[&["show", file], options].concat());
    assert_eq!(code, 0, "{err}");
    out
}

#[test]
fn show_prints_every_value_with_its_origin() {
    let micro = shipped("micro/ae.toml");
    let text = show(&micro, &["--set", "train.seeds=[4]"]);
    let line = |path: &str| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(path));
        line.unwrap_or_else(|| panic!("{path} is missing:\n{text}")).to_owned()
    };
    assert!(line("train.seeds").contains(" [4] ") && line("train.seeds").ends_with("--set"));
    assert!(line("data.root").contains("(not set)") && line("data.root").ends_with("default"));
    assert!(line("train.optimizer.epsilon").contains(" 1e-8 "), "{text}");
    let number = |name: &str, start: &str| {
        let text = fs::read_to_string(shipped(name)).unwrap();
        1 + text.lines().position(|line| line.starts_with(start)).unwrap()
    };
    let epochs = format!("micro/ae.toml:{}", number("micro/ae.toml", "epochs"));
    assert!(line("train.epochs").ends_with(&epochs), "{text}");
    let decay = format!("configs/ae.toml:{}", number("ae.toml", "weight_decay"));
    assert!(line("train.optimizer.weight_decay").ends_with(&decay), "{text}");
    assert!(line("grid.task.autoencoder.hidden").contains("[16, 32]"), "{text}");
}

#[test]
fn show_as_json_is_one_document() {
    let text = show(&shipped("ae.toml"), &["--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["schema"], 1);
    assert_eq!((&document["family"], &document["slug"]), (&"autoencoder".into(), &"h128-b8".into()));
    assert_eq!(document["trials"], 9);
    let settings = document["settings"].as_array().unwrap();
    let find = |path: &str| settings.iter().find(|setting| setting["path"] == path).unwrap();
    assert_eq!(find("train.optimizer.lr")["value"], 5e-4);
    assert_eq!(find("train.optimizer.lr")["origin"]["kind"], "file");
    assert_eq!(find("train.optimizer.epsilon")["origin"]["kind"], "default");
    assert!(find("data.root")["value"].is_null() && find("data.root")["why"] == "not set");
}

#[test]
fn show_as_toml_loads_back() {
    let text = show(&shipped("micro/ae.toml"), &["--set", "data.root=clips", "--toml"]);
    let direct = load(&shipped("micro/ae.toml"), &sets(&["data.root=clips"])).unwrap();
    assert_eq!(load_str(&text, "config.toml").unwrap().experiment, direct.experiment);
}

#[test]
fn check_tells_the_good_and_the_bad() {
    let dir = folder(&[("bad.toml", "train.epoch = 3\n"), ("worse.toml", "train.epochs = 0\n")]);
    let good = shipped("ae.toml");
    let (out, _, code) = config(&["check", good.to_str().unwrap()]);
    assert!(code == 0 && out.ends_with("ae.toml: ok (autoencoder, 9 trials)\n"), "{out}");

    let bad = ["bad.toml", "worse.toml"].map(|name| dir.path().join(name));
    let all = [&bad[0], &bad[1], &good].map(|path| path.to_str().unwrap());
    let (out, err, code) = config(&[&["check"], &all[..]].concat());
    assert_eq!((code, out.lines().count()), (3, 1), "{out}");
    assert!(err.contains("bad.toml:1:7") && err.contains("worse.toml:1:16"), "{err}");
}

#[test]
fn schema_prints_the_committed_schema() {
    let committed = fs::read_to_string(shipped("schema.json")).unwrap();
    assert_eq!(config(&["schema"]).0, committed);
}

// Properties

fn experiments() -> impl Strategy<Value = Experiment> {
    let small = 1e-9..1.0_f64;
    let train = (1_usize..1000, 2_usize..5000, small.clone(), small.clone(), small);
    let task = (1_usize..5000, 1_usize..500, any::<bool>());
    let seeds = prop::collection::hash_set(0..=i64::MAX as u64, 1..4);
    let data = (prop::option::of("[ -~]{1,20}"), prop::collection::hash_set("\\PC{1,9}", 0..3));
    (train, task, seeds, data).prop_map(|(train, task, seeds, (root, machines))| {
        let mut experiment = Experiment::default();
        (experiment.train.epochs, experiment.train.batch_size) = (train.0, train.1);
        (experiment.train.optimizer.lr, experiment.train.schedule.gamma) = (train.2, train.3);
        experiment.eval.linear_probe.tolerance = train.4;
        experiment.train.seeds = seeds.into_iter().collect();
        experiment.data.root = root.map(PathBuf::from);
        experiment.data.machines = machines.into_iter().collect();
        let loss = if task.2 { ReconstructionLoss::Mae } else { ReconstructionLoss::Mse };
        experiment.task = TaskConfig::Autoencoder(AutoencoderConfig {
            hidden: task.0,
            bottleneck: task.1,
            loss,
            ..AutoencoderConfig::default()
        });
        experiment
    })
}

/// Lines that are nearly a configuration: known and unknown keys, right and wrong values.
fn nearly() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "train",
        "epochs",
        "task",
        "autoencoder",
        "hidden",
        "grid",
        "extends",
        "data",
        "machines",
        "frontend",
        "logmel",
        "n_fft",
        "fmax_hz",
        "\"train.epochs\"",
        "\"\"",
        "seeds",
        "é",
    ]);
    let keys = prop::collection::vec(key, 1..4).prop_map(|keys| keys.join("."));
    let value = prop::sample::select(vec![
        "1",
        "-1",
        "0.5",
        "nan",
        "-inf",
        "\"x\"",
        "''",
        "true",
        "[]",
        "[1, 2]",
        "[[1], \"ä\"]",
        "{}",
        "{ a = 1 }",
        "{ autoencoder = {} }",
        "1979-05-27",
        "0xffffffffffffffffff",
        "",
        "[",
    ]);
    let line = (keys, value, 0..4_u8).prop_map(|(key, value, kind)| match kind {
        0 => format!("[{key}]"),
        1 => format!("[[{key}]]"),
        _ => format!("{key} = {value}"),
    });
    prop::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"))
}

fn survives(text: &str, argument: &str) {
    let dir = folder(&[("a.toml", text)]);
    for sets in [Vec::new(), sets(&[argument])] {
        match load(&dir.path().join("a.toml"), &sets) {
            Ok(resolved) => {
                assert_eq!(resolved.expand().unwrap().len(), resolved.grid.trials());
                assert!(!resolved.settings().is_empty());
            }
            Err(error) => {
                let rendered = error.render(false);
                assert!(rendered.contains("error:"), "{rendered}");
                assert!(!rendered.contains("Failed to read contents"), "{rendered}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_loads_back(experiment in experiments()) {
        let text = experiment.to_toml();
        let resolved = load_str(&text, "config.toml").map_err(|e| TestCaseError::fail(e.render(false)))?;
        prop_assert_eq!(&resolved.experiment, &experiment);
        prop_assert_eq!(resolved.experiment.training_hash(), experiment.training_hash());
        prop_assert_eq!(resolved.experiment.to_toml(), text);
    }

    #[test]
    fn no_text_panics(text in "(?s).{0,60}", argument in "(?s).{0,30}") {
        survives(&text, &argument);
    }

    #[test]
    fn nothing_near_a_configuration_panics(text in nearly(), argument in nearly()) {
        survives(&text, &argument);
    }
}
