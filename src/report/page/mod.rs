//! The page of a report: one `index.html` that needs nothing beside it, and its tables as files of their own.
//!
//! The page is laid out from the report's own document, that of `report.json`: its numbers go through [`Cell`], as those of
//! every table do, and stand with all of their digits in the `value` of an HTML `data` element. Every text is escaped. There
//! is no script, and a content security policy keeps the browser from fetching anything.

mod numbers;
mod svg;
mod tables;

use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::Serialize;

pub use numbers::slug;
pub use tables::NamedTable;

use svg::Colours;
use tables::TableView;

/// The page's template, and what it includes.
const TEMPLATES: [(&str, &str); 7] = [
    ("index.html", include_str!("index.html")),
    ("contents.html", include_str!("contents.html")),
    ("table.html", include_str!("table.html")),
    ("figure.html", include_str!("figure.html")),
    ("rho.html", include_str!("rho.html")),
    ("chip.html", include_str!("chip.html")),
    ("style.css", include_str!("style.css")),
];

/// What a page is made of.
#[derive(Debug)]
pub struct Page<'a, D> {
    /// The report's document.
    pub document: &'a D,
    /// Its tables, which the template takes by their names.
    pub tables: &'a [NamedTable],
    /// Its figures, in the order of the page.
    pub pictures: &'a [Picture],
}

/// A figure of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Name of its files, without the extension; unique.
    pub name: String,
    /// Where in the page it stands.
    pub part: String,
    /// A heading.
    pub title: String,
    /// What it shows, and which runs.
    pub caption: String,
    /// For who cannot see it.
    pub alt: String,
    /// SVG for a light page: made by this program, every text in it escaped.
    pub light: String,
    /// The same for a dark page.
    pub dark: String,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The template asks for something that the document has not.
    #[error("lay out the page: {0:#}")]
    Template(#[from] minijinja::Error),
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error.to_string())
    }
}

impl<D: Serialize> Page<'_, D> {
    /// The page.
    ///
    /// # Errors
    /// None with the documents of this program, as the tests know: the template is part of it.
    pub fn html(&self) -> Result<String, Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
            true => AutoEscape::Html,
            false => AutoEscape::None,
        });
        numbers::add(&mut environment);
        for (name, text) in TEMPLATES {
            environment.add_template(name, text)?;
        }
        let tables: Vec<TableView> = self.tables.iter().map(TableView::from).collect();
        let mut colours = Colours::default();
        let pictures: Vec<PictureView<'_>> =
            self.pictures.iter().map(|picture| PictureView::of(picture, &mut colours)).collect();
        let page = environment.get_template("index.html")?;
        let report = Value::from(Serde(self.document));
        let (tables, pictures) = (Value::from(Serde(&tables)), Value::from(Serde(&pictures)));
        Ok(page.render(context! { report, tables, pictures, colours => colours.css() })?)
    }
}

/// A picture as the template takes it.
#[derive(Debug, Serialize)]
struct PictureView<'a> {
    name: &'a str,
    part: &'a str,
    title: &'a str,
    caption: &'a str,
    alt: &'a str,
    svg: String,
}

impl<'a> PictureView<'a> {
    fn of(picture: &'a Picture, colours: &mut Colours) -> Self {
        let Picture { name, part, title, caption, alt, light, dark } = picture;
        Self { name, part, title, caption, alt, svg: colours.merge(light, dark) }
    }
}

#[cfg(test)]
mod tests;
