//! A study as rows and as JSON: its families, every value with its origin.

use std::path::Path;

use serde_json::{Value, json};

use super::ResolvedStudy;

impl ResolvedStudy {
    /// Trained configurations over all families.
    #[must_use]
    pub fn configurations(&self) -> usize {
        self.study.families.iter().map(|family| family.experiments.len()).sum()
    }

    /// One row a setting of each family: the family's file, name, value, origin.
    #[must_use]
    pub fn rows(&self) -> Vec<[String; 4]> {
        let rows = self.resolved.iter().flat_map(|family| {
            let file = family.source.display().to_string();
            family.rows().into_iter().map(move |[name, value, origin]| [file.clone(), name, value, origin])
        });
        rows.collect()
    }

    /// The JSON document of `asdbench config show --format json` for a study: its name, `protocol`, and `families`, each
    /// as a configuration's document with `configurations`, the names of what the grid or list makes of it.
    #[must_use]
    pub fn json(&self, source: &Path) -> Value {
        let families = self.study.families.iter().zip(&self.resolved).map(|(family, resolved)| {
            let mut document = resolved.json();
            if let Some(object) = document.as_object_mut() {
                object.shift_remove("schema");
            }
            let slugs: Vec<String> = family.experiments.iter().map(|experiment| experiment.slug()).collect();
            document["configurations"] = json!(slugs);
            document
        });
        json!({
            "schema": 1,
            "study": self.study.name,
            "config": source.display().to_string(),
            "trials": self.configurations(),
            "protocol": self.study.protocol,
            "families": families.collect::<Vec<_>>(),
        })
    }
}
