//! How anomaly scores of normal and of anomalous clips are distributed.

use super::axis::{Axis, placeable};
use super::drawing::{Anchor, Element, Text};
use super::grid::{Cell, Grid};
use super::palette::Paint;
use super::sheet::{Key, MARGIN, Plot, SMALL, Sheet, Side, WIDTH, letters};
use super::{Figure, PrintedAuc, Scale};
use crate::dataset::Domain;

/// One panel a machine type.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histograms {
    /// One line above all panels.
    pub title: String,
    /// The score, such as `Mahalanobis distance²`.
    pub x_label: String,
    /// Each with axes of its own: machines' scores have no common scale.
    pub panels: Vec<HistogramPanel>,
}

/// The scores of one machine type.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HistogramPanel {
    /// The machine type.
    pub title: String,
    /// Printed in the panel.
    pub aucs: Vec<PrintedAuc>,
    /// One a labelled test clip.
    pub scores: Vec<Score>,
}

/// The score of one clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Higher is more anomalous.
    pub score: f64,
    /// Its label.
    pub anomalous: bool,
    /// Source and none are drawn upwards, target downwards.
    pub domain: Option<Domain>,
}

const HEIGHT: f64 = 130.0;
/// So that one distribution is seen through the other.
const OPACITY: f64 = 0.4;
/// Scores further from the quartiles than this many times their distance share the outermost bars.
const FENCE: f64 = 4.0;

/// Draw histograms, side by side.
///
/// Bars are shares of their own group (label and domain), so that groups of different sizes compare; those of the target
/// domain hang downwards.
#[must_use]
pub fn histograms(histograms: &Histograms) -> Figure {
    let mut sheet = Sheet::new(&histograms.title);
    sheet.legend(&LABELS.map(|(paint, name)| (Key::Area(paint, OPACITY), name.to_owned())));
    let prepared: Vec<(Counts, &HistogramPanel)> =
        histograms.panels.iter().map(|panel| (Counts::of(&panel.scores), panel)).collect();
    let mirrored = prepared.iter().any(|(counts, _)| counts.target);
    let columns = if prepared.len() == 1 { 1 } else { 2 };
    let mut cells = Vec::new();
    for (index, (counts, panel)) in prepared.iter().enumerate() {
        let ticks = if counts.is_empty() { 0.0 } else { 4.0 };
        // Beside the first one of a row; the scores' name stands below all of them.
        let share = if index % columns == 0 { "Share (%)" } else { "" };
        let y = Side { mirrored: true, ..Side::new(share, ticks) };
        let sides = (Side::new("", ticks), y);
        cells.push(Cell { title: &panel.title, aucs: &panel.aucs, axes: counts.axes(), sides });
    }
    let plots = Grid { columns, height: HEIGHT }.draw(&mut sheet, &cells);
    if let Some(plot) = plots.first() {
        sheet.y += 15.0;
        let middle = f64::midpoint(plot.left, WIDTH - MARGIN);
        let label = Text { anchor: Anchor::Middle, ..letters((middle, sheet.y), &histograms.x_label) };
        sheet.text_within(label, WIDTH - MARGIN - plot.left);
        sheet.y += 4.0;
    }
    for (plot, (counts, _)) in plots.iter().zip(&prepared) {
        counts.draw(&mut sheet, plot);
    }
    let outside: usize = prepared.iter().map(|(counts, _)| counts.outside).sum();
    let missing: usize = prepared.iter().map(|(counts, _)| counts.missing).sum();
    if histograms.panels.is_empty() {
        sheet.note("no scores".into());
    }
    if mirrored {
        sheet.note("upwards: source domain; downwards: target domain; shares are of the clips of a label and a domain".into());
    }
    if outside > 0 {
        sheet.note(format!("{outside} score(s) far outside are counted in the outermost bars"));
    }
    sheet.note_left_out(missing, "score(s)");
    sheet.finish()
}

const LABELS: [(Paint, &str); 2] = [(Paint::Slot(0), "normal"), (Paint::Slot(1), "anomalous")];

/// How many clips have which score.
struct Counts {
    /// Logarithmic where positive scores span more than a decade: distances often have a long tail.
    scale: Scale,
    low: f64,
    high: f64,
    /// Shares in percent, by label and domain; none of a group without clips.
    shares: [[Vec<f64>; 2]; 2],
    /// Whether there are clips of the target domain.
    target: bool,
    /// Scores beyond the outermost bars.
    outside: usize,
    /// Scores that are no numbers.
    missing: usize,
}

