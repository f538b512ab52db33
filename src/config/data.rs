//! `[data]`: which recordings an experiment reads.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::Error;
use crate::audio::ChannelChoice;

/// Which recordings are read, and how a recording becomes one channel.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Folder of the data set, the one that holds a folder per machine type; relative to the working folder.
    #[serde(serialize_with = "path_as_text")]
    #[schemars(length(min = 1))]
    pub root: Option<PathBuf>,
    /// Folder of WAV files to mix a machine's clips with; if unset, the clips of the other machine types. Every fifth
    /// recording is held out for judging; fewer than five serve for training and judging alike, and the result says so.
    /// Families that mix nothing ignore it.
    #[serde(serialize_with = "path_as_text")]
    #[schemars(length(min = 1))]
    pub interference: Option<PathBuf>,
    /// How the data set names its folders and files.
    pub layout: Layout,
    /// Machine types to use; an empty list takes all that are found.
    #[schemars(extend("uniqueItems" = true), inner(length(min = 1)))]
    pub machines: Vec<String>,
    /// Which channel of a recording with several channels is used.
    pub channel: ChannelChoice,
    /// What to do with a clip that cannot be read.
    pub on_bad_clip: OnBadClip,
}

/// How a data set names its folders and files.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Found out from the folders and file names.
    Auto,
    /// DCASE 2020 Task 2: machine ids, no domains.
    Dcase2020,
    /// DCASE 2021 Task 2: folders `source_test` and `target_test`.
    Dcase2021,
    /// DCASE 2022 Task 2: one `test` folder, domains in the file names.
    Dcase2022,
    /// DCASE 2023 Task 2: one section per machine type.
    Dcase2023,
    /// DCASE 2024 Task 2: as 2023, attributes may be missing.
    Dcase2024,
    /// DCASE 2025 Task 2: as 2024, with supplemental clips.
    Dcase2025,
    /// DCASE 2026 Task 2: stereo, the near microphone on the left.
    Dcase2026,
    /// The original MIMII: eight channels, folders `normal` and `abnormal`.
    Mimii,
}

/// What to do with a clip that cannot be read.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum OnBadClip {
    /// Stop, naming the clip.
    Error,
    /// Leave the clip out, with a warning that names it.
    Skip,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            root: None,
            interference: None,
            layout: Layout::Auto,
            machines: Vec::new(),
            channel: ChannelChoice::First,
            on_bad_clip: OnBadClip::Error,
        }
    }
}

impl DataConfig {
    /// The data set's folder.
    ///
    /// # Errors
    /// [`Error::NoDataRoot`] if the configuration names none: shipped configurations leave the folder to the user.
    pub fn root_dir(&self) -> Result<&Path, Error> {
        self.root.as_deref().ok_or(Error::NoDataRoot)
    }
}

// A name that is not UTF-8 cannot come from a TOML file, and must not make writing a configuration fail.
fn path_as_text<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Path::to_string_lossy).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unset_root_is_an_error_that_says_how_to_set_it() {
        let mut data = DataConfig::default();
        let message = data.root_dir().unwrap_err().render(false);
        assert!(message.contains("data.root"), "{message}");
        assert!(message.contains("--set data.root=DIR"), "{message}");
        data.root = Some("clips".into());
        assert_eq!(data.root_dir().unwrap(), Path::new("clips"));
    }

    #[test]
    fn layouts_are_named_as_in_the_documentation() {
        let names: Vec<String> = [Layout::Auto, Layout::Dcase2022, Layout::Mimii]
            .iter()
            .map(|layout| serde_json::to_string(layout).unwrap())
            .collect();
        assert_eq!(names, [r#""auto""#, r#""dcase2022""#, r#""mimii""#]);
    }
}
