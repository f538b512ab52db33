use std::path::Path;

use super::*;
use crate::study::results::{Origin, check};

/// Of `(config, machine, seed, proxy, AUC)`; the AUC is that of all three detection metrics.
fn row((config, machine, seed, proxy, auc): (&str, &str, u64, f64, f64)) -> ResultRow {
    ResultRow {
        origin: Origin::file(Path::new("r")),
        family: "autoencoder".into(),
        config: config.into(),
        machine: Some(machine.into()),
        seed: Some(seed),
        proxy_name: "mae".into(),
        proxy: Some(proxy),
        proxy_why: None,
        higher_is_better: false,
        other_proxies: Vec::new(),
        in_domain_lp: Some(auc),
        out_domain_lp: Some(auc),
        mahalanobis: Some(auc),
    }
}

fn rows(of: &[(&str, &str, u64, f64, f64)]) -> Vec<ResultRow> {
    let rows: Vec<ResultRow> = of.iter().copied().map(row).collect();
    check(&rows).unwrap();
    rows
}

fn only(rows: &[ResultRow]) -> Correlation {
    let [one] = &correlate_rows(rows)[..] else { panic!("one family") };
    one.clone()
}

/// On each machine alone the order is another; the means 0.3, 0.4, 0.5 against 0.7, 0.6, 0.5 are opposite.
fn three() -> Vec<ResultRow> {
    rows(&[
        ("a", "fan", 0, 0.1, 0.9),
        ("a", "pump", 0, 0.5, 0.5),
        ("b", "fan", 0, 0.5, 0.4),
        ("b", "pump", 0, 0.3, 0.8),
        ("c", "fan", 0, 0.2, 0.6),
        ("c", "pump", 0, 0.8, 0.4),
    ])
}

#[test]
fn configurations_are_averaged_over_machines_before_they_are_ranked() {
    let found = only(&three());
    assert_eq!((found.n, found.configurations[0].runs), (3, 2));
    assert_eq!(found.in_domain_lp.rho, Some(-1.0));
    // A lower error with a better detection: they agree.
    assert_eq!(found.in_domain_lp.agreement, Some(1.0));
    // Two of the six orders of three are as extreme.
    assert_eq!((found.mahalanobis.p, found.smallest_p), (Some(2.0 / 6.0), 2.0 / 6.0));
    assert!(!found.can_be_significant);
    let on =
        |machine: &str| found.machines.iter().find(|one| one.machine == machine).unwrap().mahalanobis.rho;
    // Ranks 1 3 2 against 3 1 2, and 2 1 3 against 2 3 1.
    assert_eq!((on("fan"), on("pump")), (Some(-1.0), Some(-1.0)));
}

#[test]
fn machines_count_the_same_however_many_seeds_they_have() {
    let all = rows(&[
        ("a", "fan", 0, 1.0, 0.5),
        ("a", "fan", 1, 3.0, 0.5),
        ("a", "pump", 0, 8.0, 0.5),
        ("b", "fan", 0, 2.0, 0.6),
        ("b", "fan", 1, 2.0, 0.6),
        ("b", "pump", 0, 2.0, 0.6),
        ("c", "fan", 0, 0.0, 0.7),
        ("c", "fan", 1, 0.0, 0.7),
        ("c", "pump", 0, 1.0, 0.7),
    ]);
    let found = only(&all);
    // (1 + 3) / 2 = 2 on the fan, 8 on the pump.
    let means: Vec<Option<f64>> = found.configurations.iter().map(|c| c.proxy).collect();
    assert_eq!(means, [Some(5.0), Some(2.0), Some(0.5)]);
    assert_eq!((found.configurations[0].runs, found.missing.len()), (3, 0));
}

