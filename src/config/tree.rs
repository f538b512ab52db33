//! A TOML document whose every key and value remembers where it was written; layers of them merge.

use toml::Value;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};
use toml::map::Map;

use super::shape::Shape;
use super::source::Span;

/// A table's entries, in the order in which they were written.
pub(super) type Table = Map<String, Node>;

/// A value and where it and its key stand.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub key: Span,
    pub span: Span,
    pub item: Item,
}

#[derive(Clone, Debug)]
pub(super) enum Item {
    Table(Table),
    List(Vec<Node>),
    /// A string, number, boolean or date.
    Scalar(Value),
}

/// Reads a document that has been added to the sources as number `source`.
///
/// # Errors
/// The parser's own error, the first one, if the text is no TOML.
pub(super) fn parse(text: &str, source: usize) -> Result<Node, toml::de::Error> {
    // The parser goes on after an error; the first one is the cause of the rest.
    let (table, errors) = DeTable::parse_recoverable(text);
    if let Some(first) = errors.into_iter().min_by_key(|error| error.span().map(|span| span.start)) {
        return Err(first);
    }
    let whole = Span { source, start: 0, end: 0 };
    Ok(Node { key: whole, span: whole, item: Item::Table(read_table(table.get_ref(), source)) })
}

/// Reads a single value, which begins `offset` bytes into its source.
pub(super) fn parse_value(text: &str, source: usize, offset: usize) -> Result<Node, toml::de::Error> {
    let value = DeValue::parse(text)?;
    let mut node = Node::read(value.get_ref(), value.span(), source);
    node.shift(offset);
    Ok(node)
}

fn read_table(table: &DeTable<'_>, source: usize) -> Table {
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let mut node = Node::read(value.get_ref(), value.span(), source);
        node.key = Span { source, start: key.span().start, end: key.span().end };
        (std::borrow::Cow::<str>::to_string(key.get_ref()), node)
    };
    table.iter().map(entry).collect()
}

fn read_list(list: &DeArray<'_>, source: usize) -> Vec<Node> {
    list.iter().map(|value| Node::read(value.get_ref(), value.span(), source)).collect()
}

// TOML asks for 64 bits. A longer number becomes a float, which the check of types then refuses with its place.
fn read_integer(integer: &DeInteger<'_>) -> Value {
    match i64::from_str_radix(integer.as_str(), integer.radix()) {
        Ok(number) => Value::Integer(number),
        Err(_) => Value::Float(integer.as_str().parse().unwrap_or(f64::INFINITY)),
    }
}

impl Node {
    fn read(value: &DeValue<'_>, range: std::ops::Range<usize>, source: usize) -> Self {
        let item = match value {
            DeValue::Table(table) => Item::Table(read_table(table, source)),
            DeValue::Array(list) => Item::List(read_list(list, source)),
            DeValue::String(text) => Item::Scalar(Value::String(text.to_string())),
            DeValue::Integer(number) => Item::Scalar(read_integer(number)),
            DeValue::Float(number) => Item::Scalar(Value::Float(number.as_str().parse().unwrap_or(f64::NAN))),
            DeValue::Boolean(truth) => Item::Scalar(Value::Boolean(*truth)),
            DeValue::Datetime(date) => Item::Scalar(Value::Datetime(*date)),
        };
        let span = Span { source, start: range.start, end: range.end };
        Self { key: span, span, item }
    }

    /// An empty table that stands nowhere in particular.
    pub fn empty(at: Span) -> Self {
        Self { key: at, span: at, item: Item::Table(Table::new()) }
    }

    pub fn table_mut(&mut self) -> Option<&mut Table> {
        match &mut self.item {
            Item::Table(table) => Some(table),
            Item::List(_) | Item::Scalar(_) => None,
        }
    }

    /// Moves every place in the tree, when what was parsed is only the end of its source.
    pub fn shift(&mut self, by: usize) {
        for span in [&mut self.key, &mut self.span] {
            span.start += by;
            span.end += by;
        }
        match &mut self.item {
            Item::Table(table) => table.iter_mut().for_each(|(_, node)| node.shift(by)),
            Item::List(list) => list.iter_mut().for_each(|node| node.shift(by)),
            Item::Scalar(_) => {}
        }
    }

