//! Ten gibibytes, which take minutes: `./test long`.

use crate::memory::{GIB, Way, pass_in_bounded_memory};

#[tokio::test]
async fn ten_gibibytes_pass_in_as_little_memory_as_one() {
    pass_in_bounded_memory(10 * GIB, &[Way::Up]).await;
}
