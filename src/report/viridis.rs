//! The colours of levels.

/// Viridis (van der Walt and Smith, 2015) at tenths of its way; between them colours are mixed linearly, which is less
/// than a 19th of a channel's range off.
pub(super) const COLOURS: [[u8; 3]; 11] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x25, 0x76],
    [0x41, 0x44, 0x87],
    [0x35, 0x5f, 0x8d],
    [0x2a, 0x78, 0x8e],
    [0x21, 0x91, 0x8c],
    [0x22, 0xa8, 0x84],
    [0x44, 0xbf, 0x70],
    [0x7a, 0xd1, 0x51],
    [0xbd, 0xdf, 0x26],
    [0xfd, 0xe7, 0x25],
];

/// The colour of a level from 0, lowest, to 1, highest.
pub(super) fn colour(level: f32) -> [u8; 3] {
    let place = level.clamp(0.0, 1.0) * (COLOURS.len() - 1) as f32;
    let index = (place as usize).min(COLOURS.len() - 2);
    let weight = place - index as f32;
    let mix = |channel: usize| {
        let (from, to) = (f32::from(COLOURS[index][channel]), f32::from(COLOURS[index + 1][channel]));
        (from + weight * (to - from)).round() as u8
    };
    [mix(0), mix(1), mix(2)]
}

/// A picture of levels, row by row from the top, as PNG with 256 colours. `None` where it has no pixel.
pub(super) fn indexed_png(columns: usize, rows: usize, levels: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, u32::try_from(columns).ok()?, u32::try_from(rows).ok()?);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette((0..=255_u8).flat_map(|level| colour(f32::from(level) / 255.0)).collect::<Vec<u8>>());
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(levels).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_grow_lighter_all_the_way() {
        let luminance = |level: u16| {
            let [red, green, blue] = colour(f32::from(level) / 255.0).map(f32::from);
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        for level in 0..255 {
            // Rounding of a channel may hide a step, by half a value each.
            assert!(luminance(level + 1) > luminance(level) - 0.5, "{level}");
        }
        assert!(luminance(255) > luminance(0) + 150.0);
        assert_eq!((colour(0.0), colour(1.0)), (COLOURS[0], COLOURS[10]));
    }
}
