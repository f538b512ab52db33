//! Files of encoders: written and read again, and those that are none or not whole.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::*;
use crate::nn::import::Checkpoint;
use crate::nn::precision::Precision;

fn bytes_of(name: &str, seed: u64) -> Vec<u8> {
    let architecture = random::architecture(name).unwrap();
    let net = architecture.init(Init::new(seed, &Device::flex()));
    net.to_safetensors(random::model(architecture, seed).metadata("nothing")).unwrap()
}

fn images(architecture: &Architecture, frames: usize) -> Tensor<3> {
    let mels = architecture.mels();
    let values: Vec<f32> = (0..frames * mels).map(|n| (n * 7919 % 2003) as f32 / 1000.0 - 1.0).collect();
    Tensor::from_data(TensorData::new(values, [1, frames, mels]), &Device::flex())
}

fn tokens(net: &Encoder, architecture: &Architecture) -> Vec<f32> {
    let tokens = net.forward(images(architecture, 64), architecture.layers() - 1, &mut |_, _| {});
    let grid = architecture.grid(64).unwrap();
    assert_eq!(tokens.dims(), [1, grid.tokens(), architecture.width()]);
    tokens.into_data().try_to_vec().unwrap()
}

/// The file's tensors, changed, in a file of its own.
fn changed(bytes: &[u8], change: impl FnOnce(&mut Vec<(String, Vec<usize>, Vec<u8>)>)) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, view.shape().to_vec(), view.data().to_vec()))
        .collect();
    change(&mut tensors);
    written(&tensors, header.metadata().clone())
}

fn written(tensors: &[(String, Vec<usize>, Vec<u8>)], metadata: Option<HashMap<String, String>>) -> Vec<u8> {
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views, metadata).unwrap()
}

fn refusal(bytes: Vec<u8>) -> String {
    let checkpoint = Checkpoint::from_bytes(bytes).unwrap();
    identify(&checkpoint, None).map(|model| model.architecture).unwrap_err().to_string()
}

#[test]
fn random_encoders_say_so_and_load_as_they_were_written() {
    let toys: Vec<&str> = random::names().into_iter().filter(|name| name.ends_with("-tiny")).collect();
    assert!(toys.len() >= 2, "{toys:?}");
    for name in toys {
        let bytes = bytes_of(name, 7);
        assert_eq!(bytes, bytes_of(name, 7), "{name}: the same seed");
        assert_ne!(bytes, bytes_of(name, 8), "{name}: another seed");
        let checkpoint = Checkpoint::from_bytes(bytes.clone()).unwrap();
        let model = identify(&checkpoint, None).unwrap();
        let architecture = random::architecture(name).unwrap();
        assert_eq!(model.architecture, architecture);
        assert_eq!(model.random, Some(7));
        assert!(model.remarks.iter().any(|remark| remark.contains("random (seed 7)")), "{:?}", model.remarks);
        let loaded = model.load(&checkpoint, &Device::flex(), Precision::F32).unwrap();
        let fresh = architecture.init(Init::new(7, &Device::flex()));
        let found = tokens(&loaded, &architecture);
        assert_eq!(found, tokens(&fresh, &architecture), "{name}");
        assert!(found.iter().all(|value| value.is_finite()) && found.iter().any(|value| *value != found[0]));
        assert_eq!(loaded.to_safetensors(model.metadata("nothing")).unwrap(), bytes, "{name}: written again");
    }
}

