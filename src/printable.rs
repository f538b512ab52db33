//! Text that may say anything, shown where some characters do something: on a terminal, in one line of a file.
//!
//! Names come from other people's folders and files. An escape character in one would recolour the screen, clear it or set the
//! window's title; a mark of writing direction would show `gpj.exe` as `exe.jpg`; a line break would begin a line of its own.

use std::borrow::Cow;
use std::fmt::Write;

/// Characters of a line of a message; what is longer helps nobody to read it.
const LONGEST_LINE: usize = 4096;

/// A message for a terminal: what would act is shown as its escape (`\u{1b}`), and the rest of a very long line is counted
/// instead of shown. Line breaks stay.
#[must_use]
pub fn message(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST_LINE && !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| match line.char_indices().nth(LONGEST_LINE) {
            Some((cut, _)) => {
                let more = line[cut..].chars().count();
                format!("{}… ({more} more characters)", escaped(&line[..cut], acts))
            }
            None => escaped(line, acts).into_owned(),
        })
        .collect();
    Cow::Owned(lines.join("\n"))
}

/// A text for one line of a terminal or a file: line breaks and tabs are shown as their escapes too.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |character| acts(character) || matches!(character, '\n' | '\t'))
}

fn escaped(text: &str, acts: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match acts(character) {
            true => drop(write!(shown, "{}", character.escape_default())),
            false => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// Control characters but line breaks and tabs, and the marks that turn the direction of writing.
fn acts(character: char) -> bool {
    let turns =
        matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (character.is_control() && !matches!(character, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_is_shown() {
        for (text, expected) in [
            ("fan", "fan"),
            ("é☃ ρ\nb\tc", "é☃ ρ\nb\tc"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("a\r\u{9b}b", "a\\r\\u{9b}b"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
        ] {
            assert_eq!(message(text), expected);
        }
        assert_eq!(line("a\nb\tc\u{7f}"), "a\\nb\\tc\\u{7f}");
        assert!(matches!(line("fan"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let long = "☃".repeat(LONGEST_LINE + 3);
        let shown = message(&long);
        assert!(shown.ends_with("☃… (3 more characters)"), "{}", &shown[shown.len() - 60..]);
        let lines = "ab\n".repeat(LONGEST_LINE);
        assert_eq!(message(&lines), lines);
    }
}
