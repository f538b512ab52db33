//! Checkpoints written opcode by opcode, sound and hostile ones.

mod assemble;
mod disk;
mod envelopes;
mod exploits;
mod files;
mod hostile;
mod plain;
mod random;
mod raw_zip;
mod safetensors;
mod tensors;
mod write;
