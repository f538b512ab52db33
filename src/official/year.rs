//! The years of the challenge, as far as their files and metrics differ.

use std::fmt;
use std::str::FromStr;

/// A year of DCASE Task 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Year {
    /// Machine IDs, no domains.
    Y2020,
    /// Sections; the domains' test sets are apart, in files and metrics.
    Y2021,
    /// Sections 00 to 05; one test set of both domains. The metrics since then are the same.
    Y2022,
    /// One section a machine.
    Y2023,
    /// As 2023.
    Y2024,
    /// As 2023.
    Y2025,
    /// As 2023.
    Y2026,
}

impl Year {
    /// All years, the oldest first.
    pub const ALL: [Self; 7] =
        [Self::Y2020, Self::Y2021, Self::Y2022, Self::Y2023, Self::Y2024, Self::Y2025, Self::Y2026];

    /// The year as a number.
    pub fn number(self) -> u16 {
        match self {
            Self::Y2020 => 2020,
            Self::Y2021 => 2021,
            Self::Y2022 => 2022,
            Self::Y2023 => 2023,
            Self::Y2024 => 2024,
            Self::Y2025 => 2025,
            Self::Y2026 => 2026,
        }
    }

    /// Whether clips belong to a source or a target domain.
    pub fn has_domains(self) -> bool {
        self != Self::Y2020
    }
}

impl fmt::Display for Year {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// A text that is no year of the challenge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a year of the challenge; choose 2020 to 2026")]
pub struct UnknownYear(String);

impl FromStr for Year {
    type Err = UnknownYear;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|year| year.to_string() == text)
            .ok_or_else(|| UnknownYear(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_year_reads_back() {
        for year in Year::ALL {
            assert_eq!(year.to_string().parse(), Ok(year));
        }
        for text in ["2019", "2027", "auto", "22", "", "2022 "] {
            assert!(text.parse::<Year>().unwrap_err().to_string().contains(text), "{text}");
        }
    }
}
