//! Detectors against scikit-learn, against detectors without the clip that is left out, and on banks that are small, empty or
//! all the same.

mod reference;

use ndarray::{Array1, Array2, Axis, array, s};
use ndarray_npy::read_npy;

use super::*;
use crate::config::{
    CovarianceEstimator, DensityConfig, DetectorKind, DistanceMetric, KmeansConfig, KnnConfig, LofConfig,
    MahalanobisConfig, MixtureConfig, MixtureCovariance, NeighbourReduce, SmoteConfig,
};
use crate::linalg::unit_rows;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/detectors");
const METRICS: [(DistanceMetric, &str); 2] =
    [(DistanceMetric::Euclidean, "euclidean"), (DistanceMetric::Cosine, "cosine")];

fn matrix(name: &str) -> Array2<f64> {
    read_npy(format!("{FOLDER}/{name}.npy")).unwrap()
}

fn training(features: Array2<f64>) -> TrainingFeatures {
    TrainingFeatures::of_training_clips(features)
}

/// The first `source` clips are of the source domain.
fn domains(features: Array2<f64>, source: usize) -> TrainingFeatures {
    let of = |clip| Some(if clip < source { Domain::Source } else { Domain::Target });
    let domains = (0..features.nrows()).map(of).collect();
    training(features).with_domains(domains).unwrap()
}

fn separate(kind: DetectorKind) -> DetectorConfig {
    DetectorConfig { banks: Banks::Separate, ..DetectorConfig::new(kind) }
}

fn knn(k: usize, metric: DistanceMetric) -> KnnConfig {
    KnnConfig { k, metric, ..KnnConfig::default() }
}

/// Every kind, with distances of that metric.
fn kinds(metric: DistanceMetric) -> Vec<DetectorKind> {
    let density = Some(DensityConfig { k: 3 });
    vec![
        DetectorKind::Mahalanobis(MahalanobisConfig::default()),
        DetectorKind::Knn(knn(2, metric)),
        DetectorKind::Knn(KnnConfig {
            density: density.clone(),
            reduce: NeighbourReduce::Kth,
            ..knn(2, metric)
        }),
        DetectorKind::Lof(LofConfig { k: 4, metric }),
        DetectorKind::Kmeans(KmeansConfig { prototypes: 3, metric, ..KmeansConfig::default() }),
        DetectorKind::Kmeans(KmeansConfig { prototypes: 3, metric, density, ..KmeansConfig::default() }),
        DetectorKind::Mixture(MixtureConfig::default()),
        DetectorKind::Mixture(MixtureConfig {
            covariance: MixtureCovariance::Full,
            ..MixtureConfig::default()
        }),
    ]
}

fn scores(config: &DetectorConfig, training: &TrainingFeatures, queries: &Array2<f64>) -> Vec<f64> {
    Detector::new(config).fit(training, 0).unwrap().score(queries.view()).unwrap()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], relative: f64) {
    assert_within(found, expected, relative, 0.0);
}

#[track_caller]
fn assert_within(found: &[f64], expected: &[f64], relative: f64, absolute: f64) {
    assert_eq!(found.len(), expected.len());
    for (clip, (found, expected)) in found.iter().zip(expected).enumerate() {
        let allowed = relative * expected.abs() + absolute;
        assert!((found - expected).abs() <= allowed, "{clip}: {found} against {expected}");
    }
}

#[test]
fn training_scores_are_those_without_the_clip() {
    let features = matrix("features");
    for (metric, _) in METRICS {
        for kind in kinds(metric).into_iter().skip(1).take(3) {
            let detector = Detector::new(&DetectorConfig::new(kind));
            let found = detector.fit(&training(features.clone()), 0).unwrap().score_training().unwrap();
            for clip in 0..features.nrows() {
                let others: Vec<usize> = (0..features.nrows()).filter(|&other| other != clip).collect();
                let rest = detector.fit(&training(features.select(Axis(0), &others)), 0).unwrap();
                let expected = rest.score(features.slice(s![clip..=clip, ..])).unwrap();
                // The centre that is subtracted is another one.
                assert_close(&found[clip..=clip], &expected, 1e-9);
            }
        }
    }
}

