//! Log-mels as a picture: one self-contained SVG, for browsers, papers and eyes.

use std::fmt::Write;

use ndarray::ArrayView2;

use super::svg::{base64, escape};
use super::viridis::{COLOURS, indexed_png};
use crate::audio::LogMel;

/// One log-mel of a picture.
#[derive(Debug, Clone)]
pub struct Panel<'a> {
    /// What it is, in a line.
    pub title: String,
    /// `[frames, n_mels]`, in dB.
    pub logmel: ArrayView2<'a, f32>,
}

// Sizes in pixels.
const LEFT: f64 = 66.0;
const TOP: f64 = 46.0;
const PANEL_WIDTH: f64 = 860.0;
const PANEL_HEIGHT: f64 = 190.0;
/// A panel with its title, its tick labels and the gap to the next one.
const PANEL_STEP: f64 = PANEL_HEIGHT + 58.0;
const BAR_LEFT: f64 = LEFT + PANEL_WIDTH + 24.0;
const BAR_WIDTH: f64 = 16.0;
const WIDTH: f64 = BAR_LEFT + BAR_WIDTH + 62.0;

/// Log-mels one below the other, with the same colours for the same decibels.
///
/// Time runs to the right, in seconds; frequency upwards, in Hz at the places of the mel bands. The colours span from
/// the level that a hundredth of all values lie below to the highest one: what lies at the front end's floor would
/// otherwise take most of them. Every text is escaped.
#[must_use]
pub fn spectrograms(title: &str, panels: &[Panel<'_>], front_end: &LogMel) -> String {
    let range_db = range_db(panels);
    let height = TOP + PANEL_STEP * panels.len() as f64 + 12.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{WIDTH}\" \
         height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"Helvetica, Arial, sans-serif\" \
         font-size=\"12\" fill=\"#222\">\n<title>{0}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{0}</text>\n",
        escape(title)
    );
    for (index, panel) in panels.iter().enumerate() {
        let top = TOP + PANEL_STEP * index as f64 + 22.0;
        text(&mut svg, LEFT, top - 8.0, "start", &panel.title);
        if let Some(png) = raster(panel.logmel, range_db) {
            let data = base64(&png);
            let _ = writeln!(
                svg,
                "<image x=\"{LEFT}\" y=\"{top}\" width=\"{PANEL_WIDTH}\" height=\"{PANEL_HEIGHT}\" \
                 preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" \
                 xlink:href=\"data:image/png;base64,{data}\"/>"
            );
        }
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{PANEL_WIDTH}\" height=\"{PANEL_HEIGHT}\" fill=\"none\" \
             stroke=\"#222\"/>"
        );
        let spec = front_end.spec();
        let duration_s =
            panel.logmel.nrows() as f64 * spec.hop_samples as f64 / f64::from(spec.rate_hz.max(1));
        time_axis(&mut svg, top + PANEL_HEIGHT, duration_s);
        frequency_axis(&mut svg, top, &front_end.band_edges_hz());
    }
    if !panels.is_empty() {
        colour_bar(&mut svg, PANEL_STEP * (panels.len() - 1) as f64 + PANEL_HEIGHT, range_db);
    }
    svg + "</svg>\n"
}

