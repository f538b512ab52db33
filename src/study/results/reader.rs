//! The results CSV.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::{COLUMNS, Error, Origin, ResultRow};
use crate::csv_lines::{self, Lines};
use crate::files;

/// The rows of a results CSV.
///
/// # Errors
/// A file that cannot be read, and what [`parse_csv`] refuses.
pub fn read_csv(path: &Path) -> Result<Vec<ResultRow>, Error> {
    parse_csv(&files::read(path)?, path)
}

/// The rows of the text of a results CSV; `path` is for the messages.
///
/// A byte order mark, Windows line ends, blank lines and columns in any order are fine. Rows are not compared with one
/// another: [`super::check`] does that.
///
/// # Errors
/// Text that is not UTF-8; a column that is missing, unknown or there twice; a row of another length; a value that is not
/// what its column holds; no row at all. Every message names file and line.
pub fn parse_csv(bytes: &[u8], path: &Path) -> Result<Vec<ResultRow>, Error> {
    let text = csv_lines::text(bytes).map_err(|error| invalid(path, error.line(), error.to_string()))?;
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(text.as_bytes());
    let mut columns: Option<[usize; 10]> = None;
    let mut rows = Vec::new();
    let mut lines = Lines::of(text.as_bytes());
    for record in reader.records() {
        // The text is UTF-8 and rows may have any length, so that nothing is left that could fail.
        let record = record.map_err(|error| invalid(path, 1, error.to_string()))?;
        let line = lines.of_position(record.position());
        let Some(columns) = &columns else {
            columns = Some(header(&record).map_err(|why| invalid(path, line, why))?);
            continue;
        };
        // Spreadsheets leave such rows below a table.
        if record.iter().all(str::is_empty) {
            continue;
        }
        let origin = Origin::line(path, line);
        rows.push(row(&record, columns, origin.clone()).map_err(|why| Error::Invalid { origin, why })?);
    }
    match (columns, rows.is_empty()) {
        (None, _) => {
            Err(invalid(path, 1, format!("the file is empty; its first line must be {}", expected())))
        }
        (_, true) => Err(invalid(path, 1, "there is no row below the header".into())),
        _ => Ok(rows),
    }
}

fn invalid(path: &Path, line: u64, why: String) -> Error {
    Error::Invalid { origin: Origin::line(path, line), why }
}

fn expected() -> String {
    COLUMNS.join(",")
}

/// The place of each of [`COLUMNS`] in a row.
fn header(record: &StringRecord) -> Result<[usize; 10], String> {
    if let (1, Some(only)) = (record.len(), record.get(0))
        && let Some(separator) = [(';', "semicolons"), ('\t', "tabs")].iter().find(|(c, _)| only.contains(*c))
    {
        return Err(format!("the values are separated by {}; separate them by commas", separator.1));
    }
    let unknown: Vec<&str> = record.iter().filter(|name| !COLUMNS.contains(name)).collect();
    let missing: Vec<&str> =
        COLUMNS.into_iter().filter(|name| !record.iter().any(|found| found == *name)).collect();
    let complaint = |what, names: &[&str]| {
        let plural = if names.len() > 1 { "s" } else { "" };
        (!names.is_empty()).then(|| format!("{what} column{plural} `{}`", names.join("`, `")))
    };
    let complaints: Vec<String> =
        [complaint("missing", &missing), complaint("unknown", &unknown)].into_iter().flatten().collect();
    if !complaints.is_empty() {
        return Err(format!("{}; the header must name {}", complaints.join(", "), expected()));
    }
    if let Some(twice) = COLUMNS.iter().find(|name| record.iter().filter(|found| found == *name).count() > 1)
    {
        return Err(format!("the header names column `{twice}` twice"));
    }
    Ok(COLUMNS.map(|name| record.iter().position(|found| found == name).unwrap_or_default()))
}

