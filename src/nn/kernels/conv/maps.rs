//! A convolution's input as it lies in memory: maps stacked along channels, each as a norm and a PReLU make it.
//!
//! Whoever lays the input out for a core takes every value through its norm and PReLU on the way, so that neither their
//! result nor the concatenation of maps ever exists as a whole.

/// Maps `[batch, channels, height, width]`.
#[derive(Clone, Copy, Debug)]
pub struct Maps<'a> {
    pub values: &'a [f32],
    pub channels: usize,
    /// What is to be done to every value that is read.
    pub activation: Option<Activation<'a>>,
}

/// A norm of given statistics and a PReLU: with n = (v - mean) · gain + bias, n where it is positive and slope · n elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Activation<'a> {
    /// `[batch · channels]`, as is the gain.
    pub mean: &'a [f32],
    pub gain: &'a [f32],
    /// `[channels]`, as is the slope.
    pub bias: &'a [f32],
    pub slope: &'a [f32],
}

/// [`Activation`] of one channel of one sample.
#[derive(Clone, Copy, Debug)]
pub struct ChannelActivation {
    pub mean: f32,
    pub gain: f32,
    pub bias: f32,
    pub slope: f32,
}

impl Activation<'_> {
    /// Channel `index` of `[batch · channels]`.
    pub fn of(&self, index: usize) -> ChannelActivation {
        let channel = index % self.bias.len();
        ChannelActivation {
            mean: self.mean[index],
            gain: self.gain[index],
            bias: self.bias[channel],
            slope: self.slope[channel],
        }
    }
}

impl ChannelActivation {
    /// What the PReLU gets.
    #[inline(always)]
    pub fn norm(self, value: f32) -> f32 {
        (value - self.mean) * self.gain + self.bias
    }

    #[inline(always)]
    pub fn apply(self, value: f32) -> f32 {
        let norm = self.norm(value);
        // A NaN is no positive number, and stays one.
        if norm > 0.0 { norm } else { self.slope * norm }
    }
}

/// Maps one behind the other along channels.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'a> {
    pub maps: &'a [Maps<'a>],
    /// Values of one map of one channel.
    pub plane: usize,
}

impl<'a> Stack<'a> {
    /// The values, where they are one slice that is read as it is.
    pub fn plain(&self) -> Option<&'a [f32]> {
        match self.maps {
            [Maps { values, activation: None, .. }] => Some(values),
            _ => None,
        }
    }

    /// Every channel of an image, in order.
    pub fn planes(&self, image: usize) -> impl Iterator<Item = (&'a [f32], Option<ChannelActivation>)> {
        let plane = self.plane;
        self.maps.iter().flat_map(move |maps| {
            (image * maps.channels..(image + 1) * maps.channels).map(move |index| {
                let values = &maps.values[index * plane..][..plane];
                (values, maps.activation.map(|activation| activation.of(index)))
            })
        })
    }

    /// Whether everything has the sizes of `[batch, channels, plane]`.
    pub fn fits(&self, batch: usize, channels: usize) -> bool {
        let each = self.maps.iter().all(|maps| {
            maps.values.len() == batch * maps.channels * self.plane
                && maps.activation.is_none_or(|activation| {
                    let both = batch * maps.channels;
                    let of_all = [activation.mean.len(), activation.gain.len()] == [both; 2];
                    of_all && [activation.bias.len(), activation.slope.len()] == [maps.channels; 2]
                })
        });
        each && self.maps.iter().map(|maps| maps.channels).sum::<usize>() == channels
    }
}
