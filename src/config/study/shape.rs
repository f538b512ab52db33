//! What a study's file may look like, and its JSON schema for editors.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use crate::config::ProtocolConfig;
use crate::config::schema;
use crate::config::shape::{Shape, experiment};

/// What the study is called, and what holds for all of its families.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "its schema is read, not the type: values keep their places in the file")]
struct StudyTable {
    /// What the study is called; the file's own name where left out, never that of a study that is extended.
    name: Option<String>,
    /// Seeds of every family in place of those of its file; an override of `train.seeds` wins.
    #[schemars(length(min = 1), inner(range(max = 9_223_372_036_854_775_807_u64)), extend("uniqueItems" = true))]
    seeds: Option<Vec<u64>>,
}

/// The shape of a study, settings of experiments left open: they are checked where a family's layers meet.
pub(super) fn study() -> &'static Shape {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::read(&outline()));
    &SHAPE
}

/// What `--set` may name: the study's own tables and every setting of an experiment.
pub(in crate::config) fn settable() -> &'static Shape {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
        let own = study().keys().iter().filter(|(key, _)| key == "study" || key == "protocol");
        Shape::Table(own.chain(experiment().keys()).cloned().collect())
    });
    &SHAPE
}

fn schema_of<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    let mut schema = Schema::to_value(settings.into_generator().into_root_schema_for::<T>());
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        object.remove("title");
    }
    schema
}

// The schema, with references where an experiment's settings stand.
fn outline() -> Value {
    let settings = json!({ "$ref": "#/definitions/settings" });
    let described = |text: &str| json!({ "description": text, "allOf": [settings] });
    let family = json!({
        "description": "One configuration file and what it is varied by.",
        "type": "object",
        "properties": {
            "config": {
                "description": "The configuration file, relative to this file's folder. Its [grid] is taken.",
                "type": "string",
                "minLength": 1,
            },
            "override": described("Settings of this family alone, over those of its file and of [common]."),
            "grid": {
                "description": "Settings to vary, in place of the file's grid.",
                "allOf": [{ "$ref": "#/definitions/grid" }],
            },
            "list": {
                "description": "Configurations one by one, in place of a grid: what each lays over the others.",
                "type": "array",
                "items": settings,
                "minItems": 1,
            },
        },
        "required": ["config"],
        "additionalProperties": false,
    });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Study",
        "description": "A study of asdbench: families of configurations that are trained, judged and correlated together.",
        "type": "object",
        "properties": {
            "extends": { "$ref": "#/definitions/extends" },
            "study": schema_of::<StudyTable>(),
            "common": described("Settings laid over every family's file; of `task`, a family takes its own table."),
            "family": { "description": "The families.", "type": "array", "items": family, "minItems": 1 },
            "protocol": schema_of::<ProtocolConfig>(),
        },
        "additionalProperties": false,
    })
}

/// The schema of a study's file. This is what `configs/study.schema.json` holds.
#[must_use]
pub fn study_schema() -> Value {
    let mut document = outline();
    let mut settings = schema::json_schema();
    let mut take = |key: &str| {
        let properties = settings.get_mut("properties").and_then(Value::as_object_mut);
        properties.and_then(|properties| properties.shift_remove(key)).unwrap_or_default()
    };
    let (grid, extends) = (take("grid"), take("extends"));
    if let Some(object) = settings.as_object_mut() {
        object.shift_remove("$schema");
        object.shift_remove("title");
        if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("extends".to_owned(), json!({ "$ref": "#/definitions/extends" }));
        }
    }
    document["definitions"] = json!({ "extends": extends, "grid": grid, "settings": settings });
    document
}

/// The schema as the text of `configs/study.schema.json`, with a final newline.
#[must_use]
pub fn study_schema_text() -> String {
    format!("{:#}\n", study_schema())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_experiments_are_left_open() {
        assert_eq!(study().child("common"), &Shape::Any);
        let Shape::List { items, min_items: 1, .. } = study().child("family") else {
            panic!("{:?}", study())
        };
        assert_eq!((items.child("override"), items.child("grid")), (&Shape::Any, &Shape::Any));
        assert_eq!(items.child("config"), &Shape::Text { min_chars: 1 });
        assert_eq!(study().child("study").child("seeds"), experiment().child("train").child("seeds"));
        assert!(study().child("protocol").find("significance").is_some());
    }

    #[test]
    fn a_schema_refers_only_to_what_it_holds() {
        let schema = study_schema();
        let text = schema.to_string();
        for part in text.split("#/definitions/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(schema["definitions"][name].is_object(), "{name}");
        }
        assert!(schema["definitions"]["settings"]["properties"]["train"]["properties"]["epochs"].is_object());
        assert!(schema["definitions"]["settings"]["properties"].get("grid").is_none());
    }
}
