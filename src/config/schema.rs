//! The JSON schema of a configuration file, for editors and for the checks of this room.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::Experiment;

/// The schema of an experiment: a configuration after its layers are merged.
///
/// Draft 7, which editors' TOML plug-ins know, with every subschema in place so that a reader needs no look-ups.
pub(super) fn experiment() -> Schema {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    settings.into_generator().into_root_schema_for::<Experiment>()
}

/// The schema of a configuration file: an experiment, what it extends, and a grid over it.
///
/// Every key is optional. This is what `configs/schema.json` holds.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = experiment().to_value();
    let grid = json!({
        "description": "Settings to vary: a dotted key and the list of its values. Every combination is one trial; the last key varies fastest.",
        "type": "object",
        "additionalProperties": { "type": ["array", "object"] },
    });
    let extends = json!({
        "description": "Configurations to start from, relative to this file's folder; later ones win.",
        "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ],
    });
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("grid".to_owned(), grid);
        properties.insert("extends".to_owned(), extends);
    }
    schema
}

/// The schema as the text of `configs/schema.json`, with a final newline.
#[must_use]
pub fn json_schema_text() -> String {
    format!("{:#}\n", json_schema())
}
