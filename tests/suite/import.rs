//! Checkpoints of pre-trained networks, as a user looks at them and converts them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use asdbench::nn::import::Checkpoint;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::conformance::{files_ending, folder};
use crate::program::Bench;

/// What `import` says of a file.
fn imported(bench: &Bench, path: &Path) -> Value {
    bench.run(&["import", path.to_str().unwrap(), "--format", "json"]).fine().json()
}

/// Random networks that take no time.
pub const TINY: [&str; 3] = ["beats-tiny", "eat-tiny", "ced-toy"];

/// A network of random weights in the working folder.
pub fn random_network(bench: &Bench, name: &str, file: &str) -> PathBuf {
    bench.run(&["import", "--random", name, "--seed", "1", "-o", file]).fine();
    bench.path(file)
}

/// A checkpoint of a reference folder; nothing where there is none, as in a plain clone's small copy.
pub fn checkpoint(family: &str, name: &str) -> Option<PathBuf> {
    let path = folder(family)?.join(name);
    let is_copy = path.ancestors().any(|above| above.ends_with("tests/fixtures"));
    match path.exists() || !is_copy {
        true => Some(path),
        false => {
            let skipped = format!("SKIPPED: `{}` is in no plain clone\n", path.display());
            let _ = std::io::stderr().write_all(skipped.as_bytes());
            None
        }
    }
}

