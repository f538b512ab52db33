//! A part of a data set, to try something on.

use super::{ClipIndex, IndexedClip, Split};

impl ClipIndex {
    /// The same data set with at most so many clips of each machine type and split, evenly taken from their order, which
    /// goes by section, domain and label.
    #[must_use]
    pub fn sampled(&self, clips: usize) -> Self {
        let mut kept: Vec<IndexedClip> = Vec::new();
        for machine in self.machines() {
            for split in [Split::Train, Split::Test] {
                let of = |entry: &&IndexedClip| entry.clip.machine == *machine && entry.split == split;
                let all: Vec<&IndexedClip> = self.clips().iter().filter(of).collect();
                let count = all.len().min(clips);
                kept.extend((0..count).map(|n| all[n * all.len() / count].clone()));
            }
        }
        kept.sort_by(|a, b| a.clip.path.cmp(&b.clip.path));
        let mut sampled = self.clone();
        sampled.clips = kept;
        sampled
    }
}
