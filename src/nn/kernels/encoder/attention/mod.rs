//! Softmax attention over whole sequences, head by head.
//!
//! `score[i, j] = q_i · k_j / √width + gate_i · table[j - i + tokens - 1]`, `out_i = Σⱼ softmax(score[i])_j · v_j` over the
//! keys that exist.
//!
//! The scores exist only for 48 queries of one head at a time, in a core's cache, and turned: a row for each key. So
//! their softmax works on whole vectors of queries, and they are the next product's left factor as they are.

mod head;
mod position;
mod softmax;

use std::f32::consts::LOG2_E;

use rayon::prelude::*;

use super::super::attention::with_room;
use super::super::conv::lanes::Processor;
use super::super::conv::products::run;
use super::pack::Columns;
use super::written;
use head::Head;
pub use position::Position;

/// Sizes of an attention.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// Of a sequence.
    pub tokens: usize,
    pub heads: usize,
    /// Of each sequence, how many tokens exist; without it all do.
    pub lengths: Option<&'a [usize]>,
}

/// Attention of queries to keys, `[rows, heads · width]` each, as is the result.
pub fn attention(
    [q, k, v]: [Columns<'_>; 3],
    position: Option<Position<'_>>,
    sizes: Attention<'_>,
) -> Vec<f32> {
    attention_on(Processor::at_hand(), [q, k, v], position, sizes)
}

pub fn attention_on(
    processor: Processor,
    [q, k, v]: [Columns<'_>; 3],
    position: Option<Position<'_>>,
    sizes: Attention<'_>,
) -> Vec<f32> {
    let Attention { tokens, heads, lengths } = sizes;
    let (rows, channels) = (q.rows(), q.width);
    let alike = [k, v].iter().all(|other| (other.rows(), other.width) == (rows, channels));
    assert!(alike && tokens > 0 && rows.is_multiple_of(tokens), "rows that do not fit {sizes:?}");
    assert!(heads > 0 && channels > 0 && channels.is_multiple_of(heads), "columns that do not fit {sizes:?}");
    let sequences = rows / tokens;
    if let Some(lengths) = lengths {
        let fit = lengths.len() == sequences && lengths.iter().all(|length| (1..=tokens).contains(length));
        assert!(fit, "lengths that do not fit {sequences} sequences of {tokens} tokens");
    }
    let width = channels / heads;
    let position = position.map(|position| position.prepared(tokens, heads, width));
    // SAFETY: the heads of all sequences are the whole result, and each writes its columns of all its rows.
    unsafe {
        written(rows * channels, |out| {
            (0..sequences * heads).into_par_iter().for_each(|index| {
                let (sequence, head) = (index / heads, index % heads);
                let [q, k, v] = [q, k, v].map(|all| {
                    all.of_rows(sequence * tokens..(sequence + 1) * tokens).part(head * width, width)
                });
                let keys = lengths.map_or(tokens, |lengths| lengths[sequence]);
                let head = Head {
                    q,
                    k: k.of_rows(0..keys),
                    v: v.of_rows(0..keys),
                    scale: LOG2_E / (width as f32).sqrt(),
                    gate: position.as_ref().map(|position| position.of_head(head)),
                    out: out.at(sequence * tokens * channels + head * width),
                    stride: channels,
                };
                with_room(|room| run(processor, head.with(room)));
            });
        })
    }
}