#[test]
fn the_order_of_rows_changes_no_number() {
    // Twelve configurations: sampled permutations. Sums of tenths, whose last bits depend on the order of adding.
    let name: Vec<String> = (0..12).map(|n| format!("c{n:02}")).collect();
    let mut all = Vec::new();
    for (n, config) in name.iter().enumerate() {
        for (m, machine) in ["fan", "gearbox", "pump", "valve"].into_iter().enumerate() {
            let value = |k: usize| ((n * k + m * 7) % 11) as f64 * 0.1;
            all.push(row((config, machine, 0, value(5), value(3))));
        }
    }
    let reference = only(&all);
    assert_eq!(reference.mahalanobis.exact, Some(false));
    assert!(reference.mahalanobis.standard_error.is_some_and(|error| error > 0.0));
    assert_eq!(reference.smallest_p, 1.0 / 200_000.0);
    // The floor of a family is that of its test, even where the test was not to be had.
    let partial = only(&all[1..]);
    assert_eq!((partial.mahalanobis.p, partial.smallest_p), (None, reference.smallest_p));
    all.reverse();
    let reversed = only(&all);
    assert_eq!(reversed.configurations[0].config, "c11");
    for which in Detection::ALL {
        assert_eq!(reversed.against(which), reference.against(which));
    }
    assert_eq!(reversed.machines, reference.machines);
}

#[test]
fn equal_means_are_ties_whatever_their_last_bits() {
    let all = rows(&[
        ("a", "fan", 0, 0.1, 0.5),
        ("a", "pump", 0, 0.2, 0.5),
        ("a", "valve", 0, 0.3, 0.5),
        ("b", "fan", 0, 0.3, 0.6),
        ("b", "pump", 0, 0.2, 0.6),
        ("b", "valve", 0, 0.1, 0.6),
        ("c", "fan", 0, 0.9, 0.7),
        ("c", "pump", 0, 0.9, 0.7),
        ("c", "valve", 0, 0.9, 0.7),
    ]);
    let found = only(&all);
    // The case is one: in f64, 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1.
    assert_ne!(found.configurations[0].proxy, found.configurations[1].proxy);
    // Ranks 1.5, 1.5, 3 against 1, 2, 3: 1.5 / √(1.5 · 2).
    let rho = found.mahalanobis.rho.unwrap();
    assert!((rho - 0.75_f64.sqrt()).abs() < 1e-15, "{rho}");
}

#[test]
fn an_incomplete_grid_has_no_coefficient_and_says_where() {
    let mut all = three();
    all.push(row(("b", "valve", 2, 0.4, 0.5)));
    let found = only(&all);
    let why = found.in_domain_lp.why.as_deref().unwrap();
    assert!(
        why.contains("config `a` has no result on machine `valve` with seed 2 (1 more are missing)"),
        "{why}"
    );
    assert_eq!((found.in_domain_lp.rho, found.in_domain_lp.p, found.in_domain_lp.p_holm), (None, None, None));
    let gap = |config: &str| Gap { config: config.into(), machine: Some("valve".into()), seed: Some(2) };
    assert_eq!((&found.missing[..], found.missing_total), (&[gap("a"), gap("c")][..], 2));
    // What is incomplete has no mean either.
    assert_eq!((found.configurations[0].proxy, found.configurations[0].runs), (None, 2));
    // The machines that all of them have are still comparable.
    let rho: Vec<_> = found.machines.iter().map(|one| (one.machine.as_str(), one.mahalanobis.rho)).collect();
    assert_eq!(rho, [("fan", Some(-1.0)), ("pump", Some(-1.0)), ("valve", None)]);
}

#[test]
fn what_thousands_of_configurations_lack_is_counted_and_a_few_are_named() {
    // Each has a seed of its own: nearly configurations × configurations results are missing.
    const COUNT: usize = 3000;
    let names: Vec<String> = (0..COUNT).map(|n| format!("c{n:04}")).collect();
    let all: Vec<ResultRow> =
        (0..).zip(&names).map(|(seed, name)| row((name, "fan", seed, 0.1, 0.5))).collect();
    let found = only(&all);
    assert_eq!((found.n, found.missing_total), (COUNT, COUNT * (COUNT - 1)));
    let seeds: Vec<Option<u64>> = found.missing.iter().map(|gap| gap.seed).collect();
    assert_eq!(seeds, (1..=MISSING_SHOWN as u64).map(Some).collect::<Vec<_>>());
    assert!(found.missing.iter().all(|gap| gap.config == "c0000"));
    let why = found.mahalanobis.why.as_deref().unwrap();
    let expected = format!(
        "config `c0000` has no result on machine `fan` with seed 1 ({} more",
        COUNT * (COUNT - 1) - 1
    );
    assert!(why.starts_with(&expected), "{why}");
    // About 200 bytes a configuration; the document of all that is missing would have 900 MB.
    assert!(serde_json::to_string(&found).unwrap().len() < 1_000_000);
    let complete = serde_json::to_value(only(&three())).unwrap();
    assert_eq!((complete.get("missing"), complete.get("missing_total")), (None, None));
}

