//! The names in a manifest, which become folders' names when something is made of the run.

use std::path::{Component, Path};

use super::Manifest;

impl Manifest {
    /// Whether family, configuration and machine types are names of single folders: a manifest that somebody else wrote must not
    /// lead what is made of its run to another place.
    pub(super) fn check_names(&self) -> Result<(), String> {
        let own = [("family", &self.family), ("config", &self.config), ("machine", &self.machine)];
        let learnt = self.learnt.iter().map(|machine| ("learnt", machine));
        match own.into_iter().chain(learnt).find(|(_, name)| !is_single(name)) {
            Some((key, name)) => Err(format!("its `{key}` {name:?} is not the name of a folder")),
            None => Ok(()),
        }
    }
}

/// Whether a name is one part of a path, and neither `.` nor `..`.
pub(crate) fn is_single(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let single = matches!(parts.next(), Some(Component::Normal(part)) if part == name);
    single && parts.next().is_none() && !name.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_single_folders() {
        for name in ["fan", "h32-b4-8edad271", "0_dB_fan", "..x", "a b", "-rf", "é☃", "new\nline"] {
            assert!(is_single(name), "{name}");
        }
        for name in ["", ".", "..", "/", "/x", "../x", "a/b", "a/..", "a/", "./a", "a\0"] {
            assert!(!is_single(name), "{name}");
        }
    }
}
