//! One axis: from values to places, and which values are named.

use super::Scale;

/// Beyond this a value is treated as one that is not finite: its square is still a number.
const LARGEST: f64 = 1e150;

/// Whether a value has a place on an axis of this scale.
pub(super) fn placeable(value: f64, scale: Scale) -> bool {
    value.abs() <= LARGEST && (scale == Scale::Linear || value > 1.0 / LARGEST)
}

/// The range of values that an axis shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    scale: Scale,
}

/// Ticks with their labels, and the power of ten that the labels leave out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ticks {
    pub at: Vec<(f64, String)>,
    /// `×10⁵` where the labels are to be multiplied by it, else empty.
    pub factor: String,
}

impl Axis {
    /// An axis of exactly this range, which is widened where it is no range.
    pub fn new(low: f64, high: f64, scale: Scale) -> Self {
        let (low, high) = (low.min(high), low.max(high));
        let magnitude = low.abs().max(high.abs());
        if high - low > magnitude * 1e-9 {
            return Self { low, high, scale };
        }
        let middle = f64::midpoint(low, high);
        match scale {
            Scale::Linear => {
                let half = if magnitude > 0.0 { magnitude * 0.05 } else { 0.5 };
                Self { low: middle - half, high: middle + half, scale }
            }
            Scale::Log => Self { low: middle / 2.0, high: middle * 2.0, scale },
        }
    }

    /// An axis that holds all values that can be placed, with some room at both ends; 0 to 1 (1 to 10) where there are
    /// none.
    pub fn around(values: impl IntoIterator<Item = f64>, scale: Scale) -> Self {
        let ends = values.into_iter().filter(|value| placeable(*value, scale)).fold(
            None,
            |ends: Option<(f64, f64)>, value| {
                let (low, high) = ends.unwrap_or((value, value));
                Some((low.min(value), high.max(value)))
            },
        );
        let Some((low, high)) = ends else {
            return match scale {
                Scale::Linear => Self { low: 0.0, high: 1.0, scale },
                Scale::Log => Self { low: 1.0, high: 10.0, scale },
            };
        };
        let tight = Self::new(low, high, scale);
        match scale {
            Scale::Linear => {
                let room = (tight.high - tight.low) * 0.05;
                Self { low: tight.low - room, high: tight.high + room, scale }
            }
            Scale::Log => {
                let room = (tight.high / tight.low).powf(0.05);
                Self { low: tight.low / room, high: tight.high * room, scale }
            }
        }
    }

    /// The way of a value from the axis' beginning, 0, to its end, 1.
    pub fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    /// At most about `count` ticks at round values, no closer than `least`.
    pub fn ticks(&self, count: f64, least: f64) -> Ticks {
        match self.scale {
            Scale::Linear => self.even(count, least),
            Scale::Log => self.decades(count).unwrap_or_else(|| self.even(count, least)),
        }
    }