#[test]
fn a_missing_value_is_named() {
    let mut all = three();
    all[3].mahalanobis = None;
    let found = only(&all);
    assert_eq!(
        found.mahalanobis.why.as_deref(),
        Some("config `b` has no mahalanobis on machine `pump` with seed 0")
    );
    assert_eq!((found.configurations[1].mahalanobis, found.in_domain_lp.rho), (None, Some(-1.0)));
    all[5].proxy = None;
    let found = only(&all);
    assert_eq!(
        found.in_domain_lp.why.as_deref(),
        Some("config `c` has no proxy on machine `pump` with seed 0")
    );
}

#[test]
fn means_and_single_machines_do_not_mix() {
    let mut all = three();
    for config in ["a", "b", "c"] {
        all.push(ResultRow { machine: None, ..row((config, "", 0, 1.0, 0.5)) });
    }
    let why = only(&all).mahalanobis.why.unwrap();
    assert!(why.contains("some rows of the family are of one machine and some of no machine"), "{why}");
}

#[test]
fn too_few_and_constant_series_have_a_reason() {
    let two = only(&rows(&[("a", "fan", 0, 1.0, 0.5), ("b", "fan", 0, 2.0, 0.6)]));
    assert!(two.mahalanobis.why.unwrap().contains("at least 3"));
    let same =
        only(&rows(&[("a", "fan", 0, 1.0, 0.5), ("b", "fan", 0, 2.0, 0.5), ("c", "fan", 0, 3.0, 0.5)]));
    assert!(same.mahalanobis.why.unwrap().contains("the same for all 3"));
    assert!(correlate_rows(&[]).is_empty());
}

#[test]
fn p_is_adjusted_over_all_families() {
    let mut all = three();
    for (n, config) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let value = n as f64;
        all.push(ResultRow {
            family: "ce".into(),
            higher_is_better: true,
            ..row((config, "fan", 0, value, value))
        });
    }
    let found = correlate_rows(&all);
    let families: Vec<&str> = found.iter().map(|one| one.family.as_str()).collect();
    assert_eq!(families, ["autoencoder", "ce"]);
    // Six tests: three p of 2/120, then three of 2/6.
    let ce = &found[1].mahalanobis;
    assert_eq!((ce.p, ce.agreement), (Some(2.0 / 120.0), Some(1.0)));
    let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-15;
    assert!(close(ce.p_holm, 6.0 * 2.0 / 120.0) && close(ce.p_bh, 6.0 / 3.0 * 2.0 / 120.0), "{ce:?}");
    let autoencoder = &found[0].mahalanobis;
    assert!(close(autoencoder.p_holm, 1.0) && close(autoencoder.p_bh, 2.0 / 6.0), "{autoencoder:?}");
}

#[test]
fn an_interval_takes_three_machines() {
    assert_eq!(only(&three()).mahalanobis.over_machines, None);
    let mut all = Vec::new();
    // Better on every machine, by far: whichever machines are drawn, the order is the same.
    for (n, config) in ["a", "b", "c", "d"].into_iter().enumerate() {
        for (m, machine) in ["fan", "pump", "valve"].into_iter().enumerate() {
            all.push(row((config, machine, 0, (10 * n + m) as f64, 0.5 + 0.1 * n as f64)));
        }
    }
    let found = only(&all).in_domain_lp.over_machines.unwrap();
    assert_eq!((found.low, found.high, found.level), (1.0, 1.0, 0.95));
    // Not so where one of three disagrees: 7 of 27 draws have it twice or more, and there it outweighs the others.
    for row in all.iter_mut().filter(|row| row.machine.as_deref() == Some("pump")) {
        row.mahalanobis = row.mahalanobis.map(|auc| 1.0 - 0.7 * auc);
    }
    let found = only(&all).mahalanobis;
    let interval = found.over_machines.unwrap();
    assert_eq!((found.rho, interval.low, interval.high), (Some(1.0), -1.0, 1.0));
}

