//! What a picture is made of, and the picture as SVG.

use std::fmt::Write;

use super::palette::{Marker, Paint};
use super::{Figure, Theme};
use crate::report::svg::{base64, escape};
use crate::report::viridis::indexed_png;

/// Where a text has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// One thing of a picture. Places are in pixels from the upper left corner; later ones lie over earlier ones. Nothing has
/// a name that other pictures on the same page could have too.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Element {
    Text(Text),
    /// A line through points; `hint` is shown when the pointer rests on it.
    Line {
        points: Vec<(f64, f64)>,
        paint: Paint,
        width: f64,
        dashed: bool,
        hint: String,
    },
    /// What a line encloses, filled.
    Area {
        points: Vec<(f64, f64)>,
        paint: Paint,
        opacity: f64,
    },
    /// A point, with a thin edge of the ground's colour, so that it is told from others below it.
    Mark {
        at: (f64, f64),
        marker: Marker,
        radius: f64,
        paint: Paint,
        hint: String,
    },
    /// Levels in the colours of Viridis, row by row from the top.
    Levels {
        left: f64,
        top: f64,
        width: f64,
        height: f64,
        columns: usize,
        levels: Vec<u8>,
    },
}

/// A line of text on its baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub at: (f64, f64),
    /// In pixels.
    pub size: u32,
    pub anchor: Anchor,
    pub bold: bool,
    /// Turned to be read from below to above.
    pub upwards: bool,
    pub paint: Paint,
    pub content: String,
    /// The whole of it, where `content` is cut off; shown when the pointer rests on it.
    pub hint: String,
}

/// How wide the edge of a point is.
pub(super) const EDGE: f64 = 0.7;
/// Strokes and gaps of a dashed line.
pub(super) const DASHES: [f64; 2] = [6.0, 4.0];

/// The picture as one SVG document.
pub(super) fn svg(figure: &Figure, theme: Theme) -> String {
    let Figure { width, height, .. } = figure;
    let [ground, ink] = [Paint::Ground, Paint::Ink].map(|paint| hex(paint, theme));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"Helvetica, Arial, 'Liberation Sans', \
         'DejaVu Sans', sans-serif\" fill=\"{ink}\">\n<title>{}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{ground}\"/>\n",
        escape(&figure.title)
    );
    for element in &figure.elements {
        write(&mut svg, element, theme);
    }
    svg + "</svg>\n"
}

/// Writing to a string does not fail.
fn write(svg: &mut String, element: &Element, theme: Theme) {
    match element {
        Element::Text(text) => write_text(svg, text, theme),
        Element::Line { points, paint, width, dashed, hint } => {
            let dashes = if *dashed {
                format!(" stroke-dasharray=\"{} {}\"", DASHES[0], DASHES[1])
            } else {
                String::new()
            };
            let _ = write!(
                svg,
                "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\"{dashes}",
                path(points.iter().copied()),
                hex(*paint, theme),
                short(*width)
            );
            close(svg, "path", hint);
        }
        Element::Area { points, paint, opacity } => {
            let _ = writeln!(
                svg,
                "<path d=\"{}Z\" fill=\"{}\" fill-opacity=\"{}\"/>",
                path(points.iter().copied()),
                hex(*paint, theme),
                short(*opacity)
            );
        }
        Element::Mark { at: (x, y), marker, radius, paint, hint } => {
            let corners = marker.corners(*radius);
            let shape = if corners.is_empty() {
                let _ =
                    write!(svg, "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"", short(*x), short(*y), short(*radius));
                "circle"
            } else {
                let _ = write!(
                    svg,
                    "<path d=\"{}Z\"",
                    path(corners.iter().map(|corner| (x + corner.0, y + corner.1)))
                );
                "path"
            };
            let (fill, ground) = (hex(*paint, theme), hex(Paint::Ground, theme));
            let _ = write!(svg, " fill=\"{fill}\" stroke=\"{ground}\" stroke-width=\"{EDGE}\"");
            close(svg, shape, hint);
        }
        Element::Levels { left, top, width, height, columns, levels } => {
            let Some(png) = indexed_png(*columns, levels.len() / columns.max(&1), levels) else {
                return;
            };
            let _ = writeln!(
                svg,
                "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" \
                 style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>",
                short(*left),
                short(*top),
                short(*width),
                short(*height),
                base64(&png)
            );
        }
    }
}

fn write_text(svg: &mut String, text: &Text, theme: Theme) {
    let (x, y) = (short(text.at.0), short(text.at.1));
    let _ = write!(svg, "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\"", text.size);
    match text.anchor {
        Anchor::Start => {}
        Anchor::Middle => svg.push_str(" text-anchor=\"middle\""),
        Anchor::End => svg.push_str(" text-anchor=\"end\""),
    }
    if text.bold {
        svg.push_str(" font-weight=\"bold\"");
    }
    if text.upwards {
        let _ = write!(svg, " transform=\"rotate(-90 {x} {y})\"");
    }
    if text.paint != Paint::Ink {
        let _ = write!(svg, " fill=\"{}\"", hex(text.paint, theme));
    }
    svg.push('>');
    if !text.hint.is_empty() {
        let _ = write!(svg, "<title>{}</title>", escape(&text.hint));
    }
    let _ = writeln!(svg, "{}</text>", escape(&text.content));
}

/// The end of an opening tag, and its element with a hint where there is one.
fn close(svg: &mut String, element: &str, hint: &str) {
    if hint.is_empty() {
        svg.push_str("/>\n");
    } else {
        let _ = writeln!(svg, "><title>{}</title></{element}>", escape(hint));
    }
}

/// A path through points, in the form that SVG and the rasteriser read.
pub(super) fn path(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.into_iter().enumerate() {
        let _ = write!(path, "{}{} {}", if index == 0 { 'M' } else { 'L' }, short(x), short(y));
    }
    path
}

/// To hundredths of a pixel, without what says nothing.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

fn hex(paint: Paint, theme: Theme) -> String {
    let [red, green, blue] = paint.rgb(theme);
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([1.0, 0.5, -0.001, 12.345, 100.0].map(short), ["1", "0.5", "0", "12.35", "100"]);
        assert_eq!(path([(0.0, 1.0), (2.5, 3.0)]), "M0 1L2.5 3");
    }

    #[test]
    fn what_users_wrote_is_escaped() {
        let text = Text {
            at: (1.0, 2.0),
            size: 12,
            anchor: Anchor::End,
            bold: true,
            upwards: true,
            paint: Paint::Faint,
            content: "</text><script>".into(),
            hint: "\"&".into(),
        };
        let mark = Element::Mark {
            at: (1.0, 1.0),
            marker: Marker::Square,
            radius: 3.0,
            paint: Paint::Slot(0),
            hint: "<b>".into(),
        };
        let figure = Figure {
            width: 10.0,
            height: 20.0,
            title: "a<b".into(),
            elements: vec![Element::Text(text), mark],
        };
        let svg = svg(&figure, Theme::Light);
        assert!(svg.starts_with(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"10\" height=\"20\" viewBox=\"0 0 10 20\""
        ));
        assert!(
            svg.contains("<title>a&lt;b</title>") && svg.contains("<title>&lt;b&gt;</title></path>"),
            "{svg}"
        );
        assert!(svg.contains("<title>&quot;&amp;</title>&lt;/text&gt;&lt;script&gt;</text>"), "{svg}");
        assert!(!svg.contains(" id="), "{svg}");
    }
}
