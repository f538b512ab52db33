//! `asdbench correlate`: the study's tables, results CSVs, folders of runs.

use std::fs;

use serde_json::Value;

use crate::program::{Answer, Bench};

const HEADER: &str =
    "family,config,machine,seed,proxy_name,proxy,higher_is_better,in_domain_lp,out_domain_lp,mahalanobis\n";

/// Four configurations on two machine types; a lower error detects better in-domain, worse by Mahalanobis.
const RESULTS: &str = "\
autoencoder,a,fan,0,mae,0.1,false,0.9,0.5,0.6
autoencoder,a,pump,0,mae,0.1,false,0.9,0.8,0.6
autoencoder,b,fan,0,mae,0.2,false,0.8,0.7,0.7
autoencoder,b,pump,0,mae,0.2,false,0.8,0.7,0.7
autoencoder,c,fan,0,mae,0.3,false,0.7,0.9,0.8
autoencoder,c,pump,0,mae,0.3,false,0.7,0.4,0.8
autoencoder,d,fan,0,mae,0.4,false,0.6,0.6,0.9
autoencoder,d,pump,0,mae,0.4,false,0.6,0.6,0.9
";

fn correlate(bench: &Bench, text: &str, format: &str) -> Answer {
    fs::write(bench.path("results.csv"), text).unwrap();
    bench.run(&["correlate", "results.csv", "--format", format])
}

fn family<'a>(document: &'a Value, name: &str) -> &'a Value {
    let families = document["families"].as_array().expect("a list of families");
    families.iter().find(|one| one["family"] == name).unwrap_or_else(|| panic!("no {name} in {document}"))
}

#[test]
fn a_results_csv_is_correlated() {
    let bench = Bench::empty();
    let document = correlate(&bench, &format!("{HEADER}{RESULTS}"), "json").fine().json();
    assert_eq!(document["schema"], 1);
    let found = family(&document, "autoencoder");
    assert_eq!((&found["proxy"], &found["n"]), (&"mae".into(), &4.into()));
    assert_eq!(found["smallest_p"].as_f64(), Some(2.0 / 24.0));
    assert_eq!(found["can_be_significant"], false);
    for (metric, rho, agreement) in [("in_domain_lp", -1.0, 1.0), ("mahalanobis", 1.0, -1.0)] {
        let one = &found[metric];
        assert_eq!(
            (one["rho"].as_f64(), one["agreement"].as_f64()),
            (Some(rho), Some(agreement)),
            "{metric}"
        );
        assert_eq!((one["p"].as_f64(), &one["exact"]), (Some(2.0 / 24.0), &true.into()), "{metric}");
    }
    // Means 0.65, 0.7, 0.65, 0.6 rank 2.5, 4, 2.5, 1: Σab = −3 of doubled centred ranks, √(5·4.5) of single ones.
    let rho = found["out_domain_lp"]["rho"].as_f64().unwrap();
    assert!((rho + 3.0 / (5.0_f64 * 4.5).sqrt()).abs() < 1e-12, "{rho}");
    let machines: Vec<_> = found["machines"].as_array().unwrap().iter().map(|one| &one["machine"]).collect();
    assert_eq!(machines, ["fan", "pump"]);
    // What needs no reading of the table: spreadsheets' habits change nothing, nor does the order of the rows.
    let dressed = format!("\u{feff}{HEADER}{RESULTS}").replace('\n', "\r\n");
    assert_eq!(correlate(&bench, &dressed, "json").fine().json(), document);
    let mut lines: Vec<&str> = RESULTS.lines().collect();
    lines.swap(1, 2);
    lines.rotate_left(1);
    let moved = correlate(&bench, &format!("{HEADER}{}\n", lines.join("\n")), "json").fine().json();
    for metric in ["in_domain_lp", "out_domain_lp", "mahalanobis"] {
        assert_eq!(family(&moved, "autoencoder")[metric], found[metric], "{metric}");
    }
}

