//! Which clips a data set has, and under which conditions each was "recorded".
//!
//! As in the real data set, each section has a domain shift of one kind: of speed (sections 00, 03), of microphone
//! (01, 04) or of the surroundings (02, 05).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::machine::{Fault, MachineType, Operation};
use super::scene::{Hall, Microphone, Scene, record};
use super::signal::{from_db, gauss};
use crate::dataset::{Domain, Split};
use crate::rng::stream;

/// Sections with test clips, the first ones.
const TESTED_SECTIONS: usize = 3;
/// Speed of the six operating levels, relative to the machine's nominal speed.
const LEVEL_SPEEDS: [f64; 6] = [0.82, 0.90, 0.97, 1.04, 1.12, 1.22];

/// A spec with every choice made.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub machines: Vec<MachineType>,
    pub sections: usize,
    pub seed: u64,
    pub difficulty: f64,
    pub duration_s: f64,
    pub train_per_section: usize,
    pub test_per_section: usize,
    pub rate_hz: u32,
}

/// One clip to be made.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub machine: MachineType,
    pub section: usize,
    domain: Domain,
    split: Split,
    index: usize,
    /// The operating level, which sets the speed.
    level: usize,
    scene: Scene,
    pub fault: Option<Fault>,
    pub attributes: Vec<(&'static str, &'static str)>,
    /// The clip's stream, after the conditions above were drawn from it.
    rng: ChaCha8Rng,
}

impl Plan {
    /// All clips, machine by machine.
    pub fn jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for &machine in &self.machines {
            for section in 0..self.sections {
                let target = (self.train_per_section / 100).max(4).min(self.train_per_section / 2);
                let mut part = |domain, split, anomalous, count| {
                    jobs.extend(
                        (0..count).map(|index| self.job(machine, section, domain, split, anomalous, index)),
                    );
                };
                part(Domain::Source, Split::Train, false, self.train_per_section - target);
                part(Domain::Target, Split::Train, false, target);
                if section < TESTED_SECTIONS {
                    let quarters = [
                        (Domain::Source, false),
                        (Domain::Source, true),
                        (Domain::Target, false),
                        (Domain::Target, true),
                    ];
                    for (quarter, (domain, anomalous)) in quarters.into_iter().enumerate() {
                        let count = (self.test_per_section + 3 - quarter) / 4;
                        part(domain, Split::Test, anomalous, count);
                    }
                }
            }
        }
        jobs
    }

    fn job(
        &self,
        machine: MachineType,
        section: usize,
        domain: Domain,
        split: Split,
        anomalous: bool,
        index: usize,
    ) -> Job {
        let label = if anomalous { "anomaly" } else { "normal" };
        let (machine_name, domain_name, split_name) = (machine.name(), domain.token(), split.token());
        let purpose = format!("synth/{machine_name}/section_{section:02}/{domain_name}/{split_name}/{label}");
        let mut rng = stream(self.seed, &purpose, index as u64);

        let target = domain == Domain::Target;
        let mut scene = Scene {
            hall: Hall::Quiet,
            microphone: Microphone::Near,
            snr_db: 6.0 + 8.0 * (0.5 - self.difficulty),
        };
        let (levels, shifted): (&[usize], _) = match section % 3 {
            0 => (if target { &[0, 5] } else { &[1, 2, 3, 4] }, None),
            1 => {
                scene.microphone = if target { Microphone::Far } else { Microphone::Near };
                (&[1, 3], Some(("mic", if target { "2" } else { "1" })))
            }
            _ => {
                scene.hall = if target { Hall::Busy } else { Hall::Quiet };
                (&[2, 4], Some(("f-n", if target { "B" } else { "A" })))
            }
        };
        let level = levels[rng.random_range(0..levels.len())];
        let faults = machine.faults();
        let fault = anomalous.then(|| Fault {
            // In turn, so that each kind has its share of even a small test set.
            kind: faults[index % faults.len()],
            gain: from_db(20.0 * (0.5 - self.difficulty) + 4.0 * gauss(&mut rng)),
        });
        let (key, values) = machine.levels();
        let attributes = [(key, values[level])].into_iter().chain(shifted).collect();
        Job { machine, section, domain, split, index, level, scene, fault, attributes, rng }
    }
}

impl Job {
    pub fn is_train(&self) -> bool {
        self.split == Split::Train
    }

    /// E.g. `section_00_source_train_normal_0000_vel_6.wav`.
    pub fn file_name(&self) -> String {
        let (domain, split) = (self.domain.token(), self.split.token());
        let label = if self.fault.is_some() { "anomaly" } else { "normal" };
        let attributes: Vec<String> =
            self.attributes.iter().map(|(key, value)| format!("_{key}_{value}")).collect();
        format!(
            "section_{:02}_{domain}_{split}_{label}_{:04}{}.wav",
            self.section,
            self.index,
            attributes.concat()
        )
    }

    /// Relative to the data set's root, with `/` between folders.
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.machine.name(), self.split.token(), self.file_name())
    }

    /// The clip's samples.
    pub fn render(&self, plan: &Plan) -> Vec<f32> {
        let mut rng = self.rng.clone();
        let rate_hz = f64::from(plan.rate_hz);
        let operation = Operation {
            rate_hz,
            samples: (plan.duration_s * rate_hz).round() as usize,
            speed: LEVEL_SPEEDS[self.level] * (1.0 + 0.01 * gauss(&mut rng)),
            fault: self.fault,
        };
        // The unit's own build, the same for every clip of the section.
        let mut unit =
            stream(plan.seed, &format!("synth/{}/section_{:02}/unit", self.machine.name(), self.section), 0);
        let sound = self.machine.sound(&operation, &mut unit, &mut rng);
        record(sound, self.scene, rate_hz, &mut rng)
    }
}
