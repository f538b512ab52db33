use serde_json::{Value, json};

use super::*;
use crate::report::{Align, Cell, Table};

const HOSTILE: &str = "</td></style></title><script>alert(\"1\" + '2')</script>&amp;";

/// A family as the document has it.
fn family(name: &str) -> Value {
    let coefficient = json!({
        "rho": -0.123_456_789, "p": 0.012_345_678_9, "over_machines": { "low": -0.75, "high": 0.5 }
    });
    let stage = json!({ "verdict": "healthy", "evidence": [format!("see `{name}`")] });
    let mut correlation = stage.clone();
    // The verdict rests on an adjusted p, of which one is significant.
    for (key, p) in
        [("in_domain_lp", json!(0.2)), ("out_domain_lp", Value::Null), ("mahalanobis", json!(0.04))]
    {
        correlation[key] = json!({ "p": p });
    }
    json!({
        "family": name, "label": name, "slug": slug(name), "n": 4, "proxy": name, "higher_is_better": false,
        "in_domain_lp": coefficient, "out_domain_lp": { "rho": null, "why": name }, "mahalanobis": coefficient,
        "printed": null,
        "stages": { "health": stage, "representation": stage, "correlation": correlation, "verdict": name },
    })
}

fn document(name: &str, families: &[Value]) -> Value {
    json!({
        "title": name, "asdbench": "0.0.0",
        "trials": { "trials": 4, "done": 1, "failed": 1, "half_done": 1, "not_judged": 0, "damaged": 0, "missing": 1 },
        "studies": [{ "name": name, "trials": { "trials": 4, "done": 1 } }],
        "left_out": [{ "path": name, "state": "failed", "why": name }],
        "caveats": [{ "title": name, "text": name, "grave": true }, { "title": "b", "text": "c", "grave": false }],
        "averaging": [name], "summary": [{ "verdict": name, "families": [name] }], "machines": [{ "machine": name }], "families": families,
        "protocol": { "significance": 0.05, "p_value": "holm" }, "bootstrap": { "level": 0.95 },
        "provenance": { "asdbench": ["1"], "burn": [], "devices": [name], "commits": [] },
        "shown_rule": "rule", "figures_missing": [name],
    })
}

fn table(part: &str, name: &str) -> NamedTable {
    let mut table = Table::new(&[(name, Align::Left), ("ρ", Align::Right), ("p", Align::Right)]);
    table.row([Cell::from(name), Cell::number(-0.123_456_789, 2), Cell::p_value(3.6e-4)]);
    table.row([Cell::from(name), Cell::none(), Cell::from(name)]);
    NamedTable { name: slug(name), part: part.to_owned(), caption: name.to_owned(), table }
}

fn picture(part: &str, name: &str) -> Picture {
    let svg =
        |colour: &str| format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><path fill=\"{colour}\"/></svg>");
    Picture {
        name: slug(name),
        part: part.to_owned(),
        title: name.to_owned(),
        caption: name.to_owned(),
        alt: name.to_owned(),
        light: svg("#123456"),
        dark: svg("#fedcba"),
    }
}

fn html(name: &str) -> String {
    let parts = ["run", "left-out", "correlation", "machines", "configurations", "settings"];
    let own = format!("family-{}", slug(name));
    let tables: Vec<NamedTable> =
        parts.into_iter().chain([own.as_str()]).map(|part| table(part, name)).collect();
    let pictures = ["correlation", own.as_str()].map(|part| picture(part, name));
    let document = document(name, &[family(name)]);
    Page { document: &document, tables: &tables, pictures: &pictures }.html().unwrap()
}

#[test]
fn every_text_is_escaped_and_nothing_is_fetched() {
    let page = html(HOSTILE);
    assert!(!page.contains("<script"), "{page}");
    // The hostile text ends no element: each end tag that it has stands as often as without it.
    let plain = html("fan");
    for tag in ["</td>", "</style>", "</title>", "</section>"] {
        assert_eq!(page.matches(tag).count(), plain.matches(tag).count(), "{tag}");
    }
    assert!(page.contains("&lt;script&gt;alert("), "{page}");
    assert!(!page.contains("alert(\"1\""), "{page}");
    let without_namespaces = plain.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for way_out in ["http:", "https:", "url(", "@import", "src=", "<link", "<script", "javascript:"] {
        assert!(!without_namespaces.contains(way_out), "{way_out}");
    }
    assert!(plain.contains("default-src 'none'"));
}

#[test]
fn numbers_are_rounded_for_people_and_exact_for_programs() {
    let page = html("fan");
    assert!(page.contains("<data value=\"-0.123456789\">−0.12</data>"), "{page}");
    assert!(page.contains("<data value=\"0.00036\">3.6e−4</data>"), "{page}");
    assert!(page.contains("--at:-0.123456789"), "{page}");
    assert!(page.contains("no ρ"), "{page}");
}

#[test]
fn a_dot_is_dark_by_the_p_that_the_verdict_rests_on() {
    let page = html("fan");
    assert!(page.contains("</span>Holm p &lt; 0.05</li>"), "{page}");
    // The one in the legend, and Mahalanobis.
    assert_eq!(page.matches("dot sure").count(), 2, "{page}");
}

#[test]
fn what_stands_between_backticks_is_code() {
    let page = html("<b> `x` of `y");
    assert!(page.contains("&lt;b&gt; <code>x</code> of `y"), "{page}");
    assert!(html("fan").contains("see <code>fan</code>"));
}

#[test]
fn every_part_has_its_place_once() {
    let page = html("fan");
    assert_eq!(page.matches("<figure ").count(), 2);
    assert_eq!(page.matches("<table ").count(), 7);
    assert_eq!(page.matches("var(--ink-0)").count(), 2);
    for link in page.split("href=\"#").skip(1) {
        let id = link.split('"').next().unwrap();
        assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
    }
    for section in page.split("aria-labelledby=\"").skip(1) {
        let id = section.split('"').next().unwrap();
        assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
    }
}

#[test]
fn a_page_without_results_says_so() {
    let document = document("fan", &[]);
    let page = Page { document: &document, tables: &[], pictures: &[] }.html().unwrap();
    assert!(page.contains("No run is judged yet"), "{page}");
    assert!(!page.contains("id=\"families\""), "{page}");
}

#[test]
fn what_the_document_lacks_is_an_error_and_no_gap() {
    let page = Page { document: &json!({ "title": "t" }), tables: &[], pictures: &[] };
    assert!(page.html().is_err());
}

#[test]
fn slugs_are_names_of_files() {
    for (text, expected) in [
        ("autoencoder", "autoencoder"),
        ("../../Etc Pass_wd", "etc-pass-wd"),
        ("<script>", "script"),
        ("☃", "x"),
        ("", "x"),
        ("a--b-", "a-b"),
    ] {
        assert_eq!(slug(text), expected);
    }
}