#[test]
fn a_clip_pulls_no_prototype_towards_itself() {
    // One prototype: the mean of all other clips.
    let features = matrix("features");
    let config = KmeansConfig { prototypes: 1, metric: DistanceMetric::Euclidean, ..KmeansConfig::default() };
    let detector = Detector::new(&DetectorConfig::new(DetectorKind::Kmeans(config)));
    let found = detector.fit(&training(features.clone()), 0).unwrap().score_training().unwrap();
    let sum = features.sum_axis(Axis(0));
    for (row, found) in features.rows().into_iter().zip(found) {
        let away = &row - &((&sum - &row) / 59.0);
        assert_close(&[found], &[away.dot(&away).sqrt()], 1e-12);
    }
    // A prototype of one clip is none for it.
    let far = array![[0.0, 0.0], [0.0, 2.0], [90.0, 0.0]];
    let config = KmeansConfig { prototypes: 2, metric: DistanceMetric::Euclidean, ..KmeansConfig::default() };
    let detector = Detector::new(&DetectorConfig::new(DetectorKind::Kmeans(config)));
    let found = detector.fit(&training(far.clone()), 0).unwrap();
    assert_close(&found.score(far.view()).unwrap()[..2], &[1.0, 1.0], 1e-12);
    assert_close(&found.score_training().unwrap(), &[2.0, 2.0, (8100.0_f64 + 1.0).sqrt()], 1e-12);
}

#[test]
fn separate_banks_take_the_smaller_score() {
    let (features, queries) = (matrix("features"), matrix("queries"));
    let both = domains(features.clone(), 40);
    for (metric, _) in METRICS {
        for kind in kinds(metric) {
            let name = format!("{kind:?}");
            let fitted = Detector::new(&separate(kind.clone())).fit(&both, 0).unwrap();
            let sizes: Vec<(String, usize)> =
                fitted.banks().into_iter().map(|size| (size.bank, size.clips)).collect();
            assert_eq!(sizes, [("source".to_owned(), 40), ("target".to_owned(), 20)]);
            let found = fitted.score(queries.view()).unwrap();
            // Each domain by itself: its clips are all of that domain, so the same bank.
            let source = scores(
                &separate(kind.clone()),
                &domains(features.slice(s![..40, ..]).to_owned(), 40),
                &queries,
            );
            let target =
                scores(&separate(kind), &domains(features.slice(s![40.., ..]).to_owned(), 0), &queries);
            let least: Vec<f64> = source.iter().zip(&target).map(|(a, b)| a.min(*b)).collect();
            assert_eq!(found, least, "{name}");
            assert!(source != least && target != least, "{name}: one bank gives all");
            let in_training = fitted.score_training().unwrap();
            assert_eq!(in_training.len(), 60);
            assert!(in_training.iter().all(|score| score.is_finite()), "{name}");
        }
    }
}

#[test]
fn target_clips_are_prototypes_themselves() {
    let both = domains(matrix("features"), 50);
    let config = KmeansConfig { prototypes: 4, ..KmeansConfig::default() };
    let fitted = Detector::new(&separate(DetectorKind::Kmeans(config))).fit(&both, 0).unwrap();
    let found = fitted.score(both.view()).unwrap();
    assert!(found[50..].iter().all(|&score| score == 0.0), "{found:?}");
    assert!(found[..50].iter().all(|&score| score > 0.0));
    // Without themselves they are some way off.
    assert!(fitted.score_training().unwrap()[50..].iter().all(|&score| score > 0.0));
}

#[test]
fn what_is_missing_of_a_bank_is_noted() {
    let features = matrix("features");
    let fit = |config: &DetectorConfig, training: &TrainingFeatures| {
        Detector::new(config).fit(training, 0).unwrap()
    };
    let plain = separate(DetectorKind::Knn(knn(1, DistanceMetric::Euclidean)));
    let mahalanobis = separate(DetectorKind::Mahalanobis(MahalanobisConfig::default()));
    let global = DetectorConfig { banks: Banks::Global, ..plain.clone() };
    let expected = fit(&global, &training(features.clone()));

    let unknown = fit(&plain, &training(features.clone()));
    assert_eq!(unknown.notes(), ["one bank for all clips: no training clip's domain is known"]);
    assert_eq!(unknown.score_training().unwrap(), expected.score_training().unwrap());
    assert_eq!(expected.notes(), [""; 0]);

    let source = fit(&plain, &domains(features.clone(), 60));
    assert_eq!(source.notes(), ["the target bank is left out: no training clip is of that domain"]);

    let mut some: Vec<Option<Domain>> = vec![Some(Domain::Target); 60];
    some[..3].fill(None);
    let some = fit(&plain, &training(features.clone()).with_domains(some).unwrap());
    assert_eq!(
        some.notes(),
        ["3 of 60 training clips are in the source bank although their domain is not known"]
    );
    assert_eq!((some.banks()[0].clips, some.banks()[1].clips), (3, 57));

    let single = domains(features.clone(), 59);
    let one = fit(&mahalanobis, &single);
    assert!(
        one.notes()[0].starts_with("the target bank is left out: failed to estimate a covariance from 1")
    );
    assert_eq!(one.banks().len(), 1);
    // A single clip is a bank for distances; itself it is measured from the source.
    let near = fit(&plain, &single);
    let own = near.score(features.slice(s![59.., ..])).unwrap();
    assert_eq!((own[0], near.notes().len()), (0.0, 0));
    assert!(near.score_training().unwrap()[59] > 0.0);

    let many = separate(DetectorKind::Knn(knn(12, DistanceMetric::Euclidean)));
    let many = fit(&many, &domains(features.clone(), 50));
    assert_eq!(many.notes(), ["k of the target bank is 9 instead of 12: it has 10 clips"]);
    let mixture =
        separate(DetectorKind::Mixture(MixtureConfig { components: 3, ..MixtureConfig::default() }));
    let mixture = fit(&mixture, &domains(features, 50));
    assert_eq!(
        mixture.notes(),
        ["the number of Gaussians of the target bank is 2 instead of 3: it has 10 clips"]
    );
}

