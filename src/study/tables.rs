//! The study's own Table VII beside the same table recomputed from its printed Tables II-VI.
//!
//! `study_tables.csv` holds Tables II-VI as printed: MAE in thousandths, AUC, F1 and mAP in percent, SI-SDRi in dB. Table V
//! measures the contrastive families twice; the study correlates uniformity, so alignment stands in the families
//! `simclr-alignment` and `simsiam-alignment`, which have no row in Table VII.
//!
//! A printed ρ is called reproduced where it is the recomputed one to its two digits. The printed numbers are themselves
//! rounded, which matters where two of them are equal: the numbers behind them may have stood in either order. A printed
//! ρ that one of these orders gives is within rounding. Numbers that differ in print stand in that order before rounding
//! too, so nothing else is possible.
//!
//! The printed row "Classification (CE)" is not given by the printed F1 of Table III's cross-entropy half, and is given to
//! its last digit by the F1 column of the ArcFace half: the two columns may have been swapped for one of the analyses.

use std::path::Path;

use serde::Serialize;

use super::correlation::{Correlation, SIGNIFICANT, correlate_rows};
use super::results::{Detection, Error, ResultRow, check, parse_csv};
use crate::stats;

/// Tables II-VI.
const CSV: &str = include_str!("study_tables.csv");

/// What the CSV is called in messages.
const NAME: &str = "study_tables.csv";

/// ρ and the number of its stars.
type Cell = (f64, usize);

/// Table VII: family, its name in print, and ρ against in-domain LP, out-domain LP and Mahalanobis distance.
const TABLE_VII: [(&str, &str, [Cell; 3]); 7] = [
    ("autoencoder", "AutoEncoder", [(-0.57, 0), (0.10, 0), (-0.78, 1)]),
    ("ce", "Classification (CE)", [(-0.30, 0), (0.20, 0), (-0.10, 0)]),
    ("arcface", "Classification (ArcFace)", [(-0.10, 0), (-0.30, 0), (-0.30, 0)]),
    ("separation", "Source separation", [(0.98, 3), (0.95, 2), (0.95, 3)]),
    ("simclr", "Contrastive (SimCLR)", [(-0.10, 0), (0.50, 0), (-0.90, 0)]),
    ("simsiam", "Contrastive (SimSiam)", [(-0.90, 0), (-1.00, 1), (-0.80, 0)]),
    ("pretrained", "Pre-trained", [(-0.60, 0), (-0.40, 0), (-0.80, 0)]),
];

/// Half a unit of the second digit, and what f64 loses on the way.
const HALF_DIGIT: f64 = 0.005 + 1e-9;

/// The levels below which a p has one, two and three stars.
const STAR_LEVELS: [f64; 3] = [SIGNIFICANT, 0.01, 0.001];

/// Stars of a p.
pub fn stars(p: f64) -> usize {
    STAR_LEVELS.iter().filter(|level| p < **level).count()
}

/// Whether a printed ρ is that of the printed tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The recomputed ρ rounds to it.
    Reproduced,
    /// Some order of the numbers that are equal in print gives it.
    WithinRounding,
    /// Nothing that the printed tables allow gives it.
    NotReproduced,
}

/// One cell of Table VII beside its recomputation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// ρ as printed.
    pub printed_rho: f64,
    /// Stars as printed.
    pub printed_stars: usize,
    /// Stars of the exact p; none where there is no p.
    pub stars: Option<usize>,
    /// Whether the printed ρ is reproduced.
    pub verdict: Verdict,
    /// Whether the exact test gives the printed stars, and neither more nor fewer.
    pub stars_given: bool,
    /// The smallest and the largest ρ of all orders of the numbers that are equal in print; none where none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rho_range: Option<(f64, f64)>,
}

/// A family of Table VII.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FamilyComparison {
    /// As recomputed; p-values are adjusted over the 21 cells of the table.
    #[serde(flatten)]
    pub correlation: Correlation,
    /// The row's name in print.
    pub printed_name: &'static str,
    /// The most stars that any outcome of the exact test could have.
    pub most_stars: usize,
    /// As printed.
    pub table_vii: Cells,
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cells {
    /// Against the linear probe within domains.
    pub in_domain_lp: Comparison,
    /// Against the linear probe across domains.
    pub out_domain_lp: Comparison,
    /// Against the Mahalanobis distance.
    pub mahalanobis: Comparison,
}

impl Cells {
    /// Against one of the detection metrics.
    pub fn against(&self, which: Detection) -> &Comparison {
        match which {
            Detection::InDomainLp => &self.in_domain_lp,
            Detection::OutDomainLp => &self.out_domain_lp,
            Detection::Mahalanobis => &self.mahalanobis,
        }
    }
}

/// Table VII recomputed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StudyTables {
    /// The families of Table VII, in its order.
    pub families: Vec<FamilyComparison>,
    /// Families of Tables II-VI that Table VII has no row of.
    pub not_printed: Vec<Correlation>,
}

