//! A table and its forms as text.

use std::fmt::Write;
use std::io;

use comfy_table::{CellAlignment, presets};

use super::Cell;
use crate::printable;

/// On which side a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Columns with names, rows of cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Add a row; a short one is filled up with empty cells.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<Cell>>) {
        let mut cells: Vec<Cell> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.columns.len(), "".into());
        self.rows.push(cells);
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The columns' names and sides.
    pub fn columns(&self) -> &[(String, Align)] {
        &self.columns
    }

    /// The rows, each as long as there are columns.
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// For a terminal; as wide as its cells, so that a script sees the same on any screen.
    pub fn text(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(self.columns.iter().map(|(name, _)| printable::line(name).into_owned()));
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| printable::line(cell.text()).into_owned()));
        }
        for (index, (_, align)) in self.columns.iter().enumerate() {
            if let Some(column) = table.column_mut(index) {
                column.set_padding((0, 2));
                column.set_cell_alignment(match align {
                    Align::Left => CellAlignment::Left,
                    Align::Right => CellAlignment::Right,
                });
            }
        }
        table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
    }

    /// Comma-separated values with a header, quoted where needed, numbers in full precision.
    ///
    /// # Errors
    /// None in practice: it writes to memory.
    pub fn csv(&self) -> io::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(|(name, _)| name))?;
        for row in &self.rows {
            writer.write_record(row.iter().map(Cell::exact))?;
        }
        writer.into_inner().map_err(|e| io::Error::other(e.to_string()))
    }

    /// A Markdown table.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rule = |align: Align| match align {
            Align::Left => ":--".to_owned(),
            Align::Right => "--:".to_owned(),
        };
        let mut text = line(self.columns.iter().map(|(name, _)| markdown_escape(name)).collect());
        text += &line(self.columns.iter().map(|(_, align)| rule(*align)).collect());
        for row in &self.rows {
            let bold =
                |cell: &Cell, text: String| if cell.is_strong() { format!("**{text}**") } else { text };
            text += &line(row.iter().map(|cell| bold(cell, markdown_escape(cell.text()))).collect());
        }
        text
    }

    /// A LaTeX `tabular` with booktabs rules.
    pub fn latex(&self) -> String {
        let spec: String =
            self.columns.iter().map(|(_, a)| if *a == Align::Left { 'l' } else { 'r' }).collect();
        // A row that begins with `[` or `*` would be read as an argument of the `\\\\` or the rule before it.
        let guard = |row: &str| if row.starts_with(['[', '*']) { "{}" } else { "" };
        let line = |cells: Vec<String>| {
            let row = cells.join(" & ");
            format!("{}{row} \\\\\n", guard(&row))
        };
        let mut text = format!("\\begin{{tabular}}{{{spec}}}\n\\toprule\n");
        text += &line(self.columns.iter().map(|(name, _)| latex_escape(name)).collect());
        text += "\\midrule\n";
        for row in &self.rows {
            let bold = |cell: &Cell, text: String| {
                if cell.is_strong() { format!("\\textbf{{{text}}}") } else { text }
            };
            text += &line(row.iter().map(|cell| bold(cell, latex_escape(cell.text()))).collect());
        }
        text + "\\bottomrule\n\\end{tabular}\n"
    }
}

/// What has a meaning in Markdown or in the HTML that it may hold, with a backslash before it. A bracket is left alone but
/// where it makes a link, as intervals are written in brackets; `_` within a word means nothing.
pub(crate) fn markdown_escape(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    let mut before = None;
    for character in printable::line(cell).chars() {
        let links = before == Some(']') && matches!(character, '(' | '[' | ':');
        if links || matches!(character, '|' | '\\' | '`' | '<' | '&') {
            text.push('\\');
        }
        text.push(character);
        before = Some(character);
    }
    text
}

fn latex_escape(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    for character in printable::line(cell).chars() {
        match character {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                let _ = write!(text, "\\{character}");
            }
            '<' | '>' => {
                let _ = write!(text, "${character}$");
            }
            '−' => text.push_str("$-$"),
            'Ω' => text.push_str("$\\Omega$"),
            'ρ' => text.push_str("$\\rho$"),
            '\\' => text.push_str("\\textbackslash{}"),
            '~' => text.push_str("\\textasciitilde{}"),
            '^' => text.push_str("\\textasciicircum{}"),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("machine", Align::Left), ("AUC %", Align::Right)]);
        table.row(["ToyCar", "71.20"]);
        table.row(["a_b|c, \"d\"", "5.00"]);
        table
    }

    #[test]
    fn text_is_aligned() {
        assert_eq!(table().text(), "machine     AUC %\nToyCar      71.20\na_b|c, \"d\"   5.00\n");
    }

    #[test]
    fn csv_is_quoted() {
        let csv = String::from_utf8(table().csv().unwrap()).unwrap();
        assert_eq!(csv, "machine,AUC %\nToyCar,71.20\n\"a_b|c, \"\"d\"\"\",5.00\n");
    }

    #[test]
    fn markdown_and_latex_are_escaped() {
        let markdown = table().markdown();
        assert!(markdown.starts_with("| machine | AUC % |\n| :-- | --: |\n"), "{markdown}");
        assert!(markdown.contains("a_b\\|c"), "{markdown}");
        let latex = table().latex();
        assert!(latex.contains("machine & AUC \\% \\\\") && latex.contains("a\\_b|c"), "{latex}");
    }

    #[test]
    fn the_best_is_bold_where_there_is_bold() {
        let mut table = Table::new(&[("machine", Align::Left), ("a_1", Align::Right)]);
        table.row([Cell::from("fan"), Cell::percent(0.682).strong()]);
        assert!(table.markdown().contains("| fan | **68.20** |"), "{}", table.markdown());
        assert!(table.latex().contains("fan & \\textbf{68.20} \\\\"), "{}", table.latex());
        assert_eq!(table.text(), "machine    a_1\nfan      68.20\n");
        assert!(!String::from_utf8(table.csv().unwrap()).unwrap().contains('*'));
    }

    #[test]
    fn a_name_does_nothing_in_any_form() {
        let hostile = "<img src=x onerror=alert(1)>`a`[b](javascript:c)\\|&amp;\n\u{1b}[2J";
        let mut table = Table::new(&[(hostile, Align::Left), ("[x]", Align::Right)]);
        table.row([hostile, "[0.1, 0.5]"]);
        table.row(["[0.1, 0.5]", "*"]);
        table.row(["*", "a"]);
        let markdown = table.markdown();
        assert_eq!(markdown.lines().count(), 5, "{markdown}");
        for dangerous in ["<img", "](j", " `a`", "&amp;"] {
            let escaped = |at: usize| at > 0 && markdown[..at].ends_with('\\');
            assert!(
                markdown.match_indices(dangerous).all(|(at, _)| escaped(at) || escaped(at + 1)),
                "{markdown}"
            );
        }
        assert!(markdown.contains("| [0.1, 0.5] |"), "{markdown}");
        let latex = table.latex();
        assert!(latex.contains("\n{}[0.1, 0.5] & *") && latex.contains("\n{}* & a"), "{latex}");
        assert!(latex.contains("\\textbackslash{}|\\&amp;\\textbackslash{}n"), "{latex}");
        for text in [table.text(), markdown, latex] {
            assert!(!text.contains('\u{1b}') && text.contains("u"), "{text}");
        }
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(std::io::Cursor::new(table.csv().unwrap()));
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!((&rows[1][0], &rows[1][1]), (hostile, "[0.1, 0.5]"));
    }
}
