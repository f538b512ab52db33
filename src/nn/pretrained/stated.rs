//! What tensors and a `config.json` beside them say of a network's sizes, whatever its architecture.

use serde_json::Value;

use super::Error;

/// Blocks that a network may have.
pub const MOST_BLOCKS: usize = 512;
/// Classes that a network may tell apart.
pub const MOST_CLASSES: usize = 65_536;
/// Tensors of a [`Block`](crate::nn::encoder::Block).
const OF_BLOCK: [&str; 12] = [
    "norm1.weight",
    "norm1.bias",
    "attn.qkv.weight",
    "attn.qkv.bias",
    "attn.proj.weight",
    "attn.proj.bias",
    "norm2.weight",
    "norm2.bias",
    "mlp.fc1.weight",
    "mlp.fc1.bias",
    "mlp.fc2.weight",
    "mlp.fc2.bias",
];

/// How many blocks `blocks.0`, `blocks.1` … tensors make: one more than the number of the last of which there is any. So a
/// block that lacks a tensor is found incomplete, and the network no smaller.
pub fn blocks(shape: &dyn Fn(&str) -> Option<Vec<usize>>) -> usize {
    let there =
        |block: &usize| OF_BLOCK.iter().any(|name| shape(&format!("blocks.{block}.{name}")).is_some());
    (0..=MOST_BLOCKS).rev().find(there).map_or(0, |last| last + 1)
}

/// Classes by the weight or the bias of the layer that tells them apart; a file that lacks one of the two is damaged, not
/// without classes.
pub fn classes(shape: &dyn Fn(&str) -> Option<Vec<usize>>, layer: &str) -> Option<usize> {
    let first = |name: &str| shape(&format!("{layer}.{name}"))?.first().copied();
    first("weight").or_else(|| first("bias"))
}

/// A configuration that is of this kind of model, or does not say of which; another's lies there by chance.
pub fn of_kind<'a>(config: Option<&'a Value>, kind: &str) -> Option<&'a Value> {
    config.filter(|config| config.get("model_type").is_none_or(|said| said == kind))
}

/// A whole number of a configuration, where it has one.
///
/// # Errors
/// When it is something else.
pub fn number(config: Option<&Value>, key: &str) -> Result<Option<usize>, Error> {
    let Some(said) = config.and_then(|config| config.get(key)) else { return Ok(None) };
    let whole = said.as_u64().and_then(|number| usize::try_from(number).ok());
    whole
        .map(Some)
        .ok_or_else(|| Error::Unfit(format!("its configuration has {key} = {said}, no whole number")))
}

/// Holds numbers of a configuration against those of the tensors; what it does not say is passed over.
///
/// # Errors
/// When one differs.
pub fn check_numbers(config: &Value, sizes: &[(&str, usize)]) -> Result<(), Error> {
    for (key, size) in sizes {
        if let Some(said) = number(Some(config), key)?
            && said != *size
        {
            return Err(contradiction(key, said, &size.to_string()));
        }
    }
    Ok(())
}

/// That a configuration is not that of the tensors beside it.
pub fn contradiction(key: &str, said: usize, tensors: &str) -> Error {
    Error::Unfit(format!(
        "its configuration has {key} = {said}, but its tensors have {tensors}; the config.json beside it may be another \
         model's"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_block_counts_as_long_as_one_of_its_tensors_is_there() {
        let count = |names: &[&str]| blocks(&|name| names.contains(&name).then(|| vec![1]));
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&["blocks.0.norm1.weight"]), 1);
        assert_eq!(count(&["blocks.0.norm1.weight", "blocks.11.norm2.bias", "blocks.12.other"]), 12);
        // One more than there may be, so that it can be refused.
        assert_eq!(count(&["blocks.512.norm2.bias"]), MOST_BLOCKS + 1);
    }

    #[test]
    fn either_tensor_tells_the_classes() {
        for name in ["head.weight", "head.bias"] {
            assert_eq!(classes(&|asked| (asked == name).then(|| vec![7, 2]), "head"), Some(7), "{name}");
        }
        assert_eq!(classes(&|_| None, "head"), None);
    }

    #[test]
    fn a_configuration_of_another_model_is_passed_over_and_a_false_number_is_not() {
        let (of_ced, of_none) = (json!({"model_type": "ced", "depth": 3}), json!({"depth": 12.5}));
        assert_eq!(of_kind(Some(&of_ced), "eat"), None);
        assert_eq!(of_kind(Some(&of_ced), "ced"), Some(&of_ced));
        assert_eq!(of_kind(Some(&of_none), "eat"), Some(&of_none));
        assert!(check_numbers(&of_ced, &[("depth", 3), ("embed_dim", 768)]).is_ok());
        let message = check_numbers(&of_ced, &[("depth", 4)]).unwrap_err().to_string();
        assert!(message.contains("depth = 3") && message.contains("have 4"), "{message}");
        let message = number(Some(&of_none), "depth").unwrap_err().to_string();
        assert!(message.contains("no whole number"), "{message}");
    }
}