/// All checkpoints of encoders and residual networks.
fn checkpoints() -> Vec<PathBuf> {
    let of_ced = folder("ced").into_iter().flat_map(|ced| ["authors", "hf"].map(|form| ced.join(form)));
    let folders = ["beats", "eat", "resnet"].into_iter().filter_map(folder).chain(of_ced);
    folders
        .flat_map(|folder| {
            let torch = files_ending(&folder, ".pt");
            let safe = files_ending(&folder, "model.safetensors");
            torch.into_iter().chain(safe).map(|(_, path)| path)
        })
        .collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn count(document: &Value) -> u64 {
    let used = document["tensors"]["used"].as_array().unwrap().len() as u64;
    let left = document["tensors"]["left_over"].as_array().unwrap();
    used + left.iter().map(|group| group["tensors"].as_u64().unwrap()).sum::<u64>()
}

#[test]
fn a_beats_checkpoint_is_described_in_both_formats() {
    let Some(path) = checkpoint("beats", "tiny_pretrained.pt") else { return };
    let bench = Bench::empty();
    let zip = imported(&bench, &path);
    assert_eq!((&zip["schema"], &zip["architecture"]), (&1.into(), &"BEATs".into()));
    assert_eq!(
        (&zip["fine_tuned"], &zip["classes"], &zip["random"]),
        (&false.into(), &Value::Null, &Value::Null)
    );
    assert_eq!(zip["content_hash"], blake3::hash(&fs::read(&path).unwrap()).to_hex().to_string());
    let keys = json(&path.with_file_name("tiny_pretrained_keys.json"));
    let keys = keys.get("keys").unwrap_or(&keys).as_object().unwrap().clone();
    assert_eq!(count(&zip), keys.len() as u64, "every tensor is used or left over");
    for used in zip["tensors"]["used"].as_array().unwrap() {
        assert_eq!(used["shape"], keys[used["from"].as_str().unwrap()], "{used}");
        assert_eq!(used["dtype"], "float32");
    }
    assert_eq!(zip["format"], "torch (zip)");
    if let Some(legacy) = checkpoint("beats", "tiny_pretrained_legacy.pt") {
        let legacy = imported(&bench, &legacy);
        for key in ["architecture", "sizes", "parameters", "tensors", "config"] {
            assert_eq!(legacy[key], zip[key], "{key}");
        }
        assert_eq!(legacy["format"], "torch (legacy)");
    }

    // For people: the head, and the tensors on request.
    let path = path.to_str().unwrap();
    let head = bench.run(&["import", path]).fine().out;
    let name = zip["tensors"]["used"][0]["name"].as_str().unwrap();
    assert!(head.contains("BEATs, pre-trained") && !head.contains(name), "{head}");
    assert!(head.contains(zip["content_hash"].as_str().unwrap()), "{head}");
    let all = bench.run(&["import", path, "-v"]).fine().out;
    assert!(all.starts_with(&head) && all.contains(name), "{all}");
    let csv = bench.run(&["import", path, "--format", "csv"]).fine().out;
    assert!(csv.starts_with("tensor,in the file,shape,type,left over\n") && csv.contains(name), "{csv}");
}

#[test]
fn a_fine_tuned_checkpoint_names_its_classes() {
    let Some(path) = checkpoint("beats", "tiny_finetuned.pt") else { return };
    let found = imported(&Bench::empty(), &path);
    let labels = json(&path.with_file_name("finetuned_label_dict.json"));
    let labels: BTreeMap<String, String> = serde_json::from_value(labels).unwrap();
    let by_number = |(number, label): (String, String)| (number.parse::<usize>().unwrap(), label);
    let labels: BTreeMap<usize, String> = labels.into_iter().map(by_number).collect();
    assert_eq!((&found["fine_tuned"], &found["classes"]), (&true.into(), &labels.len().into()));
    assert_eq!(found["labels"], serde_json::to_value(labels.values().collect::<Vec<_>>()).unwrap());
}

#[test]
fn an_eat_checkpoint_is_the_same_in_its_three_forms() {
    let Some(path) = checkpoint("eat", "tiny_pretrained.pt") else { return };
    let bench = Bench::empty();
    let full = imported(&bench, &path);
    assert_eq!(full["architecture"], "EAT");
    let names = |document: &Value| -> BTreeMap<String, Value> {
        let used = document["tensors"]["used"].as_array().unwrap();
        used.iter().map(|used| (used["name"].as_str().unwrap().to_owned(), used["shape"].clone())).collect()
    };
    let left: String =
        full["tensors"]["left_over"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert!(left.contains("_ema") && left.contains("decoder"), "{left}");
    // The configuration of the third lies beside it.
    let others = ["tiny_pretrained_fp16.pt", "hf_model.safetensors"]
        .map(|name| imported(&bench, &path.with_file_name(name)));
    let sizes = |document: &Value| {
        let mut sizes = document["sizes"].as_object().unwrap().clone();
        // Of the head, which none of them has, and which is another in Hugging Face's form.
        sizes.remove("head_epsilon");
        sizes
    };
    for other in &others {
        assert_eq!((&other["architecture"], sizes(other)), (&full["architecture"], sizes(&full)));
        assert_eq!(names(other), names(&full));
    }
    let is_half = |used: &Value| used["dtype"] == "float16";
    assert!(others[0]["tensors"]["used"].as_array().unwrap().iter().any(is_half));
}

#[test]
fn a_residual_network_is_described_from_its_tensors() {
    let Some(folder) = folder("resnet") else { return };
    let bench = Bench::empty();
    for (stem, path) in files_ending(&folder, ".pt") {
        let found = imported(&bench, &path);
        let checkpoint = Checkpoint::open(&path).unwrap();
        let tensors = checkpoint.tensors(&[]).unwrap();
        let stem_shape = tensors.require("conv1.weight").unwrap().shape();
        assert_eq!(found["sizes"]["width"], stem_shape[0], "{stem}");
        assert_eq!(found["sizes"]["inputs"], stem_shape[1], "{stem}");
        let classifier = tensors.get("fc.weight").map(|tensor| tensor.shape());
        assert_eq!(found["classes"], serde_json::json!(classifier.map(|shape| shape[0])), "{stem}");
        if let Some(shape) = classifier {
            assert_eq!(found["sizes"]["features"], shape[1], "{stem}");
        }
        let learnt = |name: &str| !name.contains("running_") && !name.contains("num_batches");
        let parameters: usize =
            tensors.iter().filter(|(name, _)| learnt(name)).map(|(_, tensor)| tensor.len()).sum();
        assert_eq!(found["parameters"], parameters, "{stem}");
        let convolutions = tensors.names().filter(|name| name.contains(".conv") && name.ends_with("weight"));
        // The stem and the classifier are the other two.
        assert_eq!(found["architecture"], format!("ResNet-{}", convolutions.count() + 2), "{stem}");
        super::extract::tone(&bench.path("clip.wav"), 1.0, 16_000);
        let file = path.file_name().unwrap().to_str().unwrap();
        bench.run(&["extract", path.to_str().unwrap(), "clip.wav", "-o", "out.npz"]).refused(4, &[file]);
        bench.run(&["import", path.to_str().unwrap(), "-o", "own.safetensors"]).fine();
        bench
            .run(&["extract", "own.safetensors", "clip.wav", "-o", "out.npz"])
            .refused(4, &["own.safetensors", "a residual network", "no front end"]);
    }
}

/// Written, read again, and the same: kind, sizes, labels, the bits of every tensor.
#[test]
fn every_checkpoint_is_converted_and_reads_the_same() {
    for path in checkpoints() {
        let bench = Bench::empty();
        let text = path.to_str().unwrap();
        let before =
            bench.run(&["import", text, "-o", "deep/a.safetensors", "--format", "json"]).fine().json();
        bench.run(&["import", text, "-o", "b.safetensors"]).fine();
        let bytes = fs::read(bench.path("deep/a.safetensors")).unwrap();
        assert!(bytes == fs::read(bench.path("b.safetensors")).unwrap(), "{text}: twice the same bytes");
        assert_eq!(before["written"]["content_hash"], blake3::hash(&bytes).to_hex().to_string());
        let after = imported(&bench, &bench.path("deep/a.safetensors"));
        for key in ["architecture", "sizes", "parameters", "fine_tuned", "labels", "random"] {
            assert_eq!(after[key], before[key], "{text}: {key}");
        }
        assert_eq!(after["tensors"]["left_over"], serde_json::json!([]), "{text}");
        let (old, new) =
            (Checkpoint::open(&path).unwrap(), Checkpoint::open(&bench.path("b.safetensors")).unwrap());
        let new = new.tensors(&[]).unwrap();
        let used = before["tensors"]["used"].as_array().unwrap();
        assert_eq!(new.len(), used.len(), "{text}");
        // Names are within the dict of the model, wherever that is.
        let old = old.tensors(&[]).unwrap();
        for used in used {
            let (name, from) = (used["name"].as_str().unwrap(), used["from"].as_str().unwrap());
            let old = old.get(from).or_else(|| old.get(&format!("model.{from}")));
            let old = old.unwrap_or_else(|| panic!("{text}: {from}")).to_f32().unwrap();
            assert_eq!(new.require(name).unwrap().to_f32().unwrap(), old, "{text}: {name}");
        }
    }
}

#[test]
fn the_checkpoint_itself_is_never_written_over() {
    let bench = Bench::empty();
    let path = random_network(&bench, TINY[0], "a.safetensors");
    let bytes = fs::read(&path).unwrap();
    bench.run(&["import", "a.safetensors", "-o", "./a.safetensors"]).refused(4, &["a.safetensors", "-o"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("a.safetensors", bench.path("link.safetensors")).unwrap();
        bench
            .run(&["import", "a.safetensors", "-o", "link.safetensors"])
            .refused(4, &["the checkpoint itself"]);
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
    fs::create_dir(bench.path("folder")).unwrap();
    bench.run(&["import", "a.safetensors", "-o", "folder"]).refused(4, &["folder", "it is a folder"]);
    bench.run(&["import", "a.safetensors", "-o", "b.pt"]).refused(4, &["b.pt", ".safetensors"]);
    bench.run(&["import", "--random", TINY[0], "-o", "b.pt"]).refused(4, &["b.pt", ".safetensors"]);
    assert!(!bench.path("b.pt").exists());
}

/// A network as it was written from a checkpoint that does not say that it is random.
fn trained(bench: &Bench) -> Vec<u8> {
    let bytes = fs::read(random_network(bench, TINY[0], "made.safetensors")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut metadata = header.metadata().clone().expect("what it is");
    for text in metadata.values_mut() {
        let mut own: Value = serde_json::from_str(text).unwrap();
        own["random"] = Value::Null;
        *text = own.to_string();
    }
    let file = SafeTensors::deserialize(&bytes).unwrap();
    safetensors::serialize(file.tensors(), Some(metadata)).unwrap()
}

#[test]
fn random_networks_say_what_they_are() {
    let bench = Bench::empty();
    for name in TINY {
        let written = bench.run(&["import", "--random", name, "--seed", "7", "-o", "a.safetensors"]).fine();
        assert!(written.out.contains("random weights of seed 7"), "{}", written.out);
        let found = imported(&bench, &bench.path("a.safetensors"));
        assert_eq!(found["random"], 7, "{name}");
        assert!(found["parameters"].as_u64().unwrap() > 0, "{name}");
        let bytes = fs::read(bench.path("a.safetensors")).unwrap();
        bench.run(&["import", "--random", name, "--seed", "7", "-o", "b.safetensors"]).fine();
        assert!(fs::read(bench.path("b.safetensors")).unwrap() == bytes, "{name}: twice the same bytes");
        bench.run(&["import", "--random", name, "--seed", "8", "-o", "b.safetensors"]).fine();
        assert!(fs::read(bench.path("b.safetensors")).unwrap() != bytes, "{name}: another seed");
        // A copy is no less random.
        let copy = ["import", "a.safetensors", "-o", "c.safetensors", "--format", "json"];
        assert_eq!(bench.run(&copy).fine().json()["random"], 7);
        assert_eq!(imported(&bench, &bench.path("c.safetensors"))["random"], 7);
    }
    // What was trained, or is no network at all, stays.
    for (name, bytes) in [("trained.safetensors", trained(&bench)), ("text.safetensors", b"mine".to_vec())] {
        fs::write(bench.path(name), &bytes).unwrap();
        bench
            .run(&["import", "--random", TINY[0], "-o", name])
            .refused(4, &[name, "no network of random", "-o"]);
        if name == "text.safetensors" {
            bench.run(&["import", "a.safetensors", "-o", name]).refused(4, &[name, "is there already", "-o"]);
        }
        assert!(fs::read(bench.path(name)).unwrap() == bytes, "{name}");
    }
    bench.run(&["import", "--random", "beats-huge", "-o", "d.safetensors"]).refused(2, &TINY);
    bench.run(&["import", "--random", TINY[0]]).refused(2, &["--output"]);
    bench.run(&["import"]).refused(2, &["CHECKPOINT"]);
    bench.run(&["import", "a.safetensors", "--seed", "3"]).refused(2, &["--random"]);
}

/// A pickle that calls `os.system("touch pwned")` when Python loads it.
fn malicious() -> Vec<u8> {
    let command = b"touch pwned";
    let mut bytes = b"\x80\x02cos\nsystem\nX".to_vec();
    bytes.extend((command.len() as u32).to_le_bytes());
    bytes.extend(command);
    bytes.extend(b"\x85R.");
    bytes
}

#[test]
fn what_is_no_network_is_refused_and_nothing_is_run_or_written() {
    let bench = Bench::empty();
    let file = |name: &str, bytes: &[u8]| fs::write(bench.path(name), bytes).unwrap();
    file("evil.pt", &malicious());
    file("text.pt", b"hello");
    file("page.pt", b"<!doctype html>");
    let view = TensorView::new(Dtype::F32, vec![2], &[0; 8]).unwrap();
    let other = safetensors::serialize([("transformer.wte.weight", view)], None).unwrap();
    file("other.safetensors", &other);
    let none = ["none.pt", "No such file"];
    let cases: [(&str, &[&str]); 5] = [
        ("none.pt", &none),
        ("evil.pt", &["evil.pt", "os.system", "nothing was executed"]),
        ("text.pt", &["text.pt", "no checkpoint"]),
        ("page.pt", &["page.pt", "web page"]),
        ("other.safetensors", &["other.safetensors", "transformer.wte.weight"]),
    ];
    for (name, words) in cases {
        bench.run(&["import", name]).refused(4, words);
        bench.run(&["import", name, "-o", "out.safetensors"]).refused(4, words);
        fs::write(bench.path("clip.wav"), "").unwrap();
        bench.run(&["extract", name, "clip.wav", "-o", "out.npz"]).refused(4, &words[..1]);
    }
    for name in ["pwned", "out.safetensors", "out.npz"] {
        assert!(!bench.path(name).exists(), "{name}");
    }
    bench.run(&["import", "."]).refused(4, &["not a regular file"]);
}

#[test]
fn a_file_that_was_cut_off_is_named() {
    for path in checkpoints() {
        let bench = Bench::empty();
        let bytes = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        for part in [2, 3, 7] {
            fs::write(bench.path(name), &bytes[..bytes.len() - bytes.len() / part]).unwrap();
            bench.run(&["import", name, "-o", "out.safetensors"]).refused(4, &[name]);
        }
        assert!(!bench.path("out.safetensors").exists());
    }
}

/// A file of tensors with one of them changed.
fn changed(bytes: &[u8], name: &str, change: impl Fn(&TensorView<'_>) -> Option<Vec<usize>>) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    let file = SafeTensors::deserialize(bytes).unwrap();
    let views = file.tensors().into_iter().filter_map(|(found, view)| {
        if found != name {
            return Some((found, view));
        }
        let shape = change(&view)?;
        let length = shape.iter().product::<usize>() * 4;
        let data = &file.tensor(name).unwrap().data()[..length];
        Some((found, TensorView::new(view.dtype(), shape, data).unwrap()))
    });
    safetensors::serialize(views.collect::<Vec<_>>(), header.metadata().clone()).unwrap()
}

#[test]
fn a_tensor_that_is_missing_or_of_another_shape_is_named() {
    for network in TINY {
        let bench = Bench::empty();
        let bytes = fs::read(random_network(&bench, network, "a.safetensors")).unwrap();
        let names: Vec<String> =
            SafeTensors::deserialize(&bytes).unwrap().names().into_iter().map(ToOwned::to_owned).collect();
        let bias = names.iter().filter(|name| name.ends_with("fc1.bias")).min().expect("a layer").clone();
        fs::write(bench.path("missing.safetensors"), changed(&bytes, &bias, |_| None)).unwrap();
        let fewer = |view: &TensorView<'_>| Some([&[view.shape()[0] - 1], &view.shape()[1..]].concat());
        fs::write(bench.path("shape.safetensors"), changed(&bytes, &bias, fewer)).unwrap();
        super::extract::tone(&bench.path("clip.wav"), 1.0, 16_000);
        for file in ["missing.safetensors", "shape.safetensors"] {
            bench
                .run(&["extract", file, "clip.wav", "-o", "out.npz", "--device", "cpu"])
                .refused(4, &[file, &bias]);
            bench.run(&["import", file, "-o", "out.safetensors"]).refused(4, &[file, &bias]);
        }
        assert!(!bench.path("out.npz").exists() && !bench.path("out.safetensors").exists());
    }
}
