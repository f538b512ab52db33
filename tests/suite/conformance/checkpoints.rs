//! Checkpoint files in all formats: names, shapes and values, each held against another file of
//! the same weights.

use std::collections::BTreeMap;
use std::path::Path;

use asdbench::nn::import::{Checkpoint, Dtype, Format, TensorRef, Tensors, Value, write_safetensors};

use super::{files_ending, folder, json, part};

fn open(path: &Path) -> Checkpoint {
    Checkpoint::open(path).unwrap_or_else(|error| panic!("{error}"))
}

fn values(tensors: &Tensors<'_>, name: &str) -> Vec<f32> {
    let tensor = tensors.require(name).unwrap_or_else(|error| panic!("{error}"));
    tensor.to_f32().unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Names and shapes, sorted by name.
fn shapes(tensors: &Tensors<'_>) -> BTreeMap<String, Vec<usize>> {
    tensors.iter().map(|(name, tensor)| (name.to_owned(), tensor.shape().to_vec())).collect()
}

/// Every checkpoint in the folders opens, and all of its tensors are finite numbers.
#[test]
fn all_checkpoints_open() {
    for name in ["resnet", "beats", "eat", "cmgan"] {
        let Some(folder) = folder(name) else { continue };
        let torch = files_ending(&folder, ".pt");
        let safe = files_ending(&folder, ".safetensors");
        assert!(!torch.is_empty() || !safe.is_empty(), "{}: no checkpoints", folder.display());
        for (stem, path) in torch.iter().chain(&safe) {
            let checkpoint = open(path);
            let expected = match path.extension().and_then(|end| end.to_str()) {
                Some("safetensors") => Format::Safetensors,
                _ if stem.ends_with("legacy") => Format::TorchLegacy,
                _ => Format::TorchZip,
            };
            assert_eq!(checkpoint.format(), expected, "{}", path.display());
            let tensors =
                checkpoint.tensors(&[]).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(!tensors.is_empty(), "{}", path.display());
            for name in tensors.names() {
                assert!(values(&tensors, name).iter().all(|v| v.is_finite()), "{}: {name}", path.display());
            }
        }
    }
}

/// Every checkpoint written as safetensors: the same names, types, shapes and bytes, for this reader and for the
/// format's own; the same file each time.
#[test]
fn all_checkpoints_are_the_same_as_safetensors() {
    let metadata = BTreeMap::from([("from".to_owned(), "a \"test\"".to_owned())]);
    for name in ["resnet", "beats", "eat", "cmgan"] {
        let Some(folder) = folder(name) else { continue };
        for (_, path) in files_ending(&folder, ".pt").iter().chain(&files_ending(&folder, ".safetensors")) {
            let checkpoint = open(path);
            let tensors = checkpoint.tensors(&[]).unwrap_or_else(|error| panic!("{error}"));
            let list: Vec<(String, TensorRef<'_>)> =
                tensors.iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
            let written = || {
                let mut bytes = Vec::new();
                write_safetensors(&list, &metadata, &mut bytes).unwrap_or_else(|error| panic!("{error}"));
                bytes
            };
            let bytes = written();
            assert!(bytes == written(), "{}", path.display());
            let theirs = safetensors::SafeTensors::deserialize(&bytes).expect("their reader takes it");
            let ours = Checkpoint::from_bytes(bytes.clone()).expect("our reader takes it");
            assert_eq!(ours.metadata(), &metadata);
            let back = ours.tensors(&[]).expect("tensors");
            assert_eq!((theirs.len(), back.len()), (tensors.len(), tensors.len()), "{}", path.display());
            assert_eq!(shapes(&back), shapes(&tensors), "{}", path.display());
            for (name, tensor) in tensors.iter() {
                let expected = tensor.to_le_bytes().unwrap_or_else(|error| panic!("{error}"));
                let copy = back.require(name).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(copy.dtype(), tensor.dtype(), "{}: {name}", path.display());
                assert!(copy.to_le_bytes().expect("bytes") == expected, "{}: {name}", path.display());
                let theirs = theirs.tensor(name).expect("it is there");
                assert_eq!(theirs.shape(), tensor.shape(), "{}: {name}", path.display());
                assert!(theirs.data() == expected, "{}: {name}", path.display());
            }
        }
    }
}

#[test]
fn hashes_are_those_of_the_whole_files() {
    let Some(folder) = folder("beats") else { return };
    for (_, path) in files_ending(&folder, ".pt") {
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let checkpoint = open(&path);
        assert_eq!(checkpoint.content_hash().expect("a hash"), blake3::hash(&bytes).to_hex().to_string());
        assert_eq!((checkpoint.len_bytes(), checkpoint.path()), (bytes.len() as u64, Some(path.as_path())));
    }
}

/// The two formats of one BEATs checkpoint: the same names, shapes and bits.
#[test]
fn beats_zip_and_legacy_are_the_same() {
    let Some(folder) = folder("beats") else { return };
    if part(&folder, "tiny_pretrained_legacy.pt").is_none() {
        return;
    }
    let (zip, legacy) =
        (open(&folder.join("tiny_pretrained.pt")), open(&folder.join("tiny_pretrained_legacy.pt")));
    assert_eq!(zip.root().get("cfg"), legacy.root().get("cfg"));
    let layers = zip.at(&["cfg", "encoder_layers"]).ok().and_then(Value::as_int);
    let layers = layers.expect("a number of layers");
    let (a, b) = (zip.tensors(&["model"]).expect("a model"), legacy.tensors(&["model"]).expect("a model"));
    assert_eq!(shapes(&a), shapes(&b));
    for name in a.names() {
        assert_eq!(values(&a, name), values(&b, name), "{name}");
    }
    // All layers have one table of position biases, in both files.
    for tensors in [&a, &b] {
        let shared = tensors.shared();
        assert_eq!(shared.len(), 1, "{shared:?}");
        assert!(shared[0].iter().all(|name| name.ends_with("relative_attention_bias.weight")), "{shared:?}");
        assert_eq!(shared[0].len() as i64, layers);
    }
    let listed = json(&folder.join("tiny_pretrained_keys.json"));
    let listed = listed.get("keys").unwrap_or(&listed);
    let listed: BTreeMap<String, Vec<usize>> =
        serde_json::from_value(listed.clone()).expect("names and shapes");
    assert_eq!(shapes(&a), listed);
}

#[test]
fn beats_labels() {
    let Some(folder) = folder("beats") else { return };
    if part(&folder, "tiny_finetuned.pt").is_none() {
        return;
    }
    let checkpoint = open(&folder.join("tiny_finetuned.pt"));
    let labels = checkpoint.root().get("label_dict").and_then(Value::as_dict).expect("labels");
    let read: BTreeMap<String, String> = labels
        .iter()
        .filter_map(|(key, label)| Some((key.as_int()?.to_string(), label.as_text()?.to_owned())))
        .collect();
    let listed = json(&folder.join("finetuned_label_dict.json"));
    let expected: BTreeMap<String, String> = serde_json::from_value(listed.clone()).expect("labels");
    assert_eq!(read, expected);
    // JSON has no whole numbers as keys, so the list has texts, and so have ours.
    assert_eq!(checkpoint.at(&["label_dict"]).expect("labels").to_json(), listed);
}

/// The settings of a training program, and what stands around them.
#[test]
fn eat_settings_as_json() {
    let Some(folder) = folder("eat") else { return };
    if part(&folder, "tiny_pretrained.pt").is_none() {
        return;
    }
    let checkpoint = open(&folder.join("tiny_pretrained.pt"));
    let expected = json(&folder.join("tiny_keys.json"));
    let settings = checkpoint.at(&["cfg"]).expect("settings").to_json();
    assert!(settings.is_object());
    assert_eq!(Some(&settings), expected.get("cfg"));
    let whole = checkpoint.root().to_json();
    assert_eq!(whole["cfg"], settings);
    assert!(
        whole["model"]["blocks.0.norm1.weight"].as_str().is_some_and(|text| text.starts_with("<one tensor"))
    );
}

/// One EAT model in f32, in f16 and under Hugging Face's names.
#[test]
fn eat_in_its_three_forms() {
    let Some(folder) = folder("eat") else { return };
    if part(&folder, "tiny_pretrained.pt").is_none() {
        return;
    }
    let full = open(&folder.join("tiny_pretrained.pt"));
    let half = open(&folder.join("tiny_pretrained_fp16.pt"));
    let hf = open(&folder.join("hf_model.safetensors"));
    let (a, b) = (full.tensors(&["model"]).expect("a model"), half.tensors(&["model"]).expect("a model"));
    assert_eq!(shapes(&a), shapes(&b));
    let mut halves = 0;
    for (name, tensor) in b.iter().filter(|(_, tensor)| tensor.dtype() == Dtype::F16) {
        halves += 1;
        for (full, half) in values(&a, name).iter().zip(tensor.to_f32().expect("values")) {
            // Rounded to 11 bits, or to a multiple of the smallest subnormal, 2^-24.
            let tolerance = (full.abs() * (-11f32).exp2()).max((-25f32).exp2());
            assert!((full - half).abs() <= tolerance, "{name}: {full} is {half}");
        }
    }
    assert!(halves > 0);
    assert_eq!(
        full.tensors(&["model", "_ema"]).expect("the average").len(),
        a.names().filter(|n| n.starts_with("_ema.")).count()
    );
    // The blocks have the same names in both, but for the prefix.
    let hf = hf.tensors(&[]).expect("tensors");
    let blocks: Vec<&str> = a.names().filter(|name| name.starts_with("blocks.")).collect();
    assert!(!blocks.is_empty());
    for name in blocks {
        assert_eq!(values(&a, name), values(&hf, &format!("model.{name}")), "{name}");
    }
}

/// Torchvision's names, and counters that are whole numbers without an axis.
#[test]
fn resnets() {
    let Some(folder) = folder("resnet") else { return };
    let networks = files_ending(&folder, ".pt");
    assert!(!networks.is_empty(), "no networks in {}", folder.display());
    for (stem, path) in networks {
        let checkpoint = open(&path);
        let tensors = checkpoint.tensors(&[]).expect("a state dict");
        assert!(tensors.get("layer4.0.conv1.weight").is_some(), "{stem} has no fourth stage");
        let stem_shape = tensors.require("conv1.weight").expect("a layer").shape();
        assert_eq!(stem_shape[1..], [1, 7, 7], "{stem}");
        let counter = tensors.require("bn1.num_batches_tracked").expect("a counter");
        assert_eq!((counter.dtype(), counter.shape().len()), (Dtype::I64, 0));
        assert_eq!(counter.as_i64().expect("a whole number").len(), 1);
        assert!(values(&tensors, "bn1.running_var").iter().all(|&variance| variance > 0.0));
        assert!(tensors.left_over().is_empty());
    }
}
