//! Where two documents differ, value by value.

use serde_json::Value;

/// What a comparison found.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Differences {
    /// Values that were compared.
    pub compared: usize,
    /// Where they differ: the key, what is stated, what was derived.
    pub found: Vec<String>,
    /// By how much of the larger one two numbers may differ; 0 at first: to the last digit.
    pub tolerance: f64,
}

impl Differences {
    /// Compare what is stated with what was derived; `at` is the key of both.
    pub fn add(&mut self, at: &str, stated: &Value, derived: &Value) {
        match (stated, derived) {
            (Value::Object(a), Value::Object(b)) => {
                let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
                for key in keys {
                    let of =
                        |side: &serde_json::Map<String, Value>| side.get(key).cloned().unwrap_or_default();
                    self.add(&format!("{at}.{key}"), &of(a), &of(b));
                }
            }
            _ => {
                self.compared += 1;
                let same = match (stated.as_f64(), derived.as_f64()) {
                    (Some(a), Some(b)) => a == b || (a - b).abs() <= self.tolerance * a.abs().max(b.abs()),
                    _ => stated == derived,
                };
                if !same {
                    self.found.push(format!("{at} is {stated}, and by its files {derived}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_digit_and_every_key_counts() {
        let stated =
            json!({ "auc": 0.75, "why": null, "sections": { "00": 0.75, "01": null }, "estimator": "oas" });
        let mut same = Differences::default();
        // A key without a value, and none.
        same.add(
            "m",
            &stated,
            &json!({ "auc": 0.75, "sections": { "01": null, "00": 0.75 }, "estimator": "oas" }),
        );
        assert_eq!(same, Differences { compared: 5, ..Differences::default() });
        let mut other = Differences::default();
        let last_digit = 0.75 + f64::EPSILON / 2.0;
        other.add(
            "m",
            &stated,
            &json!({ "auc": last_digit, "sections": { "00": 0.75, "02": 1 }, "estimator": 3 }),
        );
        let expected = [
            "m.auc is 0.75, and by its files 0.7500000000000001",
            "m.sections.02 is null, and by its files 1",
            "m.estimator is \"oas\", and by its files 3",
        ];
        assert_eq!(other.found, expected);
        let mut whole = Differences::default();
        whole.add("n", &json!(1), &json!(1.0));
        assert_eq!(whole, Differences { compared: 1, ..Differences::default() });
        let mut near = Differences { tolerance: 1e-6, ..Differences::default() };
        near.add("n", &json!(1e8), &json!(1e8 + 90.0));
        assert_eq!(near.found.len(), 0);
        near.add("n", &json!(1e8), &json!(1e8 + 110.0));
        assert_eq!(near.found.len(), 1);
    }
}
