//! `--set a.b=value`: one setting from the command line.

use toml::Value;

use super::error::{Diagnosis, Error};
use super::shape::{Shape, experiment};
use super::source::{SourceKind, Sources, Span};
use super::tree::{self, Item, Node};

const FLAG: &str = "--set ";

/// A setting from the command line, as the layer that it lays over the files.
pub(super) struct Override {
    pub layer: Node,
    /// It gives the whole grid, not one of its keys.
    pub whole_grid: bool,
}

/// Reads a `--set` argument, `a.b=value`, over a configuration.
///
/// The value is TOML. What is no TOML is taken as a string, and so is whatever goes to a setting that takes a
/// string: `--set data.root=2022` names a folder. Lists, tables and quoted strings have to be right.
///
/// # Errors
/// [`Error::Syntax`] if there is no `=`, no value, or one of the two sides cannot be read.
pub(super) fn parse(argument: &str, sources: &mut Sources) -> Result<Override, Error> {
    parse_for(argument, experiment(), sources)
}

/// As [`parse`], over a document of another shape, which says what takes a string.
///
/// # Errors
/// As [`parse`].
pub(super) fn parse_for(argument: &str, root: &Shape, sources: &mut Sources) -> Result<Override, Error> {
    let text = format!("{FLAG}{argument}");
    let source = sources.add(SourceKind::Set, &text);
    let whole = Span { source, start: FLAG.len(), end: text.len() };
    let wrong = |span: Span, message: String, help: &str| {
        Error::Syntax(Diagnosis::new(message).at(sources, span, None).help(help.to_owned()).boxed())
    };
    let usage = "write `--set key=value`, such as `--set train.epochs=20`";
    let Some(equals) = find_equals(argument) else {
        return Err(wrong(whole, "`--set` takes a key, `=` and a value".to_owned(), usage));
    };
    let value_text = argument[equals + 1..].trim();
    let value_start = text.len() - argument[equals + 1..].trim_start().len();
    let value_span = Span { start: value_start.min(text.len()), ..whole };
    if value_text.is_empty() {
        return Err(wrong(value_span, "`--set` has no value behind `=`".to_owned(), usage));
    }

    let key_span = Span { end: FLAG.len() + equals, ..whole };
    let key = tree::parse(&format!("{}=0", &argument[..equals]), source)
        .map_err(|error| wrong(key_span, format!("not a dotted key: {}", error.message()), usage))?;
    let (path, key_span) =
        only_path(key).ok_or_else(|| wrong(key_span, "`--set` takes one dotted key".to_owned(), usage))?;

    let shape = path.iter().try_fold(root, |shape, key| shape.find(key));
    let as_text =
        || Node { key: key_span, span: value_span, item: Item::Scalar(Value::String(value_text.to_owned())) };
    let quoted = value_text.starts_with(['"', '\'']);
    let mut value = match tree::parse_value(value_text, source, value_start) {
        Ok(node) => match (shape, &node.item) {
            (Some(Shape::Text { .. } | Shape::Choice(_)), Item::Scalar(_)) if !quoted => as_text(),
            _ => node,
        },
        Err(error) if quoted || value_text.starts_with(['[', '{']) => {
            let range = error.span().unwrap_or(0..value_text.len());
            let span = Span { source, start: value_start + range.start, end: value_start + range.end };
            let help = "the value is TOML: strings in a list stand in quotes, as in `[\"fan\", \"valve\"]`";
            return Err(wrong(span, format!("the value is no TOML: {}", error.message()), help));
        }
        Err(_) => as_text(),
    };
    value.key = key_span;
    let whole_grid = path == ["grid"];
    Ok(Override { layer: value.nested(&path), whole_grid })
}

// The `=` between key and value, which is not one inside a quoted key.
fn find_equals(argument: &str) -> Option<usize> {
    let mut quote = None;
    for (at, character) in argument.char_indices() {
        match (quote, character) {
            (None, '=') => return Some(at),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    None
}

// The path of a document that holds a single value, and where its key stands.
fn only_path(root: Node) -> Option<(Vec<String>, Span)> {
    let mut path = Vec::new();
    let mut node = root;
    let mut span: Option<Span> = None;
    while let Item::Table(table) = node.item {
        let mut entries = table.into_iter();
        let (key, child) = entries.next()?;
        if entries.next().is_some() {
            return None;
        }
        span = Some(span.map_or(child.key, |first| Span { end: child.key.end, ..first }));
        path.push(key);
        node = child;
    }
    span.map(|mut span| {
        // The key was read on its own, without the flag before it.
        span.start += FLAG.len();
        span.end += FLAG.len();
        (path, span)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(argument: &str) -> String {
        let layer = parse(argument, &mut Sources::default()).map(|set| set.layer);
        layer.map_or_else(|error| error.to_string(), |node| node.value().to_string())
    }

    #[test]
    fn values_are_toml_and_bare_words_are_strings() {
        assert_eq!(value("train.epochs=3"), "{ train = { epochs = 3 } }");
        assert_eq!(value("train.seeds=[1, 2]"), "{ train = { seeds = [1, 2] } }");
        assert_eq!(value("data.root=foo/bar"), r#"{ data = { root = "foo/bar" } }"#);
        assert_eq!(value("data.root='a b'"), r#"{ data = { root = "a b" } }"#);
        assert_eq!(value("data.root = a=b"), r#"{ data = { root = "a=b" } }"#);
        assert_eq!(value(r#"grid."train.epochs"=[1]"#), r#"{ grid = { "train.epochs" = [1] } }"#);
    }

    #[test]
    fn a_setting_that_takes_a_string_gets_the_text_as_it_stands() {
        assert_eq!(value("data.root=2022"), r#"{ data = { root = "2022" } }"#);
        assert_eq!(value("data.root=true"), r#"{ data = { root = "true" } }"#);
        assert_eq!(value("train.epochs=2022"), "{ train = { epochs = 2022 } }");
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert_eq!(value("train.epochs"), "--set train.epochs: `--set` takes a key, `=` and a value");
        assert_eq!(value("train.epochs="), "--set train.epochs=: `--set` has no value behind `=`");
        assert!(value("train..epochs=3").contains("not a dotted key"), "{}", value("train..epochs=3"));
        assert!(value("data.machines=[fan]").contains("the value is no TOML"));
        assert!(value("=3").contains("not a dotted key"));
        assert!(value("").contains("takes a key"));
    }
}
