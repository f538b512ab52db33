//! Configurations: TOML files with `extends` and `--set`, checked, with the origin of every value.
//!
//! One file per section holds its types, defaults and rules. The JSON schema that is derived from the types is the
//! one source of keys, types and ranges: editors read it from `configs/schema.json`, and the checks here read it too,
//! so that a file is held against the very ranges that the documentation shows.
//!
//! The way of a file: `tree` parses it with places, `load` lays the layers over one another, `check` holds the result
//! against the `shape`, serde makes an [`Experiment`] of it, and each section's rules between its fields come last.

mod check;
mod data;
mod error;
mod eval;
mod experiment;
mod frontend;
mod fusion;
mod grid;
mod load;
mod protocol;
mod resolved;
mod schema;
mod set;
mod shape;
mod show;
mod source;
mod study;
mod suggest;
mod task;
mod train;
mod tree;

pub use data::{DataConfig, Layout, OnBadClip};
pub use error::{Diagnosis, Error};
pub use eval::{
    Banks, CovarianceEstimator, DensityConfig, DetectorConfig, DetectorKind, Detectors, DistanceMetric,
    EvalConfig, KmeansConfig, KnnConfig, LinearProbeConfig, LofConfig, MahalanobisConfig, MixtureConfig,
    MixtureCovariance, NeighbourReduce, PretrainedEvalConfig, ProbeAdamConfig, ProbeSolver, ProbeSplit,
    PublishedMap, SeparationEvalConfig, SmoteConfig,
};
pub use experiment::Experiment;
pub use frontend::{FrontendConfig, Scale};
pub use fusion::{
    ApplyConfig, Folders, FusionConfig, FusionObjective, Missing, NormaliseConfig, NormaliseMethod,
    OfficialConfig, OfficialYear, ResolvedFusion, SystemConfig, TuneConfig, TuneMethod, ValidateConfig,
    ValidateOver, WeightsPer, fusion_schema, fusion_schema_text, is_fusion, load_fusion, resolve_fusion,
};
pub use grid::{Axis, Grid};
pub use load::{load, load_str};
pub use protocol::{PValue, ProtocolConfig};
pub use resolved::{Resolved, Setting};
pub use schema::{json_schema, json_schema_text};
pub use source::Origin;
pub use study::{
    ResolvedStudy, Study, StudyFamily, is_study, load_protocol, load_study, resolve_study, study_schema,
    study_schema_text,
};
pub use task::{
    AutoencoderConfig, ClassLabel, ClassificationConfig, ClassificationLoss, ContrastiveConfig,
    ContrastiveMethod, FeaturePool, Hears, LinearPhaseConfig, MarginConfig, PretrainedConfig,
    ReconstructionLoss, SeparationConfig, SeparationLoss, TaskConfig, TokenPool, checkpoint_name,
};
pub use train::{OptimizerConfig, ScheduleConfig, TrainConfig};
