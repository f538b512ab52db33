//! Tables of a report: each one in every form.

use std::io;
use std::path::PathBuf;

use minijinja::Value;
use serde::Serialize;

use super::numbers;
use crate::report::{Align, Cell, Table};

/// A table with a name and a caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTable {
    /// Name of its files, without the extension; unique.
    pub name: String,
    /// Where in the page it stands.
    pub part: String,
    /// What it holds, in a line.
    pub caption: String,
    /// The table.
    pub table: Table,
}

impl NamedTable {
    /// Its files below a report's folder: Markdown, LaTeX and CSV.
    ///
    /// # Errors
    /// None in practice: they are written to memory.
    pub fn files(&self) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
        let file = |suffix: &str| PathBuf::from("tables").join(format!("{}.{suffix}", self.name));
        Ok(vec![
            (file("md"), self.table.markdown().into_bytes()),
            (file("tex"), self.table.latex().into_bytes()),
            (file("csv"), self.table.csv()?),
        ])
    }
}

/// A table as the template takes it.
#[derive(Debug, Serialize)]
pub(super) struct TableView {
    name: String,
    part: String,
    caption: String,
    columns: Vec<ColumnView>,
    rows: Vec<Vec<Value>>,
}

#[derive(Debug, Serialize)]
struct ColumnView {
    name: String,
    /// Numbers stand on the right.
    right: bool,
}

impl From<&NamedTable> for TableView {
    fn from(named: &NamedTable) -> Self {
        let columns = named.table.columns();
        let cell = |(cell, (_, align)): (&Cell, &(String, Align))| view(cell, *align);
        Self {
            name: named.name.clone(),
            part: named.part.clone(),
            caption: named.caption.clone(),
            columns: columns
                .iter()
                .map(|(name, align)| ColumnView { name: name.clone(), right: *align == Align::Right })
                .collect(),
            rows: named.table.rows().iter().map(|row| row.iter().zip(columns).map(cell).collect()).collect(),
        }
    }
}

/// A number as HTML; a text as a text, which the template escapes.
fn view(cell: &Cell, align: Align) -> Value {
    match (align, cell.text(), cell.exact().parse::<f64>()) {
        (Align::Right, _, Ok(_)) => Value::from_safe_string(numbers::html(cell)),
        (_, "-", _) => Value::from("–"),
        (_, text, _) => Value::from(text),
    }
}
