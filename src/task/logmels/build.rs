//! Computing the log-mels of a set and writing them.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rayon::prelude::*;

use super::{FORMAT, HEADER, Index, LogMelsRequest, Span};
use crate::audio::{self, LogMel, Scratch};
use crate::config::OnBadClip;
use crate::files::{self, Durability};
use crate::task::scaler::Tally;
use crate::task::{BadClip, Error, Source};

/// Clips computed between two writes: enough for every core, 50 MB at 10 s a clip.
const CHUNK: usize = 64;

/// Compute all clips and write the values; memory holds one chunk.
pub(super) fn build(
    source: &Source<'_>,
    request: &LogMelsRequest<'_>,
    values: &Path,
) -> Result<Index, Error> {
    let front_end = LogMel::new(request.spec).map_err(Error::Clip)?;
    let mut rows = Rows { spans: Vec::new(), bad: Vec::new(), tally: Tally::new(), next_row: 0 };
    let mut failure = None;
    let written = files::write_with(values, Durability::Cached, |file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        out.write_all(&[0; HEADER])?;
        for (chunk_index, chunk) in source.paths.chunks(CHUNK).enumerate() {
            let computed: Vec<Result<_, audio::Error>> = chunk
                .par_iter()
                .map_init(Scratch::default, |scratch, path| {
                    let path = source.root.join(path);
                    front_end.compute_clip(&path, request.channel, request.min_frames, scratch)
                })
                .collect();
            for (n, logmel) in computed.into_iter().enumerate() {
                let index = chunk_index * CHUNK + n;
                match logmel {
                    Ok(logmel) => {
                        rows.add(index, chunk[n], logmel.as_slice().unwrap_or_default(), request, &mut out)?
                    }
                    Err(error) if request.on_bad_clip == OnBadClip::Skip => {
                        rows.bad.push(BadClip::new(index, chunk[n], &error))
                    }
                    Err(error) => {
                        failure = Some(error);
                        return Err(io::Error::other("a bad clip"));
                    }
                }
            }
            (request.progress)((chunk_index * CHUNK + chunk.len()) as u64, source.paths.len() as u64);
        }
        out.seek(SeekFrom::Start(0))?;
        out.write_all(&npy_header(rows.next_row, request.spec.n_mels))?;
        out.flush()
    });
    if let Some(error) = failure {
        return Err(Error::Clip(error));
    }
    written?;
    if rows.spans.is_empty() {
        files::remove(values)?;
        return Err(source.all_bad(&rows.bad));
    }
    let file = File::open(values).map_err(|e| files::Error::new("read", values, e))?;
    let hash = hash(&file).map_err(|e| files::Error::new("read", values, e))?;
    let statistics = rows.tally.finish();
    Ok(Index {
        format: FORMAT,
        spec: request.spec.clone(),
        fingerprint: request.fingerprint.to_owned(),
        spans: rows.spans,
        bad: rows.bad,
        statistics,
        hash,
    })
}

/// What grows while clips are written.
struct Rows {
    spans: Vec<Span>,
    bad: Vec<BadClip>,
    tally: Tally,
    next_row: u64,
}

impl Rows {
    fn add(
        &mut self,
        index: usize,
        path: &Path,
        values: &[f32],
        request: &LogMelsRequest<'_>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let frames = values.len() / request.spec.n_mels;
        self.tally.add(values);
        let path = path.to_string_lossy().into_owned();
        self.spans.push(Span { index, path, first_row: self.next_row, frames });
        self.next_row += frames as u64;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        out.write_all(&bytes)
    }
}

/// NumPy's format 1.0, padded to [`HEADER`] bytes.
fn npy_header(rows: u64, columns: usize) -> Vec<u8> {
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend(((HEADER - 10) as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header.resize(HEADER - 1, b' ');
    header.push(b'\n');
    header
}

/// BLAKE3 of a file's content.
pub(super) fn hash(file: &File) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read_at(&mut buffer, at)?;
        if count == 0 {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        hasher.update(&buffer[..count]);
        at += count as u64;
    }
}
