//! A picture as pixels, through kuva's rasteriser and the font that it brings along.
//!
//! Its plots are not used: their SVG has no `viewBox` and does not scale, names its clip paths by a number that is the same
//! in every picture of a page, reads `$` in a label as mathematics, draws a heat map as one rectangle per value, and gives
//! a legend a third of the width.

use kuva::backend::raster::RasterBackend;
use kuva::render::color::Color;
use kuva::render::render::{PathData, Primitive, Scene, TextAnchor, TextSpan};

use super::drawing::{Anchor, DASHES, EDGE, Element, Text, path};
use super::lettering::width;
use super::palette::Paint;
use super::{Figure, FigureError, Theme};
use crate::report::viridis::colour;

/// Pixels for each of the picture's units.
const SCALE: u32 = 2;

/// The picture as PNG.
///
/// # Errors
/// When the rasteriser refuses.
pub(super) fn png(figure: &Figure, theme: Theme) -> Result<Vec<u8>, FigureError> {
    let mut scene = ground(figure.width, figure.height, theme);
    for element in &figure.elements {
        scene.add(match element {
            Element::Text(text) if text.upwards => upwards(text, theme)?,
            other => primitive(other, theme),
        });
    }
    rendered(&scene)
}

fn ground(width: f64, height: f64, theme: Theme) -> Scene {
    let [red, green, blue] = Paint::Ground.rgb(theme);
    Scene::new(width, height).with_background(Some(&format!("#{red:02x}{green:02x}{blue:02x}")))
}

fn rendered(scene: &Scene) -> Result<Vec<u8>, FigureError> {
    RasterBackend::new().with_scale(SCALE as f32).render_scene(scene).map_err(FigureError::Png)
}

fn primitive(element: &Element, theme: Theme) -> Primitive {
    match element {
        Element::Text(text) => letters(text, theme),
        Element::Line { points, paint, width, dashed, .. } => Primitive::PolyLine {
            points: points.clone(),
            stroke: rgb(*paint, theme),
            stroke_width: *width,
            // Pixels there, units in the SVG.
            stroke_dasharray: dashed
                .then(|| DASHES.map(|length| (length * f64::from(SCALE)).to_string()).join(" ")),
        },
        Element::Area { points, paint, opacity } => polygon(points, rgb(*paint, theme), *opacity, None),
        Element::Mark { at: (x, y), marker, radius, paint, .. } => {
            let (fill, ground) = (rgb(*paint, theme), rgb(Paint::Ground, theme));
            let corners = marker.corners(*radius);
            if corners.is_empty() {
                return Primitive::Circle {
                    cx: *x,
                    cy: *y,
                    r: *radius,
                    fill,
                    fill_opacity: None,
                    stroke: Some(ground),
                    stroke_width: Some(EDGE),
                };
            }
            let corners: Vec<_> = corners.into_iter().map(|corner| (x + corner.0, y + corner.1)).collect();
            polygon(&corners, fill, 1.0, Some(ground))
        }
        Element::Levels { left, top, width, height, columns, levels } => {
            pixels((*left, *top), (*width, *height), *columns, levels)
        }
    }
}

/// Text in spans, which the rasteriser draws as they are; in a plain text it would read `$` as mathematics.
fn letters(text: &Text, theme: Theme) -> Primitive {
    // What cannot be shown is shown as such.
    let span = TextSpan::plain(text.content.replace(char::is_control, "\u{fffd}"));
    Primitive::RichText {
        x: text.at.0,
        y: text.at.1,
        spans: vec![TextSpan { bold: text.bold, ..span }],
        size: text.size,
        anchor: match text.anchor {
            Anchor::Start => TextAnchor::Start,
            Anchor::Middle => TextAnchor::Middle,
            Anchor::End => TextAnchor::End,
        },
        color: Some(rgb(text.paint, theme)),
    }
}

/// Text that is drawn lying and then turned, pixel by pixel: the rasteriser's own turning makes dark letters fat and light
/// ones thin. What is not ground becomes a rectangle.
fn upwards(text: &Text, theme: Theme) -> Result<Primitive, FigureError> {
    let size = f64::from(text.size);
    let (half, above) = ((width(&text.content, size) / 2.0 + size).ceil(), (1.2 * size).ceil());
    let lying = Text { at: (half, above), anchor: Anchor::Middle, upwards: false, ..text.clone() };
    let mut scene = ground(2.0 * half, above + size, theme);
    scene.add(letters(&lying, theme));
    let (columns, pixels) = decoded(&rendered(&scene)?)?;
    let ground = Paint::Ground.rgb(theme);
    let scale = f64::from(SCALE);
    let whole = |value: f64| (value * scale).round() / scale;
    // All of these texts are in the middle of what they name.
    let origin = (whole(text.at.0) - above, whole(text.at.1) + half);
    let (mut x, mut y, mut fills) = (vec![], vec![], vec![]);
    for (index, pixel) in pixels.iter().enumerate().filter(|(_, pixel)| **pixel != ground) {
        let (column, row) = (index % columns, index / columns);
        x.push(origin.0 + row as f64 / scale);
        y.push(origin.1 - (column + 1) as f64 / scale);
        fills.push(Color::Rgb(pixel[0], pixel[1], pixel[2]));
    }
    let sides = vec![1.0 / scale; fills.len()];
    Ok(Primitive::RectBatch { x, y, w: sides.clone(), h: sides, fills })
}

