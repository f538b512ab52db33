//! The numbers of the study's Tables II-VI, in the units of runs.

use serde::Serialize;

use crate::study::protocol::Metric;
use crate::study::results::{Detection, ResultRow};
use crate::study::tables::study_rows;

/// What the study prints of a configuration, or how far from it one's own numbers are. AUCs, F1 and mAP are fractions, MAE is
/// in the scale of the network's input, SI-SDRi in dB.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Printed {
    /// The proxy metric.
    pub proxy: Option<f64>,
    /// Alignment, of contrastive families.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alignment: Option<f64>,
    /// AUC of the linear probe within domains.
    pub in_domain_lp: Option<f64>,
    /// AUC of the linear probe across domains.
    pub out_domain_lp: Option<f64>,
    /// AUC of the Mahalanobis distance.
    pub mahalanobis: Option<f64>,
}

impl Printed {
    /// One of the detection metrics.
    pub fn detection(&self, which: Detection) -> Option<f64> {
        match which {
            Detection::InDomainLp => self.in_domain_lp,
            Detection::OutDomainLp => self.out_domain_lp,
            Detection::Mahalanobis => self.mahalanobis,
        }
    }

    /// These numbers less `other`'s, where both are there.
    pub(super) fn less(&self, other: &Self) -> Self {
        let less = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a - b);
        Self {
            proxy: less(self.proxy, other.proxy),
            alignment: less(self.alignment, other.alignment),
            in_domain_lp: less(self.in_domain_lp, other.in_domain_lp),
            out_domain_lp: less(self.out_domain_lp, other.out_domain_lp),
            mahalanobis: less(self.mahalanobis, other.mahalanobis),
        }
    }
}

/// Checkpoints by the names of their authors' files, as configurations of runs have them: the study's own name for each.
const CHECKPOINTS: [(&str, &str); 6] = [
    ("BEATs_iter3", "beats-iter3"),
    ("BEATs_iter3_plus_AS2M", "beats-iter3+"),
    ("EAT-base_epoch30_pt", "eat-base"),
    ("EAT-large_epoch20_pt", "eat-large"),
    ("EAT-base_epoch30_pretrain", "eat-base"),
    ("EAT-large_epoch20_pretrain", "eat-large"),
];

/// All 41 configurations.
pub(super) struct PrintedTables(Vec<(String, String, Metric, Printed)>);

impl PrintedTables {
    /// The tables that are part of the program.
    pub(super) fn read() -> Self {
        let rows = study_rows().unwrap_or_default();
        let one = |row: &ResultRow| {
            // Alignment has families of its own, which no metric is known of.
            let metric = Metric::known(&row.proxy_name)?;
            let alignment = rows.iter().find(|other| {
                other.family == format!("{}-alignment", row.family) && other.config == row.config
            });
            let percent = |value: Option<f64>| value.map(|value| value / 100.0);
            let proxy = match metric {
                Metric::MacroF1 | Metric::Map => percent(row.proxy),
                Metric::Error => row.proxy.map(|value| value / 1000.0),
                Metric::SiSdri | Metric::Uniformity => row.proxy,
            };
            let printed = Printed {
                proxy,
                alignment: alignment.and_then(|other| other.proxy),
                in_domain_lp: percent(row.in_domain_lp),
                out_domain_lp: percent(row.out_domain_lp),
                mahalanobis: percent(row.mahalanobis),
            };
            Some((row.family.clone(), row.config.clone(), metric, printed))
        };
        Self(rows.iter().filter_map(one).collect())
    }

    /// That of a configuration, by family, proxy metric and name; none where the study has it not.
    pub(super) fn find(&self, family: &str, proxy_name: &str, config: &str) -> Option<&Printed> {
        // The study's error is an absolute one.
        let metric = Metric::known(proxy_name).filter(|_| proxy_name != "mse")?;
        let name = study_name(family, without_hash(config));
        let is_it =
            |one: &&(String, String, Metric, Printed)| one.0 == family && one.1 == name && one.2 == metric;
        self.0.iter().find(is_it).map(|(.., printed)| printed)
    }
}

