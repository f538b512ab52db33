//! Fractions and percent: results CSVs have either.

use super::{Detection, ResultRow};

/// What the numbers of a family are multiplied with to be fractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::study) enum Units {
    /// They are.
    Fractions,
    /// They are percent, as in print.
    Percent,
    /// Some are one and some the other: no number of them means anything.
    Mixed,
}

impl Units {
    /// Of the AUCs of a family's rows.
    pub(in crate::study) fn of_aucs<'a>(rows: impl IntoIterator<Item = &'a ResultRow>) -> Self {
        Self::of(
            rows.into_iter()
                .flat_map(|row| Detection::ALL.into_iter().filter_map(|which| row.detection(which))),
        )
    }

    /// Of shares, of which no fraction is above 1 and hardly a percentage is not.
    pub(in crate::study) fn of(shares: impl IntoIterator<Item = f64>) -> Self {
        let (mut fraction, mut percent) = (false, false);
        for share in shares {
            fraction |= share > 0.0 && share <= 1.0;
            percent |= share > 1.0;
        }
        match (fraction, percent) {
            (true, true) => Self::Mixed,
            (false, true) => Self::Percent,
            _ => Self::Fractions,
        }
    }

    /// A number as a fraction; none where the units are mixed.
    pub(in crate::study) fn fraction(self, value: f64) -> Option<f64> {
        match self {
            Self::Fractions => Some(value),
            Self::Percent => Some(value / 100.0),
            Self::Mixed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_and_fractions_are_told_apart() {
        assert_eq!(Units::of([0.5, 0.0, 1.0]), Units::Fractions);
        assert_eq!(Units::of([71.2, 0.0, 49.9]), Units::Percent);
        assert_eq!(Units::of([71.2, 0.5]), Units::Mixed);
        assert_eq!(Units::of([]), Units::Fractions);
        assert_eq!(Units::Percent.fraction(71.25), Some(0.7125));
        assert_eq!((Units::Fractions.fraction(0.5), Units::Mixed.fraction(0.5)), (Some(0.5), None));
    }
}
