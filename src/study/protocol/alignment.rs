//! Stage 3: does a better proxy come with better detection?

use serde::Serialize;

use super::labels;
use crate::config::{PValue, ProtocolConfig};
use crate::study::correlation::{Coefficient, Correlation};
use crate::study::results::{Detection, PerDetection};

/// What one coefficient says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricVerdict {
    /// A better proxy comes with better detection.
    Aligned,
    /// A better proxy comes with worse detection.
    Misaligned,
    /// The test finds neither.
    NoEvidence,
    /// No outcome could have been significant.
    CannotBeSignificant,
    /// There is no coefficient.
    NotMeasurable,
}

impl MetricVerdict {
    /// In a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Aligned => "aligned",
            Self::Misaligned => "misaligned",
            Self::NoEvidence => "no evidence",
            Self::CannotBeSignificant => "cannot be significant",
            Self::NotMeasurable => "not measurable",
        }
    }
}

/// What all three say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlignmentVerdict {
    /// Aligned by all that can be measured.
    Aligned,
    /// Aligned by some, without evidence by others.
    PartlyAligned,
    /// Misaligned by one or more, and aligned by none.
    Misaligned,
    /// Aligned by some and misaligned by others.
    Mixed,
    /// No evidence of either.
    NoEvidence,
    /// No outcome could have been significant.
    CannotBeSignificant,
    /// There is no coefficient.
    NotMeasurable,
}

impl AlignmentVerdict {
    /// In a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Aligned => "aligned",
            Self::PartlyAligned => "partly aligned",
            Self::Misaligned => "misaligned",
            Self::Mixed => "mixed",
            Self::NoEvidence => "no evidence",
            Self::CannotBeSignificant => "cannot be significant",
            Self::NotMeasurable => "not measurable",
        }
    }
}

/// One coefficient and its verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricAlignment {
    /// What it says.
    pub verdict: MetricVerdict,
    /// In words.
    pub in_words: String,
    /// Spearman's rank correlation.
    pub rho: Option<f64>,
    /// Above 0, better proxies come with better detection.
    pub agreement: Option<f64>,
    /// The p that was held against the level of significance.
    pub p: Option<f64>,
    /// The smallest p of the exact test that any outcome could have had.
    pub smallest_p: f64,
}

/// Stage 3.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alignment {
    /// The family's.
    pub verdict: AlignmentVerdict,
    /// The verdict and what it rests on, in words.
    pub in_words: String,
    /// The sentences of which these words are made.
    pub evidence: Vec<String>,
    /// The level below which a p is significant.
    pub significance: f64,
    /// Which p was held against it.
    pub p_value: PValue,
    /// One for each detection metric.
    #[serde(flatten)]
    pub against: PerDetection<MetricAlignment>,
}

impl Alignment {
    /// The detection metrics that have a verdict.
    pub fn with(&self, verdict: MetricVerdict) -> Vec<Detection> {
        Detection::ALL.into_iter().filter(|which| self.against.get(*which).verdict == verdict).collect()
    }
}

pub(super) fn judge(family: &Correlation, config: &ProtocolConfig) -> Alignment {
    let against = PerDetection::of(|which| one(family, family.against(which), config));
    let with = |verdict| {
        Detection::ALL.into_iter().filter(|which| against.get(*which).verdict == verdict).collect::<Vec<_>>()
    };
    let [aligned, misaligned] = [MetricVerdict::Aligned, MetricVerdict::Misaligned].map(with);
    let measured = 3 - with(MetricVerdict::NotMeasurable).len();
    let verdict = match (aligned.len(), misaligned.len()) {
        _ if measured == 0 => AlignmentVerdict::NotMeasurable,
        (1.., 1..) => AlignmentVerdict::Mixed,
        (n, 0) if n == measured => AlignmentVerdict::Aligned,
        (1.., 0) => AlignmentVerdict::PartlyAligned,
        (0, 1..) => AlignmentVerdict::Misaligned,
        (0, 0) if with(MetricVerdict::CannotBeSignificant).len() == measured => {
            AlignmentVerdict::CannotBeSignificant
        }
        (0, 0) => AlignmentVerdict::NoEvidence,
    };
    let evidence = sentences(&against);
    let in_words = format!("{}: {}", verdict.word(), evidence.join("; "));
    Alignment {
        verdict,
        in_words,
        evidence,
        significance: config.significance,
        p_value: config.p_value,
        against,
    }
}

