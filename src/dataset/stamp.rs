//! By what a file that was touched is told without reading it.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Size, number and times of a file. The time of its last change is the system's own, which no program sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    bytes: u64,
    number: u64,
    /// Seconds and nanoseconds since 1970, as the next one.
    written: (i64, i64),
    /// Of content, name, rights or links.
    changed: (i64, i64),
}

impl Stamp {
    /// Of a file as it is now.
    ///
    /// # Errors
    /// When it is not there or cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(Self::from)
    }

    /// Whether nobody wrote to the file, or since `settled` before `began` changed anything of it. Clocks of file systems are
    /// coarse: another change in the same tick would not be seen.
    pub fn is_before(&self, began: SystemTime, settled: Duration) -> bool {
        let since = began.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(settled);
        let limit = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        self.written.0 < limit && self.changed.0 < limit
    }

    /// Whether it is of the same file, to which nobody wrote in between. Another link to it, such as a backup makes, or other
    /// rights are no change of what is in it.
    pub fn has_content_of(&self, other: &Self) -> bool {
        (self.bytes, self.number, self.written) == (other.bytes, other.number, other.written)
    }

    /// All of it, to be hashed.
    pub(super) fn parts(&self) -> [[u8; 8]; 6] {
        let [bytes, number] = [self.bytes, self.number].map(u64::to_le_bytes);
        let [a, b, c, d] =
            [self.written.0, self.written.1, self.changed.0, self.changed.1].map(i64::to_le_bytes);
        [bytes, number, a, b, c, d]
    }
}

impl From<Metadata> for Stamp {
    fn from(of: Metadata) -> Self {
        Self {
            bytes: of.len(),
            number: of.ino(),
            written: (of.mtime(), of.mtime_nsec()),
            changed: (of.ctime(), of.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_link_is_no_change_and_another_file_is_one() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a.wav");
        std::fs::write(&file, "one").unwrap();
        let before = Stamp::of(&file).unwrap();
        std::fs::hard_link(&file, place.path().join("b.wav")).unwrap();
        assert!(Stamp::of(&file).unwrap().has_content_of(&before));
        // Of the same size and date, under the same name.
        let date = std::fs::metadata(&file).unwrap().modified().unwrap();
        let other = place.path().join("c.wav");
        std::fs::write(&other, "two").unwrap();
        std::fs::File::options().append(true).open(&other).unwrap().set_modified(date).unwrap();
        std::fs::rename(&other, &file).unwrap();
        assert!(!Stamp::of(&file).unwrap().has_content_of(&before));
        assert!(!before.is_before(SystemTime::now(), Duration::from_secs(3600)));
        assert!(before.is_before(SystemTime::now() + Duration::from_secs(10), Duration::from_secs(3)));
    }
}
