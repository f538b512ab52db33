//! WAV files in and out, against `hound` and against files broken in every way.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use super::*;
use crate::audio::{SampleFormat, write_wav};

const CLIP: &str = "fan/clip.wav";

/// The `fmt ` chunk's content.
fn format(tag: u16, channels: u16, bits: u16) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut bytes = Vec::new();
    bytes.extend(tag.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(16_000_u32.to_le_bytes());
    bytes.extend((16_000 * u32::from(block)).to_le_bytes());
    bytes.extend(block.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes
}

fn chunk(id: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [id, &u32::try_from(content.len()).unwrap().to_le_bytes()[..], content].concat()
}

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = [b"WAVE".to_vec(), chunks.concat()].concat();
    chunk(b"RIFF", &body)
}

fn wav(tag: u16, channels: u16, bits: u16, data: &[u8]) -> Vec<u8> {
    riff(&[chunk(b"fmt ", &format(tag, channels, bits)), chunk(b"data", data)])
}

fn pcm16(channels: u16, samples: &[i16]) -> Vec<u8> {
    wav(1, channels, 16, &samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<_>>())
}

fn read(bytes: &[u8], channel: ChannelChoice) -> Result<Wave, Error> {
    read_wav_bytes(bytes, Path::new(CLIP), channel)
}

fn samples(bytes: &[u8]) -> Vec<f32> {
    read(bytes, ChannelChoice::First).unwrap().samples
}

