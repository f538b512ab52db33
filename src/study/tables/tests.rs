use super::*;

fn family<'a>(tables: &'a StudyTables, name: &str) -> &'a FamilyComparison {
    tables.families.iter().find(|one| one.correlation.family == name).unwrap()
}

fn column(family: &str, value: impl Fn(&ResultRow) -> Option<f64>) -> Vec<f64> {
    study_rows().unwrap().iter().filter(|row| row.family == family).map(|row| value(row).unwrap()).collect()
}

#[test]
fn the_tables_are_whole() {
    let rows = study_rows().unwrap();
    let count = |family: &str| rows.iter().filter(|row| row.family == family).count();
    let sizes = TABLE_VII.map(|(family, ..)| count(family));
    // The study's 41 configurations; Table V's ten have a second metric.
    assert_eq!(sizes, [9, 5, 5, 8, 5, 5, 4]);
    assert_eq!((sizes.iter().sum::<usize>(), rows.len()), (41, 51));
    for family in ["simclr", "simsiam"] {
        let alignment = format!("{family}-alignment");
        for which in Detection::ALL {
            assert_eq!(
                column(family, |row| row.detection(which)),
                column(&alignment, |row| row.detection(which))
            );
        }
    }
    for row in &rows {
        assert!(row.machine.is_none() && row.seed.is_none() && row.proxy.is_some());
        assert_eq!(row.higher_is_better, ["macro_f1", "si_sdri", "map"].contains(&row.proxy_name.as_str()));
        for which in Detection::ALL {
            // All printed AUCs lie between chance and 75 %.
            assert!(row.detection(which).is_some_and(|auc| (45.0..75.0).contains(&auc)), "{row:?}");
        }
    }
}

/// Every cell of Table VII: family, detection metric, recomputed ρ, pairings as extreme of all pairings, verdict, whether
/// the printed stars are those of the exact test.
#[test]
fn every_cell_of_table_vii_has_its_verdict() {
    use Detection::{InDomainLp as In, Mahalanobis as Md, OutDomainLp as Out};
    use Verdict::{NotReproduced as No, Reproduced as Yes};
    // ρ and counts were found by other code, in Python: midranks, and a loop over itertools.permutations.
    let expected = [
        ("autoencoder", In, -0.569_042_637_953_891_7, 41_608, Yes, true),
        ("autoencoder", Out, -0.041_841_370_437_786_16, 334_796, No, true),
        ("autoencoder", Md, -0.778_249_490_142_822_5, 6_532, Yes, true),
        ("ce", In, -0.1, 114, No, true),
        ("ce", Out, 0.0, 120, No, true),
        ("ce", Md, -0.3, 82, No, true),
        ("arcface", In, 0.0, 120, No, true),
        ("arcface", Out, 0.1, 114, No, true),
        ("arcface", Md, -0.1, 114, No, true),
        ("separation", In, 0.976_190_476_190_476_2, 16, Yes, true),
        ("separation", Out, 0.952_380_952_380_952_4, 46, Yes, true),
        // Printed with three stars; p = 46/40320 = 0.00114 gives two.
        ("separation", Md, 0.952_380_952_380_952_4, 46, Yes, false),
        ("simclr", In, -0.1, 114, Yes, true),
        ("simclr", Out, 0.5, 54, Yes, true),
        ("simclr", Md, -0.9, 10, Yes, true),
        ("simsiam", In, -0.9, 10, Yes, true),
        ("simsiam", Out, -1.0, 2, Yes, true),
        ("simsiam", Md, -0.8, 16, Yes, true),
        ("pretrained", In, -0.6, 10, Yes, true),
        ("pretrained", Out, -0.4, 18, Yes, true),
        ("pretrained", Md, -0.8, 8, Yes, true),
    ];
    let tables = study_tables().unwrap();
    let order: Vec<&str> = tables.families.iter().map(|one| one.correlation.family.as_str()).collect();
    assert_eq!(order, TABLE_VII.map(|(family, ..)| family));
    for (name, which, rho, extreme, verdict, stars_given) in expected {
        let one = family(&tables, name);
        let found = one.correlation.against(which);
        let cell = one.table_vii.against(which);
        let pairings: u32 = (1..=one.correlation.n as u32).product();
        assert!((found.rho.unwrap() - rho).abs() < 1e-12, "{name} {which:?}: {found:?}");
        assert_eq!(found.p, Some(f64::from(extreme) / f64::from(pairings)), "{name} {which:?}");
        assert_eq!((cell.verdict, cell.stars_given), (verdict, stars_given), "{name} {which:?}: {cell:?}");
        assert_eq!(found.exact, Some(true));
    }
}

#[test]
fn table_vii_is_as_printed() {
    let printed = |name: &str| {
        let row = TABLE_VII.iter().find(|(family, ..)| *family == name).unwrap();
        row.2.map(|(rho, stars)| format!("{rho:.2}{}", "*".repeat(stars)))
    };
    assert_eq!(printed("autoencoder"), ["-0.57", "0.10", "-0.78*"]);
    assert_eq!(printed("ce"), ["-0.30", "0.20", "-0.10"]);
    assert_eq!(printed("arcface"), ["-0.10", "-0.30", "-0.30"]);
    assert_eq!(printed("separation"), ["0.98***", "0.95**", "0.95***"]);
    assert_eq!(printed("simclr"), ["-0.10", "0.50", "-0.90"]);
    assert_eq!(printed("simsiam"), ["-0.90", "-1.00*", "-0.80"]);
    assert_eq!(printed("pretrained"), ["-0.60", "-0.40", "-0.80"]);
}

