//! NumPy's `.npz`: a zip of `.npy` arrays, with the same bytes for the same content.

mod read;
mod spool;

use std::io::{self, Cursor, Seek, Write};

use ndarray::ArrayView2;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

pub use read::npz_matrix;
pub use spool::Spool;

use crate::npy::header;

/// Collects arrays; `np.load(path)` reads the result.
#[derive(Default)]
pub struct NpzWriter {
    arrays: Vec<(String, Array)>,
}

/// One array, header and values.
enum Array {
    Held(Vec<u8>),
    Spooled {
        header: Vec<u8>,
        spool: Spool,
        /// Rows that each part is filled up to with NaN; as they are where there is none.
        rows: Option<usize>,
    },
}

impl NpzWriter {
    /// Add a matrix of f32.
    pub fn matrix(&mut self, name: &str, matrix: ArrayView2<'_, f32>) {
        let (rows, columns) = matrix.dim();
        let values = matrix.iter().flat_map(|value| value.to_le_bytes());
        self.hold(name, header("<f4", &format!("({rows}, {columns})")), values);
    }

    /// Add a list of texts, as NumPy's fixed-width UTF-32.
    pub fn texts(&mut self, name: &str, texts: &[impl AsRef<str>]) {
        let width = texts.iter().map(|text| text.as_ref().chars().count()).max().unwrap_or(0).max(1);
        let points = texts
            .iter()
            .flat_map(|text| text.as_ref().chars().map(u32::from).chain(std::iter::repeat(0)).take(width));
        let header = header(&format!("<U{width}"), &format!("({},)", texts.len()));
        self.hold(name, header, points.flat_map(u32::to_le_bytes));
    }

    /// Add a list of whole numbers.
    pub fn integers(&mut self, name: &str, numbers: &[i64]) {
        let header = header("<i8", &format!("({},)", numbers.len()));
        self.hold(name, header, numbers.iter().flat_map(|number| number.to_le_bytes()));
    }

    /// Add a single whole number, an array without axes.
    pub fn number(&mut self, name: &str, number: u64) {
        self.hold(name, header("<u8", "()"), number.to_le_bytes());
    }

    /// Add the rows of a spool as a matrix.
    pub fn spooled(&mut self, name: &str, spool: Spool) {
        let header = header("<f4", &format!("({}, {})", spool.rows(), spool.width()));
        self.arrays.push((name.to_owned(), Array::Spooled { header, spool, rows: None }));
    }

    /// Add the parts of a spool as `[parts, rows, width]`; a part with fewer rows than the longest ends with rows of NaN.
    pub fn ragged(&mut self, name: &str, spool: Spool) {
        let rows = spool.longest();
        let header = header("<f4", &format!("({}, {rows}, {})", spool.parts().len(), spool.width()));
        self.arrays.push((name.to_owned(), Array::Spooled { header, spool, rows: Some(rows) }));
    }

    fn hold(&mut self, name: &str, mut header: Vec<u8>, values: impl IntoIterator<Item = u8>) {
        header.extend(values);
        self.arrays.push((name.to_owned(), Array::Held(header)));
    }

    /// The names so far, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.arrays.iter().map(|(name, _)| name.as_str())
    }

    /// The file's bytes. The zip's time stamps are fixed.
    ///
    /// # Errors
    /// When a spool cannot be read.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        self.write(&mut bytes)?;
        Ok(bytes.into_inner())
    }

    /// Write the file; what was spooled goes through a small buffer.
    ///
    /// # Errors
    /// When `out` does not take it or a spool cannot be read.
    pub fn write(self, out: &mut (impl Write + Seek)) -> io::Result<()> {
        let mut zip = ZipWriter::new(out);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .large_file(true);
        for (name, array) in self.arrays {
            zip.start_file(format!("{name}.npy"), options)?;
            match array {
                Array::Held(bytes) => zip.write_all(&bytes)?,
                Array::Spooled { header, spool, rows } => {
                    zip.write_all(&header)?;
                    spool.copy(rows, &mut zip)?;
                }
            }
        }
        zip.finish()?.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array0, Array1, Array2, Array3, array, s};
    use ndarray_npy::NpzReader;

    #[test]
    fn another_reader_finds_what_was_written() {
        let matrix = array![[1.0_f32, -2.5], [f32::MIN_POSITIVE, 4.0], [0.0, 7.0]];
        let write = || {
            let mut npz = NpzWriter::default();
            npz.matrix("test", matrix.view());
            npz.texts("clip", &["a.wav", "ä☃.wav"]);
            npz.integers("tokens", &[3, -1, i64::MAX]);
            npz.number("random", u64::MAX);
            let mut rows = Spool::new(tempfile::tempfile().unwrap(), 2);
            for row in matrix.rows() {
                rows.push(&row.to_vec()).unwrap();
            }
            npz.spooled("rows", rows);
            npz.finish().unwrap()
        };
        let bytes = write();
        assert_eq!(bytes, write());
        let mut reader = NpzReader::new(Cursor::new(bytes)).unwrap();
        for name in ["test", "rows"] {
            let read: Array2<f32> = reader.by_name(name).unwrap();
            assert_eq!(read, matrix);
        }
        let tokens: Array1<i64> = reader.by_name("tokens").unwrap();
        assert_eq!(tokens, array![3, -1, i64::MAX]);
        let random: Array0<u64> = reader.by_name("random").unwrap();
        assert_eq!(random.into_scalar(), u64::MAX);
    }

    #[test]
    fn parts_of_unlike_lengths_end_with_nan() {
        let mut spool = Spool::new(tempfile::tempfile().unwrap(), 2);
        let parts: [&[f32]; 3] = [&[1.0, 2.0, 3.0, 4.0], &[], &[5.0, 6.0]];
        for part in parts {
            spool.push(part).unwrap();
        }
        assert_eq!(spool.parts(), [2, 0, 1]);
        let mut npz = NpzWriter::default();
        npz.ragged("layer_00", spool);
        npz.ragged("none", Spool::new(tempfile::tempfile().unwrap(), 3));
        assert_eq!(npz.names().collect::<Vec<_>>(), ["layer_00", "none"]);
        let mut reader = NpzReader::new(Cursor::new(npz.finish().unwrap())).unwrap();
        let read: Array3<f32> = reader.by_name("layer_00").unwrap();
        assert_eq!(read.dim(), (3, 2, 2));
        for (n, part) in parts.iter().enumerate() {
            let rows = part.len() / 2;
            assert_eq!(read.slice(s![n, ..rows, ..]).iter().copied().collect::<Vec<_>>(), *part);
            assert!(read.slice(s![n, rows.., ..]).iter().all(|value| value.is_nan()));
        }
        let none: Array3<f32> = reader.by_name("none").unwrap();
        assert_eq!(none.dim(), (0, 0, 3));
    }

    #[test]
    fn texts_are_padded_utf_32() {
        let mut npz = NpzWriter::default();
        npz.texts("clip", &["ab", "☃"]);
        let Array::Held(bytes) = &npz.arrays[0].1 else { panic!("held in memory") };
        assert_eq!(bytes.len() % 64, 16);
        assert_eq!(&bytes[bytes.len() - 16..], [97, 0, 0, 0, 98, 0, 0, 0, 3, 38, 0, 0, 0, 0, 0, 0]);
        assert!(String::from_utf8_lossy(bytes).contains("'descr': '<U2'"));
    }
}
