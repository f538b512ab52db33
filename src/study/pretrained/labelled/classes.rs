//! Which class of a network a label means.

use std::collections::HashMap;

use crate::dataset::audioset::ClassRow;

/// A network's classes by all names that labels may give them.
#[derive(Debug)]
pub(super) struct Classes {
    count: usize,
    by_name: HashMap<String, usize>,
    labels: Vec<Option<String>>,
    names: Vec<Option<String>>,
    /// What numbers mean, by their order; nothing where that cannot be told.
    numbers: Option<Vec<Option<usize>>>,
}

impl Classes {
    /// Of a network with `count` classes, whose own labels are ids of AudioSet, or words (in files of Hugging Face's), or
    /// unknown; then the classes are in the table's order. The table also joins ids and words.
    ///
    /// A number is a place in AudioSet's order. Networks that name their classes have others (the `label_dict` of BEATs
    /// does), so that of them a number says something by the table alone.
    ///
    /// The error says what does not fit.
    pub fn of(own: Option<&[String]>, count: usize, table: Option<&[ClassRow]>) -> Result<Self, String> {
        let mut classes = Self {
            count,
            by_name: HashMap::new(),
            labels: vec![None; count],
            names: vec![None; count],
            numbers: None,
        };
        match (own, table) {
            (Some(own), _) if own.len() != count => {
                return Err(format!("it tells {count} classes apart and has {} labels", own.len()));
            }
            (Some(own), table) => {
                for (class, label) in own.iter().enumerate() {
                    classes.labels[class] = Some(label.clone());
                    classes.by_name.insert(label.clone(), class);
                }
                let mut learn = |row: &ClassRow| {
                    let known = classes.by_name.get(&row.mid).or_else(|| classes.by_name.get(&row.name));
                    let class = *known?;
                    classes.learn(class, row);
                    Some(class)
                };
                let numbers = table.map(|table| table.iter().map(&mut learn).collect());
                classes.numbers = numbers;
            }
            (None, Some(table)) if table.len() != count => {
                return Err(format!(
                    "it tells {count} classes apart and the table of --classes has {}",
                    table.len()
                ));
            }
            (None, Some(table)) => {
                for (class, row) in table.iter().enumerate() {
                    classes.labels[class] = Some(row.mid.clone());
                    classes.learn(class, row);
                }
            }
            (None, None) => {}
        }
        if own.is_none() {
            classes.numbers = Some((0..count).map(Some).collect());
        }
        Ok(classes)
    }

    fn learn(&mut self, class: usize, row: &ClassRow) {
        self.names[class] = Some(row.name.clone());
        for name in [&row.mid, &row.name] {
            self.by_name.entry(name.clone()).or_insert(class);
        }
    }

    /// The class of a label: by name, or else by number.
    pub fn find(&self, label: &str) -> Option<usize> {
        let number = || *self.numbers.as_ref()?.get(label.parse::<usize>().ok()?)?;
        self.by_name.get(label).copied().or_else(number)
    }

    /// Whether a label is a number, and nothing says of what.
    pub fn needs_table_for(&self, label: &str) -> bool {
        self.numbers.is_none() && self.find(label).is_none() && label.parse::<usize>().is_ok()
    }

    /// Why a number cannot be used as a label.
    pub fn number_without_table(&self, label: &str) -> String {
        format!(
            "`{label}` is a number, and the checkpoint names its {} classes in an order of its own; give AudioSet's order \
             with --classes class_labels_indices.csv, or the classes' names",
            self.count
        )
    }

    /// A class's label, where it is known.
    pub fn label(&self, class: usize) -> Option<String> {
        self.labels[class].clone()
    }

    /// A class in words, where they are known.
    pub fn name(&self, class: usize) -> Option<String> {
        self.names[class].clone()
    }