impl Counts {
    fn of(scores: &[Score]) -> Self {
        let known: Vec<&Score> =
            scores.iter().filter(|score| placeable(score.score, Scale::Linear)).collect();
        let mut sorted: Vec<f64> = known.iter().map(|score| score.score).collect();
        sorted.sort_by(f64::total_cmp);
        let scale = scale(&sorted);
        // Bars are as wide as each other on the axis.
        let placed = |score: f64| if scale == Scale::Log { score.ln() } else { score };
        let sorted: Vec<f64> = sorted.into_iter().map(placed).collect();
        let (low, high) = range(&sorted);
        // Freedman and Diaconis' width (1981), within what can be seen.
        let quartiles = quartile(&sorted, 3) - quartile(&sorted, 1);
        let width = 2.0 * quartiles / (sorted.len().max(1) as f64).cbrt();
        let bins = if width > 0.0 { ((high - low) / width).ceil().clamp(8.0, 40.0) as usize } else { 20 };
        let mut counts = [[vec![0_usize; bins], vec![0; bins]], [vec![0; bins], vec![0; bins]]];
        for score in &known {
            let bin = (bins as f64 * (placed(score.score) - low) / (high - low)) as usize;
            let domain = usize::from(score.domain == Some(Domain::Target));
            counts[usize::from(score.anomalous)][domain][bin.min(bins - 1)] += 1;
        }
        let shares = counts.map(|label| {
            label.map(|bins| match bins.iter().sum::<usize>() {
                0 => Vec::new(),
                all => bins.into_iter().map(|count| 100.0 * count as f64 / all as f64).collect(),
            })
        });
        Self {
            target: known.iter().any(|score| score.domain == Some(Domain::Target)),
            outside: sorted.iter().filter(|score| !(low..=high).contains(*score)).count(),
            missing: scores.len() - known.len(),
            low: if scale == Scale::Log { low.exp() } else { low },
            high: if scale == Scale::Log { high.exp() } else { high },
            scale,
            shares,
        }
    }

    fn is_empty(&self) -> bool {
        self.shares.iter().flatten().all(Vec::is_empty)
    }

    fn axes(&self) -> (Axis, Axis) {
        let highest = |domain: usize| {
            self.shares.iter().flat_map(|label| &label[domain]).copied().fold(0.0, f64::max) * 1.08
        };
        let (up, down) = (highest(0), highest(1));
        let up = if up + down > 0.0 { up } else { 1.0 };
        (Axis::new(self.low, self.high, self.scale), Axis::new(-down, up, Scale::Linear))
    }

    fn draw(&self, sheet: &mut Sheet, plot: &Plot) {
        if self.is_empty() {
            sheet.nothing(plot, "no scores");
            return;
        }
        for (label, (paint, _)) in self.shares.iter().zip(LABELS) {
            for (domain, sign) in label.iter().zip([1.0, -1.0]) {
                let outline = Self::outline(domain, sign, plot);
                sheet.add(Element::Area { points: outline.clone(), paint, opacity: OPACITY });
                sheet.add(Element::Line {
                    points: outline,
                    paint,
                    width: 1.2,
                    dashed: false,
                    hint: String::new(),
                });
            }
        }
        if self.target {
            let base = plot.at(self.low, 0.0);
            sheet.line(base, (plot.left + plot.width, base.1), Paint::Ink);
            let right = plot.left + plot.width - 4.0;
            for (y, name) in [(plot.top + 12.0, "source"), (plot.top + plot.height - 5.0, "target")] {
                let text = Text {
                    size: SMALL,
                    paint: Paint::Faint,
                    anchor: Anchor::End,
                    ..letters((right, y), name)
                };
                sheet.text(text);
            }
        }
    }

    /// Steps from the base line and back to it; nothing of a group without clips.
    fn outline(shares: &[f64], sign: f64, plot: &Plot) -> Vec<(f64, f64)> {
        // The axis begins with the first bar and ends with the last one.
        let at = |index: usize, share: f64| {
            let x = plot.left + plot.width * index as f64 / shares.len() as f64;
            (x, plot.top + plot.height * (1.0 - plot.y.place(sign * share)))
        };
        if shares.is_empty() {
            return Vec::new();
        }
        let steps =
            shares.iter().enumerate().flat_map(|(index, share)| [at(index, *share), at(index + 1, *share)]);
        [at(0, 0.0)].into_iter().chain(steps).chain([at(shares.len(), 0.0)]).collect()
    }
}

/// How scores are spread over their axis.
fn scale(sorted: &[f64]) -> Scale {
    let at = |hundredths: usize| sorted.get(hundredths * sorted.len() / 100).copied();
    let spread = sorted.first().zip(at(5)).zip(at(95));
    match spread {
        Some(((least, low), high)) if placeable(*least, Scale::Log) && high > 10.0 * low => Scale::Log,
        _ => Scale::Linear,
    }
}

