//! JSON files that carry their own checksum: a bit that flips on a disk is found when the file is read.
//!
//! The last key of the document, on the last line of its own, is the BLAKE3 of every byte before it. Other programs see one
//! more key; one that writes the document anew in another form drops the seal, and nothing is refused for that.

/// What stands between the content and its hash.
const KEY: &[u8] = b",\n  \"checksum\": \"";
/// What stands behind the hash.
const END: &[u8] = b"\"\n}\n";
/// Hexadecimal digits of a BLAKE3 hash.
const DIGITS: usize = 2 * blake3::OUT_LEN;

/// What a file's seal says of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// The content is what was written.
    Whole,
    /// It is not.
    Broken,
    /// There is none: the file is of an earlier version, or another program wrote it.
    Absent,
}

/// An indented JSON object with its seal behind the last key. A document that has no key stays as it is.
pub fn sealed(text: &str) -> String {
    let Some(content) = text.trim_end().strip_suffix("\n}") else { return text.to_owned() };
    let [key, end] = [KEY, END].map(String::from_utf8_lossy);
    format!("{content}{key}{}{end}", blake3::hash(content.as_bytes()).to_hex())
}

/// What the seal of a file's content says.
pub fn of(bytes: &[u8]) -> Seal {
    let parts = || {
        let (rest, digits) = bytes.strip_suffix(END)?.split_last_chunk::<DIGITS>()?;
        Some((rest.strip_suffix(KEY)?, digits))
    };
    match parts() {
        None => Seal::Absent,
        Some((content, digits)) if blake3::hash(content).to_hex().as_bytes() == digits => Seal::Whole,
        Some(_) => Seal::Broken,
    }
}

/// Whether a cache may use a file of that content; the reason where it may not. What can be made again needs a whole seal.
///
/// # Errors
/// Why not, as a lowercase fragment.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    match of(bytes) {
        Seal::Whole => Ok(()),
        Seal::Broken => Err("its content does not match its checksum".into()),
        Seal::Absent => Err("it has no checksum".into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn text() -> String {
        let document = json!({ "a": 0.1, "b": ["ä\"\n}", { "checksum": null }], "c": { "d": 1e-300 } });
        serde_json::to_string_pretty(&document).unwrap() + "\n"
    }

    #[test]
    fn a_sealed_document_is_the_document_with_one_more_key() {
        let sealed = sealed(&text());
        assert_eq!(of(sealed.as_bytes()), Seal::Whole);
        let mut read: Value = serde_json::from_str(&sealed).unwrap();
        let keys: Vec<&String> = read.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["a", "b", "c", "checksum"]);
        // It is what a printer makes of it too, so that a diff shows one line.
        assert_eq!(serde_json::to_string_pretty(&read).unwrap() + "\n", sealed);
        read.as_object_mut().unwrap().shift_remove("checksum");
        assert_eq!(read, serde_json::from_str::<Value>(&text()).unwrap());
    }

    /// The content never changes unseen: where the seal itself is what was hit, the content is what it was.
    #[test]
    fn every_flipped_bit_is_found_or_harmless_and_every_cut_is_found() {
        let whole = sealed(&text()).into_bytes();
        let content = whole.len() - KEY.len() - DIGITS - END.len();
        for bit in 0..8 * whole.len() {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                byte if byte < content => Seal::Broken,
                byte if byte < content + KEY.len() => Seal::Absent,
                byte if byte < whole.len() - END.len() => Seal::Broken,
                _ => Seal::Absent,
            };
            assert_eq!(of(&flipped), expected, "bit {bit}");
            assert!(check(&flipped).is_err(), "bit {bit}");
        }
        for length in 0..whole.len() {
            assert_eq!(of(&whole[..length]), Seal::Absent, "{length} bytes");
        }
    }

    #[test]
    fn what_has_no_seal_is_no_damage() {
        assert_eq!(of(text().as_bytes()), Seal::Absent);
        assert_eq!(of(b""), Seal::Absent);
        let other_form = serde_json::from_str::<Value>(&sealed(&text())).unwrap().to_string();
        assert_eq!(of(other_form.as_bytes()), Seal::Absent);
        assert_eq!(sealed("{}\n"), "{}\n");
        assert_eq!(sealed("[1]"), "[1]");
    }
}
