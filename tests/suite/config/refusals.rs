//! What errors look like: the place, the remedy, all of them at once.

use std::fs;

use asdbench::config::{Error, load, load_str};
use insta::assert_snapshot;

use super::{folder, sets, shipped};

/// The rendered error of a configuration's text.
fn refusal(text: &str) -> String {
    load_str(text, "a.toml").expect_err(text).render(false)
}

/// The rendered error of a `--set` argument over the shipped autoencoder.
fn set_refusal(argument: &str) -> String {
    load(&shipped("ae.toml"), &sets(&[argument])).expect_err(argument).render(false)
}

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
