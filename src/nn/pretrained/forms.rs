//! The forms in which encoders are published, told apart by the names of their tensors; and which tensor of a file is which
//! of ours.

use std::collections::BTreeMap;

use super::{Architecture, BeatsSize, CedSize, EatSize, Error, LeftOver, stated};
use crate::nn::ced;
use crate::nn::eat::Stated;
use crate::nn::import::{Checkpoint, Dict, Tensors, Value};

/// Names that an error about an unknown file shows.
const SHOWN: usize = 6;

/// What a file is by its names.
#[derive(Debug)]
pub struct Form {
    pub architecture: Architecture,
    pub labels: Option<Vec<String>>,
    pub random: Option<u64>,
    pub config: serde_json::Value,
    pub remarks: Vec<String>,
    /// Keys of the dict of tensors.
    pub at: Vec<String>,
    /// Our name to the file's, in that dict.
    pub names: BTreeMap<String, String>,
    pub left_over: Vec<LeftOver>,
}

/// The form of a checkpoint that another program wrote.
///
/// # Errors
/// When there is none that fits.
pub fn recognise(checkpoint: &Checkpoint, beside: Option<&serde_json::Value>) -> Result<Form, Error> {
    // An envelope with other things in it, or the tensors alone.
    for at in [["model"].as_slice(), &["state_dict"], &[]] {
        let Ok(tensors) = checkpoint.tensors(at) else { continue };
        let has = |name: &str| tensors.get(name).is_some();
        let form = if has("patch_embedding.weight") && has("post_extract_proj.weight") {
            beats(checkpoint, &tensors)?
        } else if let Some(prefix) = ["", "model."].into_iter().find(|prefix| has(&fairseq(prefix, PATCHES)))
        {
            eat(checkpoint, &tensors, Names::Fairseq { prefix }, None)?
        } else if let Some(prefix) =
            ["model.", ""].into_iter().find(|prefix| has(&format!("{prefix}{PATCHES}")))
        {
            eat(checkpoint, &tensors, Names::HuggingFace { prefix }, beside)?
        } else if let Some(form) = ced(&tensors, beside)? {
            form
        } else {
            continue;
        };
        return Ok(Form { at: at.iter().map(|key| (*key).to_owned()).collect(), ..form });
    }
    Err(Error::Unknown(unknown(checkpoint)))
}

/// What a file has that no form fits.
fn unknown(checkpoint: &Checkpoint) -> String {
    let known = "it is no BEATs, EAT or CED checkpoint";
    let Ok(tensors) = checkpoint.tensors(&[]) else {
        return format!("{known}: it is {}, not a dict of tensors", checkpoint.root().kind());
    };
    let names: Vec<&str> = tensors.names().take(SHOWN).collect();
    match names.is_empty() {
        true => format!("{known}: there are no tensors in it"),
        false => format!("{known}: it has {} tensors, the first are {}", tensors.len(), names.join(", ")),
    }
}

/// A group of tensors that nobody needs.
fn group(tensors: &Tensors<'_>, prefix: &str, why: &str) -> Option<LeftOver> {
    let count = tensors.names().filter(|name| name.starts_with(prefix)).count();
    (count > 0).then(|| LeftOver { name: format!("{prefix}*"), tensors: count, why: why.into() })
}

/// What is left of a file's tensors when those of `names` and of the groups are taken.
fn others(
    tensors: &Tensors<'_>,
    names: &BTreeMap<String, String>,
    groups: &[LeftOver],
) -> impl Iterator<Item = String> {
    let taken: std::collections::BTreeSet<&String> = names.values().collect();
    let grouped = |name: &str| groups.iter().any(|group| name.starts_with(group.name.trim_end_matches('*')));
    tensors
        .names()
        .filter(|name| !taken.contains(&(*name).to_owned()) && !grouped(name))
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

fn of_no_use(name: String) -> LeftOver {
    LeftOver { name, tensors: 1, why: "the network has no such tensor".into() }
}

const LAYERS: &str = "encoder.layers.";
const BIAS_TABLE: &str = ".self_attn.relative_attention_bias.weight";
const FIRST_BIAS_TABLE: &str = "encoder.layers.0.self_attn.relative_attention_bias.weight";

/// The layer whose table of position biases has this name, where it is one.
fn bias_table_of(name: &str) -> Option<usize> {
    name.strip_prefix(LAYERS)?.strip_suffix(BIAS_TABLE)?.parse().ok()
}

/// The tensor that is all layers' one table of position biases. PyTorch copies each layer's into that one table, layer by
/// layer, whatever their order in the file: the last layer's stays, should they differ.
pub(super) fn shared_bias_table<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names.max_by_key(|name| bias_table_of(name)).filter(|name| bias_table_of(name).is_some())
}