#[test]
fn what_is_missing_or_of_another_shape_is_named() {
    let whole = bytes_of("eat-tiny", 1);
    let without = changed(&whole, |tensors| tensors.retain(|(name, ..)| name != "blocks.1.mlp.fc2.bias"));
    let message = refusal(without);
    assert!(message.contains("`blocks.1.mlp.fc2.bias` is missing") && message.contains("EAT"), "{message}");

    let turned = changed(&whole, |tensors| {
        let (_, shape, _) = tensors.iter_mut().find(|(name, ..)| name == "blocks.0.mlp.fc1.weight").unwrap();
        shape.reverse();
    });
    let message = refusal(turned);
    assert!(
        message.contains("`blocks.0.mlp.fc1.weight` has shape [48, 192], expected [192, 48]"),
        "{message}"
    );

    let fewer = changed(&whole, |tensors| tensors.retain(|(name, ..)| !name.contains("norm")));
    let message = refusal(fewer);
    assert!(message.contains(" and 5 more (of "), "{message}");

    let hardly_any = changed(&whole, |tensors| tensors.truncate(2));
    let message = refusal(hardly_any);
    assert!(message.contains("needs more than"), "no memory is taken for it: {message}");
}

/// The same weights under Hugging Face's names and under fairseq's, with what pre-training leaves in such files.
#[test]
fn published_names_lead_to_the_same_network() {
    let whole = bytes_of("eat-tiny", 3);
    let architecture = random::architecture("eat-tiny").unwrap();
    let own = Checkpoint::from_bytes(whole.clone()).unwrap();
    let device = Device::flex();
    let expected =
        tokens(&identify(&own, None).unwrap().load(&own, &device, Precision::F32).unwrap(), &architecture);
    let file = SafeTensors::deserialize(&whole).unwrap();
    let renamed = |rename: &dyn Fn(&str) -> String, more: &[&str]| {
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = file
            .tensors()
            .into_iter()
            .map(|(name, view)| (rename(&name), view.shape().to_vec(), view.data().to_vec()))
            .collect();
        tensors.extend(more.iter().map(|name| ((*name).to_owned(), vec![1], vec![0; 4])));
        Checkpoint::from_bytes(written(&tensors, None)).unwrap()
    };
    let heads = serde_json::json!({"num_heads": architecture.heads()});
    let hf = renamed(&|name| format!("model.{name}"), &["unheard.of"]);
    let model = identify(&hf, Some(&heads)).unwrap();
    assert_eq!(tokens(&model.load(&hf, &device, Precision::F32).unwrap(), &architecture), expected);
    assert_eq!(model.left_over.len(), 1);
    assert_eq!((model.left_over[0].name.as_str(), model.left_over[0].tensors), ("unheard.of", 1));
    assert_eq!(model.random, None, "what the file does not say");

    // Without `config.json` nothing says that there are four heads.
    let alone = identify(&hf, None).map(|model| model.architecture.heads());
    assert!(alone.is_err(), "48 is no multiple of a head's usual width: {alone:?}");
}