/// Columns and colours of a PNG of the rasteriser.
fn decoded(bytes: &[u8]) -> Result<(usize, Vec<[u8; 3]>), FigureError> {
    let failed = |error: png::DecodingError| FigureError::Png(error.to_string());
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().map_err(failed)?;
    let mut pixels = vec![0; reader.output_buffer_size().unwrap_or(0)];
    let info = reader.next_frame(&mut pixels).map_err(failed)?;
    let colours =
        pixels.chunks_exact(info.color_type.samples()).filter_map(|pixel| pixel.first_chunk().copied());
    Ok((info.width as usize, colours.collect()))
}

fn polygon(points: &[(f64, f64)], fill: Color, opacity: f64, edge: Option<Color>) -> Primitive {
    Primitive::Path(Box::new(PathData {
        d: path(points.iter().copied()) + "Z",
        fill: Some(fill),
        stroke: edge.unwrap_or(Color::None),
        stroke_width: EDGE,
        opacity: Some(opacity),
        stroke_dasharray: None,
    }))
}

/// A picture in a picture: every pixel the level that lies there. Runs of one colour are one rectangle, and all of them
/// begin at whole pixels, so that no ground shines through between them.
fn pixels((left, top): (f64, f64), (width, height): (f64, f64), columns: usize, levels: &[u8]) -> Primitive {
    let rows = levels.len().checked_div(columns).unwrap_or(0);
    let scale = f64::from(SCALE);
    let (across, down) = ((width * scale).round() as usize, (height * scale).round() as usize);
    let (mut x, mut y, mut w, mut h, mut fills) = (vec![], vec![], vec![], vec![], vec![]);
    for row in (0..down).filter(|_| rows > 0) {
        let levels = &levels[row * rows / down * columns..][..columns];
        let level = |column: usize| levels[column * columns / across];
        let mut from = 0;
        while from < across {
            let to = (from..across).find(|column| level(*column) != level(from)).unwrap_or(across);
            let [red, green, blue] = colour(f32::from(level(from)) / 255.0);
            x.push(left + from as f64 / scale);
            y.push(top + row as f64 / scale);
            w.push((to - from) as f64 / scale);
            h.push(1.0 / scale);
            fills.push(Color::Rgb(red, green, blue));
            from = to;
        }
    }
    Primitive::RectBatch { x, y, w, h, fills }
}

fn rgb(paint: Paint, theme: Theme) -> Color {
    let [red, green, blue] = paint.rgb(theme);
    Color::Rgb(red, green, blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_keep_their_places_and_their_colours() {
        let levels = Element::Levels {
            left: 1.0,
            top: 1.0,
            width: 2.0,
            height: 2.0,
            columns: 2,
            levels: vec![0, 255, 128, 0],
        };
        let figure = Figure { width: 4.0, height: 4.0, title: String::new(), elements: vec![levels] };
        let (columns, pixels) = decoded(&png(&figure, Theme::Light).unwrap()).unwrap();
        assert_eq!((columns, pixels.len()), (8, 64));
        let at = |x: usize, y: usize| pixels[8 * y + x];
        for (x, y, level) in [(2, 2, 0), (3, 3, 0), (4, 2, 255), (5, 3, 255), (3, 4, 128), (5, 5, 0)] {
            assert_eq!(at(x, y), colour(f32::from(level as u8) / 255.0), "{x} {y}");
        }
        assert_eq!((at(1, 2), at(6, 5)), ([255; 3], [255; 3]));
    }

    fn text(content: &str, upwards: bool) -> Figure {
        let text = Text {
            at: (60.0, 60.0),
            size: 12,
            anchor: Anchor::Middle,
            bold: false,
            upwards,
            paint: Paint::Ink,
            content: content.into(),
            hint: String::new(),
        };
        Figure { width: 120.0, height: 120.0, title: String::new(), elements: vec![Element::Text(text)] }
    }

    #[test]
    fn text_is_drawn_as_it_is() {
        let drawn = |content: &str| png(&text(content, false), Theme::Dark).unwrap();
        assert_eq!(drawn("$\\alpha$ 5 $"), drawn("$\\alpha$ 5 $"));
        // As mathematics both would be the same letter.
        assert_ne!(drawn("$\\alpha$"), drawn("α"));
        assert_ne!(drawn("a"), drawn("b"));
        assert_eq!(drawn("\u{1b}"), drawn("\u{fffd}"));
    }

    #[test]
    fn turned_text_has_the_same_pixels() {
        for theme in [Theme::Light, Theme::Dark] {
            let of = |upwards| decoded(&png(&text("Loss (dB)", upwards), theme).unwrap()).unwrap();
            let ((columns, lying), (_, turned)) = (of(false), of(true));
            let ground = Paint::Ground.rgb(theme);
            let ink = lying.iter().filter(|pixel| **pixel != ground).count();
            assert!(ink > 300, "{ink}");
            // The place of a letter may differ by a fraction of a pixel along the text, and with it its edges.
            let sum = |pixels: &[[u8; 3]]| {
                pixels.iter().map(|pixel| f64::from(pixel[0].abs_diff(ground[0]))).sum::<f64>()
            };
            assert!((sum(&turned) / sum(&lying) - 1.0).abs() < 0.02, "{} {}", sum(&turned), sum(&lying));
            // Beside the base line there is none of it.
            let right = |pixels: &[[u8; 3]]| {
                let inked = pixels.iter().enumerate().filter(|(_, pixel)| **pixel != ground);
                inked.map(|(index, _)| index % columns).max().unwrap()
            };
            assert!((118..128).contains(&right(&turned)), "{}", right(&turned));
        }
    }
}
