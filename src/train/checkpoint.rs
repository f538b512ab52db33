//! The resume state of a training: one zip file, which a rename replaces as a whole.
//!
//! `state.json` says where the training stands; `net`, `optimizer` and `best` are Burn's records, which keep each
//! parameter's identity, by which the optimiser knows its moments.

use std::io::{self, Cursor, Read, Write};
use std::path::Path;

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::gradients::LossScale;
use super::{Error, State};
use crate::files::{self, Durability};

/// The weights with the lowest training loss so far.
#[derive(Clone)]
pub struct Best {
    pub loss: f64,
    /// From 1.
    pub epoch: usize,
    pub record: ModuleRecord,
}

#[derive(Serialize, Deserialize)]
struct Position {
    epoch: usize,
    batch: usize,
    loss_sum: f64,
    examples: f64,
    signal_sums: Vec<f64>,
    loss_scale: LossScale,
    best: Option<(f64, usize)>,
}

/// A [`State`] as it was read.
pub struct Checkpoint {
    position: Position,
    net: Vec<u8>,
    optimizer: Vec<u8>,
    best: Option<Vec<u8>>,
    path: String,
}

/// Put the state of a training between two batches in the place of the last checkpoint.
///
/// One part at a time goes through memory: those of a large network are hundreds of megabytes each.
pub fn save<N: Module>(state: &State<N>, path: &Path) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        files::make_folder(folder)?;
    }
    Ok(files::write_with(path, Durability::Flushed, |file| {
        let mut zip = ZipWriter::new(file);
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let mut part = |name: &str, bytes: &[u8]| {
            zip.start_file(name, options.large_file(bytes.len() >= 1 << 31))?;
            zip.write_all(bytes)
        };
        let position = Position {
            epoch: state.epoch,
            batch: state.batch,
            loss_sum: state.loss_sum,
            examples: state.examples,
            signal_sums: state.signal_sums.clone(),
            loss_scale: state.loss_scale,
            best: state.best.as_ref().map(|best| (best.loss, best.epoch)),
        };
        part("state.json", &serde_json::to_vec(&position)?)?;
        part("net", &state.net.clone().into_record().into_bytes().map_err(io::Error::other)?)?;
        part("optimizer", &state.optimizer.into_bytes().map_err(io::Error::other)?)?;
        if let Some(best) = &state.best {
            part("best", &best.record.clone().into_bytes().map_err(io::Error::other)?)?;
        }
        zip.finish()?;
        Ok(())
    })?)
}

impl Checkpoint {
    /// The checkpoint at `path`; `None` where there is none. The zip's checksums find damaged bytes.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        let bytes = match files::read_own(path) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let name = path.display().to_string();
        let parse = || {
            let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
            let mut part = |name: &str| {
                let mut bytes = Vec::new();
                let mut file = zip.by_name(name).map_err(|e| e.to_string())?;
                file.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
                Ok::<_, String>(bytes)
            };
            let position: Position =
                serde_json::from_slice(&part("state.json")?).map_err(|e| e.to_string())?;
            let best = position.best.map(|_| part("best")).transpose()?;
            Ok(Self { position, net: part("net")?, optimizer: part("optimizer")?, best, path: name.clone() })
        };
        parse().map(Some).map_err(|why| failure("resume from", &name, why))
    }

    /// The training as it stood; `net` and `optimizer` are fresh ones of the same configuration.
    pub fn restore<N: Module>(self, net: N, optimizer: ModuleOptimizer) -> Result<State<N>, Error> {
        let fail = |why: String| failure("resume from", &self.path, why);
        let record = |bytes: Vec<u8>| {
            ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes)).map_err(|e| fail(e.to_string()))
        };
        let net = net.try_load_record(record(self.net)?).map_err(|e| fail(e.to_string()))?;
        let moments = OptimizerRecord::from_bytes(Bytes::from_bytes_vec(self.optimizer))
            .map_err(|e| fail(e.to_string()))?;
        let best = match (self.position.best, self.best) {
            (Some((loss, epoch)), Some(bytes)) => Some(Best { loss, epoch, record: record(bytes)? }),
            _ => None,
        };
        Ok(State {
            net,
            optimizer: optimizer.load_record(moments),
            epoch: self.position.epoch,
            batch: self.position.batch,
            loss_sum: self.position.loss_sum,
            examples: self.position.examples,
            signal_sums: self.position.signal_sums,
            loss_scale: self.position.loss_scale,
            best,
        })
    }
}

fn failure(action: &'static str, path: &str, why: String) -> Error {
    Error::Checkpoint { action, path: path.to_owned(), why }
}
