//! Where trials stand, and how many stand where.

use std::collections::BTreeMap;

use serde::Serialize;

/// Where a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Trained and judged.
    Done,
    /// Its training or its evaluation ended with an error.
    Failed,
    /// Begun and not trained to its end.
    HalfDone,
    /// Trained and not judged.
    NotJudged,
    /// A file of it cannot be read, or contradicts others.
    Damaged,
    /// Planned and not begun.
    Missing,
}

impl State {
    /// In the order of a reader's concern.
    pub const ALL: [Self; 6] =
        [Self::Done, Self::Failed, Self::HalfDone, Self::NotJudged, Self::Damaged, Self::Missing];

    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::HalfDone => "half-done",
            Self::NotJudged => "not judged",
            Self::Damaged => "damaged",
            Self::Missing => "missing",
        }
    }
}

/// How many trials stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// All of them.
    pub trials: usize,
    /// [`State::Done`].
    pub done: usize,
    /// [`State::Failed`].
    pub failed: usize,
    /// [`State::HalfDone`].
    pub half_done: usize,
    /// [`State::NotJudged`].
    pub not_judged: usize,
    /// [`State::Damaged`].
    pub damaged: usize,
    /// [`State::Missing`].
    pub missing: usize,
}

impl FromIterator<State> for Counts {
    fn from_iter<T: IntoIterator<Item = State>>(states: T) -> Self {
        let mut counts: BTreeMap<State, usize> = BTreeMap::new();
        for state in states {
            *counts.entry(state).or_default() += 1;
        }
        let of = |state| counts.get(&state).copied().unwrap_or(0);
        Self {
            trials: counts.values().sum(),
            done: of(State::Done),
            failed: of(State::Failed),
            half_done: of(State::HalfDone),
            not_judged: of(State::NotJudged),
            damaged: of(State::Damaged),
            missing: of(State::Missing),
        }
    }
}

impl Counts {
    /// One of them.
    pub fn of(&self, state: State) -> usize {
        match state {
            State::Done => self.done,
            State::Failed => self.failed,
            State::HalfDone => self.half_done,
            State::NotJudged => self.not_judged,
            State::Damaged => self.damaged,
            State::Missing => self.missing,
        }
    }
}
