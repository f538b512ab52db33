//! Seeded mutations of files: the same seed and round give the same bytes.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Numbers at which arithmetic turns over.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// Words that mean something to a reader, and those that break careless ones.
const WORDS: [&[u8]; 60] = [
    b"RIFF",
    b"WAVE",
    b"fmt ",
    b"data",
    b"LIST",
    b"RF64",
    b"section",
    b"_00_",
    b"id_00",
    b"source",
    b"target",
    b"train",
    b"test",
    b"normal",
    b"anomaly",
    b"abnormal",
    b"supplemental",
    b"/",
    b"../",
    b"..",
    b"\\",
    b".wav",
    b"\n",
    b"\r\n",
    b"\r",
    b",",
    b";",
    b"\t",
    b"\"",
    b"\"\"",
    b"'",
    b"nan",
    b"inf",
    b"-1e308",
    b"1e999",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\0",
    b"\x1b[2J",
    b"[",
    b"]]",
    b"{",
    b"}",
    b"= 1\n",
    b"extends = \"ae.toml\"\n",
    b"grid.",
    b"[data]\n",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"'shape': (4000000000, 1000)",
    b"<f4",
    b"\x80\x02}",
    b"(dp0\n",
    b"cos\nsystem\n",
    b"\"data_offsets\":[0,18446744073709551615]",
    b"[[family]]\n",
    b"\xf0\x9f\x92\xa9",
    b"\xe2\x80\xae",
    b"\xed\xa0\x80",
    b"000000000000000000000000000000000000000000000000",
];

/// One round's choices.
pub struct Mutator(ChaCha8Rng);

impl Mutator {
    pub fn new(target: &str, seed: u64, round: u64) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(target.as_bytes());
        hash.update(&seed.to_le_bytes());
        hash.update(&round.to_le_bytes());
        Self(ChaCha8Rng::from_seed(*hash.finalize().as_bytes()))
    }

    /// One of the corpus's files, changed in one to eight places.
    pub fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(8) {
            self.step(&mut bytes, corpus);
        }
        bytes
    }

    fn step(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let (start, end) = self.range(bytes.len());
        match self.below(11) {
            0 if start < bytes.len() => bytes[start] ^= 1 << self.below(8),
            1 if start < bytes.len() => bytes[start] = self.0.next_u32() as u8,
            2 | 3 => {
                let width = [1, 2, 4, 8][self.below(4)];
                let edge = EDGES[self.below(EDGES.len())].wrapping_add(self.below(3) as u64).to_le_bytes();
                let end = (start + width).min(bytes.len());
                bytes[start..end].copy_from_slice(&edge[..end - start]);
            }
            4 => drop(bytes.drain(start..end)),
            5 => {
                let piece = bytes[start..end].to_vec();
                let times = 1 + self.below(4);
                let at = self.below(bytes.len() + 1);
                bytes.splice(at..at, piece.repeat(times));
            }
            6 | 7 => {
                let word = WORDS[self.below(WORDS.len())];
                let until = if self.below(2) == 0 { start } else { (start + word.len()).min(bytes.len()) };
                bytes.splice(start..until, word.iter().copied());
            }
            8 => {
                let other = &corpus[self.below(corpus.len())];
                let (from, to) = self.range(other.len());
                bytes.splice(start..end, other[from..to].iter().copied());
            }
            9 => bytes.truncate(start),
            // A thing many times over, as deep and as long as it gets.
            _ => {
                let word = WORDS[self.below(WORDS.len())].repeat(1 << self.below(12));
                bytes.splice(start..start, word);
            }
        }
        bytes.truncate(1 << 17);
    }

    /// Two places in order, mostly near one another.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length - start } else { (length - start).min(16) };
        (start, start + self.below(most + 1))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end.max(1))
    }
}

#[test]
fn the_same_round_gives_the_same_bytes() {
    let corpus = [b"anomaly_score".to_vec(), b"RIFF....WAVE".to_vec()];
    let round = |round| Mutator::new("wav", 7, round).mutate(&corpus);
    let different: std::collections::HashSet<Vec<u8>> = (0..50).map(round).collect();
    assert!((0..50).all(|n| round(n) == round(n)));
    assert!(different.len() > 40, "{}", different.len());
}