#[test]
fn oversampling_fills_up_the_target_domain() {
    let both = domains(matrix("features"), 54);
    let smote = Some(SmoteConfig { ratio: 0.5, k: 2 });
    for banks in [Banks::Separate, Banks::Global] {
        for kind in kinds(DistanceMetric::Euclidean) {
            let config = DetectorConfig { smote: smote.clone(), banks, ..DetectorConfig::new(kind) };
            let fitted = Detector::new(&config).fit(&both, 0).unwrap();
            let made: usize = fitted.banks().iter().map(|bank| bank.synthetic).sum();
            assert_eq!(made, 54 / 2 - 6);
            let own = fitted.score_training().unwrap();
            assert_eq!(own.len(), 60);
            assert!(own.iter().all(|score| score.is_finite()), "{config:?}");
            assert_eq!(own, Detector::new(&config).fit(&both, 0).unwrap().score_training().unwrap());
        }
    }
    // What was made of a clip does not count for it either: nothing that is near to clip 54 is left but other clips.
    let near = |smote| {
        let config =
            DetectorConfig { smote, ..separate(DetectorKind::Knn(knn(1, DistanceMetric::Euclidean))) };
        Detector::new(&config).fit(&both, 0).unwrap()
    };
    let (with, without) = (near(smote), near(None));
    let (found, plain) = (with.score_training().unwrap(), without.score_training().unwrap());
    let fully = with.score(both.view()).unwrap();
    assert!(fully.iter().all(|&score| score == 0.0));
    // Clips made of two others may be nearer than both, but none is made of the clip itself.
    assert!(found.iter().zip(&plain).all(|(found, plain)| *found > 0.0 && found <= plain));
    assert!(found[..54].iter().all(|score| *score > 1e-3));
}

#[test]
fn made_clips_lie_between_neighbours() {
    let features = matrix("features");
    let target: Vec<usize> = (50..60).collect();
    let config = SmoteConfig { ratio: 1.0, k: 3 };
    let made = oversample(features.view(), 50, &target, &config, 7).unwrap().unwrap();
    assert_eq!(made.features.dim(), (40, 6));
    for (row, &[base, other]) in made.features.rows().into_iter().zip(&made.parents) {
        let (base_row, other_row) = (features.row(base), features.row(other));
        let line = &other_row - &base_row;
        let away = &row - &base_row;
        let place = away.dot(&line) / line.dot(&line);
        assert!((0.0..1.0).contains(&place), "{place}");
        assert!((&away - &(&line * place)).iter().all(|off| off.abs() < 1e-12));
        let distance = |clip: usize| {
            let away: Array1<f64> = &features.row(clip) - &base_row;
            away.dot(&away)
        };
        let nearer = target.iter().filter(|&&clip| clip != base && distance(clip) < distance(other)).count();
        assert!(base != other && nearer < 3, "{base} {other} {nearer}");
    }
    let times = |clip| made.parents.iter().filter(|pair| pair[0] == clip).count();
    assert!(target.iter().all(|&clip| times(clip) == 4), "they take turns");
    let again = |seed| oversample(features.view(), 50, &target, &config, seed).unwrap().unwrap().features;
    assert_eq!(again(7), made.features);
    assert_ne!(again(8), made.features);
    let why = |source, target: &[usize]| {
        oversample(features.view(), source, target, &config, 7).unwrap().unwrap_err()
    };
    assert_eq!(why(5, &target), "no target clips are made: there are 10 of 5 already");
    assert_eq!(why(50, &target[..1]), "no target clips are made of 1: at least 2 are needed");
}

