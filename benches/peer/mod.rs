//! The other side of a comparison: a script of `scripts/peers`, in the same run, in the Python that `ASDBENCH_PEER_PYTHON`
//! names (`scripts/peers/setup.sh` makes one).

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What the script prints. Nothing where no Python is named, or where it fails, which is told: our side goes on.
pub fn answer(script: &str, arguments: &[impl AsRef<OsStr>]) -> Option<Value> {
    let python = std::env::var_os("ASDBENCH_PEER_PYTHON")?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/peers").join(script);
    let answer = match Command::new(python).arg(path).args(arguments).output() {
        Ok(output) if output.status.success() => {
            serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())
        }
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    };
    answer.inspect_err(|why| eprintln!("the peer {script} failed: {why}")).ok()
}

/// The upper one of two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
