//! Which weights to try next.
//!
//! Bayesian optimisation is that of the crate `optimizer`, in two stages. A quarter of the evaluations, a hundred at most,
//! go where a Gaussian process (Matérn 5/2) over all that was tried expects the greatest improvement. The others refine its
//! best by CMA-ES (Hansen 2016), which learns the shape of the top as it climbs.
//!
//! Both search a box of one coordinate per system; the weights are the positive coordinates, divided by their sum. So a
//! system can be left out altogether, which a softmax never does, and no proposal is rejected.
//!
//! Why two stages: on two problems made as the one in `planted` is, one of them with sparse weights, 200 evaluations of the
//! Gaussian process alone, which chooses among random candidates, ended between 0.4 % below and 0.06 % above the Ω of the
//! best weights, and CMA-ES alone, from the middle of the box, between 0.03 and 0.12 % above. The crate's tree-structured
//! Parzen estimators stayed below random search.

use std::collections::HashMap;

use optimizer::parameter::{FloatParam, ParamValue, Parameter};
use optimizer::sampler::Sampler;
use optimizer::sampler::cma_es::CmaEsSampler;
use optimizer::sampler::gp::GpSampler;
use optimizer::{Direction, Study, Trial};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Error, Method, Search, simplex_grid};
use crate::rng;

/// Where the Gaussian process looks for each coordinate: a third of the box leaves the system out.
const BOX: (f64, f64) = (-0.5, 1.0);
/// Among so many random candidates.
const CANDIDATES: usize = 500;
/// The process of the library takes no more points.
const PROCESS_MAX: usize = 100;
/// Where CMA-ES may go, beside a best whose greatest coordinate is 1, and how far it looks at first.
const REACH: f64 = 1.5;
const SIGMA: f64 = 0.3;
/// Weights below this are left out: they change the order of hardly any clips, and a table shows them as 0.
const LEAST_WEIGHT: f64 = 1e-3;

/// Proposes weights one after the other; is told what each is worth, and what others are.
pub(super) struct Proposals {
    systems: usize,
    /// How many more.
    left: usize,
    source: Source,
}

enum Source {
    Grid(Box<dyn Iterator<Item = Vec<f64>> + Send>),
    Random(ChaCha8Rng),
    Bayesian(Box<Bayesian>),
    None,
}

struct Bayesian {
    search: ChaCha8Rng,
    stage: Stage,
    /// Proposals of the Gaussian process that are left.
    of_process: usize,
    /// Tried so far, in the order tried.
    tried: Vec<(Vec<f64>, f64)>,
    /// The proposal that nothing was told of yet, whose coordinates are the library's.
    pending: Option<Trial>,
}

/// One study of the library and its coordinates.
struct Stage {
    study: Study<f64>,
    coordinates: Vec<FloatParam>,
    refines: bool,
}

impl Proposals {
    /// `machine` is the one whose own weights are searched for.
    pub fn new(search: &Search, systems: usize, machine: Option<&str>) -> Self {
        let left = search.evaluations.saturating_sub(systems + 1);
        let stream = |method: &str| {
            let purpose = format!("fusion/{method}/{}", machine.unwrap_or_default());
            rng::stream(search.seed, &purpose, 0)
        };
        let (left, source) = match search.method {
            Method::Equal => (0, Source::None),
            Method::Grid => {
                let steps = simplex_grid::finest(systems, search.evaluations);
                // The corners were tried.
                let inner = |weights: &Vec<f64>| weights.iter().all(|weight| *weight < 1.0);
                let grid = simplex_grid::weights(systems, steps).filter(inner);
                (usize::MAX, Source::Grid(Box::new(grid)))
            }
            Method::Random => (left, Source::Random(stream("random"))),
            Method::Bayesian => {
                (left, Source::Bayesian(Box::new(Bayesian::new(stream("bayesian"), systems, left))))
            }
        };
        Self { systems, left, source }
    }