#[test]
fn small_families_have_a_floor() {
    let tables = study_tables().unwrap();
    for one in &tables.families {
        let correlation = &one.correlation;
        let (smallest_p, most_stars) = match correlation.n {
            4 => (2.0 / 24.0, 0),
            5 => (2.0 / 120.0, 1),
            8 => (2.0 / 40_320.0, 3),
            9 => (2.0 / 362_880.0, 3),
            n => panic!("{n} configurations"),
        };
        assert!((correlation.smallest_p - smallest_p).abs() < 1e-15, "{}", correlation.family);
        assert_eq!((one.most_stars, correlation.can_be_significant), (most_stars, most_stars > 0));
    }
}

/// What is left of Table VII's six stars when 21 tests are read together: separation.
#[test]
fn only_separation_outlives_the_correction() {
    let tables = study_tables().unwrap();
    for one in &tables.families {
        for which in Detection::ALL {
            let found = one.correlation.against(which);
            let separation = one.correlation.family == "separation";
            assert_eq!(
                found.p_holm.unwrap() < SIGNIFICANT,
                separation,
                "{} {which:?}",
                one.correlation.family
            );
            assert!(found.p_bh <= found.p_holm && found.p <= found.p_bh);
        }
    }
    let p = family(&tables, "separation").correlation.in_domain_lp.p_holm.unwrap();
    assert!((p - 21.0 * 16.0 / 40_320.0).abs() < 1e-15, "{p}");
}

#[test]
fn rounding_of_the_printed_numbers_explains_no_cell() {
    let tables = study_tables().unwrap();
    for one in &tables.families {
        for which in Detection::ALL {
            let range = one.table_vii.against(which).rho_range;
            // Only the autoencoders have equal numbers: 4.46 twice.
            assert_eq!(range.is_some(), one.correlation.family == "autoencoder", "{which:?}");
        }
    }
    let (low, high) = family(&tables, "autoencoder").table_vii.out_domain_lp.rho_range.unwrap();
    // Σd² of 132 and of 118: ρ = 1 − 6·Σd²/720.
    assert!((low + 0.1).abs() < 1e-12 && (high - 1.0 / 60.0).abs() < 1e-12, "{low} to {high}");
}

/// What the module's documentation says of the cross-entropy row.
#[test]
fn the_printed_cross_entropy_row_is_that_of_the_arcface_f1() {
    let f1 = column("arcface", |row| row.proxy);
    let printed = TABLE_VII.iter().find(|(family, ..)| *family == "ce").unwrap().2;
    for which in Detection::ALL {
        let rho = stats::spearman(&f1, &column("ce", |row| row.detection(which))).unwrap().rho;
        assert!((rho - printed[which as usize].0).abs() < 1e-12, "{which:?}: {rho}");
    }
}

#[test]
fn verdicts_follow_their_rules() {
    let verdict =
        |found: f64, others: &[f64]| compare((0.10, 1), Some(found), Some(0.02), others.to_vec()).verdict;
    assert_eq!(verdict(0.105, &[]), Verdict::Reproduced);
    assert_eq!(verdict(0.1051, &[]), Verdict::NotReproduced);
    assert_eq!(verdict(0.2, &[0.0, 0.098]), Verdict::WithinRounding);
    assert_eq!(verdict(0.2, &[0.0, 0.3]), Verdict::NotReproduced);
    let given = |p: Option<f64>| compare((0.10, 1), Some(0.1), p, Vec::new()).stars_given;
    assert_eq!(
        (given(Some(0.02)), given(Some(0.05)), given(Some(0.009)), given(None)),
        (true, false, false, false)
    );
    assert_eq!([0.05, 0.049, 0.01, 0.0099, 0.001, 0.0009].map(stars), [0, 1, 1, 2, 2, 3]);
}

#[test]
fn equal_numbers_are_put_in_every_order() {
    assert_eq!(orders(&[3.0, 1.0, 2.0]), [[2.0, 0.0, 1.0]]);
    assert_eq!(orders(&[1.0, 0.5, 1.0]), [[1.0, 0.0, 2.0], [2.0, 0.0, 1.0]]);
    let mut all = orders(&[7.0, 7.0, 7.0]);
    all.sort_by(|a, b| a.partial_cmp(b).unwrap());
    all.dedup();
    assert_eq!(all.len(), 6);
}

#[test]
fn alignment_stands_beside_the_table() {
    let tables = study_tables().unwrap();
    let names: Vec<&str> = tables.not_printed.iter().map(|one| one.family.as_str()).collect();
    assert_eq!(names, ["simclr-alignment", "simsiam-alignment"]);
    // SimSiam's alignment and uniformity rank the backbones in opposite order.
    assert_eq!(tables.not_printed[1].out_domain_lp.rho, Some(1.0));
    assert_eq!(family(&tables, "simsiam").correlation.out_domain_lp.rho, Some(-1.0));
}
