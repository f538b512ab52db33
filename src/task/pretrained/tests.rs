//! Embedders of random networks, none of which hears anything here.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::*;
use crate::audio;
use crate::config::{PretrainedConfig, TokenPool};
use crate::nn::init::Init;
use crate::nn::precision::Precision;
use crate::nn::pretrained::random;

/// A random network's file.
fn written(folder: &Path, name: &str, seed: u64) -> PathBuf {
    let architecture = random::architecture(name).unwrap();
    let net = architecture.init(Init::new(seed, &Device::flex()));
    let path = folder.join(format!("{name}-{seed}.safetensors"));
    std::fs::write(&path, net.to_safetensors(random::model(architecture, seed).metadata("nothing")).unwrap())
        .unwrap();
    path
}

fn embedder(checkpoint: &Path, pool: TokenPool, layer: usize) -> Embedder {
    let checkpoint = checkpoint.to_owned();
    let config = PretrainedConfig { checkpoint, pool, layer: Some(layer), ..PretrainedConfig::default() };
    Embedder::open(&config, Precision::F32, &Device::flex()).unwrap()
}

#[test]
fn settings_of_one_file_share_its_weights_and_another_file_does_not() {
    let place = tempfile::tempdir().unwrap();
    let (one, other) = (written(place.path(), "eat-tiny", 1), written(place.path(), "eat-tiny", 2));
    let first = embedder(&one, TokenPool::Mean, 0);
    let second = embedder(&one, TokenPool::Cls, 1);
    assert!(first.same_network(&second));
    assert!(!first.same_network(&embedder(&other, TokenPool::Mean, 0)));
    // The features are not the same, and must not be found under one name.
    let second = second.share(&first);
    assert_ne!(first.identity(), second.identity());
    assert!(first.has_weights_of(&second));
    assert!(!first.has_weights_of(&embedder(&one, TokenPool::Mean, 0)), "nobody asked for it");
}

#[test]
fn lengths_are_bounded_from_below_and_where_kernels_need_no_scores_not_from_above() {
    let place = tempfile::tempdir().unwrap();
    let beats = embedder(&written(place.path(), "beats-tiny", 1), TokenPool::Mean, 1);
    assert!(matches!(beats.check_length(100), Err(audio::Error::TooShort { .. })));
    assert!(beats.check_length(16_000).is_ok());
    assert!(beats.check_length(3600 * 16_000).is_ok());
    let message = beats.too_long(3600 * 16_000, 16 << 30).to_string();
    assert!(
        message.contains("16.0 GiB") && message.contains("3600.0 s") && message.contains("where 4 are"),
        "{message}"
    );
}

#[test]
fn clips_that_lose_their_ends_are_counted() {
    assert_eq!(cut_remark(&[], "test"), None);
    assert_eq!(cut_remark(&[0.0, 0.0], "test"), None);
    let remark = cut_remark(&[0.0, 1.5, 0.25], "test").unwrap();
    assert!(remark.contains("2 of 3 test clips") && remark.contains("up to 1.50 s"), "{remark}");
}
