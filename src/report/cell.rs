//! One cell of a table: what a person reads and what a program reads.

/// A text, or a number that is rounded for people and exact for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    /// In a CSV, where it differs from the text.
    exact: Option<String>,
    strong: bool,
}

impl Cell {
    /// `value` with `decimals` for people, and all of its digits for programs.
    pub fn number(value: f64, decimals: usize) -> Self {
        let text = format!("{value:.decimals$}");
        // A rounded -0.001 has no sign worth printing.
        let zero = text.starts_with('-') && text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
        let text = if zero { text[1..].to_owned() } else { text };
        Self { text, exact: Some(value.to_string()), strong: false }
    }

    /// A fraction as percent, with two decimals for people; the column's name says "%".
    pub fn percent(fraction: f64) -> Self {
        Self::number(100.0 * fraction, 2)
    }

    /// A p-value: four decimals for people, or two digits and an exponent where these would show little or nothing.
    pub fn p_value(p: f64) -> Self {
        let exact = Some(p.to_string());
        let text = if p > 0.0 && p < 1e-3 { format!("{p:.1e}") } else { format!("{p:.4}") };
        Self { text, exact, strong: false }
    }

    /// A value that cannot be had: `-` for people, nothing for programs.
    pub fn none() -> Self {
        Self { text: "-".into(), exact: Some(String::new()), strong: false }
    }

    /// The same in bold, where a form of the table has that: the best of its row.
    #[must_use]
    pub fn strong(self) -> Self {
        Self { strong: true, ..self }
    }

    /// Whether it stands in bold.
    pub fn is_strong(&self) -> bool {
        self.strong
    }

    /// For a person.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// For a program.
    pub fn exact(&self) -> &str {
        self.exact.as_deref().unwrap_or(&self.text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, exact: None, strong: false }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_for_people_and_exact_for_programs() {
        let third = Cell::number(1.0 / 3.0, 2);
        assert_eq!((third.text(), third.exact().parse()), ("0.33", Ok(1.0 / 3.0)));
        assert_eq!(Cell::percent(0.7125).text(), "71.25");
        assert_eq!((Cell::number(-0.001, 2).text(), Cell::number(-0.001, 2).exact()), ("0.00", "-0.001"));
        assert_eq!(Cell::number(-0.01, 2).text(), "-0.01");
        assert_eq!((Cell::none().text(), Cell::none().exact()), ("-", ""));
        assert_eq!(Cell::from("a").exact(), "a");
        assert_eq!(
            [0.0167, 0.00036, 5.5e-6, 0.0].map(|p| Cell::p_value(p).text().to_owned()),
            ["0.0167", "3.6e-4", "5.5e-6", "0.0000"]
        );
    }
}
