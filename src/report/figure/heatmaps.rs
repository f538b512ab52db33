//! Spectrograms one below the other, with the same colours for the same decibels.

use ndarray::Array2;

use super::axis::Axis;
use super::drawing::{Anchor, Element, Text};
use super::lettering::width;
use super::palette::Paint;
use super::sheet::{LABEL, MARGIN, Plot, SMALL, Sheet, Side, WIDTH, below, letters};
use super::{Figure, Scale};

/// Spectrograms that share their colours.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeatMaps {
    /// One line above all panels.
    pub title: String,
    /// Unit of the colour bar, such as `dB`.
    pub unit: String,
    /// From top to bottom.
    pub panels: Vec<HeatMap>,
}

/// One spectrogram.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// What it is, in a line.
    pub title: String,
    /// `[frames, bins]`, in the unit of the colour bar.
    pub values: Array2<f32>,
    /// From the first frame's start to the last one's end, in seconds.
    pub duration_s: f64,
    /// Where the bins lie.
    pub frequencies: Frequencies,
}

/// Where the bins of a spectrogram lie.
#[derive(Debug, Clone, PartialEq)]
pub enum Frequencies {
    /// Evenly from 0 Hz to this one, in Hz.
    Linear(f64),
    /// Edges of mel bands in Hz, two more than bins: band i spans from edge i to edge i + 2.
    MelEdges(Vec<f64>),
}

const HEIGHT: f64 = 118.0;
/// Values that are drawn at most, across and down: two for each of the picture's units.
const DENSITY: f64 = 2.0;
/// Between the plots and the colour bar, and its width.
const BAR: (f64, f64) = (10.0, 11.0);

/// Draw spectrograms.
///
/// The colours span from the level that a hundredth of all values lie below to the highest one: what lies at the front
/// end's floor would otherwise take most of them. Where there are more values than room, each place shows their mean.
#[must_use]
pub fn heatmaps(heatmaps: &HeatMaps) -> Figure {
    let mut sheet = Sheet::new(&heatmaps.title);
    let panels = &heatmaps.panels;
    let (low, high) = range(panels);
    let levels = Axis::new(low, high, Scale::Linear);
    let level_ticks = levels.ticks(5.0, 0.0);
    let widest = |ticks: &[(f64, String)]| {
        ticks.iter().map(|(_, label)| width(label, f64::from(SMALL))).fold(0.0, f64::max)
    };
    let left_room = panels.iter().map(|panel| widest(&panel.frequencies.ticks())).fold(20.0, f64::max);
    let left = whole(MARGIN + left_room + 26.0);
    let right = WIDTH - MARGIN - widest(&level_ticks.at) - 9.0 - BAR.0 - BAR.1;
    let across = whole(right - left);
    let mut ends = None;
    for (index, panel) in panels.iter().enumerate() {
        // Time is named below the last one, or where the next one has another.
        let last = panels.get(index + 1).is_none_or(|next| next.duration_s != panel.duration_s);
        let time = if panel.duration_s.is_finite() { panel.duration_s.max(0.0) } else { 0.0 };
        sheet.y = whole(sheet.y + 20.0);
        let plot = Plot {
            left,
            top: sheet.y,
            width: across,
            height: HEIGHT,
            x: Axis::new(0.0, time, Scale::Linear),
            y: Axis::new(0.0, 1.0, Scale::Linear),
        };
        let title = Text { size: LABEL, bold: true, ..letters((left, plot.top - 5.0), &panel.title) };
        sheet.text_within(title, across);
        let sides = (
            Side::new(if last { "Time (s)" } else { "" }, if time > 0.0 && last { 7.0 } else { 0.0 }),
            Side::new("", 0.0),
        );
        sheet.axes(&plot, sides.0, sides.1);
        let (columns, values) =
            cells(&panel.values, (DENSITY * across) as usize, (DENSITY * HEIGHT) as usize);
        if values.is_empty() {
            sheet.nothing(&plot, "no values");
        } else {
            let level = |value: f32| (255.0 * levels.place(f64::from(value))).round() as u8;
            let levels = values.into_iter().map(level).collect();
            sheet.add(Element::Levels {
                left,
                top: plot.top,
                width: across,
                height: HEIGHT,
                columns,
                levels,
            });
            frequencies(&mut sheet, &plot, &panel.frequencies);
        }
        ends = Some((ends.map_or(plot.top, |(top, _)| top), plot.top + HEIGHT));
        sheet.y = plot.top + HEIGHT + if last { below(sides.0) } else { 6.0 };
    }
    match ends {
        Some(ends) => {
            colour_bar(&mut sheet, (left + across + BAR.0, ends), &levels, &level_ticks.at, &heatmaps.unit)
        }
        None => sheet.note("no spectrograms".into()),
    }
    let missing = panels.iter().flat_map(|panel| &panel.values).filter(|value| !value.is_finite()).count();
    if missing > 0 {
        sheet.note(format!("{missing} value(s) that are not finite are drawn as the lowest"));
    }
    sheet.finish()
}

