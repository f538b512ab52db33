//! The nearest valid word to a mistyped one.

use super::shape::Shape;

/// Bytes of the longest word that is compared, twice those of the longest key: the comparison takes the product of both lengths.
const LONGEST_WORD: usize = 100;

/// The candidate that somebody who typed `word` most likely meant, if any is close.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let typed = plain(word);
    let ranked = candidates.into_iter().filter_map(|candidate| {
        let known = plain(candidate);
        let distance = strsim::osa_distance(&typed, &known);
        // A third of the letters wrong is another word; a beginning of three letters is an abbreviation.
        let close = distance <= (typed.chars().count() / 3).max(1);
        let abbreviated = typed.len() >= 3 && known.starts_with(&typed);
        (close || abbreviated).then_some((distance, candidate))
    });
    ranked.min_by_key(|&(distance, _)| distance).map(|(_, candidate)| candidate)
}

/// The dotted path of the key that was most likely meant by `word` in the table at `parent`.
///
/// A like-sounding neighbour comes first, then a key of that very name in another table, then a like-sounding one.
pub(super) fn nearest_key(root: &Shape, parent: &[String], word: &str) -> Option<String> {
    let paths = root.paths();
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let prefix: String = parent.iter().map(|key| format!("{key}.")).collect();
    let neighbours =
        paths.iter().filter_map(|path| path.strip_prefix(&prefix)).filter(|rest| !rest.contains('.'));
    if let Some(name) = nearest(word, neighbours) {
        return Some(format!("{prefix}{name}"));
    }
    // The setting nearest to the root is the likeliest: `epochs` is that of the training.
    let depth = |path: &&String| path.matches('.').count();
    let namesake = |name: &str| paths.iter().filter(|path| last(path) == name).min_by_key(depth).cloned();
    namesake(&plain(word)).or_else(|| {
        let names: Vec<String> = paths.iter().map(|path| last(path)).collect();
        nearest(word, names.iter().map(String::as_str)).and_then(namesake)
    })
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::super::shape::experiment;
    use super::*;

    #[test]
    fn the_nearest_word_is_close_or_none() {
        let words = ["epochs", "batch_size", "seeds"];
        assert_eq!(nearest("epoch", words), Some("epochs"));
        assert_eq!(nearest("Batch-Size", words), Some("batch_size"));
        assert_eq!(nearest("batch", words), Some("batch_size"));
        assert_eq!(nearest("sedes", words), Some("seeds"));
        assert_eq!(nearest("momentum", words), None);
        assert_eq!(nearest("", words), None);
    }

    #[test]
    fn keys_of_other_tables_are_found_too() {
        let find = |parent: &[&str], word: &str| {
            let parent: Vec<String> = parent.iter().map(|&key| key.to_owned()).collect();
            nearest_key(experiment(), &parent, word)
        };
        assert_eq!(find(&["train"], "epoch").as_deref(), Some("train.epochs"));
        assert_eq!(find(&["train"], "lr").as_deref(), Some("train.optimizer.lr"));
        assert_eq!(find(&[], "epochs").as_deref(), Some("train.epochs"));
        assert_eq!(find(&["train"], "n_mel").as_deref(), Some("frontend.logmel.n_mels"));
        assert_eq!(find(&["train"], "zzzzzz"), None);
    }
}
