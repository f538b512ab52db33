//! Results of many runs, one row for each configuration, machine type and seed: what gets correlated.
//!
//! Rows come from `eval.json` files and from results CSVs, whose header names the ten [`COLUMNS`] in any order:
//!
//! ```text
//! family,config,machine,seed,proxy_name,proxy,higher_is_better,in_domain_lp,out_domain_lp,mahalanobis
//! autoencoder,h128-b8,fan,0,mae,0.0434,false,0.7043,0.6431,0.5697
//! pretrained,beats-iter3,,,map,48.0,true,71.41,58.71,62.29
//! ```
//!
//! `machine` and `seed` are empty where a row is already a mean over them. An empty number is a missing value. AUCs may
//! be fractions or percent, since only their order matters, as long as a family keeps to one of the two.

mod planned;
mod reader;
mod sources;
mod units;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub use planned::{PlannedFamily, PlannedStudy};
pub use reader::{parse_csv, read_csv};
pub use sources::{Gathered, LeftOut, Standing, gather};
pub(super) use units::Units;

use serde::Serialize;

use super::Evaluation;
use crate::files;
use crate::task::Proxy;

/// The columns of a results CSV.
pub const COLUMNS: [&str; 10] = [
    "family",
    "config",
    "machine",
    "seed",
    "proxy_name",
    "proxy",
    "higher_is_better",
    "in_domain_lp",
    "out_domain_lp",
    "mahalanobis",
];

/// How well anomalies are detected, in the three ways of the study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detection {
    /// AUC of the linear probe within domains.
    InDomainLp,
    /// AUC of the linear probe across domains.
    OutDomainLp,
    /// AUC of the Mahalanobis distance.
    Mahalanobis,
}

impl Detection {
    /// In the order of the study's tables.
    pub const ALL: [Self; 3] = [Self::InDomainLp, Self::OutDomainLp, Self::Mahalanobis];

    /// The column of a results CSV, and the key in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Self::InDomainLp => "in_domain_lp",
            Self::OutDomainLp => "out_domain_lp",
            Self::Mahalanobis => "mahalanobis",
        }
    }

    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            Self::InDomainLp => "in-domain LP",
            Self::OutDomainLp => "out-domain LP",
            Self::Mahalanobis => "Mahalanobis",
        }
    }
}

/// One value for each of the three.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PerDetection<T> {
    /// Of the linear probe within domains.
    pub in_domain_lp: T,
    /// Of the linear probe across domains.
    pub out_domain_lp: T,
    /// Of the Mahalanobis distance.
    pub mahalanobis: T,
}

impl<T> PerDetection<T> {
    /// What `of` says of each.
    pub fn of(of: impl FnMut(Detection) -> T) -> Self {
        let [in_domain_lp, out_domain_lp, mahalanobis] = Detection::ALL.map(of);
        Self { in_domain_lp, out_domain_lp, mahalanobis }
    }

    /// That of one.
    pub fn get(&self, which: Detection) -> &T {
        match which {
            Detection::InDomainLp => &self.in_domain_lp,
            Detection::OutDomainLp => &self.out_domain_lp,
            Detection::Mahalanobis => &self.mahalanobis,
        }
    }
}

/// Where a row stands, for error messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The results CSV or the run's `eval.json`.
    pub path: PathBuf,
    /// Line of the CSV, from 1.
    pub line: Option<u64>,
}

impl Origin {
    /// A line of a CSV.
    pub fn line(path: &Path, line: u64) -> Self {
        Self { path: path.to_owned(), line: Some(line) }
    }

    /// A whole file.
    pub fn file(path: &Path) -> Self {
        Self { path: path.to_owned(), line: None }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}", self.path.display()),
            None => write!(f, "{}", self.path.display()),
        }
    }
}

/// One configuration's results on one machine type with one seed, or their mean.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultRow {
    /// Where it stands.
    pub origin: Origin,
    /// Proxy-task family.
    pub family: String,
    /// Configuration within the family.
    pub config: String,
    /// Machine type; none where the row is a mean over them.
    pub machine: Option<String>,
    /// Seed; none where the row is a mean over them, or nothing was drawn.
    pub seed: Option<u64>,
    /// Name of the proxy metric.
    pub proxy_name: String,
    /// The proxy metric.
    pub proxy: Option<f64>,
    /// Why there is none, where that is known.
    pub proxy_why: Option<String>,
    /// Whether a larger proxy is a better one.
    pub higher_is_better: bool,
    /// Further proxy metrics, of runs.
    pub other_proxies: Vec<Proxy>,
    /// AUC of the linear probe within domains.
    pub in_domain_lp: Option<f64>,
    /// AUC of the linear probe across domains.
    pub out_domain_lp: Option<f64>,
    /// AUC of the Mahalanobis distance.
    pub mahalanobis: Option<f64>,
}

impl ResultRow {
    /// One of the detection metrics.
    pub fn detection(&self, which: Detection) -> Option<f64> {
        match which {
            Detection::InDomainLp => self.in_domain_lp,
            Detection::OutDomainLp => self.out_domain_lp,
            Detection::Mahalanobis => self.mahalanobis,
        }
    }

