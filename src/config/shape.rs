//! What a configuration may look like, read off the JSON schema: the one source of keys, types and ranges.

use std::sync::LazyLock;

use serde_json::Value;

use super::schema;
use super::tree::Table;

/// What a value may be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A table with these keys, all optional.
    Table(Vec<(String, Shape)>),
    /// A table whose only key picks a variant, as `[task.autoencoder]`.
    Tagged(Vec<(String, Shape)>),
    /// A table of such values under names of the writer's own choice.
    Map(Box<Shape>),
    List {
        items: Box<Shape>,
        min_items: usize,
        unique: bool,
    },
    Integer(Range),
    Float(Range),
    Text {
        min_chars: usize,
    },
    /// A string out of a fixed set.
    Choice(Vec<String>),
    Boolean,
    /// Unknown to this reading of the schema; serde has the last word.
    Any,
}

/// Bounds of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Range {
    pub min: Option<f64>,
    pub above: Option<f64>,
    pub max: Option<f64>,
    pub below: Option<f64>,
}

/// The shape of an experiment.
pub(super) fn experiment() -> &'static Shape {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::read(schema::experiment().as_value()));
    &SHAPE
}

impl Range {
    fn read(schema: &Value) -> Self {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        Self {
            min: bound("minimum"),
            above: bound("exclusiveMinimum"),
            max: bound("maximum"),
            below: bound("exclusiveMaximum"),
        }
    }

    /// Whether a number lies inside; NaN and the infinities never do.
    pub fn contains(self, number: f64) -> bool {
        number.is_finite()
            && self.min.is_none_or(|min| number >= min)
            && self.above.is_none_or(|above| number > above)
            && self.max.is_none_or(|max| number <= max)
            && self.below.is_none_or(|below| number < below)
    }

    // "", " of at least 1", " from 1 to 9", " above 0 and at most 1"
    fn describe(self) -> String {
        // Bounds that only say what 64 bits can hold help nobody.
        let max = self.max.filter(|&max| max < 1e15);
        if let (Some(min), Some(max)) = (self.min, max) {
            return format!(" from {} to {}", readable(min), readable(max));
        }
        let mut parts = Vec::new();
        parts.extend(self.min.map(|min| format!("of at least {}", readable(min))));
        parts.extend(self.above.map(|above| format!("above {}", readable(above))));
        parts.extend(max.map(|max| format!("at most {}", readable(max))));
        parts.extend(self.below.map(|below| format!("below {}", readable(below))));
        if parts.is_empty() { String::new() } else { format!(" {}", parts.join(" and ")) }
    }
}

impl Shape {
    /// Reads a schema whose subschemas stand in place, without references.
    pub fn read(schema: &Value) -> Self {
        let count =
            |name: &str| schema.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        let strings = |name: &str| schema.get(name).and_then(Value::as_array).map(|list| words(list));
        if let Some(choices) = strings("enum") {
            return Self::Choice(choices);
        }
        if let Some(branches) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array)
        {
            return Self::read_branches(branches);
        }
        match type_of(schema) {
            Some("object") => match schema.get("additionalProperties") {
                Some(values) if values.is_object() && schema.get("properties").is_none() => {
                    Self::Map(Box::new(Self::read(values)))
                }
                _ => Self::Table(properties(schema)),
            },
            Some("array") => Self::List {
                items: Box::new(schema.get("items").map_or(Self::Any, Self::read)),
                min_items: count("minItems").unwrap_or(0),
                unique: schema.get("uniqueItems").and_then(Value::as_bool).unwrap_or(false),
            },
            Some("integer") => Self::Integer(Range::read(schema)),
            Some("number") => Self::Float(Range::read(schema)),
            Some("string") => match schema.get("const").and_then(Value::as_str) {
                Some(word) => Self::Choice(vec![word.to_owned()]),
                None => Self::Text { min_chars: count("minLength").unwrap_or(0) },
            },
            Some("boolean") => Self::Boolean,
            _ => Self::Any,
        }
    }

    // An optional value, an enum of strings, or an enum of tables; a mix of the last two is left to serde.
    fn read_branches(branches: &[Value]) -> Self {
        let mut choices = Vec::new();
        let mut tables = Vec::new();
        for branch in branches.iter().filter(|branch| type_of(branch) != Some("null")) {
            match Self::read(branch) {
                Self::Choice(words) => choices.extend(words),
                Self::Table(mut keys) if keys.len() == 1 && branch.get("required").is_some() => {
                    tables.append(&mut keys)
                }
                only if branches.len() <= 2 => return only,
                _ => return Self::Any,
            }
        }
        match (choices.is_empty(), tables.is_empty()) {
            (false, true) => Self::Choice(choices),
            (true, false) => Self::Tagged(tables),
            _ => Self::Any,
        }
    }

    /// The keys of a table, or the variants of a tagged one.
    pub fn keys(&self) -> &[(String, Self)] {
        match self {
            Self::Table(keys) | Self::Tagged(keys) => keys,
            _ => &[],
        }
    }

    /// What stands under a key; anything, if the key is unknown.
    pub fn child(&self, name: &str) -> &Self {
        self.find(name).unwrap_or(&Self::Any)
    }

    /// What stands under a known key.
    pub fn find(&self, name: &str) -> Option<&Self> {
        if let Self::Map(values) = self {
            return Some(values);
        }
        self.keys().iter().find(|(key, _)| key == name).map(|(_, shape)| shape)
    }

    /// The shape of `value` without the tables that it has not: of a named table, which may hold one of several, those have no
    /// settings.
    pub fn without_absent_tables(&self, value: &toml::Value) -> Self {
        let Self::Table(keys) = self else { return self.clone() };
        let given = keys.iter().filter_map(|(key, shape)| match (shape, value.get(key)) {
            (Self::Table(_), None) => None,
            (shape, inner) => {
                Some((key.clone(), inner.map_or_else(|| shape.clone(), |it| shape.without_absent_tables(it))))
            }
        });
        Self::Table(given.collect())
    }

    /// Whether one table of a tagged pair picks another variant than the other.
    pub fn switches(&self, below: &Table, above: &Table) -> bool {
        matches!(self, Self::Tagged(_))
            && !above.is_empty()
            && above.keys().all(|key| !below.contains_key(key))
    }

    /// The dotted paths of every key, tables included.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for (key, shape) in self.keys() {
            paths.push(key.clone());
            paths.extend(shape.paths().into_iter().map(|path| format!("{key}.{path}")));
        }
        paths
    }

    /// What is expected, to stand after "must be".
    pub fn describe(&self) -> String {
        match self {
            Self::Table(_) => "a table".to_owned(),
            Self::Map(_) => "a table of named tables".to_owned(),
            Self::Tagged(variants) => {
                format!("a table with one of the keys {}", quoted(variants.iter().map(|(name, _)| name)))
            }
            Self::List { items, min_items: 0, .. } => format!("a list of {}", items.plural()),
            Self::List { items, min_items, .. } => {
                format!("a list of {min_items} or more {}", items.plural())
            }
            Self::Integer(range) => format!("a whole number{}", range.describe()),
            Self::Float(range) => format!("a number{}", range.describe()),
            Self::Text { min_chars: 0 } => "a string".to_owned(),
            Self::Text { .. } => "a string that is not empty".to_owned(),
            Self::Choice(words) => format!("one of {}", quoted(words)),
            Self::Boolean => "true or false".to_owned(),
            Self::Any => "something else".to_owned(),
        }
    }

    fn plural(&self) -> String {
        match self {
            Self::Integer(range) => format!("whole numbers{}", range.describe()),
            Self::Float(range) => format!("numbers{}", range.describe()),
            Self::Text { .. } => "strings".to_owned(),
            Self::Choice(words) => format!("words out of {}", quoted(words)),
            Self::Table(_) => "tables".to_owned(),
            _ => "values".to_owned(),
        }
    }
}

