//! A checkpoint's settings as JSON, to print and to keep.

use serde_json::Value as Json;

use super::value::{Dict, Value};

/// Deeper values are named instead of shown. Readers of JSON give up at 128 levels.
const MAX_LEVELS: usize = 64;
/// Values that are shown; the settings of a checkpoint have some hundred, its labels some hundred more.
const MAX_VALUES: usize = 100_000;
/// Bytes of all texts together.
const MAX_TEXT_BYTES: usize = 4 << 20;

impl Value {
    /// The value as JSON: dicts, lists (tuples and sets too), numbers, texts, truth values, `null`.
    ///
    /// What JSON does not have becomes a text: numbers that are not finite (`"NaN"`, `"Infinity"`,
    /// `"-Infinity"`), and in angle brackets what a thing is (`"<one tensor of shape [2, 3]>"`). Keys
    /// that are no texts become some, as in Python: `1`, `0.5`, `true`, `null`. More than 64 levels,
    /// 100,000 values or 4 MiB of text are not shown; where something is left out, a text says so.
    pub fn to_json(&self) -> Json {
        Writer { values_left: MAX_VALUES, text_bytes_left: MAX_TEXT_BYTES }.value(self, MAX_LEVELS)
    }
}

/// What may still be written.
struct Writer {
    values_left: usize,
    text_bytes_left: usize,
}

impl Writer {
    fn value(&mut self, value: &Value, levels: usize) -> Json {
        match value {
            Value::None => Json::Null,
            Value::Bool(truth) => (*truth).into(),
            Value::Int(number) => (*number).into(),
            Value::Float(number) if number.is_finite() => (*number).into(),
            Value::Float(number) => float(*number).into(),
            Value::Text(text) => self.text(text).into(),
            Value::List(items) | Value::Tuple(items) | Value::Set(items) if levels > 0 => {
                self.list(items, levels - 1)
            }
            Value::Dict(dict) if levels > 0 => self.dict(dict, levels - 1),
            Value::Bytes(bytes) => format!("<{} bytes>", bytes.len()).into(),
            other => self.text(&format!("<{}>", other.kind())).into(),
        }
    }

    fn list(&mut self, items: &[Value], levels: usize) -> Json {
        let mut shown = Vec::new();
        for item in items {
            if !self.take_value() {
                shown.push(more(items.len() - shown.len()).into());
                break;
            }
            shown.push(self.value(item, levels));
        }
        shown.into()
    }

    fn dict(&mut self, dict: &Dict, levels: usize) -> Json {
        let mut shown = serde_json::Map::new();
        for (place, (key, value)) in dict.iter().enumerate() {
            if !self.take_value() {
                shown.insert("…".into(), more(dict.len() - place).into());
                break;
            }
            let mut name = self.key(key);
            if shown.contains_key(&name) {
                // `1` and `"1"` are two keys, cut texts may be the same.
                name = format!("{name} (entry {}, {})", place + 1, key.kind());
            }
            let value = self.value(value, levels);
            shown.insert(name, value);
        }
        shown.into()
    }

    fn key(&mut self, key: &Value) -> String {
        match key {
            Value::Text(text) => self.text(text),
            Value::Int(number) => number.to_string(),
            Value::Float(number) => float(*number),
            Value::Bool(truth) => truth.to_string(),
            Value::None => "null".into(),
            other => self.text(&format!("<{}>", other.kind())),
        }
    }

    /// The text, or as much of it as is left.
    fn text(&mut self, text: &str) -> String {
        if text.len() <= self.text_bytes_left {
            self.text_bytes_left -= text.len();
            return text.to_owned();
        }
        let end = text.floor_char_boundary(std::mem::take(&mut self.text_bytes_left));
        format!("{}… ({} bytes)", &text[..end], text.len())
    }

    fn take_value(&mut self) -> bool {
        let left = self.values_left > 0;
        self.values_left = self.values_left.saturating_sub(1);
        left
    }
}

fn float(number: f64) -> String {
    match number {
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        // `NaN` too.
        number => format!("{number:?}"),
    }
}

fn more(count: usize) -> String {
    format!("… {count} more")
}

#[cfg(test)]
mod tests {
    use super::super::tensor::Tensor;
    use super::super::value::Opaque;
    use super::*;
    use crate::nn::import::Dtype;
    use serde_json::json;

