//! Strided tensors over the file's bytes, read and converted when asked for.

use std::ops::Range;

use super::dtype::{Dtype, bfloat_to_f32, half_to_f32};
use super::error::Error;
use super::source::Source;

/// A tensor that repeats its elements (a stride of 0) may have this many although its storage has
/// fewer: 64 MiB as f32. Anything larger must be in the file.
const REPEATED_ELEMENTS: u64 = 1 << 24;

/// What a file says about a tensor; strides and offsets in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    shape: Vec<usize>,
    strides: Vec<usize>,
    dtype: Dtype,
    storage: usize,
    offset: usize,
    elements: usize,
}

impl Tensor {
    /// A view of `available` elements of storage number `storage` from element `start` on.
    ///
    /// The error is a lowercase fragment.
    pub(super) fn new(
        dtype: Dtype,
        storage: usize,
        (start, available): (usize, usize),
        offset: usize,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Result<Self, String> {
        if shape.len() != strides.len() {
            return Err(format!("a tensor has {} sizes and {} strides", shape.len(), strides.len()));
        }
        let empty = shape.contains(&0);
        let product = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        let elements = if empty { 0 } else { product.ok_or("a tensor's size overflows")? };
        // The largest index, from the start of the view; a tensor without elements has none.
        let offset = if empty { 0 } else { offset };
        let last = shape.iter().zip(&strides).try_fold(offset, |last, (&size, &stride)| {
            let steps = if empty { 0 } else { size - 1 };
            last.checked_add(steps.checked_mul(stride)?)
        });
        let last = last.ok_or("a tensor's strides overflow")?;
        if !empty && last >= available {
            return Err(format!(
                "a tensor of shape {shape:?} reaches element {last} of a storage of {available}"
            ));
        }
        let offset = start.checked_add(offset).ok_or("a tensor's offset overflows")?;
        // A stride that is never taken can be any number: without it, no sum can overflow.
        let strides = shape.iter().zip(strides).map(|(&size, stride)| if size > 1 { stride } else { 0 });
        let strides = strides.collect();
        Ok(Self { shape, strides, dtype, storage, offset, elements })
    }

    /// A tensor that lies in one piece, rows first.
    pub(super) fn contiguous(dtype: Dtype, storage: usize, shape: Vec<usize>) -> Result<Self, String> {
        let mut strides = vec![1usize; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
        }
        let available = shape.iter().fold(1usize, |product, &size| product.saturating_mul(size));
        Self::new(dtype, storage, (0, available), 0, shape, strides)
    }

    /// Sizes, the slowest axis first; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The type of the elements in the file.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.elements
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.elements == 0
    }

    /// The storage's number: tensors of the same number are views of the same bytes.
    pub fn storage(&self) -> usize {
        self.storage
    }

    /// Whether the elements lie one after another, rows first.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected = expected.saturating_mul(size);
            fits
        })
    }

    /// The storage's elements from the first that is used to the last.
    fn span(&self) -> Range<usize> {
        let steps = self.shape.iter().zip(&self.strides);
        // Sums and products were checked by `new`.
        let last = steps.fold(self.offset, |last, (&size, &stride)| {
            last.saturating_add(size.saturating_sub(1).saturating_mul(stride))
        });
        self.offset..if self.is_empty() { self.offset } else { last.saturating_add(1) }
    }

    /// Every element's place in [`Tensor::span`], rows first.
    fn visit(&self, mut each: impl FnMut(usize)) {
        // The last axis is the inner loop.
        let (inner, outer) = self.shape.split_last().map_or((1, &[][..]), |(&last, outer)| (last, outer));
        let (step, outer_strides) =
            self.strides.split_last().map_or((0, &[][..]), |(&last, outer)| (last, outer));
        let mut index = vec![0usize; outer.len()];
        let mut row = 0;
        loop {
            (0..inner).for_each(|k| each(row + k * step));
            // The next index of the outer axes, as an odometer.
            let mut axis = outer.len();
            loop {
                let Some(previous) = axis.checked_sub(1) else { return };
                axis = previous;
                index[axis] += 1;
                row += outer_strides[axis];
                if index[axis] < outer[axis] {
                    break;
                }
                row -= outer_strides[axis] * outer[axis];
                index[axis] = 0;
            }
        }
    }
}

/// A tensor together with the place of its bytes.
#[derive(Debug, Clone, Copy)]
pub struct TensorRef<'a> {
    pub(super) tensor: &'a Tensor,
    pub(super) source: &'a Source,
    /// The storage's first byte in the source, and its length.
    pub(super) storage: (u64, u64),
    pub(super) big_endian: bool,
}

