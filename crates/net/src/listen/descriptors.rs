//! How many connections the process has descriptors for.

/// The most connections that leave `reserve` of the process's descriptors for everything else.
///
/// A listener that takes more would be stopped by the kernel, at a moment when nothing else can be
/// opened either: no database, no connection to a printer's server, nobody told why.
pub fn connections_within(most: usize, reserve: usize) -> usize {
    bounded(most, reserve, descriptors())
}

fn bounded(most: usize, reserve: usize, descriptors: Option<usize>) -> usize {
    let room = descriptors.map_or(most, |all| all.saturating_sub(reserve));
    // Too few to work with is still better than none.
    room.clamp(16, most.max(16))
}

/// The process's limit, where the platform tells.
fn descriptors() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    soft_limit(&limits)
}

fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_left_for_everything_else() {
        assert_eq!(bounded(10_000, 64, Some(1_000_000)), 10_000);
        assert_eq!(bounded(10_000, 64, Some(1_024)), 960);
        assert_eq!(bounded(10_000, 64, Some(256)), 192);
        assert_eq!(bounded(10_000, 64, Some(32)), 16);
        assert_eq!(bounded(10_000, 64, None), 10_000);
    }

    #[test]
    fn the_limit_is_read_as_linux_writes_it() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             95925                95925                processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(soft_limit(limits), Some(1024));
        assert_eq!(soft_limit("Max open files            unlimited"), None);
        assert_eq!(soft_limit(""), None);
    }
}
