//! The `[protocol]` of a study file, and `--set protocol.x=…` over it.

use toml::Value;

use super::ProtocolConfig;
use crate::config::check::{Problem, check_value, dotted};
use crate::config::error::Error;
use crate::config::set;
use crate::config::source::{Sources, Span};
use crate::config::study::settable;
use crate::config::tree::{Item, Node};

/// The table's name.
const TABLE: &str = "protocol";

impl ProtocolConfig {
    /// These thresholds with `--set protocol.x=value` arguments over them, of which later ones win.
    ///
    /// # Errors
    /// An argument that cannot be read, that sets something else, an unknown threshold, or one out of range.
    pub fn with_sets(&self, sets: &[String]) -> Result<Self, Error> {
        if sets.is_empty() {
            return Ok(self.clone());
        }
        let mut sources = Sources::default();
        let mut root: Option<Node> = None;
        for argument in sets {
            let layer = set::parse_for(argument, settable(), &mut sources)?.layer;
            if let Some(other) = other_key(&layer) {
                let message = format!("`{}` is no threshold of the protocol", other.0);
                let help = "of a study's settings, --set takes protocol.* only, such as --set protocol.significance=0.01";
                let problem = Problem::at(other.1, message).help(help);
                return Err(Error::Invalid(vec![problem.diagnose(&layer, &sources)]));
            }
            match &mut root {
                Some(root) => root.merge(layer, ProtocolConfig::shape()),
                None => root = Some(layer),
            }
        }
        root.map_or_else(|| Ok(self.clone()), |root| self.under(&root, &sources))
    }

    /// These thresholds with those that `root` has under `protocol` over them.
    pub(in crate::config) fn under(&self, root: &Node, sources: &Sources) -> Result<Self, Error> {
        let Some(node) = root.get([TABLE]) else { return Ok(self.clone()) };
        let mut problems = check_value(&[TABLE.to_owned()], node, Self::shape());
        if problems.is_empty() {
            let mut whole = toml::Table::try_from(self).unwrap_or_default();
            if let Value::Table(over) = node.value() {
                whole.extend(over);
            }
            match Value::Table(whole).try_into::<Self>() {
                Ok(config) => {
                    config.check(&mut problems);
                    if problems.is_empty() {
                        return Ok(config);
                    }
                }
                Err(error) => problems.push(Problem::new(TABLE, format!("`{TABLE}`: {}", error.message()))),
            }
        }
        Err(Error::of_problems(problems.into_iter().map(|problem| problem.diagnose(root, sources))))
    }
}

/// A key of a `--set` argument beside the table's.
fn other_key(layer: &Node) -> Option<(String, Span)> {
    let Item::Table(table) = &layer.item else { return None };
    table
        .iter()
        .find(|(key, _)| key.as_str() != TABLE)
        .map(|(key, node)| (dotted(std::slice::from_ref(key)), node.key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PValue, load_protocol};

    fn sets(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|&one| one.to_owned()).collect()
    }

    fn refused(result: Result<ProtocolConfig, Error>) -> String {
        result.unwrap_err().render(false)
    }

    #[test]
    fn a_study_file_and_what_it_extends_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("base.toml"), "[protocol]\nsignificance = 0.01\nsaturated_f1 = 0.9\n").unwrap();
        let text = "extends = \"base.toml\"\n[study]\nname = \"x\"\n[protocol]\nsaturated_f1 = 0.95\n\
                    p_value = \"holm\"\n[[family]]\nconfig = \"ae.toml\"\n";
        std::fs::write(path("study.toml"), text).unwrap();
        let found = load_protocol(&path("study.toml"), &sets(&["protocol.chance_margin=0.1"])).unwrap();
        let expected = ProtocolConfig {
            significance: 0.01,
            saturated_f1: 0.95,
            p_value: PValue::Holm,
            chance_margin: 0.1,
            ..ProtocolConfig::default()
        };
        assert_eq!(found, expected);
        std::fs::write(path("bare.toml"), "[study]\nname = \"x\"\n").unwrap();
        assert_eq!(load_protocol(&path("bare.toml"), &[]).unwrap(), ProtocolConfig::default());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.toml");
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            refused(load_protocol(&path, &[]))
        };
        let found = load("[protocol]\nsignificanse = 0.01\n");
        assert!(
            found.contains("did you mean `protocol.significance`") && found.contains("study.toml"),
            "{found}"
        );
        let found = load("[protocol]\nsignificance = 1.0\n");
        assert!(found.contains("above 0 and below 1"), "{found}");
        let found = load("[protocol]\nsaturated_f1 = 0.1\n");
        assert!(found.contains("`protocol.saturated_f1` must be the better value"), "{found}");
        assert!(load("[train]\nepochs = 3\n").contains("is no study"));
        assert!(load("extends = \"study.toml\"\n[protocol]\n").contains("in a circle"));
        assert!(load("extends = 3\n[protocol]\n").contains("must be the path of a configuration"));
        assert!(
            refused(load_protocol(&folder.path().join("gone.toml"), &[]))
                .contains("failed to read the configuration")
        );
    }

    #[test]
    fn arguments_lie_over_what_is_there_and_set_nothing_else() {
        let base = ProtocolConfig { failed_share: 0.25, ..ProtocolConfig::default() };
        let found = base.with_sets(&sets(&["protocol.p_value=bh", "protocol.significance=0.1"])).unwrap();
        assert_eq!(found, ProtocolConfig { p_value: PValue::Bh, significance: 0.1, ..base.clone() });
        assert!(refused(base.with_sets(&sets(&["train.epochs=3"]))).contains("protocol.* only"));
        assert!(refused(base.with_sets(&sets(&["protocol.significance=2"]))).contains("below 1"));
        assert!(refused(base.with_sets(&sets(&["protocol=3"]))).contains("`protocol` must be a table"));
        assert_eq!(base.with_sets(&[]).unwrap(), base);
    }
}