    /// The next weights, at least 0 and 1 in sum; none when the evaluations are spent.
    ///
    /// # Errors
    /// A failure of the library.
    pub fn next(&mut self) -> Result<Option<Vec<f64>>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        match &mut self.source {
            Source::None => Ok(None),
            Source::Grid(points) => Ok(points.next()),
            Source::Random(random) => {
                // Exponential numbers over their sum are uniform on the simplex.
                let drawn: Vec<f64> = (0..self.systems).map(|_| -uniform(random).ln()).collect();
                let sum: f64 = drawn.iter().sum();
                Ok(Some(drawn.into_iter().map(|value| value / sum).collect()))
            }
            Source::Bayesian(bayesian) => bayesian.next().map(Some),
        }
    }

    /// What weights are worth: those that [`Proposals::next`] gave, or, before the first of them, others.
    pub fn tell(&mut self, weights: &[f64], score: f64) {
        if let Source::Bayesian(bayesian) = &mut self.source {
            bayesian.tell(weights, score);
        }
    }
}

impl Bayesian {
    fn new(mut search: ChaCha8Rng, systems: usize, proposals: usize) -> Self {
        let of_process = (proposals / 4).min(PROCESS_MAX);
        // Half as many random points as the process proposes itself, the corners and equal weights beside them.
        let startup = systems + 1 + of_process / 3;
        let process = GpSampler::builder()
            .n_startup_trials(startup)
            .n_candidates(CANDIDATES)
            .seed(search.next_u64())
            .build();
        let stage = Stage::new(process, vec![BOX; systems], false);
        Self { search, stage, of_process, tried: Vec::new(), pending: None }
    }

    fn next(&mut self) -> Result<Vec<f64>, Error> {
        match self.of_process.checked_sub(1) {
            Some(left) => self.of_process = left,
            None if self.stage.refines => (),
            None => self.refine(),
        }
        let mut trial = self.stage.study.ask();
        let point = self.stage.point(&mut trial)?;
        self.pending = Some(trial);
        Ok(weights_at(&point))
    }

    /// CMA-ES around the best so far. It begins in the middle of its box.
    fn refine(&mut self) {
        let systems = self.stage.coordinates.len();
        let best = self.tried.iter().rev().max_by(|(_, a), (_, b)| a.total_cmp(b));
        let centre = best.map_or_else(|| vec![1.0; systems], |(weights, _)| point_of(weights));
        let sampler = CmaEsSampler::builder().sigma0(SIGMA).seed(self.search.next_u64()).build();
        let around = centre.into_iter().map(|centre| (centre - REACH, centre + REACH)).collect();
        self.stage = Stage::new(sampler, around, true);
    }

    fn tell(&mut self, weights: &[f64], score: f64) {
        self.tried.push((weights.to_vec(), score));
        let trial = match self.pending.take() {
            Some(trial) => trial,
            None => {
                let point = point_of(weights).into_iter().map(ParamValue::Float);
                let ids = self.stage.coordinates.iter().map(Parameter::id);
                self.stage.study.enqueue(ids.zip(point).collect::<HashMap<_, _>>());
                let mut trial = self.stage.study.ask();
                // Values that are given cannot fail; a point that did would be one the process does not know.
                if self.stage.point(&mut trial).is_err() {
                    return;
                }
                trial
            }
        };
        // The library's Gaussian process and CMA-ES minimise, whatever the study's direction.
        self.stage.study.complete_trial(trial, -score);
    }
}

impl Stage {
    fn new(sampler: impl Sampler + 'static, bounds: Vec<(f64, f64)>, refines: bool) -> Self {
        let coordinates = bounds.into_iter().map(|(low, high)| FloatParam::new(low, high)).collect();
        Self { study: Study::with_sampler(Direction::Minimize, sampler), coordinates, refines }
    }

