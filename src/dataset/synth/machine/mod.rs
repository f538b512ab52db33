//! The seven machine types of DCASE 2022, each with a physical model of its own and its own ways to fail.

mod bearing;
mod fan;
mod gearbox;
mod slider;
mod toy_car;
mod toy_train;
mod valve;

use rand_chacha::ChaCha8Rng;

/// A machine type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum MachineType {
    ToyCar,
    ToyTrain,
    Bearing,
    Fan,
    Gearbox,
    Slider,
    Valve,
}

/// A way to fail, and how strongly: gains are amplitudes relative to the model's middling case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub kind: &'static str,
    pub gain: f64,
}

/// How a machine runs in one clip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub rate_hz: f64,
    pub samples: usize,
    /// Speed (or pace) relative to the machine's nominal one.
    pub speed: f64,
    pub fault: Option<Fault>,
}

impl Operation {
    /// The fault's gain if it is of this `kind`, else 0.
    fn fault(&self, kind: &str) -> f64 {
        self.fault.filter(|fault| fault.kind == kind).map_or(0.0, |fault| fault.gain)
    }

    fn silence(&self) -> Vec<f32> {
        vec![0.0; self.samples]
    }

    fn length_s(&self) -> f64 {
        self.samples as f64 / self.rate_hz
    }
}

impl MachineType {
    /// All of them, in the order of the challenge's tables.
    pub const ALL: [Self; 7] =
        [Self::ToyCar, Self::ToyTrain, Self::Bearing, Self::Fan, Self::Gearbox, Self::Slider, Self::Valve];

    /// The name that folders bear.
    pub fn name(self) -> &'static str {
        match self {
            Self::ToyCar => "ToyCar",
            Self::ToyTrain => "ToyTrain",
            Self::Bearing => "bearing",
            Self::Fan => "fan",
            Self::Gearbox => "gearbox",
            Self::Slider => "slider",
            Self::Valve => "valve",
        }
    }

    /// Its ways to fail.
    pub fn faults(self) -> &'static [&'static str] {
        match self {
            Self::ToyCar => &toy_car::FAULTS,
            Self::ToyTrain => &toy_train::FAULTS,
            Self::Bearing => &bearing::FAULTS,
            Self::Fan => &fan::FAULTS,
            Self::Gearbox => &gearbox::FAULTS,
            Self::Slider => &slider::FAULTS,
            Self::Valve => &valve::FAULTS,
        }
    }

    /// The operating levels' attribute key and values, slowest first, as the challenge's file names write them.
    pub fn levels(self) -> (&'static str, [&'static str; 6]) {
        match self {
            Self::ToyCar => ("spd", ["28V", "31V", "34V", "37V", "40V", "43V"]),
            Self::ToyTrain => ("spd", ["6", "7", "8", "9", "10", "11"]),
            Self::Bearing => ("vel", ["6", "10", "14", "18", "22", "26"]),
            Self::Fan => ("m-n", ["U", "V", "W", "X", "Y", "Z"]),
            Self::Gearbox => ("volt", ["1.0", "1.5", "2.0", "2.5", "3.0", "3.5"]),
            Self::Slider => ("vel", ["300", "500", "700", "900", "1100", "1300"]),
            Self::Valve => ("pat", ["00", "01", "02", "03", "04", "05"]),
        }
    }

    /// The sound of one clip, with a root mean square around 1 where the machine is normal. `unit` is the section's
    /// stream: every clip of a section draws the same machine from it. `rng` is the clip's own.
    pub fn sound(self, operation: &Operation, unit: &mut ChaCha8Rng, rng: &mut ChaCha8Rng) -> Vec<f32> {
        match self {
            Self::ToyCar => toy_car::sound(operation, unit, rng),
            Self::ToyTrain => toy_train::sound(operation, unit, rng),
            Self::Bearing => bearing::sound(operation, unit, rng),
            Self::Fan => fan::sound(operation, unit, rng),
            Self::Gearbox => gearbox::sound(operation, unit, rng),
            Self::Slider => slider::sound(operation, unit, rng),
            Self::Valve => valve::sound(operation, unit, rng),
        }
    }
}

/// Scatters every partial's amplitude by `deviation_db`: a machine never sounds quite the same twice.
fn scatter(partials: &mut [super::signal::Partial], deviation_db: f64, gain: f64, rng: &mut ChaCha8Rng) {
    for partial in partials {
        partial.amplitude *= gain * super::signal::gain_db(rng, deviation_db);
    }
}