/// The message of a clip that must not be read; it names the file and ends with a remedy.
fn rejected(bytes: &[u8]) -> String {
    let message = read(bytes, ChannelChoice::First).unwrap_err().to_string();
    assert!(message.contains(CLIP) && message.contains(';'), "{message}");
    message
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn saved(folder: &tempfile::TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("clip.wav");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn full_scale_of_every_encoding() {
    assert_eq!(samples(&wav(1, 1, 8, &[0, 128, 255, 192])), [-1.0, 0.0, 127.0 / 128.0, 0.5]);
    assert_eq!(
        samples(&pcm16(1, &[-32_768, 0, 32_767, 1])),
        [-1.0, 0.0, 32_767.0 / 32_768.0, 1.0 / 32_768.0]
    );
    let pcm24 = wav(1, 1, 24, &[0, 0, 0x80, 0xFF, 0xFF, 0x7F, 1, 0, 0, 0xFF, 0xFF, 0xFF]);
    let step = 1.0 / 8_388_608.0;
    assert_eq!(samples(&pcm24), [-1.0, 1.0 - step, step, -step]);
    let pcm32: Vec<u8> = [i32::MIN, 1 << 30, 0].iter().flat_map(|sample| sample.to_le_bytes()).collect();
    assert_eq!(samples(&wav(1, 1, 32, &pcm32)), [-1.0, 0.5, 0.0]);
    let float32: Vec<u8> = [0.25_f32, -1.5].iter().flat_map(|sample| sample.to_le_bytes()).collect();
    assert_eq!(samples(&wav(3, 1, 32, &float32)), [0.25, -1.5]);
    let float64: Vec<u8> = [0.25_f64, -1.0].iter().flat_map(|sample| sample.to_le_bytes()).collect();
    assert_eq!(samples(&wav(3, 1, 64, &float64)), [0.25, -1.0]);
}

#[test]
fn what_is_written_is_read_back_and_hound_agrees() {
    let clip: Vec<f32> = (0..1001_i16).map(|n| f32::from(n - 500) / 512.0).collect();
    let folder = folder();
    let path = folder.path().join("clip.wav");
    for (format, bits) in [
        (SampleFormat::Pcm16, 16),
        (SampleFormat::Pcm24, 24),
        (SampleFormat::Pcm32, 32),
        (SampleFormat::Float32, 32),
    ] {
        write_wav(&path, &clip, 22_050, format).unwrap();
        let float = format == SampleFormat::Float32;
        let info = WavInfo { rate_hz: 22_050, channels: 1, samples: 1001, bits, float };
        assert_eq!(probe(&path).unwrap(), info, "{format:?}");
        // All values are multiples of 1/512, which every format holds exactly.
        assert_eq!(
            read_wav(&path, ChannelChoice::First).unwrap(),
            Wave { samples: clip.clone(), rate_hz: 22_050 }
        );
        let mut hound = hound::WavReader::open(&path).unwrap();
        let theirs: Vec<f32> = if float {
            hound.samples().map(Result::unwrap).collect()
        } else {
            let scale = 2.0_f32.powi(i32::from(bits) - 1);
            hound.samples::<i32>().map(|sample| sample.unwrap() as f32 / scale).collect()
        };
        assert_eq!(theirs, clip, "{format:?}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "a temporary file was left behind");
}

#[test]
fn loud_samples_are_clipped_and_unfinite_ones_not_written() {
    let folder = folder();
    let path = folder.path().join("loud.wav");
    write_wav(&path, &[2.0, -2.0, 1.0], 8000, SampleFormat::Pcm16).unwrap();
    let top = 32_767.0 / 32_768.0;
    assert_eq!(read_wav(&path, ChannelChoice::First).unwrap().samples, [top, -1.0, top]);

    let path = folder.path().join("nan.wav");
    let message = write_wav(&path, &[0.0, f32::NAN], 8000, SampleFormat::Pcm16).unwrap_err().to_string();
    assert!(message.contains("nan.wav") && message.contains("sample 1"), "{message}");
    assert!(!path.exists());
    let missing = folder.path().join("missing/clip.wav");
    assert!(matches!(write_wav(&missing, &[0.0], 8000, SampleFormat::Pcm16), Err(Error::Write { .. })));
}

#[test]
fn channels_of_a_stereo_clip() {
    let clip = pcm16(2, &[16_384, 8192, -16_384, 0]);
    for (choice, expected) in [
        (ChannelChoice::First, [0.5, -0.5]),
        (ChannelChoice::Left, [0.5, -0.5]),
        (ChannelChoice::Right, [0.25, 0.0]),
        (ChannelChoice::Mean, [0.375, -0.25]),
        (ChannelChoice::Difference, [0.25, -0.5]),
    ] {
        assert_eq!(read(&clip, choice).unwrap().samples, expected, "{choice}");
    }
}

#[test]
fn channels_of_a_mono_clip() {
    let clip = pcm16(1, &[16_384, -8192]);
    for choice in [ChannelChoice::First, ChannelChoice::Mean] {
        assert_eq!(read(&clip, choice).unwrap().samples, [0.5, -0.25]);
    }
    for choice in [ChannelChoice::Left, ChannelChoice::Right, ChannelChoice::Difference] {
        let message = read(&clip, choice).unwrap_err().to_string();
        assert!(message.contains(CLIP) && message.contains("needs a stereo clip"), "{message}");
    }
}

#[test]
fn extensible_headers_and_extra_chunks() {
    let data = chunk(b"data", &[0, 0x40, 0, 0xC0]);
    let mut extensible = format(0xFFFE, 1, 16);
    extensible.extend([22, 0, 16, 0, 4, 0, 0, 0]); // sizes, valid bits, speaker mask
    extensible.extend([1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]);
    assert_eq!(samples(&riff(&[chunk(b"fmt ", &extensible), data.clone()])), [0.5, -0.5]);

    let format = chunk(b"fmt ", &format(1, 1, 16));
    let padded = [chunk(b"LIST", b"odd"), vec![0]].concat();
    let unpadded = chunk(b"LIST", b"odd");
    let trailing = chunk(b"LIST", b"behind the sound");
    for before in [padded, unpadded] {
        assert_eq!(samples(&riff(&[before, format.clone(), data.clone(), trailing.clone()])), [0.5, -0.5]);
    }
}

#[test]
fn files_that_are_no_sound() {
    assert!(rejected(b"").contains("empty"));
    assert!(rejected(b"this is a text file, whatever its name").contains("does not start with `RIFF`"));
    assert!(rejected(b"RIFF").contains("ends inside its header"));
    assert!(rejected(b"RIFF\x04\0\0\0AVI LIST").contains("another type"));
    assert!(rejected(b"RF64\x04\0\0\0WAVEds64").contains("RF64"));
    assert!(rejected(&pcm16(1, &[])).contains("zero samples"));
    assert!(rejected(&riff(&[chunk(b"fmt ", &format(1, 1, 16))])).contains("no data chunk"));
    assert!(rejected(&riff(&[chunk(b"data", &[0, 0])])).contains("before the fmt chunk"));
    assert!(rejected(&riff(&[chunk(b"fmt ", &[1, 0])])).contains("2 bytes"));
    assert!(rejected(&riff(&[vec![0; 64]])).contains("no chunk starts at byte 12"));
    assert!(rejected(&wav(2, 1, 16, &[0, 0])).contains("0x0002"));
    assert!(rejected(&wav(1, 1, 64, &[0; 8])).contains("64-bit PCM"));
    assert!(rejected(&wav(1, 0, 16, &[0, 0])).contains("zero channels"));
    assert!(rejected(&wav(1, 1, 16, &[0, 0, 0])).contains("whole number"));
    let mut wrong_block = pcm16(1, &[1, 2]);
    wrong_block[32] = 4; // bytes a frame
    assert!(rejected(&wrong_block).contains("4 bytes a frame"));
}

#[test]
fn unfinite_samples_are_found() {
    for bad in [f32::NAN, f32::INFINITY] {
        let data: Vec<u8> = [0.0, bad].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert!(rejected(&wav(3, 1, 32, &data)).contains("sample 1 is"));
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let whole = pcm16(2, &[1, 2, 3, 4, 5, 6]);
    let folder = folder();
    for length in 0..whole.len() {
        let cut = &whole[..length];
        let message = rejected(cut);
        let path = saved(&folder, cut);
        assert!(probe(&path).is_err(), "probe took the first {length} bytes");
        assert!(read_wav(&path, ChannelChoice::First).is_err(), "read_wav took the first {length} bytes");
        if length >= 44 {
            assert!(
                message.contains(&format!("promises 12 bytes of sound and {}", length - 44)),
                "{message}"
            );
        }
    }
    assert_eq!(
        read_wav(&saved(&folder, &whole), ChannelChoice::Right).unwrap(),
        read(&whole, ChannelChoice::Right).unwrap()
    );
}

#[test]
fn a_part_of_a_file_is_that_part_of_the_whole() {
    let folder = folder();
    let stereo: Vec<i16> = (0..200).map(|n| n * 150 - 9_000).collect();
    let float: Vec<u8> = (0..100_u8).flat_map(|n| (f32::from(n) * 0.01).to_le_bytes()).collect();
    let pcm24: Vec<u8> = (0..=299_u16).map(|n| (n % 251) as u8).collect();
    let clips = [pcm16(2, &stereo), wav(3, 1, 32, &float), wav(1, 1, 24, &pcm24)];
    for (n, bytes) in clips.iter().enumerate() {
        let path = saved(&folder, bytes);
        let choices =
            if n == 0 { &[ChannelChoice::Right, ChannelChoice::Mean][..] } else { &[ChannelChoice::First] };
        for &channel in choices {
            let whole = read_wav(&path, channel).unwrap().samples;
            assert_eq!(whole.len(), 100);
            let file = WavFile::open(&path).unwrap();
            for (first, count) in [(0, 100), (0, 1), (37, 21), (99, 1), (100, 0)] {
                assert_eq!(file.read(first, count, channel).unwrap(), whole[first..first + count]);
            }
            for (first, count) in [(99, 2), (101, 0), (usize::MAX, 2)] {
                assert!(matches!(file.read(first, count, channel), Err(Error::Shape { .. })));
            }
        }
    }
}

#[test]
fn a_part_names_the_sample_of_the_whole_and_a_cut_file() {
    let folder = folder();
    let values = [0.0_f32, 0.5, f32::NAN, 0.25];
    let bytes = wav(3, 1, 32, &values.map(f32::to_le_bytes).concat());
    let path = saved(&folder, &bytes);
    let file = WavFile::open(&path).unwrap();
    assert_eq!(file.read(0, 2, ChannelChoice::First).unwrap(), [0.0, 0.5]);
    let found = file.read(1, 2, ChannelChoice::First);
    assert!(matches!(found, Err(Error::NotFinite { sample: 2, .. })), "{found:?}");
    std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
    let found = file.read(2, 2, ChannelChoice::First);
    assert!(
        matches!(found, Err(Error::Truncated { promised_bytes: 16, present_bytes: 12, .. })),
        "{found:?}"
    );
}

#[test]
fn missing_files_and_folders_are_errors() {
    let folder = folder();
    let missing = folder.path().join("missing.wav");
    assert!(matches!(read_wav(&missing, ChannelChoice::First), Err(Error::Read { .. })));
    let message = probe(folder.path()).unwrap_err().to_string();
    assert!(message.contains("it is not a file"), "{message}");
}

#[test]
fn any_bytes_are_read_or_rejected() {
    use proptest::prelude::*;
    // A valid file with a few bytes overwritten comes closer to the reader's edges than random
    // bytes.
    let whole = pcm16(2, &[1, 2, 3, 4, 5, 6]);
    let strategy = prop::collection::vec((0..whole.len(), any::<u8>()), 1..6);
    proptest!(|(edits in strategy)| {
        let mut bytes = whole.clone();
        edits.iter().for_each(|(at, byte)| bytes[*at] = *byte);
        match read(&bytes, ChannelChoice::First) {
            Ok(wave) => prop_assert!(!wave.samples.is_empty()),
            Err(error) => prop_assert!(error.to_string().contains(CLIP)),
        }
        // Where hound reads the file too, it must find the same number of samples.
        if let (Ok(ours), Ok(theirs)) = (
            read_header(&mut Cursor::new(&bytes), bytes.len() as u64, Path::new(CLIP)),
            hound::WavReader::new(Cursor::new(&bytes)),
        ) {
            prop_assert_eq!(ours.info.channels, theirs.spec().channels);
            prop_assert_eq!(ours.info.samples, theirs.duration() as usize);
        }
    });
}
