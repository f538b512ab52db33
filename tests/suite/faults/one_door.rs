//! Every change of a file system goes through `src/files.rs`, or else faults on purpose would pass it by.

use std::path::{Path, PathBuf};

use super::same::walk;

/// Calls that make, change or remove files.
const CALLS: [&str; 15] = [
    "fs::write(",
    "File::create",
    "File::options",
    "OpenOptions",
    "fs::rename(",
    "remove_file(",
    "remove_dir",
    "create_dir",
    "sync_all(",
    "sync_data(",
    ".persist(",
    "tempfile::",
    "fs::copy(",
    "hard_link(",
    "unix::fs::symlink",
];

/// Where such a call is right: the door itself, the faults, and a folder below the system's own that holds no result.
const ALLOWED: [(&str, &str); 4] = [
    ("src/files.rs", ""),
    ("src/faults/mod.rs", ""),
    ("src/study/sweep/probe.rs", "tempfile::tempdir"),
    ("src/nn/import/tests", ""),
];

#[test]
fn nothing_writes_past_the_one_place_that_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut past = Vec::new();
    let mut looked_at = 0;
    for path in walk(&root.join("src")) {
        let relative = path.strip_prefix(root).unwrap().to_owned();
        let is_test = |part: &str| relative.components().any(|c| c.as_os_str() == part);
        if relative.extension().is_none_or(|e| e != "rs") || is_test("tests.rs") || is_test("tests") {
            continue;
        }
        looked_at += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        past.extend(calls(&relative, &text));
    }
    assert!(looked_at > 100, "{looked_at}");
    assert!(past.is_empty(), "these do not go through src/files.rs:\n{}", past.join("\n"));
}

fn calls(relative: &PathBuf, text: &str) -> Vec<String> {
    // Tests stand at a file's end.
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let lines = code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let past = lines.filter(|(_, line)| {
        let allowed = |(file, call): &(&str, &str)| relative.starts_with(file) && line.contains(call);
        CALLS.iter().any(|call| line.contains(call)) && !ALLOWED.iter().any(allowed)
    });
    past.map(|(n, line)| format!("{}:{}: {}", relative.display(), n + 1, line.trim())).collect()
}

#[test]
fn a_call_past_it_is_found() {
    let code = "fn a() {\n    std::fs::write(path, b\"\")\n}\n// fs::rename(\n\n#[cfg(test)]\nmod tests {\n    fs::write(\n}\n";
    assert_eq!(calls(&"src/a.rs".into(), code), ["src/a.rs:2: std::fs::write(path, b\"\")"]);
    assert!(calls(&"src/files.rs".into(), code).is_empty());
}
