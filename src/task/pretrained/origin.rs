//! Where the checkpoints that people publish are to be had.

use std::path::Path;

use crate::config::checkpoint_name;

/// What to get, and from where, for a checkpoint that is not there: a lowercase fragment.
pub fn advice(path: &Path) -> String {
    let name = checkpoint_name(path);
    let (origin, tiny) = origin(&name);
    let tiny_path = path.with_file_name(format!("{tiny}.safetensors"));
    let random = format!("`asdbench import --random {tiny} --seed 1 -o {}`", tiny_path.display());
    if tiny_path == path {
        return format!("make it with {random}");
    }
    let what = match origin {
        Some(place) => format!("{} from {place}", name.rsplit('/').next().unwrap_or(&name)),
        None => "a checkpoint of BEATs, EAT or CED".to_owned(),
    };
    format!(
        "get {what}, and put it there or name its place with --set task.pretrained.checkpoint=FILE; to see the way work \
         without it, {random} makes a tiny network with random weights"
    )
}

/// Where a file of this name comes from, as far as names tell, and the random network that stands in for it.
fn origin(name: &str) -> (Option<&'static str>, &'static str) {
    let lower = name.to_lowercase();
    let begins = |with: &str| lower.starts_with(with);
    if let Some(tiny) = ["beats-tiny", "eat-tiny", "ced-toy"].into_iter().find(|tiny| begins(tiny)) {
        return (None, tiny);
    }
    if begins("beats") {
        (Some("the page of BEATs (folder `beats` of microsoft/unilm on GitHub)"), "beats-tiny")
    } else if begins("eat") {
        let page = "the page of EAT (cwx-worst-one/EAT on GitHub) or, as model.safetensors with its config.json, from \
                    worstchan/EAT-* on Hugging Face";
        (Some(page), "eat-tiny")
    } else if begins("ced") || begins("audiotransformer_") {
        let page = "Zenodo (record 8275347; of the small size 8275319) or, as model.safetensors with its config.json, from \
                    mispeech/ced-* on Hugging Face";
        (Some(page), "ced-toy")
    } else {
        (None, "beats-tiny")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_say_whose_they_are() {
        let made = "-o checkpoints/eat-tiny.safetensors";
        for (path, words) in [
            ("checkpoints/BEATs_iter3.pt", ["get BEATs_iter3.pt from", "microsoft/unilm", "beats-tiny"]),
            ("checkpoints/EAT-large_epoch20_pt.pt", ["cwx-worst-one/EAT", "worstchan/EAT-*", made]),
            ("EAT-base/model.safetensors", ["get model.safetensors from", "worstchan/EAT-*", "eat-tiny"]),
            ("c/audiotransformer_mini_mAP_4896.pt", ["8275347", "mispeech/ced-*", "ced-toy"]),
            ("ced-base/model.safetensors", ["8275347", "mispeech/ced-*", "ced-toy"]),
            ("mine.pt", ["get a checkpoint of BEATs, EAT or CED", "beats-tiny", "-o beats-tiny.safetensors"]),
        ] {
            let advice = advice(Path::new(path));
            for word in words {
                assert!(advice.contains(word), "{path}: `{word}` is not in: {advice}");
            }
            assert!(advice.contains("--set task.pretrained.checkpoint=FILE"), "{advice}");
        }
    }

    #[test]
    fn a_random_network_is_made_rather_than_got() {
        let expected =
            "make it with `asdbench import --random eat-tiny --seed 1 -o checkpoints/eat-tiny.safetensors`";
        assert_eq!(advice(Path::new("checkpoints/eat-tiny.safetensors")), expected);
    }
}