/// A family that draws nothing, of which configuration `b` has two seeds.
fn frozen() -> Vec<ResultRow> {
    let values = [("a", 0, 0.48, 0.7), ("b", 0, 0.49, 0.6), ("b", 1, 0.49, 0.6), ("c", 7, 0.5, 0.8)];
    let machines = ["fan", "pump"];
    let of = |(config, seed, proxy, auc)| machines.map(|machine| row((config, machine, seed, proxy, auc)));
    let frozen = |row| ResultRow { family: "pretrained".into(), proxy_name: "map".into(), ..row };
    values.into_iter().flat_map(of).map(frozen).collect()
}

#[test]
fn where_nothing_is_drawn_one_seed_stands_for_all() {
    let found = only(&frozen());
    assert_eq!((found.missing_total, found.in_domain_lp.rho), (0, Some(0.5)));
    assert_eq!(found.configurations.iter().map(|one| one.runs).collect::<Vec<_>>(), [2, 2, 2]);
    assert_eq!(
        found.averaging,
        "2 machine types; nothing is drawn in this family: its seeds agree, and one stands for all"
    );
    // Another family's seeds are all needed.
    let mut drawn = frozen();
    drawn.iter_mut().for_each(|row| row.family = "ce".into());
    assert!(only(&drawn).missing_total > 0);
    // Seeds that differ were drawn after all, by the linear probe, and none stands for another.
    let mut differ = frozen();
    differ[4].in_domain_lp = Some(0.65);
    let found = only(&differ);
    assert!(found.missing_total > 0 && found.in_domain_lp.rho.is_none(), "{found:?}");
    // A machine type that is missing still is.
    let mut short = frozen();
    short.retain(|row| !(row.config == "c" && row.machine.as_deref() == Some("pump")));
    let why = only(&short).in_domain_lp.why.unwrap();
    assert!(why.starts_with("config `c` has no result on machine `pump`, and means"), "{why}");
}

#[test]
fn a_proxy_that_is_the_same_everywhere_is_named() {
    let mut all = frozen();
    all.iter_mut().for_each(|row| row.proxy = Some(0.5));
    let why = only(&all).mahalanobis.why.unwrap();
    assert_eq!(
        why,
        "the proxy `map` is the same for all 3 configurations (they share a checkpoint, or what is published of theirs \
         is equal)"
    );
    let all = rows(&[("a", "fan", 0, 1.0, 0.5), ("b", "fan", 0, 1.0, 0.6), ("c", "fan", 0, 1.0, 0.7)]);
    assert_eq!(only(&all).mahalanobis.why.unwrap(), "the proxy `mae` is the same for all 3 configurations");
    let all = rows(&[("a", "fan", 0, 1.0, 0.5), ("b", "fan", 0, 2.0, 0.5), ("c", "fan", 0, 3.0, 0.5)]);
    assert_eq!(only(&all).mahalanobis.why.unwrap(), "the mahalanobis is the same for all 3 configurations");
}

#[test]
fn what_was_averaged_is_said() {
    let all = rows(&[("a", "fan", 0, 1.0, 0.5), ("a", "fan", 1, 1.0, 0.5), ("a", "pump", 0, 2.0, 0.6)]);
    assert_eq!(only(&all).averaging, "1 to 2 seeds of each machine type, then over 2 machine types");
    assert_eq!(only(&all[..1]).averaging, "1 seed of each machine type, then over 1 machine type");
    let bare = ResultRow { machine: None, seed: None, ..all[0].clone() };
    assert_eq!(only(&[bare]).averaging, "nothing: the rows are taken as they are");
}

#[test]
fn the_level_of_significance_decides_what_can_be_significant() {
    let all: Vec<ResultRow> = ["a", "b", "c", "d", "e"]
        .into_iter()
        .zip(0..)
        .map(|(config, n)| row((config, "fan", 0, f64::from(n), 0.5)))
        .collect();
    let by = |significance| {
        let protocol = ProtocolConfig { significance, ..ProtocolConfig::default() };
        correlate_by(&all, &protocol)[0].can_be_significant
    };
    // Five configurations reach 2/120.
    assert!(by(0.05) && !by(0.01));
}
