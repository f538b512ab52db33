//! What the program makes of hostile names: it shows them, and nothing acts.

#![cfg(unix)]

use std::fs;
use std::path::Path;

use super::names::{HOSTILE, with_hostile_machines};
use crate::pipeline::walk;
use crate::program::{Answer, Bench};

/// Nothing that a terminal would obey, on either stream.
#[track_caller]
fn obeyed_by_no_terminal(answer: &Answer) {
    for text in [&answer.out, &answer.err] {
        let acts = |character: char| {
            (character.is_control() && !matches!(character, '\n' | '\t')) || character == '\u{202e}'
        };
        assert!(!text.contains(acts), "{}", text.escape_debug());
    }
}

/// The way of a data set with such machines, to the report: every file of it is looked at.
#[test]
fn a_report_of_hostile_names_holds_nothing_that_acts() {
    let bench = with_hostile_machines();
    let data = bench.run(&["data", "data"]).fine();
    obeyed_by_no_terminal(&data);
    assert!(data.out.contains("\\u{1b}[31mred\\u{7}"), "{}", data.out);
    let config = crate::program::shipped("micro/ae.toml");
    let train = ["train", config.to_str().unwrap(), "--set", "data.root=data", "--set", "train.epochs=1"];
    obeyed_by_no_terminal(&bench.run(&[&train[..], &["--device", "cpu"]].concat()).fine());
    obeyed_by_no_terminal(&bench.run(&["eval", "runs", "--device", "cpu"]).fine());
    // A trial that failed says why, and its reason is a name.
    let failed = walk(&bench.path("runs")).into_iter().find(|path| path.ends_with("status")).unwrap();
    fs::write(failed, "failed\n</td><script>alert(1)</script>\u{1b}[2J\n").unwrap();
    obeyed_by_no_terminal(&bench.run(&["report", "runs", "-o", "out"]).fine());

    let page = fs::read_to_string(bench.path("out/index.html")).unwrap();
    assert!(page.contains("&lt;img src=x"), "the names are on the page");
    for element in [
        "<img",
        "<script",
        "<iframe",
        "<object",
        "<embed",
        "<link",
        "<base",
        "<form",
        "<meta http-equiv=\"refresh",
    ] {
        assert!(!page.contains(element), "{element}");
    }
    // Between quotes that end an attribute nothing of a name is left over.
    assert!(!page.contains("\"é☃\"") && !page.contains("href=\"javascript"), "a quote ends no attribute");
    assert!(page.contains("default-src 'none'"));
    let mut looked_at = 0;
    for path in walk(&bench.path("out")) {
        let extension = path.extension().unwrap().to_str().unwrap();
        let text = || fs::read_to_string(&path).unwrap();
        looked_at += 1;
        match extension {
            "svg" => {
                let text = text();
                assert!(!text.contains("<img") && !text.contains("<script"), "{}", path.display());
                // XML 1.0 has no escape for them: a reader refuses the whole file.
                let forbidden =
                    |character: char| character.is_control() && !matches!(character, '\n' | '\t' | '\r');
                assert!(!text.contains(forbidden), "{}", path.display());
            }
            "md" => {
                let text = text();
                assert!(!text.replace("\\<", "").contains("<img"), "{}", path.display());
                assert!(!text.replace("]\\(", "").contains("](java"), "{}", path.display());
                let columns = |line: &str| line.replace("\\|", "").matches('|').count();
                let rows: Vec<usize> =
                    text.lines().filter(|line| line.starts_with('|')).map(columns).collect();
                assert!(rows.windows(2).all(|pair| pair[0] == pair[1]), "{}", path.display());
            }
            "tex" => {
                let text = text();
                assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{}", path.display());
                assert!(!text.lines().any(|line| line.starts_with(['[', '*'])), "{}", path.display());
                assert!(!text.contains("a&b"), "{}", path.display());
            }
            "csv" => {
                let mut reader = csv::Reader::from_path(&path).unwrap();
                let named = reader.headers().unwrap().iter().position(|name| name == "machine type");
                for record in reader.records() {
                    let record = record.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                    if let (true, Some(at)) = (path.ends_with("machines.csv"), named) {
                        assert!(HOSTILE.contains(&&record[at]), "{:?}", &record[at]);
                    }
                }
            }
            "json" => drop(serde_json::from_str::<serde_json::Value>(&text()).unwrap()),
            "html" | "png" => {}
            other => panic!("a file of an unknown kind: {other}"),
        }
    }
    assert!(looked_at > 20, "{looked_at}");
}

