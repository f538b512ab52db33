//! What `asdbench import` prints.

use crate::report::{Align, Cell, Table};
use crate::study::pretrained::Imported;

/// Labels that the head names.
const LABELS: usize = 3;

/// What a person wants to know first.
pub(super) fn head(imported: &Imported) -> Table {
    let mut table = Table::new(&[("checkpoint", Align::Left), (&imported.path, Align::Left)]);
    let mut line = |what: &str, text: String| table.row([Cell::from(what), text.into()]);
    let learnt = match (imported.random, imported.fine_tuned) {
        (Some(seed), _) => format!("random weights of seed {seed}, which have learnt nothing"),
        (None, true) => "fine-tuned".to_owned(),
        (None, false) => "pre-trained".to_owned(),
    };
    line("network", format!("{}, {learnt}", imported.architecture));
    // Classes have a line of their own, where there are some.
    let sizes = imported.sizes.iter().filter(|(name, _)| *name != "classes");
    let sizes: Vec<String> = sizes.map(|(name, size)| format!("{} {size}", name.replace('_', " "))).collect();
    line("sizes", sizes.join(", "));
    line("parameters", grouped(imported.parameters));
    if let Some(classes) = imported.classes {
        let labels = match &imported.labels {
            Some(labels) => {
                let first = labels.iter().take(LABELS).cloned().collect::<Vec<_>>().join(", ");
                format!("{classes}: {first}{}", if labels.len() > LABELS { " …" } else { "" })
            }
            None => format!("{classes}, which the file does not name"),
        };
        line("classes", labels);
    }
    line("format", format!("{}, {} bytes", imported.format, grouped(imported.bytes as usize)));
    line("BLAKE3", imported.content_hash.clone());
    let more = if imported.tensors.used.is_empty() { "" } else { " (-v lists them)" };
    line("tensors", format!("{} used{more}", imported.tensors.used.len()));
    for group in &imported.tensors.left_over {
        let count = if group.tensors == 1 { String::new() } else { format!(" ({} tensors)", group.tensors) };
        line("left over", format!("{}{count}: {}", group.name, group.why));
    }
    imported.remarks.iter().for_each(|remark| line("remark", remark.clone()));
    if let Some(written) = &imported.written {
        let (tensors, bytes) = (written.tensors, grouped(written.bytes as usize));
        line("written", format!("{}, {tensors} tensors, {bytes} bytes, read again", written.path));
        line("BLAKE3 of it", written.content_hash.clone());
    }
    table
}

/// One row a tensor.
pub(super) fn tensors(imported: &Imported) -> Table {
    let mut table = Table::new(&[
        ("tensor", Align::Left),
        ("in the file", Align::Left),
        ("shape", Align::Left),
        ("type", Align::Left),
        ("left over", Align::Left),
    ]);
    for used in &imported.tensors.used {
        let shape = used.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
        table.row([used.name.clone(), used.from.clone(), shape, used.dtype.to_owned(), String::new()]);
    }
    for group in &imported.tensors.left_over {
        let tensors = if group.tensors == 1 { "tensor" } else { "tensors" };
        let why = format!("{} ({} {tensors})", group.why, group.tensors);
        table.row([String::new(), group.name.clone(), String::new(), String::new(), why]);
    }
    table
}

/// A number with its thousands apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let starts = |place: &usize| place.is_multiple_of(3) && *place > 0;
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if starts(&(digits.len() - n)) && n > 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 12, 123, 1234, 90_311_792].map(grouped), ["0", "12", "123", "1,234", "90,311,792"]);
    }
}
