//! A table and its forms as text.

use std::fmt::Write;
use std::io;

use comfy_table::{CellAlignment, presets};

use super::Cell;

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

    /// For a terminal; as wide as its cells, so that a script sees the same on any screen.
    pub fn text(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(self.columns.iter().map(|(name, _)| name.clone()));
        for row in &self.rows {
            table.add_row(row.iter().map(Cell::text));
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
        let escape = |cell: &str| cell.replace('|', "\\|").replace('\n', " ");
        let mut text = line(self.columns.iter().map(|(name, _)| escape(name)).collect());
        text += &line(self.columns.iter().map(|(_, align)| rule(*align)).collect());
        for row in &self.rows {
            text += &line(row.iter().map(|cell| escape(cell.text())).collect());
        }
        text
    }

    /// A LaTeX `tabular` with booktabs rules.
    pub fn latex(&self) -> String {
        let spec: String =
            self.columns.iter().map(|(_, a)| if *a == Align::Left { 'l' } else { 'r' }).collect();
        let line = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
        let mut text = format!("\\begin{{tabular}}{{{spec}}}\n\\toprule\n");
        text += &line(self.columns.iter().map(|(name, _)| latex_escape(name)).collect());
        text += "\\midrule\n";
        for row in &self.rows {
            text += &line(row.iter().map(|cell| latex_escape(cell.text())).collect());
        }
        text + "\\bottomrule\n\\end{tabular}\n"
    }
}

fn latex_escape(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    for character in cell.chars() {
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
}
