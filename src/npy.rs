//! NumPy's array file, `.npy`: the header that stands before the values, and matrices of f32 read back.
//!
//! Read here and not by a library of the format: what we read, we have written, and a file that somebody else wrote in its place
//! must cost no more than its size. Readers of the whole format make room for whatever shape a header names.

use std::borrow::Cow;

use ndarray::Array2;

/// What every file begins with.
const MAGIC: &[u8] = b"\x93NUMPY";

/// The header of format 1.0 for values of `kind`, such as `<f4`, and a shape as Python writes it, such as `(2, 3)`; the values
/// begin at a multiple of 64 bytes.
pub fn header(kind: &str, shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.resize(10 + length - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// The matrix in a file's bytes.
///
/// # Errors
/// A lowercase fragment that says what the bytes are instead of a little-endian matrix of f32 in rows.
pub fn matrix(bytes: &[u8]) -> Result<Array2<f32>, Cow<'static, str>> {
    let (fixed, rest) = bytes.split_at_checked(10).ok_or("it ends in its header")?;
    if &fixed[..6] != MAGIC {
        return Err("it is no NumPy array".into());
    }
    let long = fixed[6] > 1;
    let (length, rest) = match (long, rest) {
        (false, rest) => (usize::from(u16::from_le_bytes([fixed[8], fixed[9]])), rest),
        (true, [c, d, rest @ ..]) => (u32::from_le_bytes([fixed[8], fixed[9], *c, *d]) as usize, rest),
        (true, _) => return Err("it ends in its header".into()),
    };
    let (header, values) = rest.split_at_checked(length).ok_or("it ends in its header")?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is no text")?;
    let field = |name: &str| Some(header.split_once(name)?.1.trim_start_matches([' ', ':']));
    let is = |name: &str, value: &str| field(name).is_some_and(|found| found.starts_with(value));
    if !is("'descr'", "'<f4'") || !is("'fortran_order'", "False") {
        return Err("its values are no little-endian f32 in rows".into());
    }
    let shape = field("'shape'").and_then(|found| found.strip_prefix('(')?.split_once(')'));
    let sizes: Option<Vec<usize>> = shape.and_then(|(sizes, _)| {
        sizes
            .split(',')
            .map(str::trim)
            .filter(|size| !size.is_empty())
            .map(|size| size.parse().ok())
            .collect()
    });
    let Some([rows, columns]) = sizes.as_deref() else { return Err("it is no matrix".into()) };
    let (values, rest) = values.as_chunks::<4>();
    if rows.checked_mul(*columns) != Some(values.len()) || !rest.is_empty() {
        let found = values.len();
        return Err(format!("it has {found} values where {rows} rows of {columns} are said to be").into());
    }
    let values = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
    Array2::from_shape_vec((*rows, *columns), values).map_err(|error| error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_reads_back_and_a_lie_costs_nothing() {
        let file = |shape: &str, values: usize| [header("<f4", shape), vec![0; values]].concat();
        assert_eq!(matrix(&file("(2, 3)", 24)).unwrap().dim(), (2, 3));
        assert_eq!(matrix(&file("(0, 3)", 0)).unwrap().dim(), (0, 3));
        for (shape, values, expected) in [
            ("(2, 3)", 23, "5 values where 2 rows of 3"),
            ("(2, 3)", 28, "7 values"),
            ("(4000000000, 1000)", 24, "6 values"),
            ("(18446744073709551615, 18446744073709551615)", 24, "6 values"),
            ("(99999999999999999999, 1)", 24, "no matrix"),
            ("(-2, 3)", 24, "no matrix"),
            ("(2,)", 8, "no matrix"),
            ("(2, 3, 1)", 24, "no matrix"),
            ("2, 3)", 24, "no matrix"),
            ("(((((((((((", 24, "no matrix"),
        ] {
            let why = matrix(&file(shape, values)).unwrap_err();
            assert!(why.contains(expected), "{shape}: {why}");
        }
        let sound = file("(2, 3)", 24);
        for length in 0..sound.len() {
            assert!(matrix(&sound[..length]).is_err(), "{length}");
        }
        assert!(matrix(&[header("<f8", "(2, 3)"), vec![0; 48]].concat()).is_err());
        assert!(matrix(b"\x93NUMPY\x02\x00\xf0\xff\xff\xff{").unwrap_err().contains("ends in its header"));
    }

    #[test]
    fn values_begin_at_a_multiple_of_64_bytes_whatever_the_shape() {
        for digits in 1..80 {
            let shape = format!("({},)", "7".repeat(digits));
            let bytes = header("<f4", &shape);
            assert!(bytes.len().is_multiple_of(64) && bytes.ends_with(b"\n"), "{shape}");
            // Behind the magic number, the version and the length itself.
            assert_eq!(usize::from(u16::from_le_bytes([bytes[8], bytes[9]])), bytes.len() - 10);
            assert!(String::from_utf8_lossy(&bytes).contains(&format!("'shape': {shape}, }}")), "{shape}");
        }
    }
}