/// Pixels of the rasteriser begin at whole units.
fn whole(value: f64) -> f64 {
    value.round()
}

/// Lowest and highest level that have a colour of their own.
fn range(panels: &[HeatMap]) -> (f64, f64) {
    let mut values: Vec<f32> = panels
        .iter()
        .flat_map(|panel| panel.values.iter().copied())
        .filter(|value| value.is_finite())
        .collect();
    let hundredth = values.len() / 100;
    if values.is_empty() {
        return (-1.0, 0.0);
    }
    let low = *values.select_nth_unstable_by(hundredth, f32::total_cmp).1;
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (low, high) = (f64::from(low), f64::from(high));
    // One unit at least: what differs by less looks the same.
    (low.min(high - 1.0), high)
}

/// Values row by row from the highest bin, and how many a row has: those that there are, or means where they are more
/// than `across` in a row or `down` rows.
fn cells(values: &Array2<f32>, across: usize, down: usize) -> (usize, Vec<f32>) {
    let (frames, bins) = values.dim();
    let (columns, rows) = (frames.min(across), bins.min(down));
    if columns == 0 || rows == 0 {
        return (0, Vec::new());
    }
    let span = |index: usize, of: usize, all: usize| index * all / of..((index + 1) * all).div_ceil(of);
    let mut cells = Vec::with_capacity(columns * rows);
    for row in (0..rows).rev() {
        for column in 0..columns {
            let (mut sum, mut count) = (0.0, 0.0);
            for frame in span(column, columns, frames) {
                for bin in span(row, rows, bins) {
                    sum += f64::from(values[[frame, bin]]);
                    count += 1.0;
                }
            }
            cells.push((sum / count) as f32);
        }
    }
    (columns, cells)
}

impl Frequencies {
    /// Ways from the lowest bin's edge to the highest one's, and the frequency there in Hz.
    fn ticks(&self) -> Vec<(f64, String)> {
        match self {
            Self::Linear(highest_hz) => {
                if !highest_hz.is_finite() || *highest_hz <= 0.0 {
                    return Vec::new();
                }
                let axis = Axis::new(0.0, *highest_hz, Scale::Linear);
                let ticks = axis.ticks(5.0, 0.0);
                ticks.at.into_iter().map(|(hz, _)| (axis.place(hz), hz.to_string())).collect()
            }
            Self::MelEdges(edges_hz) => {
                let bands = edges_hz.len().saturating_sub(2).max(1) as f64;
                // Octaves of 125 Hz, at the places of the bands: edge i + 1 is the centre of band i.
                let octaves = (0..12).map(|octave| 125.0 * f64::from(1_u32 << octave));
                let place = |hz: f64| {
                    // The highest edge is rounded, and is to have its tick.
                    let beyond = edges_hz.iter().position(|edge| *edge >= hz * (1.0 - 1e-9))?;
                    let (from, to) = (edges_hz.get(beyond.checked_sub(1)?)?, edges_hz.get(beyond)?);
                    let way = (beyond as f64 - 1.5 + (hz - from) / (to - from)) / bands;
                    way.is_finite().then(|| way.clamp(0.0, 1.0))
                };
                octaves.filter_map(|hz| Some((place(hz)?, hz.to_string()))).collect()
            }
        }
    }
}

fn frequencies(sheet: &mut Sheet, plot: &Plot, frequencies: &Frequencies) {
    let small = |at, content: &str| Text {
        size: SMALL,
        paint: Paint::Faint,
        anchor: Anchor::End,
        ..letters(at, content)
    };
    let mut above = f64::NEG_INFINITY;
    // From the top, where every octave has room.
    for (way, label) in frequencies.ticks().iter().rev() {
        let y = plot.top + plot.height * (1.0 - way);
        if y < above + 13.0 {
            continue;
        }
        above = y;
        sheet.line((plot.left - 4.0, y), (plot.left, y), Paint::Faint);
        sheet.text(small((plot.left - 6.0, y + 4.0), label));
    }
    let at = (MARGIN + 10.0, plot.top + plot.height / 2.0);
    let label =
        Text { anchor: Anchor::Middle, size: SMALL + 1, upwards: true, ..letters(at, "Frequency (Hz)") };
    sheet.text_within(label, plot.height);
}