    /// Why no label of a file means any class; `example` is one of them.
    pub fn none_known(&self, example: &str) -> String {
        match self.labels.iter().flatten().next() {
            None => format!(
                "the checkpoint does not name its {} classes, so `{example}` means none of them; give AudioSet's order with \
                 --classes class_labels_indices.csv",
                self.count
            ),
            Some(own) => format!(
                "none of the labels is one of its {} classes: it has such as `{own}`, the label file such as `{example}`; a \
                 table that joins the two can be given with --classes class_labels_indices.csv",
                self.count
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<ClassRow> {
        [("/m/1", "Speech"), ("/m/2", "Dog"), ("/m/3", "Male speech, man speaking")]
            .map(|(mid, name)| ClassRow { mid: mid.into(), name: name.into() })
            .to_vec()
    }

    fn own(labels: &[&str]) -> Vec<String> {
        labels.iter().map(|label| (*label).to_owned()).collect()
    }

    #[test]
    fn a_network_s_own_order_goes_before_the_table_s() {
        let own = own(&["/m/3", "/m/1", "/m/2"]);
        for table in [None, Some(table())] {
            let classes = Classes::of(Some(&own), 3, table.as_deref()).unwrap();
            assert_eq!(
                ["/m/1", "/m/2", "/m/3", "/m/4"].map(|label| classes.find(label)),
                [Some(1), Some(2), Some(0), None]
            );
            assert_eq!(classes.label(1).as_deref(), Some("/m/1"));
            assert_eq!(classes.name(1).is_some(), table.is_some());
            assert_eq!(classes.find("Speech"), table.map(|_| 1));
        }
    }

    #[test]
    fn words_are_joined_with_ids_by_the_table() {
        let own = own(&["Dog", "Male speech, man speaking", "Speech"]);
        let classes = Classes::of(Some(&own), 3, Some(&table())).unwrap();
        assert_eq!(["/m/1", "/m/2", "/m/3"].map(|label| classes.find(label)), [Some(2), Some(0), Some(1)]);
        assert_eq!(classes.find("Dog"), Some(0));
        // Places in the table, not in the network.
        assert_eq!(["0", "1", "2", "3"].map(|label| classes.find(label)), [Some(2), Some(0), Some(1), None]);
        assert!(!classes.needs_table_for("1") && !classes.needs_table_for("3"));
        let without = Classes::of(Some(&own), 3, None).unwrap();
        assert_eq!((without.find("/m/1"), without.find("1")), (None, None));
        assert!(without.needs_table_for("1") && !without.needs_table_for("Dog"));
        assert!(without.number_without_table("1").contains("--classes"));
        let why = without.none_known("/m/1");
        assert!(why.contains("`Dog`") && why.contains("`/m/1`") && why.contains("--classes"), "{why}");
    }

    #[test]
    fn classes_without_names_have_the_table_s_order_or_numbers() {
        let classes = Classes::of(None, 3, Some(&table())).unwrap();
        assert_eq!(
            ["/m/2", "Speech", "2", "3", "-1", ""].map(|label| classes.find(label)),
            [Some(1), Some(0), Some(2), None, None, None]
        );
        let bare = Classes::of(None, 3, None).unwrap();
        assert_eq!((bare.find("1"), bare.find("/m/1"), bare.label(1)), (Some(1), None, None));
        let why = bare.none_known("/m/1");
        assert!(
            why.contains("does not name its 3 classes") && why.contains("class_labels_indices.csv"),
            "{why}"
        );
    }

    #[test]
    fn counts_must_fit() {
        let few = Classes::of(None, 527, Some(&table())).unwrap_err();
        assert!(few.contains("527") && few.contains("--classes has 3"), "{few}");
        let few = Classes::of(Some(&own(&["a"])), 2, None).unwrap_err();
        assert!(few.contains("2 classes") && few.contains("1 labels"), "{few}");
        // Of a network that names its classes the table may know more or fewer.
        assert!(Classes::of(Some(&own(&["a"])), 1, Some(&table())).is_ok());
    }
}
