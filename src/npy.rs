//! NumPy's array file, `.npy`: the header that stands before the values.

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

#[cfg(test)]
mod tests {
    use super::*;

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
