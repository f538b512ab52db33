//! Checkpoints written opcode by opcode, sound and hostile ones.

mod assemble;
mod envelopes;
mod files;
mod hostile;
mod plain;
mod random;
mod tensors;
