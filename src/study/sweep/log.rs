//! What a worker said on its standard error while it worked on one trial.

use std::collections::VecDeque;

/// Bytes that are kept of a trial; an error stands at the end.
const KEPT: usize = 256 << 10;

/// The last lines of a worker.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: usize,
}

impl Log {
    /// Add a line, without its end.
    pub fn push(&mut self, line: String) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > KEPT && self.lines.len() > 1 {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len() + 1);
            self.dropped += 1;
        }
    }

    /// The last `count` lines that are not empty.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let lines: Vec<&String> = self.lines.iter().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).clone()).collect()
    }

    /// The whole, as a file's content.
    pub fn text(&self) -> String {
        let mut text = match self.dropped {
            0 => String::new(),
            dropped => format!("({dropped} earlier lines left out)\n"),
        };
        for line in &self.lines {
            text += line;
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_log_is_kept() {
        let mut log = Log::default();
        log.push("first".into());
        assert_eq!(log.text(), "first\n");
        for n in 0..20_000 {
            log.push(format!("line {n:06} of a long training"));
        }
        log.push(String::new());
        let text = log.text();
        assert!(text.len() <= KEPT + 60 && text.starts_with('('), "{}", text.len());
        assert_eq!(log.tail(2), ["line 019998 of a long training", "line 019999 of a long training"]);
        assert_eq!(Log::default().tail(3), Vec::<String>::new());
    }
}