    fn dict(entries: Vec<(Value, Value)>) -> Value {
        Value::Dict(Dict::new(entries).into())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    /// A config with something of every kind in it.
    #[test]
    fn every_kind_of_value() {
        let tensor = Tensor::contiguous(Dtype::F16, 0, vec![2, 3]).unwrap();
        let object = Opaque { module: "omegaconf".into(), name: "DictConfig".into() };
        let list = [Value::Float(f64::NAN), Value::Float(f64::NEG_INFINITY), Value::Float(0.1), Value::None];
        let value = dict(vec![
            (text("layers"), Value::Int(12)),
            (text("largest"), Value::Int(i64::MAX)),
            (text("deep_norm"), Value::Bool(true)),
            (text("name"), text("häß \"q\"\n")),
            (text("rates"), Value::List(list.into())),
            (text("pair"), Value::Tuple([Value::Float(f64::INFINITY), Value::Int(-1)].into())),
            (text("set"), Value::Set([text("a")].into())),
            (text("bytes"), Value::Bytes([1, 2, 3].into())),
            (text("weight"), Value::Tensor(tensor.into())),
            (text("object"), Value::Opaque(object.into())),
            (text("nested"), dict(vec![(Value::Int(-1), text("first")), (Value::Float(0.5), Value::None)])),
        ]);
        let expected = json!({
            "layers": 12,
            "largest": i64::MAX,
            "deep_norm": true,
            "name": "häß \"q\"\n",
            "rates": ["NaN", "-Infinity", 0.1, null],
            "pair": ["Infinity", -1],
            "set": ["a"],
            "bytes": "<3 bytes>",
            "weight": "<one tensor of shape [2, 3]>",
            "object": "<an object of class omegaconf.DictConfig>",
            "nested": {"-1": "first", "0.5": null},
        });
        let shown = value.to_json();
        assert_eq!(shown, expected);
        // The file's order.
        assert_eq!(shown.as_object().unwrap().keys().next().unwrap(), "layers");
        let text = shown.to_string();
        assert_eq!(serde_json::from_str::<Json>(&text).unwrap(), expected);
    }

    #[test]
    fn keys_that_read_the_same_are_all_kept() {
        let keys = [Value::Int(1), text("1"), Value::Bool(true), text("true"), Value::Tuple([].into())];
        let value =
            dict(keys.into_iter().enumerate().map(|(at, key)| (key, Value::Int(at as i64))).collect());
        let expected = json!({
            "1": 0, "1 (entry 2, a text)": 1, "true": 2, "true (entry 4, a text)": 3, "<a tuple of 0>": 4,
        });
        assert_eq!(value.to_json(), expected);
    }

    /// A list of 2 lists of 2 lists …, 22 deep, is one of four million; here depth and number are held.
    #[test]
    fn depth_and_size_are_bounded() {
        let deep = (0..200).fold(Value::Int(1), |inner, _| Value::List([inner].into()));
        let shown = deep.to_json().to_string();
        assert_eq!(shown, format!("{}\"<a list of 1>\"{}", "[".repeat(MAX_LEVELS), "]".repeat(MAX_LEVELS)));
        assert!(serde_json::from_str::<Json>(&shown).is_ok());
        let wide = (0..22).fold(Value::Int(1), |inner, _| Value::List([inner.clone(), inner].into()));
        let shown = wide.to_json().to_string();
        assert!(shown.len() < 10 * MAX_VALUES && shown.ends_with("\"… 1 more\"]"), "{} bytes", shown.len());
        let entries = (0..150_000).map(|number| (Value::Int(number), Value::None)).collect();
        let shown = dict(entries).to_json();
        assert_eq!(shown["…"], "… 50000 more");
        assert_eq!(shown.as_object().unwrap().len(), MAX_VALUES + 1);
    }

    #[test]
    fn texts_are_bounded_together() {
        let long = text(&"ä".repeat(3 << 19));
        let shown = Value::List([long.clone(), long.clone(), long].into()).to_json();
        let lengths: Vec<usize> =
            shown.as_array().unwrap().iter().map(|text| text.as_str().unwrap().len()).collect();
        let note = "… (3145728 bytes)".len();
        assert_eq!(lengths, [3 << 20, (1 << 20) + note, note]);
    }
}
