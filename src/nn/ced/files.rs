//! What the public files call the network's tensors, and what they say of its sizes.

use serde_json::Value;

use super::{CedSize, HEAD_WIDTH, PIECE};
use crate::nn::import::Tensors;
use crate::nn::pretrained::Error;
use crate::nn::pretrained::stated::{self, contradiction, number};

/// `model_type` of its configuration.
const KIND: &str = "ced";

/// Whose names a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// The authors', which are the network's own: `init_bn.1.weight`, `blocks.0.norm1.weight`, `outputlayer.1.weight`.
    Authors,
    /// Hugging Face's: `encoder.init_bn.weight`, `encoder.blocks.0.norm1.weight`, `outputlayer.1.weight`.
    HuggingFace,
}

impl Names {
    /// The name in the file of what the network calls `own`.
    pub fn in_file(self, own: &str) -> String {
        match self {
            Self::HuggingFace if !own.starts_with("outputlayer.") => {
                format!("encoder.{}", own.replacen("init_bn.1.", "init_bn.", 1))
            }
            Self::Authors | Self::HuggingFace => own.to_owned(),
        }
    }
}

/// Tensors that no other architecture has together; the first is called differently by the two.
const TELLING: [&str; 3] = ["init_bn.1.running_mean", "time_pos_embed", "freq_pos_embed"];

/// Whose names these tensors have, if they are a CED's.
pub fn recognise(tensors: &Tensors<'_>) -> Option<Names> {
    let has = |names: &Names| TELLING.iter().all(|own| tensors.get(&names.in_file(own)).is_some());
    [Names::Authors, Names::HuggingFace].into_iter().find(has)
}

/// Why a file's tensor of this name is not needed, where that is known.
pub fn not_needed(name: &str) -> Option<&'static str> {
    match name {
        _ if name.starts_with("front_end.") => Some("a table of the front end, which is computed here"),
        _ if name.ends_with(".num_batches_tracked") => Some("a counter of training steps"),
        _ => None,
    }
}

impl CedSize {
    /// The sizes of the network that tensors belong to. `shape` knows them by the network's own names; `config` is the
    /// `config.json` of Hugging Face's files, which the authors' come without; another model's is passed over.
    ///
    /// # Errors
    /// When a tensor that tells a size is missing, shapes contradict each other or `config`, or `config` asks for what is
    /// not done here.
    pub fn of_tensors(
        shape: &dyn Fn(&str) -> Option<Vec<usize>>,
        config: Option<&Value>,
    ) -> Result<Self, Error> {
        let config = stated::of_kind(config, KIND);
        if shape("cls_token").is_some() {
            return Err(Error::Unfit(
                "it has a class token (`cls_token`), so it was not made for means over patches as CED's tagging \
                 checkpoints are; use one of those"
                    .into(),
            ));
        }
        let [width, _, patch, _] = sizes(shape, "patch_embed.proj.weight")?;
        let [_, _, _, steps] = sizes(shape, "time_pos_embed")?;
        let [mels] = sizes(shape, "init_bn.1.weight")?;
        let [hidden, _] = sizes(shape, "blocks.0.mlp.fc1.weight")?;
        let classes = stated::classes(shape, "outputlayer.1");
        let layers = stated::blocks(shape);
        if [width, patch, steps, mels, hidden].contains(&0) || !mels.is_multiple_of(patch) {
            return Err(Error::Unfit(format!("{mels} mel bands do not make patches of {patch}")));
        }
        let piece_frames = match number(config, "target_length")? {
            Some(frames) if frames / patch == steps => frames,
            Some(frames) => {
                return Err(contradiction(
                    "target_length",
                    frames,
                    &format!("{steps} steps of {patch} frames"),
                ));
            }
            None if (steps, patch) == (PIECE.1, 16) => PIECE.0,
            None => steps.saturating_mul(patch),
        };
        let heads = match number(config, "num_heads")? {
            Some(heads) => heads,
            None if width.is_multiple_of(HEAD_WIDTH) => width / HEAD_WIDTH,
            None => {
                return Err(Error::Unfit(format!(
                    "tokens of {width} values do not make heads of {HEAD_WIDTH}; put the `config.json` beside it that \
                     says `num_heads`"
                )));
            }
        };
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(contradiction("num_heads", heads, &format!("tokens of {width} values")));
        }
        let size = Self { layers, width, heads, hidden, mels, patch, piece_frames, classes };
        size.check_sizes()?;
        if let Some(config) = config {
            size.check(config)?;
        }
        // What the sizes were not read from.
        for (name, expected) in size.tensors() {
            match shape(&name) {
                Some(found) if found == expected => {}
                Some(found) => {
                    return Err(Error::Unfit(format!("`{name}` has the shape {found:?}, not {expected:?}")));
                }
                None => return Err(missing(&name)),
            }
        }
        Ok(size)
    }

    /// Names of the classes in a `config.json`, in order: AudioSet's display names in the public ones.
    pub fn labels(&self, config: &Value) -> Option<Vec<String>> {
        let config = stated::of_kind(Some(config), KIND)?;
        let names = config.get("id2label")?.as_object().filter(|names| Some(names.len()) == self.classes)?;
        (0..names.len()).map(|class| Some(names.get(&class.to_string())?.as_str()?.to_owned())).collect()
    }

    /// Holds what a `config.json` says against the tensors and against what is done here.
    fn check(&self, config: &Value) -> Result<(), Error> {
        let sizes = [
            ("depth", self.layers),
            ("embed_dim", self.width),
            ("n_mels", self.mels),
            ("patch_size", self.patch),
        ];
        stated::check_numbers(config, &sizes)?;
        if let Some(classes) = self.classes {
            stated::check_numbers(config, &[("outputdim", classes)])?;
        }
        let settings = [
            ("patch_stride", vec![Value::from(self.patch)]),
            ("pooling", vec!["mean".into(), "logit".into()]),
            ("eval_avg", vec!["mean".into()]),
            ("pad_last", vec![true.into()]),
            ("qkv_bias", vec![true.into()]),
            ("center", vec![true.into()]),
            ("n_fft", vec![512.into()]),
            ("win_size", vec![512.into()]),
            ("hop_size", vec![160.into()]),
            ("f_min", vec![0.into()]),
            ("f_max", vec![8000.into(), Value::Null]),
        ];
        for (key, known) in settings {
            if let Some(said) = config.get(key).filter(|said| !known.iter().any(|known| same(known, said))) {
                let known: Vec<String> = known.iter().map(Value::to_string).collect();
                return Err(Error::Unfit(format!(
                    "its configuration has {key} = {said}; only {} is done here",
                    known.join(" or ")
                )));
            }
        }
        Ok(())
    }
}

/// Equal, 0 and 0.0 too.
fn same(a: &Value, b: &Value) -> bool {
    a == b || matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if a == b)
}

fn missing(name: &str) -> Error {
    Error::Unfit(format!("the tensor `{name}` is missing"))
}

/// The shape of a tensor of `D` dimensions.
fn sizes<const D: usize>(
    shape: &dyn Fn(&str) -> Option<Vec<usize>>,
    name: &str,
) -> Result<[usize; D], Error> {
    let found = shape(name).ok_or_else(|| missing(name))?;
    let dims = found.len();
    found.try_into().map_err(|_| Error::Unfit(format!("`{name}` has {dims} dimensions, not {D}")))
}
