//! What a fusion's file may look like, and its JSON schema for editors.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::FusionConfig;
use crate::config::shape::Shape;

/// The shape of a fusion.
pub(super) fn fusion() -> &'static Shape {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::read(&of_types()));
    &SHAPE
}

fn of_types() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    settings.into_generator().into_root_schema_for::<FusionConfig>().to_value()
}

/// The schema of a fusion's file. This is what `configs/fusion.schema.json` holds.
#[must_use]
pub fn fusion_schema() -> Value {
    let mut schema = of_types();
    let extends = json!({
        "description": "Fusion files to start from, relative to this file's folder; later ones win.",
        "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ],
    });
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("extends".to_owned(), extends);
    }
    schema
}

/// The schema as the text of `configs/fusion.schema.json`, with a final newline.
#[must_use]
pub fn fusion_schema_text() -> String {
    format!("{:#}\n", fusion_schema())
}
