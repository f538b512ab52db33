//! SVGs inside an HTML page that is light or dark as its reader likes.

use std::fmt::Write;

/// Colours that pictures have in a light and in a dark page: each pair becomes one CSS variable.
#[derive(Debug, Default)]
pub(super) struct Colours(Vec<(String, String)>);

/// `#rrggbb`.
const COLOUR_BYTES: usize = 7;

impl Colours {
    /// One picture for both: the light one, with variables in place of the colours in which the dark one differs. Where it
    /// differs in anything else, the light one as it is.
    pub(super) fn merge(&mut self, light: &str, dark: &str) -> String {
        let mut merged = String::with_capacity(light.len());
        let (mut rest, mut other) = (light, dark);
        while let Some(at) = rest.find('#') {
            let colour = |text: &str| colour(text, at).map(str::to_owned);
            if other.get(..at) != rest.get(..at) {
                return light.to_owned();
            }
            merged.push_str(&rest[..at]);
            match (colour(rest), colour(other)) {
                (Some(a), Some(b)) => {
                    merged.push_str(&self.of(a, b));
                    (rest, other) = (&rest[at + COLOUR_BYTES..], &other[at + COLOUR_BYTES..]);
                }
                _ if other[at..].starts_with('#') => {
                    merged.push('#');
                    (rest, other) = (&rest[at + 1..], &other[at + 1..]);
                }
                _ => return light.to_owned(),
            }
        }
        match rest == other {
            true => merged + rest,
            false => light.to_owned(),
        }
    }

    fn of(&mut self, light: String, dark: String) -> String {
        if light == dark {
            return light;
        }
        let pair = (light, dark);
        let place = self.0.iter().position(|known| *known == pair).unwrap_or_else(|| {
            self.0.push(pair);
            self.0.len() - 1
        });
        format!("var(--ink-{place})")
    }

    /// The variables as CSS; paper is light.
    pub(super) fn css(&self) -> String {
        let variables = |of: fn(&(String, String)) -> &String| {
            self.0.iter().enumerate().fold(String::new(), |mut css, (place, pair)| {
                let _ = write!(css, "--ink-{place}:{};", of(pair));
                css
            })
        };
        let (light, dark) = (variables(|pair| &pair.0), variables(|pair| &pair.1));
        format!(":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}")
    }
}

/// The colour at a place of a text.
fn colour(text: &str, at: usize) -> Option<&str> {
    let colour = text.get(at..at + COLOUR_BYTES)?;
    let digits = colour.strip_prefix('#')?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_themes_become_one_picture() {
        let mut colours = Colours::default();
        let svg = |ink: &str, ground: &str| {
            format!(
                "<svg><title>run #3 – ä</title><p fill=\"{ink}\"/><r stroke=\"{ground}\"/><q fill=\"#ff0000\"/></svg>"
            )
        };
        let (light, dark) = (svg("#111111", "#ffffff"), svg("#eeeeee", "#000000"));
        let merged = colours.merge(&light, &dark);
        assert_eq!(merged, svg("var(--ink-0)", "var(--ink-1)"));
        assert_eq!(colours.merge(&light, &dark), merged);
        let css = colours.css();
        assert!(css.starts_with(":root{--ink-0:#111111;--ink-1:#ffffff;}"), "{css}");
        assert!(css.ends_with(":root{--ink-0:#eeeeee;--ink-1:#000000;}}"), "{css}");
    }

    #[test]
    fn pictures_that_differ_in_more_stay_as_they_are() {
        for dark in [
            "<svg><a fill=\"#000000\"/><b/></svg>",
            "<svg>",
            "",
            "<svg><a fill=\"none\"/></svg>",
            "<svg><é fill=\"#0\"",
        ] {
            let light = "<svg><a fill=\"#ffffff\"/></svg>";
            assert_eq!(Colours::default().merge(light, dark), light);
        }
    }
}