fn row(record: &StringRecord, columns: &[usize; 10], origin: Origin) -> Result<ResultRow, String> {
    if record.len() != columns.len() {
        return Err(format!(
            "{} values where the header names {}; quote a value that has a comma in it",
            record.len(),
            columns.len()
        ));
    }
    let cell = |name: &'static str| {
        let column = COLUMNS.iter().position(|known| *known == name).unwrap_or_default();
        (name, record.get(columns[column]).unwrap_or_default())
    };
    let optional = |(_, text): (&str, &str)| (!text.is_empty()).then(|| text.to_owned());
    let needed = |(name, text): (&str, &str)| match text {
        "" => Err(format!("`{name}` is empty")),
        text => Ok(text.to_owned()),
    };
    Ok(ResultRow {
        family: needed(cell("family"))?,
        config: needed(cell("config"))?,
        machine: optional(cell("machine")),
        seed: seed(cell("seed").1)?,
        proxy_name: needed(cell("proxy_name"))?,
        proxy: number(cell("proxy"))?,
        proxy_why: None,
        higher_is_better: truth(cell("higher_is_better"))?,
        other_proxies: Vec::new(),
        in_domain_lp: number(cell("in_domain_lp"))?,
        out_domain_lp: number(cell("out_domain_lp"))?,
        mahalanobis: number(cell("mahalanobis"))?,
        origin,
    })
}

fn number((name, text): (&str, &str)) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Some(value)),
        Ok(_) => Err(format!(
            "`{name}` is `{text}`, which has no rank; leave the cell empty where there is no value"
        )),
        Err(_) if text.replace(',', ".").parse::<f64>().is_ok() => {
            Err(format!("`{name}` is `{text}`; write decimals with a point"))
        }
        Err(_) => {
            Err(format!("`{name}` is `{text}`, not a number; leave the cell empty where there is no value"))
        }
    }
}

fn seed(text: &str) -> Result<Option<u64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    // A column of whole numbers with gaps is written `0.0` by pandas.
    let digits = text.strip_suffix(".0").unwrap_or(text);
    digits
        .parse()
        .map(Some)
        .map_err(|_| format!("`seed` is `{text}`, not a whole number from 0; it may be empty"))
}