impl<'a> TensorRef<'a> {
    /// Sizes, the slowest axis first; empty for a single number.
    pub fn shape(&self) -> &'a [usize] {
        self.tensor.shape()
    }

    /// The type of the elements in the file.
    pub fn dtype(&self) -> Dtype {
        self.tensor.dtype
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.tensor.elements
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tensor.elements == 0
    }

    /// The handle: layout and storage number.
    pub fn tensor(&self) -> &'a Tensor {
        self.tensor
    }

    /// All elements, rows first. Whole numbers and f64 are rounded to the nearest f32, truth
    /// values become 0 and 1.
    ///
    /// # Errors
    /// When the file fails or was written to since it was opened, or the tensor repeats few bytes
    /// into more than 16 million elements.
    pub fn to_f32(&self) -> Result<Vec<f32>, Error> {
        match self.tensor.dtype {
            Dtype::F32 => self.gather(f32::from_le_bytes),
            Dtype::F64 => self.gather(|b| f64::from_le_bytes(b) as f32),
            Dtype::F16 => self.gather(|b| half_to_f32(u16::from_le_bytes(b))),
            Dtype::Bf16 => self.gather(|b| bfloat_to_f32(u16::from_le_bytes(b))),
            Dtype::I64 => self.gather(|b| i64::from_le_bytes(b) as f32),
            Dtype::I32 => self.gather(|b| i32::from_le_bytes(b) as f32),
            Dtype::I16 => self.gather(|b| f32::from(i16::from_le_bytes(b))),
            Dtype::I8 => self.gather(|b| f32::from(i8::from_le_bytes(b))),
            Dtype::U8 => self.gather(|b| f32::from(u8::from_le_bytes(b))),
            Dtype::Bool => self.gather(|[b]| f32::from(u8::from(b != 0))),
        }
    }

    /// All elements of a tensor of whole numbers or truth values, rows first.
    ///
    /// # Errors
    /// As [`TensorRef::to_f32`], and for floating-point tensors.
    pub fn as_i64(&self) -> Result<Vec<i64>, Error> {
        match self.tensor.dtype {
            Dtype::I64 => self.gather(i64::from_le_bytes),
            Dtype::I32 => self.gather(|b| i64::from(i32::from_le_bytes(b))),
            Dtype::I16 => self.gather(|b| i64::from(i16::from_le_bytes(b))),
            Dtype::I8 => self.gather(|b| i64::from(i8::from_le_bytes(b))),
            Dtype::U8 => self.gather(|b| i64::from(u8::from_le_bytes(b))),
            Dtype::Bool => self.gather(|[b]| i64::from(b != 0)),
            float => Err(self.error(format!("its elements are {float}, not whole numbers"))),
        }
    }

    /// All elements as they are in the file, rows first, little-endian.
    ///
    /// # Errors
    /// As [`TensorRef::to_f32`].
    pub fn to_le_bytes(&self) -> Result<Vec<u8>, Error> {
        match self.tensor.dtype.size_bytes() {
            8 => self.gather(|b: [u8; 8]| b).map(Vec::into_flattened),
            4 => self.gather(|b: [u8; 4]| b).map(Vec::into_flattened),
            2 => self.gather(|b: [u8; 2]| b).map(Vec::into_flattened),
            _ => self.gather(|[b]| b),
        }
    }

    /// Every element decoded from its bytes, little-endian.
    fn gather<const N: usize, T>(&self, decode: impl Fn([u8; N]) -> T) -> Result<Vec<T>, Error> {
        if self.big_endian {
            self.gather_in_file_order(|mut bytes| {
                bytes.reverse();
                decode(bytes)
            })
        } else {
            self.gather_in_file_order(decode)
        }
    }

    fn gather_in_file_order<const N: usize, T>(
        &self,
        decode: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, Error> {
        let elements = self.tensor.elements;
        if elements == 0 {
            return Ok(Vec::new());
        }
        let (storage_at, storage_bytes) = self.storage;
        let stored = storage_bytes / N as u64;
        if elements as u64 > stored.max(REPEATED_ELEMENTS) {
            return Err(self.error(format!("it repeats a storage of {stored} elements")));
        }
        let span = self.tensor.span();
        if span.end as u64 > stored {
            return Err(self.error("it reaches beyond its storage".into()));
        }
        // Within the storage, so nothing overflows.
        let place = |element: usize| storage_at + element as u64 * N as u64;
        let place = place(span.start)..place(span.end);
        let mut values = Vec::new();
        values
            .try_reserve_exact(elements)
            .map_err(|_| self.error(format!("{elements} values are more than memory holds")))?;
        if self.tensor.is_contiguous() {
            self.source.pieces(place, |piece| {
                values.extend(piece.as_chunks::<N>().0.iter().map(|bytes| decode(*bytes)));
            })?;
        } else {
            let bytes = self.source.read(place)?;
            let (stored, _) = bytes.as_chunks::<N>();
            self.tensor.visit(|at| values.extend(stored.get(at).map(|bytes| decode(*bytes))));
        }
        Ok(values)
    }

    fn error(&self, why: String) -> Error {
        Error::Values { shape: self.tensor.shape.clone(), why }
    }
}