    fn cell(&self) -> (&str, &str, Option<&str>, Option<u64>) {
        (&self.family, &self.config, self.machine.as_deref(), self.seed)
    }
}

impl From<&Evaluation> for ResultRow {
    fn from(run: &Evaluation) -> Self {
        Self {
            origin: Origin::file(&Path::new(&run.path).join("eval.json")),
            family: run.family.clone(),
            config: run.config.clone(),
            machine: Some(run.machine.clone()),
            seed: Some(run.seed),
            proxy_name: run.proxy.name.clone(),
            proxy: run.proxy.value,
            proxy_why: run.proxy.why.clone(),
            higher_is_better: run.proxy.higher_is_better,
            other_proxies: run.other_proxies.clone(),
            in_domain_lp: run.linear_probe.in_domain.auc,
            out_domain_lp: run.linear_probe.out_domain.auc,
            mahalanobis: run.mahalanobis.aucs.auc,
        }
    }
}

/// Why results cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read.
    #[error(transparent)]
    File(#[from] files::Error),
    /// Neither a file nor a folder.
    #[error(
        "there is no {}: name a results CSV, a run's folder, or a folder above some runs",
        .0.display()
    )]
    NoSource(PathBuf),
    /// Runs, and none of them judged.
    #[error("none of the {runs} runs below {} is evaluated; judge them with `asdbench eval {}`", path.display(), path.display())]
    NotEvaluated {
        /// The source.
        path: PathBuf,
        /// How many runs are there.
        runs: usize,
    },
    /// A row, a header or a file that is not what it should be.
    #[error("{origin}: {why}")]
    Invalid {
        /// Where.
        origin: Origin,
        /// What is wrong, and what to do.
        why: String,
    },
}

/// Checks rows of any number of sources against one another.
///
/// # Errors
/// Two rows of one configuration, machine type and seed; a family with two proxy metrics, or with two opinions on
/// which way its metric is better.
pub fn check(rows: &[ResultRow]) -> Result<(), Error> {
    let mut seen = HashMap::new();
    let mut families: HashMap<&str, &ResultRow> = HashMap::new();
    for row in rows {
        let invalid = |why| Err(Error::Invalid { origin: row.origin.clone(), why });
        let ResultRow { family, config, proxy_name, higher_is_better, .. } = row;
        if let Some(earlier) = seen.insert(row.cell(), row) {
            let machine = row.machine.as_ref().map_or(String::new(), |m| format!(", machine `{m}`"));
            let seed = row.seed.map_or(String::new(), |s| format!(", seed {s}"));
            return invalid(format!(
                "family `{family}`, config `{config}`{machine}{seed} has a row already ({}); keep one of the two",
                earlier.origin
            ));
        }
        let first = families.entry(family).or_insert(row);
        if first.proxy_name != *proxy_name {
            return invalid(format!(
                "family `{family}` is measured by `{}` ({}) and here by `{proxy_name}`; \
                 give each proxy metric a family of its own",
                first.proxy_name, first.origin
            ));
        }
        if first.higher_is_better != *higher_is_better {
            return invalid(format!(
                "higher_is_better of family `{family}` is {higher_is_better} here and {} before ({})",
                first.higher_is_better, first.origin
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "family,config,machine,seed,proxy_name,proxy,higher_is_better,in_domain_lp,out_domain_lp,mahalanobis\n";

    fn problem(rows: &str) -> String {
        let rows = parse_csv((HEADER.to_owned() + rows).as_bytes(), Path::new("r.csv")).unwrap();
        check(&rows).unwrap_err().to_string()
    }

    #[test]
    fn a_second_row_of_one_cell_is_refused() {
        let found = problem("f,a,fan,0,mae,1,false,,,\nf,a,fan,1,mae,1,false,,,\nf,a,fan,0,mae,2,false,,,\n");
        assert!(found.starts_with("r.csv, line 4: ") && found.contains("(r.csv, line 2)"), "{found}");
        let found = problem("f,a,,,mae,1,false,,,\nf,a,,,mae,1,false,,,\n");
        assert!(found.contains("config `a` has a row already (r.csv, line 2)"), "{found}");
    }

    #[test]
    fn a_family_has_one_proxy_with_one_sense() {
        let found = problem("f,a,,,mae,1,false,,,\ng,a,,,f1,1,true,,,\nf,b,,,mse,1,false,,,\n");
        assert!(found.starts_with("r.csv, line 4: ") && found.contains("`mse`"), "{found}");
        let found = problem("f,a,,,mae,1,false,,,\nf,b,,,mae,1,true,,,\n");
        assert!(found.starts_with("r.csv, line 3: higher_is_better of family `f`"), "{found}");
    }

    #[test]
    fn the_columns_are_those_of_the_header() {
        assert_eq!(COLUMNS.join(","), HEADER.trim_end());
        for which in Detection::ALL {
            assert!(COLUMNS.contains(&which.key()));
        }
    }
}