/// Lowest and highest level that have a colour of their own.
fn range_db(panels: &[Panel<'_>]) -> (f32, f32) {
    let mut values: Vec<f32> =
        panels.iter().flat_map(|panel| panel.logmel.iter().copied()).filter(|v| v.is_finite()).collect();
    let hundredth = values.len() / 100;
    if values.is_empty() {
        return (-1.0, 0.0);
    }
    let low = *values.select_nth_unstable_by(hundredth, f32::total_cmp).1;
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    (low.min(high - 1.0), high)
}

/// The pixels, one per value, highest band first: a PNG of 256 colours. `None` where there is nothing to show.
fn raster(logmel: ArrayView2<'_, f32>, (low, high): (f32, f32)) -> Option<Vec<u8>> {
    let (frames, bands) = logmel.dim();
    // A float becomes an integer between the ends of the range, whatever it was.
    let level = |value: f32| (255.0 * (value - low) / (high - low)).round() as u8;
    let pixels: Vec<u8> = (0..bands).rev().flat_map(|band| logmel.column(band).to_vec()).map(level).collect();
    indexed_png(frames, bands, &pixels)
}

fn time_axis(svg: &mut String, bottom: f64, duration_s: f64) {
    if duration_s <= 0.0 {
        return;
    }
    let step_s = step(duration_s, 12.0);
    let decimals = if step_s < 0.1 { 2 } else { usize::from(step_s < 1.0) };
    for tick in 0.. {
        let at_s = f64::from(tick) * step_s;
        // Not where the unit stands.
        if at_s > 0.97 * duration_s {
            break;
        }
        let x = LEFT + PANEL_WIDTH * at_s / duration_s;
        line(svg, (x, bottom), (x, bottom + 5.0));
        text(svg, x, bottom + 18.0, "middle", &format!("{at_s:.decimals$}"));
    }
    text(svg, LEFT + PANEL_WIDTH, bottom + 18.0, "end", "s");
}

/// Octaves of 125 Hz, at the places of the mel bands.
fn frequency_axis(svg: &mut String, top: f64, edges_hz: &[f64]) {
    let bands = edges_hz.len().saturating_sub(2).max(1) as f64;
    text(svg, LEFT - 8.0, top - 8.0, "end", "Hz");
    let mut above = f64::NEG_INFINITY;
    for octave in (0..12).rev() {
        let at_hz = 125.0 * f64::from(1_u32 << octave);
        // Edge i + 1 is the centre of band i, which spans from i to i + 1.
        // The highest one is rounded, and is to have its tick.
        let beyond = edges_hz.iter().position(|edge| *edge >= at_hz * (1.0 - 1e-9));
        let Some(right) = beyond.filter(|index| *index > 0) else {
            continue;
        };
        let way = (at_hz - edges_hz[right - 1]) / (edges_hz[right] - edges_hz[right - 1]);
        let place = (right as f64 - 1.5 + way).clamp(0.0, bands);
        let y = top + PANEL_HEIGHT * (1.0 - place / bands);
        // Room for a line of text.
        if y < above + 13.0 {
            continue;
        }
        above = y;
        line(svg, (LEFT - 5.0, y), (LEFT, y));
        text(svg, LEFT - 8.0, y + 4.0, "end", &format!("{at_hz}"));
    }
}

fn colour_bar(svg: &mut String, height: f64, (low, high): (f32, f32)) {
    let top = TOP + 22.0;
    svg.push_str("<defs><linearGradient id=\"level\" x1=\"0\" y1=\"1\" x2=\"0\" y2=\"0\">");
    for (index, [red, green, blue]) in COLOURS.iter().enumerate() {
        let _ =
            write!(svg, "<stop offset=\"{}%\" stop-color=\"#{red:02x}{green:02x}{blue:02x}\"/>", 10 * index);
    }
    let _ = writeln!(
        svg,
        "</linearGradient></defs>\n<rect x=\"{BAR_LEFT}\" y=\"{top}\" width=\"{BAR_WIDTH}\" height=\"{height}\" \
         fill=\"url(#level)\" stroke=\"#222\"/>"
    );
    let right = BAR_LEFT + BAR_WIDTH;
    text(svg, BAR_LEFT, top - 8.0, "start", "dB");
    let (low, high) = (f64::from(low), f64::from(high));
    let step_db = step(high - low, height / 60.0);
    let decimals = if step_db < 0.1 { 2 } else { usize::from(step_db < 1.0) };
    let mut tick = (low / step_db).ceil();
    while tick * step_db <= high {
        let y = top + height * (1.0 - (tick * step_db - low) / (high - low));
        line(svg, (right, y), (right + 5.0, y));
        text(svg, right + 8.0, y + 4.0, "start", &format!("{:.decimals$}", tick * step_db + 0.0));
        tick += 1.0;
    }
}

/// A step of 1, 2 or 5 times a power of ten with at most `ticks` of them in `range`.
fn step(range: f64, ticks: f64) -> f64 {
    let least = (range / ticks.max(1.0)).clamp(1e-6, 1e6);
    let power = 10.0_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(10.0 * power)
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ =
        writeln!(svg, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#222\"/>");
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, content: &str) {
    let _ =
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(content));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::LogMelSpec;
    use ndarray::Array2;

    fn front_end() -> LogMel {
        LogMel::new(&LogMelSpec::default()).unwrap()
    }

    #[test]
    fn the_raster_has_a_pixel_per_value_with_high_bands_on_top() {
        let logmel = Array2::from_shape_fn((3, 2), |(frame, band)| (10 * frame + 100 * band) as f32);
        let bytes = raster(logmel.view(), (0.0, 120.0)).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (3, 2));
        let level = |value: f32| (255.0 * value / 120.0).round() as u8;
        assert_eq!(pixels[..6], [100.0, 110.0, 120.0, 0.0, 10.0, 20.0].map(level));
        assert!(raster(Array2::zeros((0, 2)).view(), (0.0, 1.0)).is_none());
    }

    #[test]
    fn panels_share_their_range_and_floors_do_not_widen_it() {
        let mut quiet = Array2::from_elem((100, 10), -60.0_f32);
        quiet[[0, 0]] = -156.0;
        let loud = Array2::from_elem((100, 10), -10.0_f32);
        let panel = |logmel| Panel { title: String::new(), logmel };
        assert_eq!(range_db(&[panel(quiet.view()), panel(loud.view())]), (-60.0, -10.0));
        assert_eq!(range_db(&[panel(loud.view())]), (-11.0, -10.0));
        assert_eq!(range_db(&[]), (-1.0, 0.0));
    }

    #[test]
    fn steps_are_round_and_few() {
        assert_eq!([10.0, 1.0, 0.3, 60.0].map(|range| step(range, 10.0)), [1.0, 0.1, 0.05, 10.0]);
        assert!(step(0.0, 10.0) > 0.0 && step(f64::INFINITY, 10.0).is_finite());
    }

    #[test]
    fn text_is_escaped_and_axes_are_labelled() {
        let logmel = Array2::from_shape_fn((313, 128), |(frame, band)| -((frame + band) as f32) / 8.0);
        let panel = Panel { title: "a < b & \"c\"\u{1b}".into(), logmel: logmel.view() };
        let svg = spectrograms("<clip>", &[panel.clone(), panel], &front_end());
        assert!(svg.contains("a &lt; b &amp; &quot;c&quot;\u{fffd}</text>"));
        assert!(svg.contains("<title>&lt;clip&gt;</title>") && !svg.contains("<clip>"));
        assert_eq!(svg.matches("data:image/png;base64,iVBORw0KGgo").count(), 2);
        for label in [">250<", ">8000<", ">9<", ">s<", ">Hz<", ">dB<", ">-50<"] {
            assert!(svg.contains(label), "no {label}");
        }
        // Nothing to draw is no reason to fail.
        let empty =
            Panel { title: "none".into(), logmel: ndarray::ArrayView2::from_shape((0, 128), &[]).unwrap() };
        assert!(!spectrograms("none", &[empty], &front_end()).contains("NaN"));
        assert!(spectrograms("none", &[], &front_end()).ends_with("</svg>\n"));
    }
}
