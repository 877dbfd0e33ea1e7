//! What `./bench` is made of, and lines for tests.
//!
//! Nothing here is part of a release. [`shaper`] is for tests too; the rest measures, and is described in
//! `docs/reference/performance.md`.

pub mod shaper;
