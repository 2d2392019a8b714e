//! The domain against a machine that writes down what it is told.

mod definitions;
mod fixture;
mod host_stop;
mod jobs;
mod mapping;
mod nodes;
mod plugging;
mod pools;
mod recovery;
mod restart;
mod states;
