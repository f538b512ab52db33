//! Nothing is fetched from a network, ever: the program has no code for it, and works where there is none.

use std::path::Path;
use std::process::{Command, Output};

use crate::program::Bench;

/// Libraries that speak to other machines, and those that only such ones need. `tokio` alone, which other systems' libraries take
/// for its timers, has no sockets: these are `mio` and `socket2`.
const SPEAKING: [&str; 28] = [
    "async-std",
    "attohttpc",
    "aws-sdk-s3",
    "curl",
    "curl-sys",
    "git2",
    "h2",
    "hf-hub",
    "hickory-resolver",
    "hyper",
    "isahc",
    "libgit2-sys",
    "mio",
    "minreq",
    "native-tls",
    "object_store",
    "opendal",
    "openssl-sys",
    "quinn",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "ssh2",
    "surf",
    "tungstenite",
    "ureq",
    "websocket",
];

/// `cargo tree` of what is linked into the program, a line for each library.
fn tree(options: &[&str]) -> Output {
    Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(options)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo started these tests")
}

/// With every feature and for every system. Build scripts are left out: they run on who builds, not on who uses.
#[test]
fn no_library_in_the_program_speaks_to_other_machines() {
    let output = tree(&["--all-features", "--target", "all"]);
    let output = match output.status.success() {
        true => output,
        // Libraries of other systems and features may never have been fetched here; those of this build have.
        false => tree(if cfg!(feature = "wgpu") { &[] } else { &["--no-default-features"] }),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("names are UTF-8");
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"burn") && names.contains(&"zip"), "{tree}");
    let speaking: Vec<&&str> = SPEAKING.iter().filter(|name| names.contains(name)).collect();
    assert!(speaking.is_empty(), "{speaking:?}");
}

/// Nor does its own code.
#[test]
fn no_source_opens_a_connection() {
    let mut looked_at = 0;
    for path in crate::pipeline::walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        looked_at += 1;
        for word in ["std::net", "TcpStream", "UdpSocket", "UnixStream", "\"curl\"", "\"wget\"", "AF_INET"] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
    assert!(looked_at > 300, "{looked_at}");
}

/// A training, its judgement and the report, where there is no network, and, where the system lets itself be watched, without
/// one attempt to open a socket that leads out.
#[cfg(target_os = "linux")]
#[test]
fn the_program_works_without_a_network_and_looks_for_none() {
    let bench = Bench::with_fan();
    let program = env!("CARGO_BIN_EXE_asdbench");
    let config = crate::program::shipped("micro/ae.toml");
    let commands = [
        &[
            "train",
            config.to_str().unwrap(),
            "--set",
            "data.root=data",
            "--set",
            "train.epochs=1",
            "--device",
            "cpu",
        ][..],
        &["eval", "runs", "--device", "cpu"],
        &["report", "runs", "-o", "out"],
    ];
    let works = |command: &str, arguments: &[&str]| {
        Command::new(command).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    let alone = works("unshare", &["-rn", "true"]);
    let watched = works("strace", &["-qq", "-e", "trace=socket", "true"]);
    for arguments in commands {
        let mut command = match (alone, watched) {
            (true, _) => Command::new("unshare"),
            (false, true) => Command::new("strace"),
            (false, false) => Command::new(program),
        };
        if alone {
            command.arg("-rn");
        }
        if watched {
            if alone {
                command.arg("strace");
            }
            command.args(["-f", "-qq", "-e", "trace=socket,connect", "-o", "trace"]);
        }
        if alone || watched {
            command.arg(program);
        }
        let output = command.args(arguments).current_dir(bench.path(".")).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        if watched {
            let trace = std::fs::read_to_string(bench.path("trace")).expect("strace writes it");
            let out: Vec<&str> = trace.lines().filter(|line| line.contains("AF_INET")).collect();
            assert!(out.is_empty(), "{out:?}");
        }
    }
    if !alone && !watched {
        eprintln!("neither unshare nor strace works here: the program was run, not watched");
    }
}