/// microsoft/unilm's `{'cfg': …, 'model': …}`, with `'label_dict'` of a fine-tuned one.
fn beats(checkpoint: &Checkpoint, tensors: &Tensors<'_>) -> Result<Form, Error> {
    let root = checkpoint.root();
    let Some(config) = root.get("cfg") else {
        let why = "it has the tensors of a BEATs, but no `cfg` that says its sizes: use the file as it was published";
        return Err(Error::Unfit(why.into()));
    };
    let Some(dict) = config.as_dict() else {
        return Err(Error::Unfit(format!("its `cfg` is {}, not a dict", config.kind())));
    };
    let mut size = BeatsSize::of_config(dict)?;
    let mut remarks = Vec::new();
    let predicts = tensors.get("predictor.weight").and_then(|tensor| tensor.shape().first().copied());
    match (size.classes, predicts) {
        (Some(_), None) => {
            remarks.push("its configuration says that it is fine-tuned, but it has no predictor".to_owned());
            size.classes = None;
        }
        (_, classes) => size.classes = classes,
    }
    let tables = tensors.names().filter(|name| bias_table_of(name).is_some()).count();
    let mut names: BTreeMap<String, String> = tensors
        .names()
        .filter(|name| bias_table_of(name).is_none())
        .map(|name| (name.to_owned(), name.to_owned()))
        .collect();
    let known = Architecture::Beats(size);
    known.check_against(checkpoint, tensors)?;
    let mut left_over = Vec::new();
    if let Some(shared) = shared_bias_table(tensors.names()) {
        names.insert(FIRST_BIAS_TABLE.to_owned(), shared.to_owned());
        if tables > 1 {
            left_over.push(LeftOver {
                name: format!("{LAYERS}*{BIAS_TABLE}"),
                tensors: tables - 1,
                why: "all layers share one table of position biases".into(),
            });
        }
    }
    let wanted = known.shapes();
    names.retain(|name, from| {
        let needed = wanted.contains_key(name);
        if !needed {
            left_over.push(of_no_use(from.clone()));
        }
        needed
    });
    Ok(Form {
        labels: labels(root.get("label_dict")),
        architecture: known,
        random: None,
        config: config.to_json(),
        remarks,
        at: Vec::new(),
        names,
        left_over,
    })
}

/// `{0: '/m/09x0r', …}` in the order of the classes.
fn labels(dict: Option<&Value>) -> Option<Vec<String>> {
    let mut numbered: Vec<(i64, String)> = dict?
        .as_dict()?
        .iter()
        .map(|(class, label)| Some((class.as_int()?, label.as_text()?.to_owned())))
        .collect::<Option<_>>()?;
    numbered.sort_unstable();
    let in_order = numbered.iter().enumerate().all(|(n, (class, _))| usize::try_from(*class) == Ok(n));
    (in_order && !numbered.is_empty()).then(|| numbered.into_iter().map(|(_, label)| label).collect())
}

/// The patches' convolution, in our names.
const PATCHES: &str = "local_encoder.proj.weight";
/// Where fairseq keeps what stands before the blocks.
const IMAGE: &str = "modality_encoders.IMAGE.";

/// How the names of an EAT checkpoint are made of ours.
#[derive(Clone, Copy)]
enum Names<'a> {
    /// fairseq's, with `model.` before them where the network was fine-tuned.
    Fairseq { prefix: &'a str },
    /// Hugging Face's.
    HuggingFace { prefix: &'a str },
}

/// fairseq's name of ours.
fn fairseq(prefix: &str, name: &str) -> String {
    let before_blocks = ["local_encoder.", "extra_tokens", "fixed_positional_encoder."];
    if let Some(rest) = name.strip_prefix("pre_norm.") {
        format!("{prefix}{IMAGE}context_encoder.norm.{rest}")
    } else if before_blocks.iter().any(|start| name.starts_with(start)) {
        format!("{prefix}{IMAGE}{name}")
    } else if name.starts_with("blocks.") {
        format!("{prefix}{name}")
    } else {
        // The head of a fine-tuned network.
        name.to_owned()
    }
}

impl Names<'_> {
    /// The file's name of ours.
    fn of(self, name: &str, tensors: &Tensors<'_>) -> String {
        match self {
            Self::Fairseq { prefix } => fairseq(prefix, name),
            // Fine-tuned files have the head inside the wrapped model or beside it.
            Self::HuggingFace { prefix } => match name.starts_with("fc_norm.") || name.starts_with("head.") {
                true if tensors.get(name).is_some() => name.to_owned(),
                _ => format!("{prefix}{name}"),
            },
        }
    }
}

