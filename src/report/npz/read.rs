//! A matrix out of a `.npz` that this program wrote.

use std::io::{Read, Seek, SeekFrom};

use ndarray::Array2;
use zip::{CompressionMethod, ZipArchive};

use crate::npy;

/// The matrix of f32 that is called `name`. Reading takes the room of the file at most: what is compressed, which this program
/// never writes, is refused, as it may become a thousand times as long.
///
/// # Errors
/// A lowercase text that says what is wrong with the file.
pub fn npz_matrix(mut file: impl Read + Seek, name: &str) -> Result<Array2<f32>, String> {
    let length = file.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
    let mut zip = ZipArchive::new(file).map_err(|error| error.to_string())?;
    let entry = zip.by_name(&format!("{name}.npy")).map_err(|error| format!("array `{name}`: {error}"))?;
    if entry.compression() != CompressionMethod::Stored {
        return Err(format!("array `{name}` is compressed"));
    }
    if entry.size() > length {
        return Err(format!("array `{name}` is longer than the file"));
    }
    let (size, mut bytes) = (entry.size(), Vec::new());
    // Its checksum is compared at its end.
    entry.take(size + 1).read_to_end(&mut bytes).map_err(|error| format!("array `{name}`: {error}"))?;
    npy::matrix(&bytes).map_err(|why| format!("array `{name}`: {why}"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ndarray::array;

    use super::*;
    use crate::report::NpzWriter;

    fn file() -> Vec<u8> {
        let mut npz = NpzWriter::default();
        npz.matrix("train", array![[9.0_f32]].view());
        npz.matrix("test", array![[1.0_f32, -2.5], [0.0, 7.0], [3.0, f32::NAN]].view());
        npz.finish().unwrap()
    }

    #[test]
    fn what_was_written_reads_back_and_every_damage_is_found() {
        let sound = file();
        assert_eq!(npz_matrix(Cursor::new(&sound), "test").unwrap().row(1), array![0.0, 7.0]);
        assert!(npz_matrix(Cursor::new(&sound), "none").unwrap_err().contains("`none`"));
        let values = sound.windows(4).position(|bytes| bytes == 7.0_f32.to_le_bytes()).unwrap();
        for bit in 0..8 {
            let mut changed = sound.clone();
            changed[values] ^= 1 << bit;
            assert!(npz_matrix(Cursor::new(&changed), "test").is_err(), "bit {bit}");
        }
        for length in 0..sound.len() {
            assert!(npz_matrix(Cursor::new(&sound[..length]), "test").is_err(), "{length}");
        }
    }

    #[test]
    fn compressed_arrays_are_refused() {
        let bytes = include_bytes!("../../../tests/fixtures/found/npz/compressed.npz");
        assert!(npz_matrix(Cursor::new(bytes), "test").is_err());
    }
}
