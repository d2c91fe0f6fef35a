//! Commands, over the real protocol.

mod input;
mod output;
mod signals;
mod start;
mod terminal;
