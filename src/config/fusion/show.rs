//! A fusion as rows and as JSON, every value with its origin.

use std::path::Path;

use serde_json::{Value as Json, json};
use toml::Value;

use super::FusionConfig;
use crate::config::resolved::Setting;
use crate::config::source::{Origin, Sources};
use crate::config::tree::{Item, Node};

/// A fusion that knows where each of its values comes from.
#[derive(Clone, Debug)]
pub struct ResolvedFusion {
    /// The fusion.
    pub fusion: FusionConfig,
    pub(super) tree: Node,
    pub(super) sources: Sources,
}

impl ResolvedFusion {
    /// One row a setting that has a value: name, value, origin. Systems are `system[0]` and so on.
    #[must_use]
    pub fn rows(&self) -> Vec<[String; 3]> {
        self.settings().iter().map(Setting::row).collect()
    }

    /// The JSON document of `asdbench config show --format json` for a fusion; `settings` is that of a configuration.
    #[must_use]
    pub fn json(&self, source: &Path) -> Json {
        let systems: Vec<&str> = self.fusion.system.iter().map(|system| system.name.as_str()).collect();
        json!({
            "schema": 1,
            "config": source.display().to_string(),
            "systems": systems,
            "settings": self.settings().iter().map(Setting::json).collect::<Vec<_>>(),
        })
    }

    /// The complete fusion as a file that could be loaded again.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut complete = self.complete();
        // A list that is left out means all; written, it names some.
        for table in ["tune", "apply"] {
            if let Some(table) = complete.get_mut(table).and_then(Value::as_table_mut) {
                table.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
            }
        }
        // Score files have no columns of detectors.
        for system in complete.get_mut("system").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(system) = system.as_table_mut().filter(|system| system.contains_key("scores")) {
                system.remove("detector");
            }
        }
        toml::to_string(&complete).unwrap_or_default()
    }

    fn complete(&self) -> Value {
        Value::try_from(&self.fusion).unwrap_or(Value::Boolean(false))
    }

    fn settings(&self) -> Vec<Setting> {
        let complete = self.complete();
        let mut settings = Vec::new();
        self.collect(&complete, Some(&self.tree), "", &mut settings);
        settings
    }

    fn collect(&self, value: &Value, written: Option<&Node>, path: &str, settings: &mut Vec<Setting>) {
        match value {
            Value::Table(table) => {
                for (key, value) in table {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.collect(value, written.and_then(|node| node.get([key.as_str()])), &path, settings);
                }
            }
            Value::Array(list) if list.iter().any(Value::is_table) => {
                for (nth, entry) in list.iter().enumerate() {
                    let written = written.and_then(|node| match &node.item {
                        Item::List(nodes) => nodes.get(nth),
                        Item::Table(_) | Item::Scalar(_) => None,
                    });
                    self.collect(entry, written, &format!("{path}[{nth}]"), settings);
                }
            }
            value => settings.push(Setting {
                path: path.to_owned(),
                value: Some(value.clone()),
                origin: written.map_or(Origin::Default, |node| self.sources.origin(node.span)),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{load_fusion, resolve_fusion};

    #[test]
    fn every_value_says_where_it_comes_from() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        put("base.toml", "[tune]\nevaluations = 50\n");
        let text = "extends = \"base.toml\"\n[[system]]\nname = \"a\"\nscores = \"a\"\n[[system]]\nname = \"b\"\nscores = \"b\"\n";
        let path = put("fusion.toml", text);
        let found = resolve_fusion(&path, &["seed=7".to_owned()]).unwrap();
        let row = |name: &str| {
            let rows = found.rows();
            let row = rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{name}: {rows:?}"));
            (row[1].clone(), row[2].clone())
        };
        assert_eq!(row("seed").0, "7");
        assert!(row("seed").1.contains("--set"), "{:?}", row("seed"));
        assert!(row("tune.evaluations").0 == "50" && row("tune.evaluations").1.ends_with("base.toml:2"));
        assert!(row("system[1].name").0 == "\"b\"" && row("system[1].name").1.ends_with("fusion.toml:6"));
        assert_eq!(row("normalise.allow_transductive"), ("false".to_owned(), "default".to_owned()));
        let again = put("again.toml", &found.to_toml());
        assert_eq!(load_fusion(&again, &[]).unwrap(), found.fusion);
        assert_eq!(found.json(&path)["systems"], serde_json::json!(["a", "b"]));
    }
}