#[test]
fn every_format_has_every_coefficient() {
    let bench = Bench::empty();
    let text = format!("{HEADER}{RESULTS}");
    for (format, mark) in
        [("table", "rho"), ("csv", "family,proxy,against,n,rho"), ("md", "| :--"), ("latex", "\\toprule")]
    {
        let answer = correlate(&bench, &text, format).fine();
        assert!(answer.out.contains(mark), "{format}: {}", answer.out);
        for metric in ["in-domain LP", "out-domain LP", "Mahalanobis"] {
            assert!(answer.out.contains(metric), "{format}: {}", answer.out);
        }
        assert!(answer.out.contains("can never give p"), "{format}: {}", answer.out);
    }
}

#[test]
fn an_incomplete_grid_is_null_with_a_reason() {
    let bench = Bench::empty();
    let short: Vec<&str> = RESULTS.lines().filter(|line| !line.starts_with("autoencoder,b,pump")).collect();
    let answer = correlate(&bench, &format!("{HEADER}{}\n", short.join("\n")), "json").fine();
    let document = answer.json();
    let found = family(&document, "autoencoder");
    for metric in ["in_domain_lp", "out_domain_lp", "mahalanobis"] {
        assert!(found[metric]["rho"].is_null() && found[metric]["p"].is_null(), "{found}");
        assert!(
            found[metric]["why"].as_str().unwrap().contains("config `b` has no result on machine `pump`")
        );
    }
    assert_eq!(found["missing"][0]["config"], "b");
    assert!(answer.err.contains("config `b`"), "{}", answer.err);
    // A value that is missing takes its own coefficient and no other.
    let text = RESULTS.replace("0.9,0.5,0.6", "0.9,,0.6");
    let document = correlate(&bench, &format!("{HEADER}{text}"), "json").fine().json();
    let found = family(&document, "autoencoder");
    assert!(found["out_domain_lp"]["why"].as_str().unwrap().contains("config `a` has no out_domain_lp"));
    assert_eq!(found["in_domain_lp"]["rho"].as_f64(), Some(-1.0));
}

#[test]
fn a_bad_csv_is_refused_with_file_and_line() {
    let bench = Bench::empty();
    let good = format!("{HEADER}{RESULTS}");
    for (text, words) in [
        (String::new(), vec!["line 1", "empty"]),
        (HEADER.to_owned(), vec!["no row"]),
        (
            good.replace("mahalanobis\n", "md\n"),
            vec!["line 1", "missing column `mahalanobis`", "unknown column `md`"],
        ),
        (good.replace("mae,0.3", "mae,much"), vec!["line 6", "`much`", "not a number"]),
        (good.replace("mae,0.3", "mae,NaN"), vec!["line 6", "`NaN`"]),
        (good.replace('\n', "\r\n").replace("mae,0.3", "mae,NaN"), vec!["line 6", "`NaN`"]),
        (good.replace("autoencoder,b,pump", "autoencoder,b,fan"), vec!["line 5", "line 4", "`b`"]),
        (good.replace("pump,0,mae,0.4", "pump,0,mse,0.4"), vec!["line 9", "`mse`", "`mae`", "line 2"]),
        (
            good.replace("0.4,false,0.6,0.6,0.9\n", "0.4,true,0.6,0.6,0.9\n"),
            vec!["line 8", "higher_is_better"],
        ),
        (good.replace("0.7,0.9,0.8", "0.7,0.9"), vec!["line 6", "9 values"]),
    ] {
        let answer = correlate(&bench, &text, "json");
        answer.refused(4, &[&["results.csv"], &words[..]].concat());
        assert!(answer.out.is_empty(), "{}", answer.out);
    }
}

#[test]
fn sources_must_be_named_and_there() {
    let bench = Bench::empty();
    bench.run(&["correlate"]).refused(2, &["SOURCE"]);
    bench.run(&["correlate", "gone"]).refused(4, &["there is no gone", "results CSV"]);
    bench.run(&["correlate", "--study-tables", "gone"]).refused(2, &["--study-tables"]);
    bench.run(&["correlate", "."]).refused(4, &["no run below"]);
}