fn colour_bar(
    sheet: &mut Sheet,
    (left, (top, bottom)): (f64, (f64, f64)),
    axis: &Axis,
    ticks: &[(f64, String)],
    unit: &str,
) {
    let height = bottom - top;
    let levels = (0..=255).rev().collect();
    sheet.add(Element::Levels { left, top, width: BAR.1, height, columns: 1, levels });
    let small = |at, content: &str| Text { size: SMALL, paint: Paint::Faint, ..letters(at, content) };
    let right = left + BAR.1;
    for (value, label) in ticks {
        let y = top + height * (1.0 - axis.place(*value));
        sheet.line((right, y), (right + 3.0, y), Paint::Faint);
        sheet.text(small((right + 7.0, y + 4.0), label));
    }
    sheet.text_within(Text { paint: Paint::Ink, ..small((left, top - 5.0), unit) }, WIDTH - MARGIN - left);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figure::Theme;

    fn panel(title: &str, values: Array2<f32>, frequencies: Frequencies) -> HeatMap {
        HeatMap { title: title.into(), values, duration_s: 2.5, frequencies }
    }

    fn of(panels: Vec<HeatMap>) -> HeatMaps {
        HeatMaps { title: "Clip".into(), unit: "dB".into(), panels }
    }

    #[test]
    fn cells_are_the_values_or_their_means() {
        let values = Array2::from_shape_fn((4, 2), |(frame, bin)| (frame + 10 * bin) as f32);
        assert_eq!(cells(&values, 100, 100), (4, vec![10.0, 11.0, 12.0, 13.0, 0.0, 1.0, 2.0, 3.0]));
        assert_eq!(cells(&values, 2, 1), (2, vec![5.5, 7.5]));
        assert_eq!(cells(&Array2::zeros((0, 3)), 2, 1), (0, vec![]));
        // A value at the edge of two places belongs to both, and none is lost.
        let three = Array2::from_shape_fn((3, 1), |(frame, _)| frame as f32);
        assert_eq!(cells(&three, 2, 1), (2, vec![0.5, 1.5]));
    }

    #[test]
    fn axes_name_seconds_hertz_and_decibels() {
        let values = || Array2::from_shape_fn((200, 64), |(frame, bin)| -((frame + bin) as f32) / 4.0);
        let edges: Vec<f64> = (0..66).map(|index| 8000.0 * f64::from(index) / 65.0).collect();
        let figure = heatmaps(&of(vec![
            panel("mixture & noise", values(), Frequencies::Linear(8000.0)),
            panel("mel", values(), Frequencies::MelEdges(edges)),
        ]));
        let svg = figure.svg(Theme::Light);
        for text in [
            ">Time (s)<",
            ">Frequency (Hz)<",
            ">8000<",
            ">2000<",
            ">dB<",
            ">−40<",
            ">2.5<",
            "mixture &amp; noise",
        ] {
            assert!(svg.contains(text), "no {text}");
        }
        // Two panels and the colour bar.
        assert_eq!(svg.matches("data:image/png;base64,iVBORw0KGgo").count(), 3);
        assert!(!svg.contains(" id="));
        assert_eq!(figure.png().unwrap(), figure.clone().png().unwrap());
    }

    #[test]
    fn mel_ticks_lie_where_their_bands_lie() {
        // Bands as wide as their step: band i is centred at 125·(i + 1) Hz and spans one step there.
        let edges: Vec<f64> = (0..=9).map(|index| 125.0 * f64::from(index)).collect();
        let ticks = Frequencies::MelEdges(edges).ticks();
        // 125 Hz is the middle of the first of eight bands.
        assert_eq!(ticks[0], (0.5 / 8.0, "125".to_owned()));
        assert_eq!(ticks[3], (7.5 / 8.0, "1000".to_owned()));
        assert!(Frequencies::MelEdges(vec![]).ticks().is_empty());
        assert!(Frequencies::MelEdges(vec![f64::NAN; 4]).ticks().is_empty());
        assert!(Frequencies::Linear(f64::NAN).ticks().is_empty());
    }

    #[test]
    fn odd_values_are_no_reason_to_fail() {
        let mut some = Array2::from_elem((5, 4), 1.0_f32);
        some[[0, 0]] = f32::NAN;
        some[[1, 0]] = f32::NEG_INFINITY;
        let all = Array2::from_elem((5, 4), f32::NAN);
        let huge = Array2::from_elem((5, 4), f32::MAX);
        let large = Array2::from_shape_fn((10_000, 513), |(frame, bin)| ((frame * bin) % 97) as f32);
        let small = [some.clone(), all, huge, Array2::zeros((0, 0)), Array2::zeros((1, 1))].into_iter();
        let durations_s = [2.5, 0.0, f64::NAN, f64::INFINITY, -1.0];
        let panels = small.zip(durations_s).chain([(large, 2.5), (some.clone(), 1e300)]);
        for (values, duration_s) in panels {
            let one = HeatMap { duration_s, ..panel(&"x".repeat(200), values, Frequencies::Linear(8000.0)) };
            let figure = heatmaps(&of(vec![one.clone(), one]));
            let svg = figure.svg(Theme::Dark);
            assert!(!svg.contains("NaN\"") && !svg.contains("inf\"") && figure.png().is_ok());
            assert!(svg.len() < 2_000_000, "{}", svg.len());
        }
        let svg = heatmaps(&of(vec![panel("a", some, Frequencies::Linear(1.0))])).svg(Theme::Light);
        assert!(svg.contains("2 value(s) that are not finite"), "{svg}");
        assert!(heatmaps(&HeatMaps::default()).svg(Theme::Light).contains(">no spectrograms<"));
    }
}