/// EAT, as fairseq or Hugging Face have it.
fn eat(
    checkpoint: &Checkpoint,
    tensors: &Tensors<'_>,
    form: Names<'_>,
    beside: Option<&serde_json::Value>,
) -> Result<Form, Error> {
    let shape = |name: &str| Some(tensors.get(&form.of(name, tensors))?.shape().to_vec());
    let mut remarks = Vec::new();
    let beside = stated::of_kind(beside, "eat");
    let (said, config) = match form {
        Names::Fairseq { .. } => {
            let config = checkpoint.root().get("cfg");
            let json = config.map_or(serde_json::Value::Null, Value::to_json);
            (stated_by_fairseq(config.and_then(Value::as_dict), &mut remarks), json)
        }
        Names::HuggingFace { .. } => {
            let said = stated_by_hugging_face(beside)?;
            (said, beside.cloned().unwrap_or(serde_json::Value::Null))
        }
    };
    if said.heads.is_none() {
        remarks.push("nothing says how many heads its attention has: taken as its width over 64".to_owned());
    }
    let size = EatSize::of_tensors(&shape, said)?;
    if let Some(config) = beside {
        let sizes = [("depth", size.layers), ("embed_dim", size.width), ("patch_size", size.patch)];
        stated::check_numbers(config, &sizes)?;
    }
    let architecture = Architecture::Eat(size);
    architecture.check_against(checkpoint, tensors)?;
    let wanted = architecture.shapes();
    let names: BTreeMap<String, String> =
        wanted.into_keys().map(|name| (name.clone(), form.of(&name, tensors))).collect();
    let decoder = format!("{IMAGE}decoder.");
    let groups = [
        ("_ema.".to_owned(), "the teacher's average weights, which training alone needs"),
        (decoder.clone(), "the decoder, which pre-training alone needs"),
        (format!("model.{decoder}"), "the decoder, which pre-training alone needs"),
    ];
    let mut left_over: Vec<LeftOver> =
        groups.iter().filter_map(|(prefix, why)| group(tensors, prefix, why)).collect();
    let rest: Vec<LeftOver> = others(tensors, &names, &left_over).map(of_no_use).collect();
    left_over.extend(rest);
    let labels = beside.and_then(|config| labels_of_hugging_face(config, architecture.classes()));
    Ok(Form { architecture, labels, random: None, config, remarks, at: Vec::new(), names, left_over })
}

/// What fairseq's `cfg` says; a fine-tuned network's holds the pre-trained one's.
fn stated_by_fairseq(config: Option<&Dict>, remarks: &mut Vec<String>) -> Stated {
    let Some(model) = config.and_then(|config| config.get("model")) else { return Stated::default() };
    let pooled = model.get("prediction_mode").and_then(Value::as_text);
    if let Some(other) = pooled.filter(|pooled| *pooled != "CLS_TOKEN") {
        remarks.push(format!(
            "its classes were told apart from `{other}`; here they are from the class token, so its probabilities are \
             not to be trusted"
        ));
    }
    let encoder = match model.get("pretrained_model_args").and_then(|args| args.get("model")) {
        Some(encoder) => encoder,
        None => model,
    };
    let heads = encoder.get("num_heads").and_then(Value::as_int);
    Stated {
        heads: heads.and_then(|heads| usize::try_from(heads).ok()),
        epsilon: encoder.get("norm_eps").and_then(Value::as_float),
        head_epsilon: Some(1e-6),
    }
}

/// What a `config.json` says.
fn stated_by_hugging_face(config: Option<&serde_json::Value>) -> Result<Stated, Error> {
    let epsilon = config.and_then(|config| config.get("norm_eps"));
    Ok(Stated {
        heads: stated::number(config, "num_heads")?,
        epsilon: epsilon.and_then(serde_json::Value::as_f64),
        // Its classes are behind a norm of PyTorch's default.
        head_epsilon: Some(1e-5),
    })
}

/// `id2label`, where it is more than numbers.
fn labels_of_hugging_face(config: &serde_json::Value, classes: Option<usize>) -> Option<Vec<String>> {
    let labels = config.get("id2label")?.as_object()?;
    let label = |class: usize| Some(labels.get(&class.to_string())?.as_str()?.to_owned());
    let labels: Vec<String> = (0..classes?).map(label).collect::<Option<_>>()?;
    let numbered = labels.iter().any(|label| label.starts_with("LABEL_"));
    (!numbered).then_some(labels)
}

/// CED, as its authors or Hugging Face have it; nothing where the tensors are another network's.
fn ced(tensors: &Tensors<'_>, beside: Option<&serde_json::Value>) -> Result<Option<Form>, Error> {
    let Some(form) = ced::recognise(tensors) else { return Ok(None) };
    let shape = |own: &str| Some(tensors.get(&form.in_file(own))?.shape().to_vec());
    let size = CedSize::of_tensors(&shape, beside)?;
    let names: BTreeMap<String, String> =
        size.tensors().into_iter().map(|(own, _)| (own.clone(), form.in_file(&own))).collect();
    let left = |name: String| match ced::not_needed(&name) {
        Some(why) => LeftOver { name, tensors: 1, why: why.into() },
        None => of_no_use(name),
    };
    let left_over = others(tensors, &names, &[]).map(left).collect();
    Ok(Some(Form {
        architecture: Architecture::Ced(size),
        labels: beside.and_then(|config| size.labels(config)),
        random: None,
        config: beside.cloned().unwrap_or(serde_json::Value::Null),
        remarks: Vec::new(),
        at: Vec::new(),
        names,
        left_over,
    }))
}
