//! NumPy's `.npz`: a zip of `.npy` arrays, with the same bytes for the same content.

use std::io::{self, Cursor, Write};

use ndarray::ArrayView2;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Collects arrays; `np.load(path)` reads the result.
#[derive(Default)]
pub struct NpzWriter {
    arrays: Vec<(String, Vec<u8>)>,
}

impl NpzWriter {
    /// Add a matrix of f32.
    pub fn matrix(&mut self, name: &str, matrix: ArrayView2<'_, f32>) {
        let (rows, columns) = matrix.dim();
        let mut bytes = header("<f4", &format!("({rows}, {columns})"));
        bytes.extend(matrix.iter().flat_map(|value| value.to_le_bytes()));
        self.arrays.push((name.to_owned(), bytes));
    }

    /// Add a list of texts, as NumPy's fixed-width UTF-32.
    pub fn texts(&mut self, name: &str, texts: &[impl AsRef<str>]) {
        let width = texts.iter().map(|text| text.as_ref().chars().count()).max().unwrap_or(0).max(1);
        let mut bytes = header(&format!("<U{width}"), &format!("({},)", texts.len()));
        for text in texts {
            let points = text.as_ref().chars().map(u32::from).chain(std::iter::repeat(0)).take(width);
            bytes.extend(points.flat_map(u32::to_le_bytes));
        }
        self.arrays.push((name.to_owned(), bytes));
    }

    /// The file's bytes. The zip's time stamps are fixed.
    ///
    /// # Errors
    /// None in practice: it writes to memory.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .large_file(true);
        for (name, bytes) in self.arrays {
            zip.start_file(format!("{name}.npy"), options)?;
            zip.write_all(&bytes)?;
        }
        Ok(zip.finish()?.into_inner())
    }
}

/// NumPy's format 1.0; the data begin at a multiple of 64 bytes.
fn header(kind: &str, shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.resize(10 + length - 1, b' ');
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use ndarray_npy::NpzReader;

    #[test]
    fn another_reader_finds_what_was_written() {
        let matrix = array![[1.0_f32, -2.5], [f32::MIN_POSITIVE, 4.0], [0.0, 7.0]];
        let write = || {
            let mut npz = NpzWriter::default();
            npz.matrix("test", matrix.view());
            npz.texts("clip", &["a.wav", "ä☃.wav"]);
            npz.finish().unwrap()
        };
        let bytes = write();
        assert_eq!(bytes, write());
        let mut reader = NpzReader::new(Cursor::new(bytes)).unwrap();
        let read: Array2<f32> = reader.by_name("test").unwrap();
        assert_eq!(read, matrix);
    }

    #[test]
    fn texts_are_padded_utf_32() {
        let mut npz = NpzWriter::default();
        npz.texts("clip", &["ab", "☃"]);
        let bytes = &npz.arrays[0].1;
        assert_eq!(bytes.len() % 64, 16);
        assert_eq!(&bytes[bytes.len() - 16..], [97, 0, 0, 0, 98, 0, 0, 0, 3, 38, 0, 0, 0, 0, 0, 0]);
        assert!(String::from_utf8_lossy(bytes).contains("'descr': '<U2'"));
    }
}