/// The rows of Tables II-VI as printed.
///
/// # Errors
/// None, as the tests know: the tables are part of the program.
pub fn study_rows() -> Result<Vec<ResultRow>, Error> {
    let rows = parse_csv(CSV.as_bytes(), Path::new(NAME))?;
    check(&rows)?;
    Ok(rows)
}

/// Recomputes Table VII from Tables II-VI.
///
/// # Errors
/// As [`study_rows`].
pub fn study_tables() -> Result<StudyTables, Error> {
    let printed = |row: &ResultRow| TABLE_VII.iter().any(|(family, ..)| *family == row.family);
    let (rows, others): (Vec<ResultRow>, Vec<ResultRow>) = study_rows()?.into_iter().partition(printed);
    let families = correlate_rows(&rows).into_iter().filter_map(|correlation| {
        let (_, printed_name, cells) = TABLE_VII.iter().find(|(family, ..)| *family == correlation.family)?;
        let own: Vec<&ResultRow> = rows.iter().filter(|row| row.family == correlation.family).collect();
        let [in_domain_lp, out_domain_lp, mahalanobis] = Detection::ALL.map(|which| {
            let printed = cells[which as usize];
            let found = correlation.against(which);
            compare(printed, found.rho, found.p, attainable(&own, which))
        });
        Some(FamilyComparison {
            most_stars: stars(correlation.smallest_p),
            correlation,
            printed_name,
            table_vii: Cells { in_domain_lp, out_domain_lp, mahalanobis },
        })
    });
    Ok(StudyTables { families: families.collect(), not_printed: correlate_rows(&others) })
}

/// `attainable` are the ρ of all orders of equal numbers; empty where no numbers are equal.
fn compare(
    (rho, printed_stars): Cell,
    found: Option<f64>,
    p: Option<f64>,
    attainable: Vec<f64>,
) -> Comparison {
    let gives = |found: f64| (found - rho).abs() <= HALF_DIGIT;
    let verdict = match found.is_some_and(gives) {
        true => Verdict::Reproduced,
        false if attainable.iter().any(|&other| gives(other)) => Verdict::WithinRounding,
        false => Verdict::NotReproduced,
    };
    let low = attainable.iter().copied().min_by(f64::total_cmp);
    let high = attainable.iter().copied().max_by(f64::total_cmp);
    let stars = p.map(stars);
    let stars_given = stars == Some(printed_stars);
    Comparison { printed_rho: rho, printed_stars, stars, verdict, stars_given, rho_range: low.zip(high) }
}

/// ρ of every way in which the numbers that are equal in print may have stood before they were rounded: in any order, or
/// equal still. Empty where no two are equal.
fn attainable(rows: &[&ResultRow], which: Detection) -> Vec<f64> {
    let x: Vec<f64> = rows.iter().filter_map(|row| row.proxy).collect();
    let y: Vec<f64> = rows.iter().filter_map(|row| row.detection(which)).collect();
    let (orders_x, orders_y) = (orders(&x), orders(&y));
    if x.len() != y.len() || orders_x.len() * orders_y.len() == 1 {
        return Vec::new();
    }
    let with_ties = |series: Vec<f64>, mut orders: Vec<Vec<f64>>| {
        orders.push(series);
        orders
    };
    let (orders_x, orders_y) = (with_ties(x, orders_x), with_ties(y, orders_y));
    let pairs = orders_x.iter().flat_map(|x| orders_y.iter().map(move |y| stats::spearman(x, y)));
    pairs.filter_map(|found| found.ok().map(|found| found.rho)).collect()
}

/// The ranks of `values`, once for each order of those that are equal.
fn orders(values: &[f64]) -> Vec<Vec<f64>> {
    let mut sorted: Vec<usize> = (0..values.len()).collect();
    sorted.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut found = vec![vec![0.0; values.len()]];
    let mut start = 0;
    for equal in sorted.chunk_by(|&i, &j| values[i] == values[j]) {
        let ranked = |ranks: &Vec<f64>, order: &[usize]| {
            let mut ranks = ranks.clone();
            for (offset, &index) in order.iter().enumerate() {
                ranks[index] = (start + offset) as f64;
            }
            ranks
        };
        let ways = permutations(equal);
        found = found.iter().flat_map(|ranks| ways.iter().map(move |order| ranked(ranks, order))).collect();
        start += equal.len();
    }
    found
}

/// For the few numbers that are equal in a printed column.
fn permutations(of: &[usize]) -> Vec<Vec<usize>> {
    if of.len() < 2 {
        return vec![of.to_vec()];
    }
    let mut all = Vec::new();
    for first in 0..of.len() {
        let mut rest = of.to_vec();
        let head = rest.remove(first);
        all.extend(permutations(&rest).into_iter().map(|mut tail| {
            tail.insert(0, head);
            tail
        }));
    }
    all
}

#[cfg(test)]
mod tests;