/// Runs of three configurations, made out of one that was trained and judged.
#[test]
fn runs_are_correlated_and_those_without_results_are_named() {
    let bench = Bench::with_fan();
    let trained = bench.train(&["--set", "train.epochs=1"]).fine().json();
    let path = bench.path(trained["runs"][0]["path"].as_str().unwrap());
    let bare = bench.run(&["correlate", "runs"]);
    bare.refused(4, &["none of the", "asdbench eval"]);
    bench.eval(&[path.to_str().unwrap()]).fine();
    let judged: Value = serde_json::from_str(&fs::read_to_string(path.join("eval.json")).unwrap()).unwrap();
    for (n, auc) in [0.9, 0.7, 0.8, 0.6].into_iter().enumerate() {
        let folder = bench.path("copies").join(format!("c{n}/fan/seed-0"));
        fs::create_dir_all(&folder).unwrap();
        fs::copy(path.join("manifest.json"), folder.join("manifest.json")).unwrap();
        fs::write(folder.join("status"), "done\n").unwrap();
        if n == 3 {
            continue;
        }
        let mut run = judged.clone();
        run["config"] = format!("c{n}").into();
        run["proxy"]["value"] = (n as f64).into();
        run["linear_probe"]["in_domain"]["auc"] = auc.into();
        run["mahalanobis"]["auc"] = Value::Null;
        fs::write(folder.join("eval.json"), run.to_string()).unwrap();
    }
    let answer = bench.run(&["correlate", "copies", "./copies/c0", "--format", "json"]).fine();
    let document = answer.json();
    let found = family(&document, "autoencoder");
    assert_eq!((&found["n"], &found["proxy"]), (&3.into(), &"mae".into()));
    assert_eq!(found["in_domain_lp"]["rho"].as_f64(), Some(-0.5));
    assert!(found["mahalanobis"]["rho"].is_null() && found["mahalanobis"]["why"].is_string());
    assert!(document["left_out"][0]["path"].as_str().unwrap().contains("c3"), "{document}");
    assert!(answer.err.contains("c3") && answer.err.contains("left out"), "{}", answer.err);
    // A CSV can stand beside them, and must not contradict them.
    let csv = format!("autoencoder,c0,fan,{},mae,0.5,false,0.5,0.5,0.5\n", judged["seed"]);
    fs::write(bench.path("more.csv"), format!("{HEADER}{csv}")).unwrap();
    bench.run(&["correlate", "copies", "more.csv"]).refused(4, &["more.csv, line 2", "eval.json"]);
}

#[test]
fn table_vii_is_recomputed() {
    let bench = Bench::empty();
    let document = bench.run(&["correlate", "--study-tables", "--format", "json"]).fine().json();
    let summary = &document["summary"];
    for (key, count) in [
        ("cells", 21),
        ("reproduced", 14),
        ("not_reproduced", 7),
        ("within_rounding", 0),
        ("stars_not_given", 1),
    ] {
        assert_eq!(summary[key], count, "{key}");
    }
    assert_eq!(document["families"].as_array().unwrap().len(), 7);
    let separation = family(&document, "separation");
    assert_eq!(separation["table_vii"]["mahalanobis"]["printed_stars"], 3);
    assert_eq!(separation["table_vii"]["mahalanobis"]["stars"], 2);
    assert_eq!(separation["mahalanobis"]["p"].as_f64(), Some(46.0 / 40_320.0));
    assert_eq!(family(&document, "pretrained")["can_be_significant"], false);
    assert_eq!(family(&document, "autoencoder")["table_vii"]["out_domain_lp"]["verdict"], "not_reproduced");
    let text = bench.run(&["correlate", "--study-tables"]).fine().out;
    let line = |start: &str| {
        let found = text
            .lines()
            .find(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(start));
        found.unwrap_or_else(|| panic!("no `{start}` in:\n{text}"))
    };
    assert!(line("Source separation Mahalanobis").ends_with("the exact test gives **"));
    assert!(line("AutoEncoder out-domain LP").ends_with("not reproduced"));
    assert!(line("AutoEncoder Mahalanobis").ends_with("-0.78*"));
    assert!(line("n = 4 allows p >= 0.0833").contains("can never be significant (Pre-trained)"));
    for format in ["csv", "md", "latex"] {
        let out = bench.run(&["correlate", "--study-tables", "--format", format]).fine().out;
        assert_eq!(out.matches("not reproduced").count(), 7, "{format}: {out}");
    }
}
