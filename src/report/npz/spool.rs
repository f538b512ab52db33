//! Rows of an array that is too large for memory, or grows row by row.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

/// Values that are turned into bytes at once.
const CHUNK: usize = 4096;

/// Parts of rows of f32, in a file until all of them are there.
#[derive(Debug)]
pub struct Spool {
    file: BufWriter<File>,
    width: usize,
    /// Rows of each part.
    parts: Vec<usize>,
}

impl Spool {
    /// No part yet; `file` is empty and nobody else's, `width` the number of values in a row.
    pub fn new(file: File, width: usize) -> Self {
        Self { file: BufWriter::new(file), width, parts: Vec::new() }
    }

    /// Add a part of whole rows.
    ///
    /// # Errors
    /// When the file does not take it, or the last row is not whole.
    pub fn push(&mut self, values: &[f32]) -> io::Result<()> {
        if !values.len().is_multiple_of(self.width.max(1)) {
            let why = format!("{} values are no rows of {}", values.len(), self.width);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let mut bytes = Vec::with_capacity(CHUNK.min(values.len()) * size_of::<f32>());
        for chunk in values.chunks(CHUNK) {
            bytes.clear();
            chunk.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
            self.file.write_all(&bytes)?;
        }
        self.parts.push(values.len() / self.width.max(1));
        Ok(())
    }

    /// Values in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows of each part.
    pub fn parts(&self) -> &[usize] {
        &self.parts
    }

    /// Rows of all parts.
    pub fn rows(&self) -> usize {
        self.parts.iter().sum()
    }

    /// Rows of the longest part.
    pub fn longest(&self) -> usize {
        self.parts.iter().copied().max().unwrap_or(0)
    }

    /// The values, part after part, each filled up with NaN to `rows` rows where that is given.
    pub(super) fn copy(self, rows: Option<usize>, out: &mut impl Write) -> io::Result<()> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        let mut values = BufReader::with_capacity(1 << 20, file);
        let row_bytes = self.width * size_of::<f32>();
        let missing = f32::NAN.to_le_bytes().repeat(self.width);
        for part in self.parts {
            let bytes = (part * row_bytes) as u64;
            if io::copy(&mut values.by_ref().take(bytes), out)? < bytes {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            for _ in part..rows.unwrap_or(part) {
                out.write_all(&missing)?;
            }
        }
        Ok(())
    }
}
