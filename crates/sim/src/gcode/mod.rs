//! G-code as text: reading lines, what slicers write in comments, and the bundled model.
//! What a command does to a printer is `physics` and `printer`.

pub(crate) mod line;
pub(crate) mod source;
pub(crate) mod summary;
pub(crate) mod vase;
