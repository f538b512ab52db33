//! Figures of a report: plain specifications in, one picture out, as SVG or PNG.
//!
//! A figure depends on its specification only: the same one gives the same bytes. Values that are not finite are left out,
//! and the picture says how many; a figure with nothing to show says so instead of its plot.

mod axis;
mod curves;
mod dots;
mod drawing;
mod grid;
mod heatmaps;
mod histograms;
mod lettering;
mod map;
mod palette;
mod raster;
mod scatter;
mod sheet;

pub use curves::{Curve, Curves, Scale, curves};
pub use dots::{DotRow, Dots, dots};
pub use heatmaps::{Frequencies, HeatMap, HeatMaps, heatmaps};
pub use histograms::{HistogramPanel, Histograms, Score, histograms};
pub use map::{Map, MapPanel, MapPoint, map};
pub use scatter::{Family, Point, Scatter, normalised, scatter};

/// What a picture lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// Dark on white: for paper, and for screens by day.
    #[default]
    Light,
    /// Light on near black.
    Dark,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// The rasteriser or the PNG encoder.
    #[error("draw a figure as PNG: {0}; its SVG is whole, use that one")]
    Png(String),
}

/// One AUC that is printed in a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct PrintedAuc {
    /// Of what, such as `MD AUC` or `AUC, target`.
    pub name: String,
    /// 0..=1; printed in %, `-` where there is none.
    pub auc: Option<f64>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    width: f64,
    height: f64,
    title: String,
    elements: Vec<drawing::Element>,
}

impl Figure {
    /// As SVG, whose text is text and which scales to the room that it is given. It has no ids, so that several can stand
    /// in one page.
    #[must_use]
    pub fn svg(&self, theme: Theme) -> String {
        drawing::svg(self, theme)
    }

    /// As PNG in the light theme, two pixels for each of the SVG's.
    ///
    /// # Errors
    /// [`FigureError::Png`].
    pub fn png(&self) -> Result<Vec<u8>, FigureError> {
        self.png_in(Theme::Light)
    }

    /// As [`Figure::png`], in a theme.
    ///
    /// # Errors
    /// [`FigureError::Png`].
    pub fn png_in(&self, theme: Theme) -> Result<Vec<u8>, FigureError> {
        raster::png(self, theme)
    }
}