#[test]
fn messages_of_hostile_files_are_short_and_act_in_no_terminal() {
    let bench = Bench::empty();
    fs::create_dir(bench.path("scores")).unwrap();
    let scores = "scores/anomaly_score_fan_section_00_test.csv";
    for (text, words) in [
        (format!("{}.wav,x\n", "a".repeat(1 << 20)), "more characters"),
        ("\u{1b}[2J.wav,x\n".to_owned(), "\\u{1b}[2J"),
        // Not in the first line, which may be a header.
        (
            "section_00_source_test_normal_0000.wav,1\nsection_00_source_test_normal_0001.wav,\u{1b}]0;owned\u{7}\n"
                .to_owned(),
            "\\u{1b}]0;owned",
        ),
    ] {
        fs::write(bench.path(scores), text).unwrap();
        let answer = bench.run(&["score", "scores"]);
        answer.refused(4, &[words]);
        obeyed_by_no_terminal(&answer);
        assert!(answer.err.len() < 20_000, "{} bytes", answer.err.len());
    }
    let configs = [
        format!("x = \"{}\n", "a".repeat(500_000)),
        format!("\"\\u001b[2J\" = 1\n{}", "a = ".repeat(3)),
        "\"\\u001b[2J\\u202e\" = 1\n".to_owned(),
        "a = \"\u{1b}[2J\"\n".to_owned(),
        "[".repeat(500_000),
        format!("{}=1\n", vec!["a"; 200_000].join(".")),
        (0..50_000).map(|n| format!("k{n} = 1\n")).collect(),
    ];
    for text in configs {
        fs::write(bench.path("a.toml"), &text).unwrap();
        let started = std::time::Instant::now();
        let answer = bench.run(&["config", "check", "a.toml"]);
        answer.refused(3, &["a.toml"]);
        obeyed_by_no_terminal(&answer);
        assert!(answer.err.len() < 100_000, "{} bytes of {:.20}", answer.err.len(), text);
        assert!(started.elapsed().as_secs() < 20, "{:?} of {:.20}", started.elapsed(), text);
    }
    if Path::new("/dev/zero").exists() {
        bench.run(&["config", "check", "/dev/zero"]).refused(3, &["/dev/zero", "longer than"]);
    }
}

/// A results CSV is somebody else's file: what its names hold is shown, and acts in no form of the answer.
#[test]
fn names_of_a_results_csv_act_in_no_answer() {
    let bench = Bench::empty();
    let mut table = csv::Writer::from_path(bench.path("r.csv")).unwrap();
    table
        .write_record([
            "family",
            "config",
            "machine",
            "seed",
            "proxy_name",
            "proxy",
            "higher_is_better",
            "in_domain_lp",
            "out_domain_lp",
            "mahalanobis",
        ])
        .unwrap();
    for family in ["\u{1b}[2J", "x\n\\input{/etc/passwd}", "<script>alert(1)</script>\u{202e}"] {
        for n in ["1", "2", "3"] {
            let row = [family, n, "", "", "\u{7}mae", n, "false", n, "60", "70"];
            table.write_record(row).unwrap();
        }
    }
    table.flush().unwrap();
    for what in [&[][..], &["--tables"], &["--stages"]] {
        for format in ["table", "md", "latex"] {
            let answer = bench.run(&[&["correlate", "r.csv", "--format", format], what].concat()).fine();
            obeyed_by_no_terminal(&answer);
            assert!(answer.out.contains("u{1b}") || format == "latex", "{what:?} {format}: {}", answer.out);
            assert!(
                !answer.out.lines().any(|line| line.trim_start().starts_with("\\input")),
                "{}",
                answer.out
            );
            if format == "md" {
                assert!(!answer.out.replace("\\<", "").contains("<script"), "{}", answer.out);
            }
        }
    }
}
