//! How wide text is, and what to do where it is too wide.

/// An estimate of the width of `text` in pixels at a size in pixels, for DejaVu Sans: few sans-serif fonts are wider.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * size
}

fn em(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | 'I' | ' ' => 0.33,
        '(' | ')' | '[' | ']' | 'f' | 't' | 'r' | '-' | '/' | '²' | '³' | '\u{2070}'..='\u{209f}' => 0.42,
        'm' | 'w' | '%' | 'M' | 'W' | '@' => 0.98,
        '+' | '=' | '<' | '>' | '~' | '±' | '×' | '−' => 0.84,
        'A'..='Z' => 0.72,
        character if character < '\u{1100}' => 0.63,
        _ => 1.0,
    }
}

/// `text` as it is, or its beginning and an ellipsis where it is wider than `room`.
pub(super) fn fitted(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let room = room - size;
    let mut used = 0.0;
    let kept: String = text
        .chars()
        .take_while(|character| {
            used += em(*character) * size;
            used <= room
        })
        .collect();
    format!("{}…", kept.trim_end())
}

/// `text` in at most `lines` lines, broken between words; what does not fit the last one is cut off.
pub(super) fn wrapped(text: &str, size: f64, room: f64, lines: usize) -> Vec<String> {
    let mut made: Vec<String> = Vec::new();
    let mut rest = text.split_whitespace().peekable();
    while rest.peek().is_some() {
        let mut line = String::new();
        let last = made.len() + 1 == lines.max(1);
        while let Some(word) = rest.peek() {
            let longer = if line.is_empty() { (*word).to_owned() } else { format!("{line} {word}") };
            if !line.is_empty() && !last && width(&longer, size) > room {
                break;
            }
            line = longer;
            rest.next();
        }
        made.push(fitted(&line, size, room));
    }
    made
}

/// Parts side by side with a gap, in as many lines as they need; each of its own line where it needs one.
pub(super) fn flow(widths: &[f64], gap: f64, room: f64) -> Vec<(usize, f64)> {
    let (mut line, mut x) = (0, 0.0);
    widths
        .iter()
        .map(|width| {
            if x > 0.0 && x + width > room {
                (line, x) = (line + 1, 0.0);
            }
            let place = (line, x);
            x += width + gap;
            place
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_to_its_room() {
        assert_eq!(fitted("short", 12.0, 100.0), "short");
        let cut = fitted(&"word ".repeat(40), 12.0, 100.0);
        assert!(cut.ends_with("word…") || cut.ends_with('…'), "{cut}");
        assert!(width(&cut, 12.0) <= 100.0 && cut.len() > 10, "{cut}");
        assert_eq!(fitted("anything", 12.0, 1.0), "…");
        assert_eq!(fitted(&"界".repeat(50), 10.0, 55.0), "界界界界…");
    }

    #[test]
    fn lines_break_between_words_and_end() {
        let text = "one two three four five six seven eight nine ten eleven twelve";
        let lines = wrapped(text, 12.0, 160.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(text.starts_with(&lines[0]) && lines[1].ends_with('…'), "{lines:?}");
        assert!(lines.iter().all(|line| width(line, 12.0) <= 160.0), "{lines:?}");
        assert_eq!(wrapped("one two", 12.0, 160.0, 2), ["one two"]);
        assert!(wrapped(" ", 12.0, 160.0, 2).is_empty());
        assert_eq!(wrapped(&"w".repeat(200), 12.0, 160.0, 3).len(), 1);
    }

    #[test]
    fn parts_flow_into_lines() {
        assert_eq!(flow(&[40.0, 40.0, 40.0], 10.0, 100.0), [(0, 0.0), (0, 50.0), (1, 0.0)]);
        assert_eq!(flow(&[400.0, 40.0], 10.0, 100.0), [(0, 0.0), (1, 0.0)]);
        assert!(flow(&[], 10.0, 100.0).is_empty());
    }
}
