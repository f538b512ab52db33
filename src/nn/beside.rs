//! The `config.json` that lies beside a file of Hugging Face's.

use std::path::{Path, PathBuf};

use super::import::{Checkpoint, Format};
use super::pretrained::Error;

/// Configurations have some kilobytes; what is larger is something else.
const LARGEST_BYTES: u64 = 4 << 20;
/// The key of our own text in the metadata of the safetensors files that we write; what the file is stands behind it.
pub const OWN_METADATA: &str = "asdbench";

/// The configuration beside a safetensors file: of `hf_model.safetensors` it is `hf_config.json`, else `config.json`; nothing
/// where there is none, where the file has its configuration inside, and of the other formats.
///
/// # Errors
/// When it is there and is no JSON.
pub fn config_beside(checkpoint: &Checkpoint) -> Result<Option<serde_json::Value>, Error> {
    if checkpoint.format() != Format::Safetensors || checkpoint.metadata().contains_key(OWN_METADATA) {
        return Ok(None);
    }
    let candidates = checkpoint.path().map(candidates).unwrap_or_default();
    let Some(path) = candidates.into_iter().find(|path| path.is_file()) else {
        return Ok(None);
    };
    let unfit = |why: String| Error::Unfit(format!("{}, which lies beside it, {why}", path.display()));
    let bytes = std::fs::metadata(&path).map_err(|e| unfit(format!("cannot be read: {e}")))?.len();
    if bytes > LARGEST_BYTES {
        return Err(unfit(format!("has {bytes} bytes and is no configuration")));
    }
    let text = std::fs::read_to_string(&path).map_err(|e| unfit(format!("cannot be read: {e}")))?;
    serde_json::from_str(&text).map(Some).map_err(|e| unfit(format!("is no sound JSON: {e}")))
}

fn candidates(checkpoint: &Path) -> Vec<PathBuf> {
    let stem = checkpoint.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let own = stem.strip_suffix("model").map(|prefix| format!("{prefix}config.json"));
    let names = own.into_iter().chain(["config.json".to_owned()]);
    names.map(|name| checkpoint.with_file_name(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read beside a file without tensors, with the metadata `of`.
    fn read(place: &Path, name: &str, of: &str) -> Result<Option<serde_json::Value>, Error> {
        let header = format!("{{{of}}}");
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
        std::fs::write(place.join(name), bytes).unwrap();
        config_beside(&Checkpoint::open(&place.join(name)).unwrap())
    }

    #[test]
    fn the_configuration_of_its_own_name_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        assert!(read(place, "hf_model.safetensors", "").unwrap().is_none());
        std::fs::write(place.join("config.json"), "{\"a\": 1}").unwrap();
        for name in ["model.safetensors", "hf_model.safetensors", "ced.safetensors"] {
            assert_eq!(read(place, name, "").unwrap().unwrap()["a"], 1, "{name}");
        }
        std::fs::write(place.join("hf_config.json"), "{\"a\": 2}").unwrap();
        assert_eq!(read(place, "hf_model.safetensors", "").unwrap().unwrap()["a"], 2);
        assert_eq!(read(place, "model.safetensors", "").unwrap().unwrap()["a"], 1);
        let own = "\"__metadata__\": {\"asdbench\": \"{}\"}";
        assert!(read(place, "model.safetensors", own).unwrap().is_none());
    }

    #[test]
    fn a_damaged_configuration_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), "{").unwrap();
        let message = read(folder.path(), "model.safetensors", "").unwrap_err().to_string();
        assert!(message.contains("config.json") && message.contains("no sound JSON"), "{message}");
    }
}