    /// The node at a path of table keys.
    pub fn get<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Self> {
        path.into_iter().try_fold(self, |node, key| match &node.item {
            Item::Table(table) => table.get(key),
            Item::List(_) | Item::Scalar(_) => None,
        })
    }

    /// The tables that lead to `self`, which stands at `path`.
    pub fn nested(self, path: &[String]) -> Self {
        path.iter().rev().fold(self, |node, key| {
            let mut outer = Self::empty(node.key);
            outer.item = Item::Table(std::iter::once((key.clone(), node)).collect());
            outer
        })
    }

    /// Lays another layer over this one: tables merge, everything else replaces.
    ///
    /// A table that picks a variant by its only key (`[task.<family>]`) merges into the same variant alone;
    /// another variant replaces it, since half of one family's settings means nothing to another.
    pub fn merge(&mut self, over: Self, shape: &Shape) {
        let Self { key, span, item } = over;
        match (&mut self.item, item) {
            (Item::Table(below), Item::Table(above)) if !shape.switches(below, &above) => {
                for (name, node) in above {
                    match below.get_mut(&name) {
                        Some(old) => old.merge(node, shape.child(&name)),
                        None => {
                            below.insert(name, node);
                        }
                    }
                }
            }
            (below, item) => *below = item,
        }
        (self.key, self.span) = (key, span);
    }

    /// The plain TOML value.
    pub fn value(&self) -> Value {
        match &self.item {
            Item::Table(table) => {
                Value::Table(table.iter().map(|(key, node)| (key.clone(), node.value())).collect())
            }
            Item::List(list) => Value::Array(list.iter().map(Self::value).collect()),
            Item::Scalar(value) => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        parse(text, 0).unwrap()
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let text = "[train]\nseeds = [1, 23]\noptimizer.lr = 1e-3\n";
        let root = tree(text);
        let at = |span: Span| &text[span.start..span.end];
        let seeds = root.get(["train", "seeds"]).unwrap();
        assert_eq!((at(seeds.key), at(seeds.span)), ("seeds", "[1, 23]"));
        let Item::List(list) = &seeds.item else { panic!("{seeds:?}") };
        assert_eq!(at(list[1].span), "23");
        let lr = root.get(["train", "optimizer", "lr"]).unwrap();
        assert_eq!((at(lr.key), at(lr.span)), ("lr", "1e-3"));
    }

    #[test]
    fn tables_merge_and_the_rest_replaces() {
        let mut below = tree("a = 1\n[t]\nx = [1, 2]\ny = 2\n");
        below.merge(tree("[t]\nx = [3]\nz = 4\n"), &Shape::Any);
        let expected: toml::Table = toml::from_str("a = 1\n[t]\nx = [3]\ny = 2\nz = 4\n").unwrap();
        assert_eq!(below.value(), Value::Table(expected));
    }

    #[test]
    fn another_variant_replaces_the_one_below() {
        let family = |key: &str| (key.to_owned(), Shape::Table(vec![(key.to_owned(), Shape::Any)]));
        let tagged = Shape::Tagged(vec![family("a"), family("b")]);
        let shape = Shape::Table(vec![("task".to_owned(), tagged)]);
        let layered = |over: &str| {
            let mut below = tree("task.a = { x = 1, y = 2 }\n");
            below.merge(tree(over), &shape);
            below.value().to_string()
        };
        assert_eq!(layered("task.a.x = 3"), "{ task = { a = { x = 3, y = 2 } } }");
        assert_eq!(layered("task.b.x = 3"), "{ task = { b = { x = 3 } } }");
        assert_eq!(layered("task = {}"), "{ task = { a = { x = 1, y = 2 } } }");
    }

    #[test]
    fn the_first_of_several_syntax_errors_is_told() {
        let error = parse("a = \nb = [\n", 0).unwrap_err();
        assert_eq!(error.span(), Some(4..4), "{error}");
    }

    #[test]
    fn a_number_beyond_64_bits_is_kept_as_a_float() {
        let root = tree("a = 99999999999999999999\nb = 0x1ffffffffffffffffff\n");
        assert_eq!(root.get(["a"]).unwrap().value(), Value::Float(1e20));
        assert!(matches!(root.get(["b"]).unwrap().value(), Value::Float(_)));
    }
}
