//! Which machine types and sections are tuned on and applied to.

use std::collections::BTreeSet;

use super::Error;
use super::error::some_of;
use super::systems::Key;
use crate::official::section_name;

/// Machine types and sections; where a list is empty, all.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Choice {
    machines: BTreeSet<String>,
    sections: BTreeSet<String>,
}

impl Choice {
    pub fn new(machines: &[String], sections: &[String]) -> Self {
        Self {
            machines: machines.iter().cloned().collect(),
            sections: sections.iter().map(|section| section_name(section)).collect(),
        }
    }

    pub fn includes(&self, (machine, section): &Key) -> bool {
        let within = |chosen: &BTreeSet<String>, name: &String| chosen.is_empty() || chosen.contains(name);
        within(&self.machines, machine) && within(&self.sections, section)
    }

    /// An error where it names what no system has, or nothing is left; `table` is the one in the configuration.
    pub fn check(&self, table: &str, available: &BTreeSet<Key>) -> Result<(), Error> {
        let machines = available.iter().map(|(machine, _)| machine).collect();
        let sections = available.iter().map(|(_, section)| section).collect();
        known("machine", table, &self.machines, &machines)?;
        known("section", table, &self.sections, &sections)?;
        match available.iter().any(|key| self.includes(key)) {
            true => Ok(()),
            false => Err(Error::Choice(format!(
                "no system has scores of the machines and sections that {table}.machines and {table}.sections choose together"
            ))),
        }
    }
}

fn known(
    what: &str,
    table: &str,
    chosen: &BTreeSet<String>,
    available: &BTreeSet<&String>,
) -> Result<(), Error> {
    match chosen.iter().find(|name| !available.contains(name)) {
        None => Ok(()),
        Some(unknown) => {
            let all: Vec<&str> = available.iter().map(|name| name.as_str()).collect();
            Err(Error::Choice(format!(
                "{table}.{what}s names `{unknown}`, of which no system has scores; there are {}",
                some_of(&all)
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_by_machine_and_section_and_names_what_is_not_there() {
        let key = |machine: &str, section: &str| (machine.to_owned(), section.to_owned());
        let available: BTreeSet<Key> = [key("fan", "00"), key("fan", "01"), key("valve", "00")].into();
        let choice = |machines: &[&str], sections: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
            Choice::new(&owned(machines), &owned(sections))
        };
        let one = choice(&["fan"], &["1"]);
        let chosen: Vec<&Key> = available.iter().filter(|key| one.includes(key)).collect();
        assert_eq!(chosen, [&key("fan", "01")]);
        assert!(one.check("tune", &available).is_ok());
        assert!(available.iter().all(|key| Choice::default().includes(key)));
        let why = choice(&["fans"], &[]).check("tune", &available).unwrap_err().to_string();
        assert!(why.contains("tune.machines names `fans`") && why.contains("fan, valve"), "{why}");
        let why = choice(&[], &["07"]).check("apply", &available).unwrap_err().to_string();
        assert!(why.contains("apply.sections names `07`") && why.contains("00, 01"), "{why}");
        assert!(choice(&["valve"], &["01"]).check("apply", &available).is_err());
    }
}