/// A run's configuration is called `<slug>-<hash8>`.
fn without_hash(config: &str) -> &str {
    match config.rsplit_once('-') {
        Some((slug, hash)) if hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => slug,
        _ => config,
    }
}

/// The name that the study's tables have for a slug.
fn study_name(family: &str, slug: &str) -> String {
    match family {
        // `n` conformer blocks in a run's name, `b` in the tables.
        "separation" if slug.starts_with('n') => format!("b{}", &slug[1..]),
        "pretrained" => {
            CHECKPOINTS.iter().find(|(file, _)| *file == slug).map_or(slug, |(_, name)| name).to_owned()
        }
        _ => slug.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Experiment, load};
    use std::collections::HashSet;
    use std::path::Path;

    fn slugs(config: &str) -> Vec<(String, String)> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(config);
        let name = |one: &Experiment| (one.family().to_owned(), format!("{}-0123abcd", one.slug()));
        load(&path, &[]).unwrap().expand().unwrap().iter().map(name).collect()
    }

    fn of_study(config: &str) -> Vec<Option<Printed>> {
        let tables = PrintedTables::read();
        let proxy = |family: &str| match family {
            "autoencoder" => "mae",
            "ce" | "arcface" => "macro_f1",
            "separation" => "si_sdr_improvement_db",
            "simclr" | "simsiam" => "uniformity",
            _ => "map",
        };
        slugs(config).iter().map(|(family, name)| tables.find(family, proxy(family), name).cloned()).collect()
    }

    #[test]
    fn the_shipped_configurations_are_the_41() {
        let mut found = HashSet::new();
        for (config, count) in [
            ("ae.toml", 9),
            ("ce.toml", 5),
            ("arcface.toml", 5),
            ("separation.toml", 8),
            ("simclr.toml", 5),
            ("simsiam.toml", 5),
            ("beats.toml", 2),
            ("eat.toml", 2),
        ] {
            let printed = of_study(config);
            assert_eq!(printed.len(), count, "{config}");
            for one in printed {
                found.insert(format!("{:?}", one.unwrap_or_else(|| panic!("{config}: {:?}", slugs(config)))));
            }
        }
        assert_eq!(found.len(), 41);
        assert_eq!(PrintedTables::read().0.len(), 41);
    }

    #[test]
    fn toys_are_none_of_them() {
        for config in ["ae", "ce", "arcface", "separation", "simclr", "simsiam", "beats", "eat"] {
            let printed = of_study(&format!("micro/{config}.toml"));
            assert!(printed.iter().all(Option::is_none), "{config}: {printed:?}");
        }
        assert!(of_study("ced.toml").iter().all(Option::is_none));
    }

    #[test]
    fn numbers_are_in_the_units_of_runs() {
        let tables = PrintedTables::read();
        let mae = tables.find("autoencoder", "mae", "h256-b16-aaaaaaaa").unwrap();
        assert_eq!((mae.proxy, mae.in_domain_lp), (Some(4.13 / 1000.0), Some(72.45 / 100.0)));
        let contrastive = tables.find("simsiam", "uniformity", "resnet152").unwrap();
        assert_eq!((contrastive.proxy, contrastive.alignment), (Some(-0.18), Some(0.04)));
        assert_eq!(tables.find("pretrained", "map", "BEATs_iter3-cls"), None);
        assert_eq!(tables.find("separation", "si_sdri", "b4-c128").unwrap().proxy, Some(3.92));
        // Another metric does not compare, whatever the configuration.
        assert_eq!(tables.find("autoencoder", "mse", "h256-b16"), None);
        assert_eq!(tables.find("autoencoder", "macro_f1", "h256-b16"), None);
        assert_eq!((without_hash("h8-b4"), without_hash("h8-b4-01234567")), ("h8-b4", "h8-b4"));
        assert_eq!(without_hash("resnet18-w8-3b41900e"), "resnet18-w8");
    }
}
