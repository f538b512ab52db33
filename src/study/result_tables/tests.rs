use std::path::Path;

use super::*;
use crate::study::results::{Origin, parse_csv};
use crate::study::tables::study_rows;
use crate::task::Proxy;

const HEADER: &str =
    "family,config,machine,seed,proxy_name,proxy,higher_is_better,in_domain_lp,out_domain_lp,mahalanobis\n";

fn rows(text: &str) -> Vec<ResultRow> {
    parse_csv((HEADER.to_owned() + text).as_bytes(), Path::new("r.csv")).unwrap()
}

#[test]
fn the_study_differs_from_itself_by_nothing() {
    let all = study_rows().unwrap();
    let tables = result_tables(&all);
    let heads: Vec<_> =
        tables.iter().map(|table| (table.number, table.title.as_str(), table.configurations.len())).collect();
    assert_eq!(
        heads,
        [
            (Some("II"), "AutoEncoder", 9),
            (Some("III"), "Classification", 10),
            (Some("IV"), "Source separation", 8),
            (Some("V"), "Contrastive learning", 10),
            (Some("VI"), "Pre-trained models", 4),
            (None, "simclr-alignment", 5),
            (None, "simsiam-alignment", 5),
        ]
    );
    for one in tables.iter().filter(|table| table.number.is_some()).flat_map(|table| &table.configurations) {
        let difference = one.difference.as_ref().unwrap();
        let values =
            [difference.proxy, difference.in_domain_lp, difference.out_domain_lp, difference.mahalanobis];
        assert_eq!(values, [Some(0.0); 4], "{one:?}");
        assert_eq!((one.runs, one.machines, &one.why), (1, 0, &None));
    }
    // Alignment as a proxy of its own is no row of the study's tables.
    assert!(tables[5].configurations.iter().all(|one| one.printed.is_none()));
}

#[test]
fn runs_are_averaged_and_held_against_print() {
    let mut all = rows(
        "simsiam,resnet18-01234567,fan,0,uniformity,-1.0,false,0.5,0.6,0.7\n\
         simsiam,resnet18-01234567,fan,1,uniformity,-2.0,false,0.7,0.6,0.7\n\
         simsiam,resnet18-01234567,pump,0,uniformity,-0.5,false,0.8,0.6,0.7\n\
         simsiam,resnet18-01234567,pump,1,uniformity,-0.5,false,0.8,0.6,0.7\n",
    );
    all.iter_mut().for_each(|row| row.other_proxies = vec![Proxy::new("alignment", Ok(0.5), false)]);
    let [table] = &result_tables(&all)[..] else { panic!("one table") };
    let [one] = &table.configurations[..] else { panic!("one configuration") };
    assert_eq!((table.number, one.runs, one.machines), (Some("V"), 4, 2));
    assert_eq!((one.proxy, one.in_domain_lp), (Some(-1.0), Some(0.7)));
    assert_eq!(one.other_proxies, [OtherProxy { name: "alignment".into(), value: Some(0.5) }]);
    // Printed: uniformity -0.82, alignment 0.31, 59.49 %.
    let difference = one.difference.as_ref().unwrap();
    let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-12;
    assert!(close(difference.proxy, -0.18) && close(difference.alignment, 0.19), "{difference:?}");
    assert!(
        close(difference.in_domain_lp, 0.1051) && close(difference.out_domain_lp, 0.0402),
        "{difference:?}"
    );
    assert_eq!(one.show_proxy(-0.18), "-0.18");
}

#[test]
fn what_is_missing_is_no_mean() {
    let all = rows(
        "ce,resnet18,fan,0,macro_f1,0.9,true,0.5,0.6,\nce,resnet18,pump,0,macro_f1,0.8,true,0.7,0.6,0.7\n\
         ce,resnet34,fan,0,macro_f1,0.9,true,0.5,0.6,0.7\n",
    );
    let [table] = &result_tables(&all)[..] else { panic!("one table") };
    let [first, second] = &table.configurations[..] else { panic!("two configurations") };
    assert_eq!((first.in_domain_lp, first.mahalanobis), (Some(0.6), None));
    assert_eq!(first.why.as_deref(), Some("some results have no mahalanobis"));
    assert!(first.printed.is_some() && first.difference.as_ref().unwrap().mahalanobis.is_none());
    assert_eq!((second.proxy, second.in_domain_lp, second.runs), (None, None, 1));
    assert_eq!(second.why.as_deref(), Some("no result on machine `pump` with seed 0"));
}

#[test]
fn a_family_of_ones_own_has_a_table_of_its_own() {
    let all = rows(
        "mine,resnet18,,,accuracy,0.9,true,0.5,0.6,0.7\nautoencoder,h8-b4,,,mae,0.01,false,0.5,0.6,0.7\n",
    );
    let tables = result_tables(&all);
    let heads: Vec<_> = tables.iter().map(|table| (table.number, table.title.as_str())).collect();
    assert_eq!(heads, [(Some("II"), "AutoEncoder"), (None, "mine")]);
    assert!(tables.iter().flat_map(|table| &table.configurations).all(|one| one.printed.is_none()));
    assert_eq!(tables[1].configurations[0].show_proxy(0.9), "0.9000");
    assert!(result_tables(&[]).is_empty());
    assert_eq!(all[0].origin, Origin::line(Path::new("r.csv"), 2));
}
