//! Colours and markers that tell apart what a figure shows, for every kind of colour vision.

use super::Theme;

/// Okabe and Ito's colours ("Color universal design", 2008) in the order in which they are given out: blue, vermillion,
/// bluish green, reddish purple, orange, sky blue. Their yellow and black are left out: one vanishes on white, the other
/// on black.
const COLOURS: [[u8; 3]; 6] = [
    [0x00, 0x72, 0xb2],
    [0xd5, 0x5e, 0x00],
    [0x00, 0x9e, 0x73],
    [0xcc, 0x79, 0xa7],
    [0xe6, 0x9f, 0x00],
    [0x56, 0xb4, 0xe9],
];

/// How many things have a colour of their own: those and a grey.
pub(super) const SLOTS: usize = COLOURS.len() + 1;

/// What a colour is for. Which colour that is depends on the theme.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Paint {
    /// What the picture lies on.
    Ground,
    /// Text and axes.
    Ink,
    /// Text that is read second.
    Faint,
    /// Lines that help the eye.
    Grid,
    /// A colour of the palette, by position, again from the first after [`SLOTS`].
    Slot(usize),
    /// The same, nearly sunk into the ground: for many lines of which none matters alone.
    Pale(usize),
}

impl Paint {
    pub fn rgb(self, theme: Theme) -> [u8; 3] {
        let light = theme == Theme::Light;
        let of = |on_light, on_dark| if light { on_light } else { on_dark };
        match self {
            Self::Ground => of([0xff; 3], [0x16, 0x18, 0x1c]),
            Self::Ink => of([0x22; 3], [0xe4, 0xe6, 0xea]),
            Self::Faint => of([0x5c; 3], [0xa4, 0xa8, 0xb0]),
            Self::Grid => of([0xe6; 3], [0x33, 0x36, 0x3c]),
            Self::Slot(position) => {
                let colour = COLOURS.get(position % SLOTS).copied().unwrap_or([0x80; 3]);
                // The darker ones need some light against a dark ground.
                if light { colour } else { mix(colour, [0xff; 3], 0.25) }
            }
            Self::Pale(position) => {
                let sunk = if light { 0.65 } else { 0.6 };
                mix(Self::Slot(position).rgb(theme), Self::Ground.rgb(theme), sunk)
            }
        }
    }
}

/// `weight` of `to`, the rest of `from`.
fn mix(from: [u8; 3], to: [u8; 3], weight: f64) -> [u8; 3] {
    std::array::from_fn(|channel| {
        let (from, to) = (f64::from(from[channel]), f64::from(to[channel]));
        (from + weight * (to - from)).round() as u8
    })
}

/// The outline of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    TriangleDown,
    Plus,
    Pentagon,
    Cross,
}

impl Marker {
    /// In the order in which they are given out, again from the first after the last. Their number and that of the
    /// colours have no common factor, so that 56 families differ in one or the other.
    pub fn of(position: usize) -> Self {
        const ALL: [Marker; 8] = [
            Marker::Circle,
            Marker::Square,
            Marker::Triangle,
            Marker::Diamond,
            Marker::TriangleDown,
            Marker::Plus,
            Marker::Pentagon,
            Marker::Cross,
        ];
        ALL[position % ALL.len()]
    }

    /// Corners about the origin, y downwards, of a marker as large to the eye as a circle of `radius`; none for the
    /// circle itself.
    pub fn corners(self, radius: f64) -> Vec<(f64, f64)> {
        let ring = |count: u32, first_degrees: f64, radius: f64| {
            let corner = |index: u32| {
                let angle = (first_degrees + 360.0 * f64::from(index) / f64::from(count)).to_radians();
                (radius * angle.cos(), radius * angle.sin())
            };
            (0..count).map(corner).collect::<Vec<_>>()
        };
        // Arms of a plus, as wide as a third of its size.
        let plus = |radius: f64| {
            let arm = radius * 0.36;
            [(1, 0), (0, 1), (-1, 0), (0, -1)]
                .into_iter()
                .flat_map(|(x, y)| {
                    let (x, y) = (f64::from(x), f64::from(y));
                    // Two ends of the arm and the inner corner behind it, clockwise.
                    [
                        (radius * x + arm * y, radius * y - arm * x),
                        (radius * x - arm * y, radius * y + arm * x),
                        (arm * (x - y), arm * (x + y)),
                    ]
                })
                .collect::<Vec<_>>()
        };
        match self {
            Self::Circle => Vec::new(),
            Self::Square => ring(4, 45.0, 1.27 * radius),
            Self::Triangle => ring(3, -90.0, 1.4 * radius),
            Self::Diamond => ring(4, -90.0, 1.32 * radius),
            Self::TriangleDown => ring(3, 90.0, 1.4 * radius),
            Self::Plus => plus(1.15 * radius),
            Self::Pentagon => ring(5, -90.0, 1.18 * radius),
            Self::Cross => {
                let turn = std::f64::consts::FRAC_1_SQRT_2;
                plus(1.2 * radius).into_iter().map(|(x, y)| (turn * (x - y), turn * (x + y))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of WCAG 2.1.
    fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
        let luminance = |colour: [u8; 3]| {
            let linear = |channel: u8| {
                let value = f64::from(channel) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2])
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn text_and_colours_stand_out_from_their_ground() {
        for theme in [Theme::Light, Theme::Dark] {
            let against = |paint: Paint| contrast(paint.rgb(theme), Paint::Ground.rgb(theme));
            assert!(against(Paint::Ink) > 12.0 && against(Paint::Faint) > 4.5, "{theme:?}");
            for slot in 0..SLOTS {
                assert!(against(Paint::Slot(slot)) > 2.0, "{theme:?} {slot}");
                let pale = against(Paint::Pale(slot));
                assert!(pale > 1.1 && pale < against(Paint::Slot(slot)), "{theme:?} {slot} {pale}");
            }
        }
    }

    #[test]
    fn families_differ_in_colour_or_marker() {
        let look = |position: usize| (Paint::Slot(position).rgb(Theme::Light), Marker::of(position));
        for one in 0..56 {
            for other in 0..one {
                assert_ne!(look(one), look(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn markers_are_about_as_large_as_their_circle() {
        for position in 1..8 {
            let corners = Marker::of(position).corners(10.0);
            let next = corners.iter().cycle().skip(1);
            let area: f64 = corners.iter().zip(next).map(|(a, b)| (a.0 * b.1 - b.0 * a.1) / 2.0).sum();
            let circle = std::f64::consts::PI * 100.0;
            assert!((0.75..1.15).contains(&(area.abs() / circle)), "{:?} {area}", Marker::of(position));
        }
    }
}