/// One for each detection metric, or for several that have the same words.
fn sentences(against: &PerDetection<MetricAlignment>) -> Vec<String> {
    let mut sentences: Vec<(&str, Vec<Detection>)> = Vec::new();
    for which in Detection::ALL {
        let words = against.get(which).in_words.as_str();
        match sentences.iter_mut().find(|(known, _)| *known == words) {
            Some((_, metrics)) => metrics.push(which),
            None => sentences.push((words, vec![which])),
        }
    }
    sentences.into_iter().map(|(words, metrics)| format!("{}: {words}", labels(&metrics))).collect()
}

fn one(family: &Correlation, found: &Coefficient, config: &ProtocolConfig) -> MetricAlignment {
    let smallest_p = found.smallest_p.unwrap_or(family.smallest_p);
    let p = match config.p_value {
        PValue::Exact => found.p,
        PValue::Holm => found.p_holm,
        PValue::Bh => found.p_bh,
    };
    let level = config.significance;
    let verdict = match (p, found.agreement) {
        (Some(_), Some(_)) if smallest_p >= level => MetricVerdict::CannotBeSignificant,
        (Some(p), Some(agreement)) if p < level && agreement > 0.0 => MetricVerdict::Aligned,
        (Some(p), Some(agreement)) if p < level && agreement < 0.0 => MetricVerdict::Misaligned,
        (Some(_), Some(_)) => MetricVerdict::NoEvidence,
        _ => MetricVerdict::NotMeasurable,
    };
    let in_words = in_words(verdict, found, (smallest_p, family), config);
    MetricAlignment { verdict, in_words, rho: found.rho, agreement: found.agreement, p, smallest_p }
}

fn in_words(
    verdict: MetricVerdict,
    found: &Coefficient,
    (smallest_p, family): (f64, &Correlation),
    config: &ProtocolConfig,
) -> String {
    let (Some(rho), Some(exact)) = (found.rho, found.p) else {
        return format!("not measurable, {}", found.why.as_deref().unwrap_or("there is no coefficient"));
    };
    let mut numbers = format!("rho {rho:.2}, p {}", p_text(exact));
    if let Some(holm) = found.p_holm {
        numbers.push_str(&format!(" (Holm's {}", p_text(holm)));
        if let (PValue::Bh, Some(bh)) = (config.p_value, found.p_bh) {
            numbers.push_str(&format!(", Benjamini and Hochberg's {}", p_text(bh)));
        }
        numbers.push(')');
    }
    let level = config.significance;
    let meaning = match verdict {
        MetricVerdict::Aligned => {
            let alone = config.p_value == PValue::Exact && found.p_holm.is_some_and(|p| p >= level);
            let doubt = if alone { ", though not among all that were tested" } else { "" };
            format!("aligned{doubt}")
        }
        MetricVerdict::CannotBeSignificant => {
            // Of n alone; of these very values it is ties that forbid it.
            let why = match family.can_be_significant {
                true => "with its ties no pairing can give".to_owned(),
                false => format!("n = {} can never give", family.n),
            };
            format!("{why} p < {level}, the smallest is {}", p_text(smallest_p))
        }
        other => other.word().to_owned(),
    };
    format!("{numbers}, {meaning}")
}

/// As in tables: four decimals, or an exponent where these would show little.
fn p_text(p: f64) -> String {
    if p > 0.0 && p < 1e-3 { format!("{p:.1e}") } else { format!("{p:.4}") }
}
