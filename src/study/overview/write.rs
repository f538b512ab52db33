//! The files of a report.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::figures::{self, Drawn};
use super::scan::Scan;
use super::{Overview, gather, look, tables};
use crate::config::ProtocolConfig;
use crate::device::OpenDevice;
use crate::files::{self, Durability};
use crate::report::figure::{FigureError, Theme};
use crate::report::page::{NamedTable, Page, Picture};
use crate::study::Error;
use crate::study::plan::agreed;
use crate::ui::Ui;

/// The heading where none is given.
const TITLE: &str = "Do better proxy tasks make better anomaly detectors?";

/// The page's file.
const PAGE: &str = "index.html";

/// The document's file.
const DOCUMENT: &str = "report.json";

/// Which report of which runs.
#[derive(Clone, Copy)]
pub struct ReportRequest<'a> {
    /// Folder of the runs.
    pub runs: &'a Path,
    /// Folder of the report; made where it is not there.
    pub output: &'a Path,
    /// Heading of the page; a question where there is none.
    pub title: Option<&'a str>,
    /// Thresholds of the protocol; those that the sweeps planned, or the defaults, where there are none.
    pub protocol: Option<&'a ProtocolConfig>,
    /// `--set protocol.x=value` arguments over those that the sweeps planned.
    pub thresholds: &'a [String],
    /// `--set` arguments that say where the recordings are now: `data.root`, `data.interference`.
    pub places: &'a [String],
    /// What reconstructs and separates examples; none leaves them out.
    pub device: Option<&'a OpenDevice>,
    /// Where progress and warnings go.
    pub ui: &'a Ui,
}

/// What was written.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of this form.
    pub schema: u32,
    /// The page.
    pub page: PathBuf,
    /// All files below the report's folder, sorted.
    pub files: Vec<String>,
    /// What the page says.
    pub report: Overview,
}

/// Gather what the runs of a folder say, and write tables, figures, `report.json` and, last, `index.html`.
///
/// Files of an earlier report are replaced, each whole, or go when this one has none of the name; whatever else is in the
/// folder stays.
///
/// # Errors
/// Where there is no run, or the folder cannot be written.
pub fn report(request: &ReportRequest<'_>) -> Result<Report, Error> {
    let ui = request.ui;
    let scan = look(request.runs)?;
    let protocol = match request.protocol {
        Some(protocol) => protocol.clone(),
        None => planned_protocol(&scan, ui).with_sets(request.thresholds)?,
    };
    let mut overview = gather(&scan, request.title.unwrap_or(TITLE), protocol)?;
    let (drawn, missing) = figures::draw(&overview, &scan, request);
    overview.figures_missing = missing;
    overview.figures = drawn.iter().map(|one| one.note.clone()).collect();
    let tables = tables::tables(&overview);
    let earlier = earlier_files(request.output);
    let (mut written, pictures) = tables_and_figures(&tables, &drawn, request.output)?;
    let names = written.iter().map(|(name, _)| name.to_string_lossy().replace('\\', "/"));
    overview.files = names.chain([DOCUMENT, PAGE].map(str::to_owned)).collect();
    overview.files.sort();
    written.extend(document_and_page(&overview, &tables, &pictures, request.output)?);
    for folder in ["", "tables", "figures"] {
        files::make_folder(&request.output.join(folder))?;
    }
    for (name, bytes) in &written {
        files::write(&request.output.join(name), bytes, Durability::Flushed)?;
    }
    for name in earlier.iter().filter(|name| !overview.files.contains(name)) {
        files::remove(&request.output.join(name))?;
    }
    Ok(Report { schema: 1, page: request.output.join(PAGE), files: overview.files.clone(), report: overview })
}

/// The thresholds of the sweeps that made the runs.
fn planned_protocol(scan: &Scan, ui: &Ui) -> ProtocolConfig {
    let (protocol, remark) = agreed(scan.plans.iter().map(|plan| (plan.name.as_str(), &plan.protocol)));
    if let Some(remark) = remark {
        ui.warn(&remark);
    }
    protocol
}

/// Tables and figures of the report that a folder holds; none where it holds none that can be read.
fn earlier_files(output: &Path) -> Vec<String> {
    #[derive(Deserialize)]
    struct Earlier {
        files: Vec<String>,
    }
    let text = files::read_text(&output.join(DOCUMENT)).unwrap_or_default();
    let Ok(Earlier { mut files }) = serde_json::from_str(&text) else { return Vec::new() };
    // Somebody else may have written it: what it names elsewhere stays.
    files.retain(|name| {
        let parts: Vec<&str> = name.split('/').collect();
        matches!(parts[..], ["tables" | "figures", file] if !file.contains('\\') && file != ".." && file != ".")
    });
    files
}

/// Files with their content, by their names below the report's folder.
type Written = Vec<(PathBuf, Vec<u8>)>;

fn tables_and_figures(
    tables: &[NamedTable],
    drawn: &[Drawn],
    output: &Path,
) -> Result<(Written, Vec<Picture>), Error> {
    let fail = |name: &str, error: std::io::Error| files::Error::new("write", &output.join(name), error);
    let mut written = Written::new();
    for table in tables {
        written.extend(table.files().map_err(|error| fail(&table.name, error))?);
    }
    let mut pictures = Vec::new();
    for Drawn { note, figure } in drawn {
        let name = |suffix: &str| PathBuf::from("figures").join(format!("{}.{suffix}", note.name));
        let light = figure.svg(Theme::Light);
        let png = figure.png().map_err(|error: FigureError| {
            fail(&format!("figures/{}.png", note.name), std::io::Error::other(error.to_string()))
        })?;
        written.push((name("png"), png));
        written.push((name("svg"), light.clone().into_bytes()));
        pictures.push(Picture {
            name: note.name.clone(),
            part: note.part.clone(),
            title: note.title.clone(),
            caption: note.caption.clone(),
            alt: note.alt.clone(),
            light,
            dark: figure.svg(Theme::Dark),
        });
    }
    Ok((written, pictures))
}

/// The page comes last: where it is, all that it names is there.
fn document_and_page(
    overview: &Overview,
    tables: &[NamedTable],
    pictures: &[Picture],
    output: &Path,
) -> Result<Written, Error> {
    let fail = |name: &str, error: std::io::Error| files::Error::new("write", &output.join(name), error);
    let mut document =
        serde_json::to_string_pretty(overview).map_err(|error| fail(DOCUMENT, error.into()))?;
    document.push('\n');
    let page = Page { document: overview, tables, pictures };
    let html = page.html().map_err(|error| fail(PAGE, error.into()))?;
    Ok(vec![(DOCUMENT.into(), document.into_bytes()), (PAGE.into(), html.into_bytes())])
}
