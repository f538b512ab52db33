//! What file and folder names mean in each data set. Names are read by their tokens (the parts between `_`), never
//! by position or number of digits: indices start at 0 or 1, have gaps, and lengths differ between years.
//!
//! | layouts | folders | file |
//! |---|---|---|
//! | DCASE 2020 | `<machine>/{train,test}` | [`dcase2020`] |
//! | DCASE 2021 | `<machine>/{train,source_test,target_test}` | [`sections`] |
//! | DCASE 2022–2026 | `<machine>/{train,test,supplemental}` | [`sections`] |
//! | MIMII | `<snr>/<machine>/id_NN/{normal,abnormal}` | [`mimii`] |

mod dcase2020;
mod mimii;
mod sections;

use std::path::Path;

pub(super) use sections::is_no_attribute;
pub(crate) use sections::{NameFacts, name_facts};

use super::clip::{Domain, Split};
use crate::audio;
use crate::config::Layout;

/// Every layout that can be asked for, with its name in configs.
const NAMED: [(Layout, &str); 8] = [
    (Layout::Dcase2020, "dcase2020"),
    (Layout::Dcase2021, "dcase2021"),
    (Layout::Dcase2022, "dcase2022"),
    (Layout::Dcase2023, "dcase2023"),
    (Layout::Dcase2024, "dcase2024"),
    (Layout::Dcase2025, "dcase2025"),
    (Layout::Dcase2026, "dcase2026"),
    (Layout::Mimii, "mimii"),
];

/// One layout of each family that differs in what it accepts, the likeliest first, for detection.
const FAMILIES: [Layout; 4] = [Layout::Dcase2022, Layout::Dcase2021, Layout::Dcase2020, Layout::Mimii];

/// What a clip's path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub machine: String,
    pub section: String,
    pub domain: Option<Domain>,
    pub split: Split,
    pub anomalous: Option<bool>,
    pub attributes: Vec<(String, String)>,
}

/// Why a path says nothing usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// The layout's grammar does not cover the name.
    Unmatched(String),
    /// Name and folder disagree.
    Contradiction(String),
}

/// A relative path taken apart, with the folders above the root in front, so that a root which is itself a
/// machine's folder still tells the machine's name.
struct Place<'a> {
    folders: Vec<&'a str>,
    /// How many of `folders` may be looked at for split names: those below the root and the root itself.
    own_from: usize,
    /// File name without `.wav`.
    stem: &'a str,
}

impl<'a> Place<'a> {
    fn new(above: &[&'a str], path: &'a str) -> Self {
        let mut folders = above.to_vec();
        let own_from = folders.len().saturating_sub(1);
        let mut parts: Vec<&str> = path.split('/').collect();
        let file = parts.pop().unwrap_or_default();
        folders.extend(parts);
        Self { folders, own_from, stem: stem(file) }
    }

    /// The nearest folder above the file for which `knows` has an answer, with its index in `folders`.
    fn nearest<T>(&self, knows: impl Fn(&str) -> Option<T>) -> Option<(usize, T)> {
        (self.own_from..self.folders.len())
            .rev()
            .find_map(|at| knows(self.folders[at]).map(|answer| (at, answer)))
    }

    /// The folder right above `folders[at]`: the machine type, where `at` is a split's folder.
    fn above(&self, at: usize) -> String {
        at.checked_sub(1).map_or("machine", |above| self.folders[above]).to_owned()
    }
}

/// A file name without its `.wav`. Only that is cut: attribute values have dots too (`volt_1.5`).
pub(crate) fn stem(file: &str) -> &str {
    match file.len().checked_sub(4) {
        Some(cut) if file.is_char_boundary(cut) && file[cut..].eq_ignore_ascii_case(".wav") => &file[..cut],
        _ => file,
    }
}

/// What a clip's name (without its extension) says in any challenge year; `None` where it names no section and no
/// machine ID.
pub(crate) fn clip_facts(stem: &str) -> Option<NameFacts> {
    name_facts(stem).or_else(|| dcase2020::name_facts(stem))
}

/// Whether a token is a number: digits only, any count of them.
pub(crate) fn is_number(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit())
}

