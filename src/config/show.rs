//! A resolved configuration as a table and as JSON, every value with its origin.

use serde_json::{Value as Json, json};
use toml::Value;

use super::grid::Axis;
use super::resolved::{Resolved, Setting};
use super::shape::readable;
use super::source::Origin;

impl Resolved {
    /// One row a setting, then one an axis of the grid or an entry of the list: name, value, origin.
    #[must_use]
    pub fn rows(&self) -> Vec<[String; 3]> {
        let axes = self.grid.axes().iter().map(|axis| {
            let values = Value::Array(axis.values());
            let origin = self.axis_origin(axis).to_string();
            [format!("grid.{}", axis.path()), short_toml(&values), origin]
        });
        let entries = self.list().into_iter().enumerate();
        let entries = entries
            .map(|(nth, (entry, origin))| [format!("list[{nth}]"), short_toml(&entry), origin.to_string()]);
        self.settings().iter().map(Setting::row).chain(axes).chain(entries).collect()
    }

    /// The JSON document of `asdbench config show --format json`.
    ///
    /// `settings` holds `path`, `value` (`null` with a `why` where it is not set) and `origin`
    /// (`kind` is `default`, `set` or `file`, the last with `file` and `line`); `grid` holds `path`, `values`, `origin`.
    #[must_use]
    pub fn json(&self) -> Json {
        let axis = |axis: &Axis| {
            let origin = origin(&self.axis_origin(axis));
            json!({ "path": axis.path(), "values": axis.values(), "origin": origin })
        };
        json!({
            "schema": 1,
            "config": self.source.display().to_string(),
            "family": self.experiment.family(),
            "slug": self.experiment.slug(),
            "training_hash": self.experiment.training_hash(),
            "trials": self.trials(),
            "settings": self.settings().iter().map(Setting::json).collect::<Vec<_>>(),
            "grid": self.grid.axes().iter().map(axis).collect::<Vec<_>>(),
        })
    }
}

impl Setting {
    pub(super) fn row(&self) -> [String; 3] {
        let value = self.value.as_ref().map_or_else(|| "(not set)".to_owned(), short_toml);
        [self.path.clone(), value, self.origin.to_string()]
    }

    pub(super) fn json(&self) -> Json {
        let mut entry = json!({
            "path": self.path,
            "value": self.value,
            "origin": origin(&self.origin),
        });
        if self.value.is_none() {
            entry["why"] = "not set".into();
        }
        entry
    }
}

fn origin(origin: &Origin) -> Json {
    match origin {
        Origin::Default => json!({ "kind": "default" }),
        Origin::File { path, line } => {
            json!({ "kind": "file", "file": path.display().to_string(), "line": line })
        }
        Origin::Set => json!({ "kind": "set" }),
    }
}

/// A value as TOML on one line, with very small and large numbers in short: `1e-8`.
fn short_toml(value: &Value) -> String {
    match value {
        Value::Float(number) if number.fract() != 0.0 || number.abs() >= 1e7 => readable(*number),
        Value::Array(list) => format!("[{}]", list.iter().map(short_toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_remain_toml() {
        let numbers = [0.01, 5e-4, 1e-8, 2.0, 0.5, 3e20, -1.5].map(Value::Float);
        let text = short_toml(&Value::Array(numbers.to_vec()));
        assert_eq!(text, "[0.01, 5e-4, 1e-8, 2.0, 0.5, 3e20, -1.5]");
        let back: toml::Table = toml::from_str(&format!("x = {text}")).unwrap();
        assert_eq!(back["x"], Value::Array(numbers.to_vec()));
    }
}