#[test]
fn files_of_something_else_say_what_they_have() {
    let tensor = |name: &str| (name.to_owned(), vec![1], vec![0; 4]);
    let message = refusal(written(&[tensor("conv1.weight"), tensor("fc.bias")], None));
    assert!(message.contains("no BEATs, EAT or CED") && message.contains("conv1.weight"), "{message}");
    let message = refusal(written(&[], None));
    assert!(message.contains("no tensors"), "{message}");
    let run = HashMap::from([("asdbench".to_owned(), r#"{"family": "autoencoder"}"#.to_owned())]);
    let message = refusal(written(&[tensor("output.bias")], Some(run)));
    assert!(message.contains("a run that asdbench trained"), "{message}");
    let damaged = HashMap::from([("asdbench".to_owned(), r#"{"kind": "encoder"}"#.to_owned())]);
    let message = refusal(written(&[tensor("output.bias")], Some(damaged)));
    assert!(message.contains("make the file again"), "{message}");
    // The tensors of a BEATs without its configuration.
    let parts = [tensor("patch_embedding.weight"), tensor("post_extract_proj.weight")];
    let message = refusal(written(&parts, None));
    assert!(message.contains("`cfg`"), "{message}");
}

#[test]
fn sizes_that_make_no_network_are_refused() {
    let base = BeatsSize::base(Some(527));
    assert!(base.check().is_ok());
    for (broken, named) in [
        (BeatsSize { heads: 7, ..base.clone() }, "encoder_attention_heads"),
        (BeatsSize { layers: 0, ..base.clone() }, "encoder_layers"),
        (BeatsSize { conv_pos: 127, ..base.clone() }, "conv_pos"),
        (BeatsSize { num_buckets: 322, ..base.clone() }, "num_buckets"),
        (BeatsSize { max_distance: 80, ..base.clone() }, "max_distance"),
        (BeatsSize { width: 1 << 40, ..base.clone() }, "encoder_embed_dim"),
    ] {
        let message = broken.check().unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }
    let base = EatSize::base(None);
    assert!(base.check().is_ok());
    for broken in [
        EatSize { heads: 7, ..base.clone() },
        EatSize { layers: 0, ..base.clone() },
        EatSize { patch: 15, ..base.clone() },
        EatSize { positions: 7, ..base.clone() },
        EatSize { epsilon: 0.0, ..base.clone() },
    ] {
        assert!(broken.check().is_err(), "{broken:?}");
    }
    assert!(base.grid(15).is_err() && base.grid(12_288).is_ok() && base.grid(12_304).is_err());
    assert!(BeatsSize::base(None).grid(15).is_err());
    assert_eq!(BeatsSize::base(None).grid(998).unwrap().tokens(), 496);
    assert_eq!(base.grid(1024).unwrap().tokens(), 513);
}

#[test]
fn layers_are_seen_in_order_and_the_choice_ends_there() {
    let architecture = random::architecture("beats-tiny").unwrap();
    let net = architecture.init(Init::new(0, &Device::flex()));
    let mut seen = Vec::new();
    let first = net.forward(images(&architecture, 32), 0, &mut |n, tokens| seen.push((n, tokens.dims())));
    assert_eq!(seen, [(0, first.dims())]);
    let all = net.forward(images(&architecture, 32), 1, &mut |_, _| {});
    assert_ne!(first.into_data(), all.into_data());
}

/// The file's tensors, each under another name, as another program would write them.
fn public(bytes: &[u8], rename: &dyn Fn(&str) -> String) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let tensors = file.tensors().into_iter();
    tensors.map(|(name, view)| (rename(&name), view.shape().to_vec(), view.data().to_vec())).collect()
}

/// A random network's file.
fn file_of(architecture: &Architecture) -> Vec<u8> {
    let net = architecture.init(Init::new(1, &Device::flex()));
    net.to_safetensors(random::model(architecture.clone(), 1).metadata("nothing")).unwrap()
}

#[test]
fn a_public_file_without_any_one_of_its_tensors_is_no_smaller_network() {
    let eat = Architecture::Eat(EatSize { classes: Some(3), ..EatSize::tiny() });
    let ced = Architecture::Ced(CedSize { classes: Some(3), ..CedSize::toy() });
    let of_eat = |name: &str| format!("model.{name}");
    let of_ced = str::to_owned;
    for (architecture, rename) in
        [(eat, &of_eat as &dyn Fn(&str) -> String), (ced, &of_ced as &dyn Fn(&str) -> String)]
    {
        let config = serde_json::json!({"num_heads": architecture.heads()});
        let whole = public(&file_of(&architecture), rename);
        let found = |tensors: &[(String, Vec<usize>, Vec<u8>)]| {
            let checkpoint = Checkpoint::from_bytes(written(tensors, None)).unwrap();
            identify(&checkpoint, Some(&config)).map(|model| model.architecture)
        };
        let there = found(&whole).unwrap();
        assert_eq!((there.layers(), there.classes()), (2, Some(3)), "{}", architecture.name());
        for n in 0..whole.len() {
            let mut without = whole.clone();
            let (name, ..) = without.remove(n);
            let found = found(&without);
            assert!(found.is_err(), "{} without {name}: {found:?}", architecture.name());
        }
    }
}

#[test]
fn a_config_beside_an_eat_is_held_against_its_tensors_and_anothers_is_passed_over() {
    let tensors = public(&bytes_of("eat-tiny", 1), &|name| format!("model.{name}"));
    let checkpoint = Checkpoint::from_bytes(written(&tensors, None)).unwrap();
    let found = |config: serde_json::Value| identify(&checkpoint, Some(&config)).map_err(|e| e.to_string());
    let own = serde_json::json!({"model_type": "eat", "num_heads": 4, "depth": 2, "embed_dim": 48, "patch_size": 16});
    assert_eq!(found(own.clone()).unwrap().config, own);
    for (key, other) in [("depth", 12), ("embed_dim", 768), ("patch_size", 8), ("num_heads", 5)] {
        let mut config = own.clone();
        config[key] = other.into();
        let message = found(config).map(|model| model.architecture).unwrap_err();
        let named = if key == "num_heads" { "5 heads".to_owned() } else { format!("{key} = {other}") };
        assert!(message.contains(&named), "{message}");
    }
    // Of another model: as if there were none, and 48 values are no heads of 64.
    let message = found(serde_json::json!({"model_type": "ced", "num_heads": 4})).unwrap_err();
    assert!(message.contains("`config.json`"), "{message}");
}

#[test]
fn a_width_that_makes_no_usual_heads_is_not_rounded() {
    let size = EatSize { width: 96, hidden: 192, heads: 6, ..EatSize::tiny() };
    let tensors = public(&file_of(&Architecture::Eat(size)), &|name| format!("model.{name}"));
    let message = refusal(written(&tensors, None));
    assert!(message.contains("tokens of 96 values") && message.contains("`config.json`"), "{message}");
}

/// What a file says of itself is believed only as far as there are numbers for it.
#[test]
fn sizes_that_the_file_has_no_numbers_for_are_refused() {
    let (beats, eat, ced) = (BeatsSize::tiny(), EatSize::tiny(), CedSize::toy());
    let many = Some(65_536);
    for (claimed, whose) in [
        (Architecture::Beats(BeatsSize { classes: many, ..beats.clone() }), "beats-tiny"),
        (Architecture::Eat(EatSize { classes: many, ..eat.clone() }), "eat-tiny"),
        (Architecture::Eat(EatSize { positions: usize::MAX, ..eat.clone() }), "eat-tiny"),
        (Architecture::Eat(EatSize { patch: 128, ..eat.clone() }), "eat-tiny"),
        (Architecture::Ced(CedSize { classes: many, ..ced }), "ced-toy"),
        (Architecture::Ced(CedSize { piece_frames: 1 << 20, ..ced }), "ced-toy"),
        (Architecture::Ced(CedSize { mels: 1024, patch: 1024, piece_frames: 1024, ..ced }), "ced-toy"),
    ] {
        let tensors = public(&bytes_of(whose, 1), &str::to_owned);
        let says = random::model(claimed.clone(), 1).metadata("nothing");
        let message = refusal(written(&tensors, Some(HashMap::from([("asdbench".to_owned(), says)]))));
        assert!(message.contains("needs more than"), "{claimed:?}: {message}");
    }
    let too_many = Some(65_537);
    assert!(BeatsSize { classes: too_many, ..beats }.check().is_err());
    assert!(EatSize { classes: too_many, ..eat.clone() }.check().is_err());
    assert!(EatSize { hidden: 65_537, ..eat }.check().is_err());
    assert!(CedSize { classes: too_many, ..ced }.check_sizes().is_err());
}

#[test]
fn the_last_layers_bias_table_is_that_of_all_whatever_the_order_of_the_file() {
    let table = |layer: usize| format!("encoder.layers.{layer}.self_attn.relative_attention_bias.weight");
    let names = [table(2), table(11), table(0), "encoder.layers.9.fc1.weight".to_owned(), "zz".to_owned()];
    let shared =
        |names: &[String]| forms::shared_bias_table(names.iter().map(String::as_str)).map(str::to_owned);
    assert_eq!(shared(&names), Some(table(11)));
    assert_eq!(shared(&names[2..]), Some(table(0)));
    assert_eq!(shared(&names[3..]), None);
}
