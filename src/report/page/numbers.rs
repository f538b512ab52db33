//! Numbers and words of the page: numbers are rounded for people as in every table, with all of their digits for programs.

use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, HtmlEscape};

use crate::report::Cell;

/// Make the filters known to templates: `number(decimals)`, `count(noun)`, `css`, `prose`, `breaks`.
pub(super) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("number", |value: Value, decimals: usize| {
        Ok::<_, Error>(known(&value)?.map_or_else(missing, |value| of_cell(&Cell::number(value, decimals))))
    });
    environment.add_filter("count", |value: Value, noun: &str| {
        let number = known(&value)?.unwrap_or_default();
        let text = if number == 1.0 { format!("1 {noun}") } else { format!("{number} {}", plural(noun)) };
        Ok::<_, Error>(Value::from(text))
    });
    environment
        .add_filter("css", |value: Value| Ok::<_, Error>(known(&value)?.unwrap_or_default().to_string()));
    environment.add_filter("prose", prose);
    environment.add_filter("breaks", |text: &str| {
        Value::from_safe_string(HtmlEscape(text).to_string().replace('_', "_<wbr>"))
    });
}

/// The number, or none where the document has `null`.
fn known(value: &Value) -> Result<Option<f64>, Error> {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => Ok(None),
        _ => f64::try_from(value.clone())
            .map(Some)
            .map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("{value:?} is no number"))),
    }
}

fn missing() -> Value {
    Value::from_safe_string(text_of(&Cell::none()))
}

fn of_cell(cell: &Cell) -> Value {
    Value::from_safe_string(html(cell))
}

/// A cell that holds a number, as HTML.
pub(super) fn html(cell: &Cell) -> String {
    // Digits, signs, points and exponents only: there is nothing to escape.
    format!("<data value=\"{}\">{}</data>", cell.exact(), text_of(cell))
}

/// With the minus sign that print has; a dash where there is no value.
fn text_of(cell: &Cell) -> String {
    match cell.text() {
        "-" => "–".to_owned(),
        text => text.replace('-', "−"),
    }
}

fn plural(noun: &str) -> String {
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{noun}s"),
    }
}

/// A text with what stands between backticks as code; what is HTML already stays.
fn prose(value: Value) -> Value {
    let Some(text) = value.as_str().filter(|text| !value.is_safe() && text.contains('`')) else {
        return value;
    };
    let parts: Vec<&str> = text.split('`').collect();
    // A last backtick without a partner is one.
    let pairs = parts.len() - (parts.len() + 1) % 2;
    let mut html = String::new();
    for (index, part) in parts.iter().enumerate() {
        let escaped = HtmlEscape(part);
        html += &match index {
            _ if index >= pairs => format!("`{escaped}"),
            _ if index % 2 == 1 => format!("<code>{escaped}</code>"),
            _ => escaped.to_string(),
        };
    }
    Value::from_safe_string(html)
}

/// A text as an HTML id, a CSS class or a file's name: lower-case letters, digits and `-`, at least one of them.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for character in text.chars() {
        match character {
            'a'..='z' | '0'..='9' => slug.push(character),
            'A'..='Z' => slug.push(character.to_ascii_lowercase()),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    match slug.trim_end_matches('-') {
        "" => "x".to_owned(),
        slug => slug.to_owned(),
    }
}