    fn point(&self, trial: &mut Trial) -> Result<Vec<f64>, Error> {
        let one = |coordinate: &FloatParam| coordinate.suggest(trial);
        self.coordinates
            .iter()
            .map(one)
            .collect::<Result<_, _>>()
            .map_err(|why| Error::Search(why.to_string()))
    }
}

/// The point of a box that stands for weights: the greatest coordinate is 1.
fn point_of(weights: &[f64]) -> Vec<f64> {
    let greatest = weights.iter().copied().fold(0.0, f64::max);
    weights.iter().map(|weight| weight / greatest).collect()
}

/// The positive coordinates over their sum, without the least; equal weights where none is positive.
fn weights_at(point: &[f64]) -> Vec<f64> {
    let over_sum = |values: Vec<f64>| {
        let sum: f64 = values.iter().sum();
        (sum > 0.0).then(|| values.into_iter().map(|value| value / sum).collect::<Vec<f64>>())
    };
    let weights = over_sum(point.iter().map(|value| value.max(0.0)).collect());
    let kept = |weights: Vec<f64>| {
        weights.into_iter().map(|weight| if weight < LEAST_WEIGHT { 0.0 } else { weight }).collect()
    };
    weights.map(kept).and_then(over_sum).unwrap_or_else(|| vec![1.0 / point.len() as f64; point.len()])
}

/// A number above 0 and below 1.
fn uniform(random: &mut impl Rng) -> f64 {
    ((random.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_weights() {
        assert_eq!(weights_at(&[0.5, -0.2, 0.5, 0.0]), [0.5, 0.0, 0.5, 0.0]);
        assert_eq!(weights_at(&[-0.5, -0.1]), [0.5, 0.5]);
        assert_eq!(weights_at(&[1.0, 1e-4]), [1.0, 0.0]);
        assert_eq!(point_of(&[0.2, 0.8, 0.0]), [0.25, 1.0, 0.0]);
        let weights = [0.125, 0.5, 0.375];
        assert_eq!(weights_at(&point_of(&weights)), weights);
    }

    /// What is told must be used: a top in a corner of the simplex is found from its surroundings, which chance hardly hits.
    #[test]
    fn climbs_a_hill() {
        let top = [0.55, 0.35, 0.1, 0.0, 0.0, 0.0];
        let height = |weights: &[f64]| -weights.iter().zip(top).map(|(w, t)| (w - t).powi(2)).sum::<f64>();
        let best = |method| {
            let search = Search { evaluations: 150, method, ..Search::default() };
            let mut proposals = Proposals::new(&search, 6, None);
            let mut best = f64::NEG_INFINITY;
            let mut count = 0;
            while let Some(weights) = proposals.next().unwrap() {
                best = best.max(height(&weights));
                proposals.tell(&weights, height(&weights));
                count += 1;
            }
            assert_eq!(count, 150 - 7);
            best
        };
        let (bayesian, random) = (best(Method::Bayesian), best(Method::Random));
        assert!(bayesian > -1e-4 && random < 10.0 * bayesian, "{bayesian:e} {random:e}");
    }

    #[test]
    fn told_points_guide_the_process() {
        // The same seed, two landscapes: the proposals part as soon as the process knows of them.
        let proposed = |sign: f64| -> Vec<Vec<f64>> {
            let mut proposals = Proposals::new(&Search { evaluations: 80, ..Search::default() }, 3, None);
            for corner in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] {
                proposals.tell(&corner, sign * corner[0]);
            }
            (0..15)
                .map(|_| {
                    let weights = proposals.next().unwrap().unwrap();
                    proposals.tell(&weights, sign * weights[0]);
                    weights
                })
                .collect()
        };
        let (towards, away) = (proposed(1.0), proposed(-1.0));
        assert_eq!(towards[0], away[0]);
        let mean = |points: &[Vec<f64>]| points[10..].iter().map(|point| point[0]).sum::<f64>() / 5.0;
        assert!(mean(&towards) > 0.6 && mean(&away) < 0.2, "{} {}", mean(&towards), mean(&away));
    }
}