/// The scores that the bars span: all but those far outside.
fn range(sorted: &[f64]) -> (f64, f64) {
    let (Some(lowest), Some(highest)) = (sorted.first(), sorted.last()) else {
        return (0.0, 1.0);
    };
    let (lower, upper) = (quartile(sorted, 1), quartile(sorted, 3));
    let reach = FENCE * (upper - lower);
    let (low, high) = match reach > 0.0 {
        true => (lowest.max(lower - reach), highest.min(upper + reach)),
        false => (*lowest, *highest),
    };
    if low < high {
        (low, high)
    } else {
        (low - low.abs().max(1.0) * 0.05, high + high.abs().max(1.0) * 0.05)
    }
}

/// The value that `number` quarters of the values lie below; 0 of none.
fn quartile(sorted: &[f64], number: usize) -> f64 {
    sorted.get((number * sorted.len() / 4).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figure::Theme;

    fn score(score: f64, anomalous: bool, domain: Option<Domain>) -> Score {
        Score { score, anomalous, domain }
    }

    fn panel(scores: Vec<Score>) -> HistogramPanel {
        let aucs = vec![
            PrintedAuc { name: "AUC".into(), auc: Some(0.7268) },
            PrintedAuc { name: "target".into(), auc: None },
        ];
        HistogramPanel { title: "gear & box".into(), aucs, scores }
    }

    fn of(panels: Vec<HistogramPanel>) -> Histograms {
        Histograms { title: "Scores".into(), x_label: "Mahalanobis distance²".into(), panels }
    }

    #[test]
    fn shares_are_of_their_group_and_add_up() {
        let scores: Vec<Score> = (0..90)
            .map(|index| {
                score(
                    f64::from(index),
                    index % 3 == 0,
                    Some(if index % 2 == 0 { Domain::Source } else { Domain::Target }),
                )
            })
            .collect();
        let counts = Counts::of(&scores);
        for shares in counts.shares.iter().flatten() {
            assert!((shares.iter().sum::<f64>() - 100.0).abs() < 1e-9, "{shares:?}");
        }
        assert!(counts.target && counts.outside == 0 && counts.missing == 0);
        assert_eq!((counts.low, counts.high), (0.0, 89.0));
    }

    #[test]
    fn one_far_score_does_not_squeeze_the_others() {
        let mut scores: Vec<Score> = (0..100).map(|index| score(f64::from(index), false, None)).collect();
        scores.push(score(1e9, true, None));
        scores.push(score(f64::NAN, true, None));
        let counts = Counts::of(&scores);
        assert!(counts.high < 400.0, "{}", counts.high);
        assert_eq!((counts.outside, counts.missing), (1, 1));
        // It is in the last bar nevertheless.
        assert_eq!(counts.shares[1][0].last(), Some(&100.0));
        let svg = histograms(&of(vec![panel(scores)])).svg(Theme::Light);
        assert!(
            svg.contains("1 score(s) far outside") && svg.contains("1 score(s) without a place"),
            "{svg}"
        );
        assert!(
            svg.contains("AUC 72.68 %") && svg.contains("target -") && svg.contains("gear &amp; box"),
            "{svg}"
        );
        assert!(!svg.contains(">source<"), "there is no domain to name: {svg}");
    }

    #[test]
    fn a_long_tail_has_a_logarithmic_axis() {
        let tail = |factor: f64| {
            let value = |index: i32| factor * 1.1_f64.powi(index);
            Counts::of(&(0..90).map(|index| score(value(index), index % 2 == 0, None)).collect::<Vec<_>>())
        };
        let counts = tail(3.0);
        assert_eq!(counts.scale, Scale::Log);
        assert!((counts.low - 3.0).abs() < 1e-9 && (counts.high / 3.0 - 1.1_f64.powi(89)).abs() < 1e-6);
        // Evenly spaced on the axis, so evenly spread over the bars.
        let [normal, _] = &counts.shares[0];
        assert!(normal.iter().all(|share| *share > 0.0), "{normal:?}");
        assert_eq!(tail(-3.0).scale, Scale::Linear, "negative scores have no logarithm");
        let narrow: Vec<Score> = (0..50).map(|index| score(100.0 + f64::from(index), false, None)).collect();
        assert_eq!(Counts::of(&narrow).scale, Scale::Linear);
    }

    #[test]
    fn little_is_no_reason_to_fail() {
        let same = vec![score(5.0, false, Some(Domain::Target)); 10];
        for scores in [vec![], vec![score(f64::NAN, true, None)], vec![score(-0.0, true, None)], same] {
            let figure = histograms(&of(vec![panel(scores.clone()), panel(scores)]));
            let svg = figure.svg(Theme::Dark);
            assert!(!svg.contains("NaN") && !svg.contains("inf") && figure.png().is_ok(), "{svg}");
        }
        assert!(histograms(&Histograms::default()).svg(Theme::Light).contains(">no scores<"));
        let many = (0..10_000).map(|index| score(f64::from(index).sqrt(), index % 7 == 0, None)).collect();
        let many = of(vec![panel(many)]);
        assert_eq!(histograms(&many).png().unwrap(), histograms(&many).png().unwrap());
    }
}
