//! Tables as people hand them in: their encoding, and on which line a record stands.

/// UTF-8's byte-order mark, which spreadsheets write.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Why bytes are no table's text: a lowercase fragment that says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// Text in two-byte units.
    #[error("this is UTF-16 text; save the file as CSV in UTF-8")]
    Utf16,
    /// Text in another encoding, or no text.
    #[error("this is not UTF-8 text; save the file as CSV in UTF-8")]
    Other {
        /// The line, from 1, with the first byte that is not UTF-8.
        line: u64,
    },
}

impl NotText {
    /// The line, from 1, with the first byte that could not be read.
    pub fn line(self) -> u64 {
        match self {
            Self::Utf16 => 1,
            Self::Other { line } => line,
        }
    }
}

/// The text of a table without its byte-order mark.
///
/// # Errors
/// Text that is not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, NotText> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(NotText::Utf16);
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| NotText::Other { line: Lines::of(bytes).at(error.valid_up_to() as u64) })?;
    Ok(text.trim_start_matches(BYTE_ORDER_MARK))
}

/// Line numbers of records. Those of the `csv` crate are of the end of the record before: with Windows line ends or blank
/// lines they are too small.
#[derive(Debug)]
pub struct Lines<'a> {
    bytes: &'a [u8],
    passed: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    /// Of the text that the `csv` reader reads, all of it.
    pub fn of(text: &'a [u8]) -> Self {
        Self { bytes: text, passed: 0, line: 1 }
    }

    /// The line, from 1, on which a record starts before which the reader stood at `byte` ([`csv::Position::byte`]).
    /// Records are asked for in their order.
    pub fn at(&mut self, byte: u64) -> u64 {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX);
        while let Some(&character) = self.bytes.get(self.passed) {
            let between = matches!(character, b'\r' | b'\n');
            if self.passed >= byte && !between {
                break;
            }
            // A lone carriage return ends a line too, for the `csv` crate and for old spreadsheets.
            let lone = character == b'\r' && self.bytes.get(self.passed + 1) != Some(&b'\n');
            self.line += u64::from(character == b'\n' || lone);
            self.passed += 1;
        }
        self.line
    }

    /// As [`Self::at`] of a record, or the line reached where it has no position.
    pub fn of_position(&mut self, position: Option<&csv::Position>) -> u64 {
        match position {
            Some(position) => self.at(position.byte()),
            None => self.line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn starts(text: &str) -> Vec<u64> {
        let mut lines = Lines::of(text.as_bytes());
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        reader.records().map(|record| lines.of_position(record.unwrap().position())).collect()
    }

    #[test]
    fn lines_are_counted_through_blank_and_quoted_ones_whatever_ends_them() {
        // Records of one field, of a line break inside quotes, and of blanks.
        let text = "\n\na,1\nb,2\n\n\nc,\"3\n\n4\"\n \nd,5\n\n";
        for end in ["\n", "\r\n", "\r"] {
            assert_eq!(starts(&text.replace('\n', end)), [3, 4, 7, 10, 11], "{end:?}");
        }
        assert_eq!(starts("a\r\n\nb\r\rc"), [1, 3, 5]);
        assert_eq!(starts(""), [] as [u64; 0]);
    }

    #[test]
    fn a_byte_order_mark_moves_no_line() {
        // The `csv` crate passes over the mark by itself and counts it.
        assert_eq!(starts("\u{feff}a\r\n\r\nb\r\n"), [1, 3]);
        assert_eq!(text("\u{feff}a\n".as_bytes()), Ok("a\n"));
        assert_eq!(text(b""), Ok(""));
    }

    #[test]
    fn other_encodings_are_named_with_their_line() {
        for mark in [b"\xff\xfea\0", b"\xfe\xff\0a"] {
            assert_eq!(text(mark), Err(NotText::Utf16));
        }
        for end in ["\n", "\r\n", "\r"] {
            let mut bytes = "a,1\n\nb".replace('\n', end).into_bytes();
            bytes.extend(b"\xe4,2");
            let error = text(&bytes).unwrap_err();
            assert_eq!(error, NotText::Other { line: 3 }, "{end:?}");
            assert!(error.to_string().contains("UTF-8"), "{error}");
        }
    }
}