fn truth((name, text): (&str, &str)) -> Result<bool, String> {
    // Spreadsheets write TRUE, Python writes True.
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("`{name}` is `{text}`, neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "family,config,machine,seed,proxy_name,proxy,higher_is_better,in_domain_lp,out_domain_lp,mahalanobis\n";

    fn parse(text: &str) -> Result<Vec<ResultRow>, String> {
        parse_csv(text.as_bytes(), Path::new("r.csv")).map_err(|error| error.to_string())
    }

    fn refused(row: &str) -> String {
        parse(&format!("{HEADER}f,a,fan,0,mae,1,false,0.5,0.6,0.7\n{row}\n")).unwrap_err()
    }

    #[test]
    fn a_row_is_read_as_it_stands() {
        let rows = parse(&format!(
            "{HEADER}ae, h8 ,fan,3,mae,4.5e-3,False,0.7,,71.5\n\"a,b\",x,,,map,-1,TRUE,,.5,\n"
        ))
        .unwrap();
        let first = ResultRow {
            origin: Origin::line(Path::new("r.csv"), 2),
            family: "ae".into(),
            config: "h8".into(),
            machine: Some("fan".into()),
            seed: Some(3),
            proxy_name: "mae".into(),
            proxy: Some(4.5e-3),
            proxy_why: None,
            higher_is_better: false,
            other_proxies: Vec::new(),
            in_domain_lp: Some(0.7),
            out_domain_lp: None,
            mahalanobis: Some(71.5),
        };
        assert_eq!(rows[0], first);
        let second = &rows[1];
        assert_eq!((second.family.as_str(), &second.machine, second.seed), ("a,b", &None, None));
        assert_eq!((second.proxy, second.out_domain_lp, second.mahalanobis), (Some(-1.0), Some(0.5), None));
        assert_eq!(second.origin.to_string(), "r.csv, line 3");
    }

    #[test]
    fn what_spreadsheets_add_changes_nothing() {
        let plain =
            parse(&format!("{HEADER}f,a,fan,0,mae,1,false,0.5,0.6,0.7\nf,b,fan,0,mae,2,false,,,\n")).unwrap();
        let dressed = format!(
            "\u{feff}{HEADER}f,a,fan,0.0,mae,1,false,0.5,0.6,0.7\nf,b,fan,0,mae,2,FALSE,,,\n,,,,,,,,,\n\n"
        );
        assert_eq!(parse(&dressed.replace('\n', "\r\n")).unwrap(), plain);
        let columns = "mahalanobis,family,config,machine,seed,proxy_name,proxy,higher_is_better,in_domain_lp,out_domain_lp";
        let moved =
            parse(&format!("{columns}\n0.7,f,a,fan,0,mae,1,false,0.5,0.6\n,f,b,fan,0,mae,2,false,,\n"));
        assert_eq!(moved.unwrap(), plain);
    }

    #[test]
    fn lines_are_counted_through_blank_ones() {
        let text = format!("\n{HEADER}\n\nf,\"a\nb\",fan,0,mae,1,false,,,\n\nf,a,fan,0,mae,x,false,,,\n");
        for end in ["\n", "\r\n", "\r"] {
            let found = parse(&text.replace('\n', end)).unwrap_err();
            assert!(found.starts_with("r.csv, line 8: "), "{end:?}: {found}");
        }
    }

    #[test]
    fn a_bad_header_is_named() {
        let found = parse(&HEADER.replace("mahalanobis", "mahalanobi")).unwrap_err();
        assert!(
            found.starts_with("r.csv, line 1: missing column `mahalanobis`, unknown column `mahalanobi`"),
            "{found}"
        );
        let found = parse(&HEADER.replace("machine,seed,", "")).unwrap_err();
        assert!(found.contains("missing columns `machine`, `seed`;"), "{found}");
        let found = parse(&HEADER.replace('\n', ",seed\n")).unwrap_err();
        assert!(found.contains("column `seed` twice"), "{found}");
        assert!(parse(&HEADER.replace(',', ";")).unwrap_err().contains("semicolons"));
        for nothing in ["", "\n\n", "\u{feff}"] {
            assert!(parse(nothing).unwrap_err().contains("the file is empty"), "{nothing:?}");
        }
        assert!(parse(HEADER).unwrap_err().contains("no row below the header"));
    }

    #[test]
    fn a_bad_value_is_named_with_its_line() {
        for (row, word) in [
            ("f,b,fan,0,mae,one,false,0.5,0.6,0.7", "`proxy` is `one`, not a number"),
            ("f,b,fan,0,mae,1,false,NaN,0.6,0.7", "`in_domain_lp` is `NaN`, which has no rank"),
            ("f,b,fan,0,mae,1,false,0.5,-inf,0.7", "`out_domain_lp` is `-inf`"),
            ("f,b,fan,0,mae,1,false,0.5,0.6,\"0,7\"", "write decimals with a point"),
            ("f,b,fan,0,mae,1,false,0.5,0.6,71%", "`mahalanobis` is `71%`, not a number"),
            ("f,b,fan,-1,mae,1,false,,,", "`seed` is `-1`"),
            ("f,b,fan,0,mae,1,yes,,,", "`higher_is_better` is `yes`"),
            ("f,b,fan,0,mae,1,,,,", "`higher_is_better` is ``"),
            (",b,fan,0,mae,1,false,,,", "`family` is empty"),
            ("f,,fan,0,mae,1,false,,,", "`config` is empty"),
            ("f,b,fan,0,,1,false,,,", "`proxy_name` is empty"),
            ("f,b,fan,0,mae,1,false,0.5", "8 values where the header names 10"),
            ("f,b,fan,0,mae,1,false,0,5,0,6,0,7", "13 values where the header names 10"),
        ] {
            let found = refused(row);
            assert!(found.starts_with("r.csv, line 3: ") && found.contains(word), "{row}: {found}");
        }
    }

    #[test]
    fn text_of_another_encoding_is_refused() {
        let mut latin = format!("{HEADER}f,a,fan,0,mae,1,false,,,\nf,").into_bytes();
        latin.extend(b"\xE4,fan,0,mae,1,false,,,\n");
        let found = parse_csv(&latin, Path::new("r.csv")).unwrap_err().to_string();
        assert!(found.starts_with("r.csv, line 3: ") && found.contains("UTF-8"), "{found}");
        let found = parse_csv(b"\xFF\xFEf\0", Path::new("r.csv")).unwrap_err().to_string();
        assert!(found.contains("UTF-16"), "{found}");
    }
}