/// A number in as few characters as it can be read in: `1e-8`, `0.01`, `65536`.
pub(super) fn readable(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) { format!("{number:e}") } else { format!("{number}") }
}

/// Names between backticks with commas.
pub(super) fn quoted<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    names.join(", ")
}

// The type that is not null: optional values are written `["string", "null"]`.
fn type_of(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(name) => Some(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|&name| name != "null"),
        _ => None,
    }
}

fn words(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn properties(schema: &Value) -> Vec<(String, Shape)> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Vec::new();
    };
    properties.iter().map(|(key, value)| (key.clone(), Shape::read(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves<'a>(shape: &'a Shape, path: &str, found: &mut Vec<(String, &'a Shape)>) {
        match shape {
            Shape::Table(keys) | Shape::Tagged(keys) => {
                assert!(!keys.is_empty(), "{path} has no keys");
                keys.iter().for_each(|(key, child)| leaves(child, &format!("{path}.{key}"), found));
            }
            Shape::List { items, .. } | Shape::Map(items) => leaves(items, path, found),
            leaf => found.push((path.to_owned(), leaf)),
        }
    }

    #[test]
    fn nothing_in_an_experiment_is_beyond_this_reading() {
        let mut found = Vec::new();
        leaves(experiment(), "", &mut found);
        assert!(found.len() > 40, "{found:?}");
        for (path, shape) in found {
            assert_ne!(shape, &Shape::Any, "{path}");
            if let Shape::Integer(range) | Shape::Float(range) = shape {
                assert_ne!(range, &Range::default(), "{path} has no range");
            }
        }
    }

    #[test]
    fn the_task_is_tagged_and_its_ranges_are_read() {
        let task = experiment().child("task");
        let Shape::Tagged(families) = task else { panic!("{task:?}") };
        assert_eq!(families[0].0, "autoencoder");
        let gamma = experiment().child("train").child("schedule").child("gamma");
        assert_eq!(gamma.describe(), "a number above 0 and at most 1");
        let floor = experiment().child("frontend").child("logmel").child("floor");
        assert_eq!(floor.describe(), "a number from 1e-37 to 1");
        let n_fft = experiment().child("frontend").child("logmel").child("n_fft");
        assert_eq!(n_fft.describe(), "a whole number from 16 to 65536");
        let seeds = experiment().child("train").child("seeds");
        assert_eq!(seeds.describe(), "a list of 1 or more whole numbers of at least 0");
    }

    #[test]
    fn a_range_holds_no_nan_and_no_infinity() {
        let open = Range::default();
        assert!(open.contains(-1e300));
        assert!(!open.contains(f64::NAN) && !open.contains(f64::INFINITY));
        let half_open = Range { above: Some(0.0), max: Some(1.0), ..Range::default() };
        assert!(!half_open.contains(0.0) && half_open.contains(1.0) && !half_open.contains(1.5));
    }
}
