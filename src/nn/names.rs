//! From the fields of our modules to the names that PyTorch's state dicts have for them.
//!
//! A field has the public name wherever Rust allows it. What differs stands here, once, and holds for every network.

/// Modules that files know nothing of: what is inside them stands outside.
const OMITTED: &[&str] = &["backbone"];

/// Positions of a `torch.nn.Sequential`, and wrapped modules.
const RENAMED: &[(&str, &str)] = &[
    // CMGAN: a convolution, its norm, its PReLU.
    ("stage_conv", "0"),
    ("stage_norm", "1"),
    ("stage_prelu", "2"),
    // CMGAN's conformer.
    ("ff1", "ff1.fn"),
    ("ff2", "ff2.fn"),
    ("expand", "fn.net.0"),
    ("contract", "fn.net.3"),
    ("inner", "fn"),
    ("entry_norm", "net.0"),
    ("gate", "net.2"),
    ("depthwise", "net.4.conv"),
    ("batch_norm", "net.5"),
    ("exit", "net.7"),
    // CED: between two steps that have no parameters.
    ("init_bn", "init_bn.1"),
];

/// Lists whose members are fields with a number, counted from 1.
const NUMBERED: &[(&str, &str)] =
    &[("convs", "conv"), ("norms", "norm"), ("prelus", "prelu"), ("tscbs", "TSCB_")];

/// The name in files of what lies at `path`.
pub fn public_name(path: &[String]) -> String {
    let mut parts = Vec::new();
    let mut path = path.iter().map(String::as_str).filter(|name| !OMITTED.contains(name));
    while let Some(name) = path.next() {
        if let Some((_, stem)) = NUMBERED.iter().find(|(list, _)| *list == name) {
            let number = path.next().and_then(|index| index.parse::<usize>().ok());
            parts.push(number.map_or_else(|| (*stem).to_owned(), |index| format!("{stem}{}", index + 1)));
        } else {
            let renamed = RENAMED.iter().find(|(own, _)| *own == name);
            parts.push(renamed.map_or(name, |(_, public)| public).to_owned());
        }
    }
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> String {
        public_name(&path.split('.').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_rust_cannot_name_is_renamed_and_the_rest_stays() {
        assert_eq!(name("backbone.layer1.0.conv1.weight"), "layer1.0.conv1.weight");
        assert_eq!(name("dense_encoder.conv_1.stage_norm.bias"), "dense_encoder.conv_1.1.bias");
        assert_eq!(
            name("tscbs.3.time_conformer.ff1.contract.weight"),
            "TSCB_4.time_conformer.ff1.fn.fn.net.3.weight"
        );
        assert_eq!(
            name("mask_decoder.dense_block.prelus.0.weight"),
            "mask_decoder.dense_block.prelu1.weight"
        );
    }
}