    fn even(&self, count: f64, least: f64) -> Ticks {
        let step = step(((self.high - self.low) / count.max(1.0)).max(least));
        let magnitude = self.low.abs().max(self.high.abs());
        let power = magnitude.log10().floor();
        // Long numbers are read as short ones times a power of ten.
        let power = if magnitude > 0.0 && !(1e-2..1e5).contains(&magnitude) { power } else { 0.0 };
        let unit = 10.0_f64.powf(power);
        let decimals = (power - step.log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
        let first = (self.low / step - 1e-9).ceil();
        let at = (0..=(2.0 * count.max(1.0)) as u32)
            .map(|index| (first + f64::from(index)) * step)
            .take_while(|value| *value <= self.high + step * 1e-9)
            // Adding nothing turns -0 into 0.
            .map(|value| (value, minus(&format!("{:.decimals$}", value / unit + 0.0))))
            .collect();
        let factor = if power == 0.0 { String::new() } else { format!("×10{}", raised(power as i64)) };
        Ticks { at, factor }
    }

    /// Powers of ten, with some between them where they are few; none where even so they are too few.
    fn decades(&self, count: f64) -> Option<Ticks> {
        let (first, last) = (self.low.log10().ceil() as i64, self.high.log10().floor() as i64);
        let power = |exponent: i64| 10.0_f64.powi(i32::try_from(exponent).unwrap_or(0));
        if last - first >= 2 {
            let stride = ((last - first) as f64 / count.max(1.0)).ceil().max(1.0) as usize;
            let at = (first..=last).step_by(stride);
            let at = at.map(|exponent| (power(exponent), format!("10{}", raised(exponent)))).collect();
            return Some(Ticks { at, factor: String::new() });
        }
        let between = |factors: &[f64]| -> Vec<(f64, String)> {
            let all =
                (first - 1..=last).flat_map(|exponent| factors.iter().map(move |factor| (*factor, exponent)));
            all.map(|(factor, exponent)| (factor * power(exponent), factor, exponent))
                .filter(|(value, ..)| (self.low..=self.high).contains(value))
                .map(|(value, factor, exponent)| (value, stepped(value, factor, exponent)))
                .collect()
        };
        let at = Some(between(&[1.0, 2.0, 5.0])).filter(|at| at.len() as f64 <= count + 1.0);
        let at = at.unwrap_or_else(|| between(&[1.0, 3.0]));
        (at.len() >= 3).then_some(Ticks { at, factor: String::new() })
    }
}

/// The label of `factor` · 10^`exponent`.
fn stepped(value: f64, factor: f64, exponent: i64) -> String {
    match exponent {
        -4..=4 => {
            let decimals = usize::try_from(-exponent).unwrap_or(0);
            format!("{value:.decimals$}")
        }
        _ if factor == 1.0 => format!("10{}", raised(exponent)),
        _ => format!("{factor}×10{}", raised(exponent)),
    }
}

/// The smallest step of 1, 2 or 5 times a power of ten that is not below `least`.
fn step(least: f64) -> f64 {
    let power = 10.0_f64.powf(least.max(f64::MIN_POSITIVE).log10().floor());
    [1.0, 2.0, 5.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// With a minus sign as long as a digit is wide.
fn minus(number: &str) -> String {
    number.replace('-', "−")
}

/// A whole number in superscript.
fn raised(number: i64) -> String {
    let digit = |character: char| match character {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        _ => '⁰',
    };
    number.to_string().chars().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis, count: f64) -> Vec<String> {
        axis.ticks(count, 0.0).at.into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_lie_on_the_axis() {
        let axis = Axis::new(54.2, 71.3, Scale::Linear);
        assert_eq!(labels(axis, 5.0), ["55", "60", "65", "70"]);
        assert_eq!(
            labels(Axis::new(-0.05, 1.05, Scale::Linear), 6.0),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(Axis::new(-20.0, 20.0, Scale::Linear), 5.0), ["−20", "−10", "0", "10", "20"]);
        // Epochs are whole.
        let whole = Axis::new(1.0, 3.0, Scale::Linear).ticks(8.0, 1.0);
        assert_eq!(whole.at.iter().map(|(value, _)| *value).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn long_numbers_share_a_power_of_ten() {
        let ticks = Axis::new(0.0, 4e6, Scale::Linear).ticks(4.0, 0.0);
        assert_eq!((ticks.factor.as_str(), ticks.at[1].1.as_str()), ("×10⁶", "1"));
        let ticks = Axis::new(0.00413, 0.00459, Scale::Linear).ticks(5.0, 0.0);
        assert_eq!((ticks.factor.as_str(), ticks.at[0].1.as_str()), ("×10⁻³", "4.2"));
    }

    #[test]
    fn decades_are_powers_or_steps_between_them() {
        assert_eq!(labels(Axis::new(0.5, 2000.0, Scale::Log), 5.0), ["10⁰", "10¹", "10²", "10³"]);
        assert_eq!(labels(Axis::new(0.3, 6.0, Scale::Log), 5.0), ["0.5", "1", "2", "5"]);
        assert_eq!(labels(Axis::new(100.0, 9000.0, Scale::Log), 4.0), ["100", "300", "1000", "3000"]);
        assert_eq!(labels(Axis::new(1.1, 1.5, Scale::Log), 4.0), ["1.1", "1.2", "1.3", "1.4", "1.5"]);
        assert!(labels(Axis::new(1e-140, 1e140, Scale::Log), 5.0).len() <= 7);
    }

    #[test]
    fn any_range_has_places_and_few_ticks() {
        let values = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            1e-300,
            1e150,
            -1e150,
            1e15 + 1.0,
            1e15,
            f64::MIN_POSITIVE,
            0.1 + 0.2,
            0.3,
        ];
        for scale in [Scale::Linear, Scale::Log] {
            for low in values {
                for high in values {
                    let axis = Axis::around([low, high, f64::NAN, f64::INFINITY], scale);
                    let ticks = axis.ticks(6.0, 0.0);
                    assert!(ticks.at.len() <= 14, "{scale:?} {low} {high} {ticks:?}");
                    for (value, label) in &ticks.at {
                        let place = axis.place(*value);
                        assert!(
                            (-1e-6..=1.0 + 1e-6).contains(&place),
                            "{scale:?} {low} {high} {value} {place}"
                        );
                        assert!(label.chars().count() <= 12, "{scale:?} {low} {high} {label}");
                    }
                    for value in [low, high].into_iter().filter(|value| placeable(*value, scale)) {
                        let place = axis.place(value);
                        assert!((0.0..=1.0).contains(&place), "{scale:?} {low} {high} {value} {place}");
                    }
                }
            }
        }
    }

    #[test]
    fn one_value_lies_in_the_middle() {
        for value in [0.0, 5.0, -3.0, 1e15] {
            assert!((Axis::around([value], Scale::Linear).place(value) - 0.5).abs() < 1e-6, "{value}");
        }
        assert_eq!(Axis::around([], Scale::Linear), Axis::new(0.0, 1.0, Scale::Linear));
    }
}