#[test]
fn equal_clips_and_zeros_have_finite_scores() {
    let mut features = matrix("features");
    for clip in 1..20 {
        let first = features.row(0).to_owned();
        features.row_mut(clip).assign(&first);
    }
    features.row_mut(30).fill(0.0);
    for (metric, _) in METRICS {
        for kind in kinds(metric) {
            let fitted = Detector::new(&DetectorConfig::new(kind.clone()))
                .fit(&training(features.clone()), 0)
                .unwrap();
            let scores = [fitted.score(features.view()).unwrap(), fitted.score_training().unwrap()].concat();
            assert!(scores.iter().all(|score| score.is_finite()), "{kind:?}: {scores:?}");
        }
    }
    // All the same: distances are 0, Gaussians are none.
    let same = training(Array2::ones((8, 3)));
    for kind in kinds(DistanceMetric::Euclidean) {
        let fitted = Detector::new(&DetectorConfig::new(kind.clone())).fit(&same, 0);
        match kind {
            DetectorKind::Mahalanobis(_) | DetectorKind::Mixture(_) => {
                let why = fitted.unwrap_err();
                assert!(why.is_unfit() && why.to_string().contains("never vary"), "{why}");
            }
            DetectorKind::Lof(_) => assert_eq!(fitted.unwrap().score_training().unwrap(), [1.0; 8]),
            _ => assert_eq!(fitted.unwrap().score_training().unwrap(), [0.0; 8]),
        }
    }
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let mut holed = matrix("features");
    holed[[7, 2]] = f64::NAN;
    let why = check_finite_of(&holed);
    assert_eq!(
        why,
        "score clip normal_0007.wav: feature 2 is not finite; the model has diverged or the clip is damaged"
    );
    for kind in kinds(DistanceMetric::Cosine) {
        let detector = Detector::new(&DetectorConfig::new(kind.clone()));
        let refused = detector.fit(&training(holed.clone()), 0).unwrap_err();
        assert!(
            matches!(refused, Error::Linalg(linalg::Error::NotFinite { row: 7, column: 2 }))
                && !refused.is_unfit()
        );
        let fitted = detector.fit(&training(matrix("features")), 0).unwrap();
        let wide = fitted.score(Array2::zeros((2, 7)).view()).unwrap_err();
        assert!(matches!(wide, Error::Linalg(linalg::Error::Width { expected: 6, found: 7 })), "{kind:?}");
        let refused = fitted.score(holed.view()).unwrap_err();
        assert!(matches!(refused, Error::Linalg(linalg::Error::NotFinite { row: 7, column: 2 })), "{kind:?}");
        assert!(detector.fit(&training(Array2::zeros((0, 6))), 0).unwrap_err().is_unfit(), "{kind:?}");
        assert_eq!(fitted.score(Array2::zeros((0, 6)).view()).unwrap(), [0.0; 0]);
    }
    let single = Detector::new(&DetectorConfig::new(DetectorKind::Knn(KnnConfig::default())))
        .fit(&training(Array2::ones((1, 3))), 0)
        .unwrap();
    assert_eq!(single.score(Array2::ones((1, 3)).view()).unwrap(), [0.0]);
    assert!(single.score_training().unwrap_err().is_unfit());
    assert!(matches!(
        training(Array2::ones((3, 3))).with_domains(vec![None]),
        Err(Error::Rows { rows: 3, clips: 1 })
    ));
}

fn check_finite_of(features: &Array2<f64>) -> String {
    crate::score::check_finite(features.view(), |row| format!("normal_{row:04}.wav")).unwrap_err().to_string()
}

#[test]
fn threads_do_not_change_a_bit() {
    let features =
        Array2::from_shape_fn((700, 40), |(i, j)| ((i * 37 + j * 11 + i * i * (j + 1)) % 997) as f64 / 99.0);
    let both = domains(features, 650);
    for kind in kinds(DistanceMetric::Cosine) {
        let config = DetectorConfig { smote: Some(SmoteConfig::default()), ..separate(kind.clone()) };
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let fitted = Detector::new(&config).fit(&both, 3).unwrap();
                (fitted.score(both.view()).unwrap(), fitted.score_training().unwrap())
            })
        };
        assert_eq!(run(1), run(3), "{kind:?}");
    }
}
