//! Any of the targets, that which `ASDBENCH_FUZZ_TARGET` names: one program, as linking one takes a minute.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../targets.rs"]
mod targets;

static CHOSEN: LazyLock<(targets::Target, tempfile::TempDir)> = LazyLock::new(|| {
    let name = std::env::var("ASDBENCH_FUZZ_TARGET").unwrap_or_default();
    let target = targets::TARGETS.iter().find(|(known, _)| *known == name);
    let names = targets::TARGETS.map(|(name, _)| name).join(", ");
    let (_, target) = target.unwrap_or_else(|| panic!("ASDBENCH_FUZZ_TARGET is none of {names}"));
    (*target, tempfile::tempdir().expect("a temporary folder"))
});

fuzz_target!(|bytes: &[u8]| {
    let (target, folder) = &*CHOSEN;
    target(folder.path(), bytes);
});