/// `normal`, `anomaly` or MIMII's `abnormal` as "is it anomalous".
fn label(token: &str) -> Option<bool> {
    match token {
        "normal" => Some(false),
        "anomaly" | "abnormal" | "anomalous" => Some(true),
        _ => None,
    }
}

/// Reads all paths (relative, sorted) as `layout`; the answers stand in the paths' order. `root` is canonical.
/// [`Layout::Auto`] is read as DCASE 2022: resolve it with [`detect`] first.
pub(super) fn read(layout: Layout, root: &Path, paths: &[String]) -> Vec<Result<Parsed, Misfit>> {
    let above: Vec<&str> = root
        .components()
        .filter(|part| matches!(part, std::path::Component::Normal(_)))
        .filter_map(|part| part.as_os_str().to_str())
        .collect();
    let places = paths.iter().map(|path| Place::new(&above, path));
    match layout {
        Layout::Mimii => mimii::read(places.collect()),
        Layout::Dcase2020 => places.map(|place| dcase2020::parse(&place)).collect(),
        Layout::Dcase2021 => {
            places.map(|place| sections::parse(&place, sections::Folders::TestPerDomain)).collect()
        }
        _ => places.map(|place| sections::parse(&place, sections::Folders::OneTest)).collect(),
    }
}

/// The layout that most of the paths fit, or `None` where no path fits any. The years 2022 to 2026 share one
/// grammar and are told apart by what differs: more than section 00 (2022), stereo clips (2026; a few headers
/// are read), a `supplemental` folder (2025), and otherwise 2023, which stands for 2024 too.
pub(super) fn detect(root: &Path, paths: &[String]) -> Option<Layout> {
    let fits = |layout| read(layout, root, paths).iter().filter(|answer| answer.is_ok()).count();
    let mut best = (0, None);
    for layout in FAMILIES {
        let count = fits(layout);
        if count > best.0 {
            best = (count, Some(layout));
        }
    }
    match best.1? {
        Layout::Dcase2022 => Some(year_of_sections(root, paths)),
        other => Some(other),
    }
}

fn year_of_sections(root: &Path, paths: &[String]) -> Layout {
    let answers = read(Layout::Dcase2022, root, paths);
    let fitting =
        || paths.iter().zip(&answers).filter_map(|(path, answer)| Some((path, answer.as_ref().ok()?)));
    if fitting().any(|(_, parsed)| parsed.split != Split::Supplemental && parsed.section != "00") {
        return Layout::Dcase2022;
    }
    // A few, as the first may be a bad one.
    let mut some = fitting().filter(|(_, parsed)| parsed.split == Split::Train).take(4);
    if some.any(|(path, _)| audio::probe(&root.join(path)).is_ok_and(|info| info.channels == 2)) {
        Layout::Dcase2026
    } else if fitting().any(|(_, parsed)| parsed.split == Split::Supplemental) {
        Layout::Dcase2025
    } else {
        Layout::Dcase2023
    }
}

/// The layouts of the families that at least one path fits, in words; for an error's remedy.
pub(super) fn fitting(root: &Path, paths: &[String]) -> Vec<&'static str> {
    let fits = |layout: &Layout| read(*layout, root, paths).iter().any(Result::is_ok);
    FAMILIES.into_iter().filter(fits).map(name).collect()
}

/// A layout's name in configs.
pub(super) fn name(layout: Layout) -> &'static str {
    NAMED.iter().find(|(known, _)| *known == layout).map_or("auto", |(_, name)| name)
}

/// All layouts' names in words.
pub(super) fn known() -> String {
    NAMED.map(|(_, name)| name).join(", ")
}
