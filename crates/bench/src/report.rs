//! Results as Markdown, and into the page that shows them.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::board::{Board, LATENCY, MEMORY, PROCESSOR, THROUGHPUT, head, row};
use crate::hosts::{Back, Idle};
use crate::paths::Size;
use crate::slow::{Lap, Visits};
use crate::stats::{Spread, count, short};

const KIB: f64 = 1024.0;

/// The tables of the main run.
pub fn paths(board: &Board, size: &Size, machine: &str) -> String {
    let mut text = format!(
        "{machine}\n\n{} interleaved rounds of {} s for each thing; bulk of {} MB; {} viewers; latency at {} requests/s. \
         Each cell: median (least–most).\n\n",
        size.rounds,
        size.time.as_secs_f64(),
        size.bulk / 1_000_000,
        size.viewers,
        size.rate,
    );
    let _ = write!(
        text,
        "**Throughput as ratios** of the same round; then must / goal:\n\n{}\n**Throughput**:\n\n{}\n**Latency**:\n\n{}\n\
         **Processor**, of the programs in between:\n\n{}\n**Memory**, of the programs in between:\n\n{}",
        board.ratios(&THROUGHPUT),
        board.absolute(&THROUGHPUT),
        board.absolute(&LATENCY),
        board.absolute(&PROCESSOR),
        board.absolute(&MEMORY),
    );
    let missed = board.missed();
    if !missed.is_empty() {
        let _ = write!(text, "\nMissed: {}.\n", missed.join("; "));
    }
    for trouble in &board.troubles {
        let _ = write!(text, "\n{trouble}\n");
    }
    text
}

/// What many hosts cost.
pub fn hosts(idle: &Idle, back: &Back) -> String {
    let each = idle.bytes_each / KIB;
    let word = match each {
        small if small <= 24.0 => "goal reached",
        enough if enough <= 40.0 => "reached",
        _ => "**missed**",
    };
    let mut text = head("", &["is", "must / goal"]);
    let rows = [
        (
            format!("relay's memory for each of {} idle hosts, KiB", idle.hosts),
            short(each),
            format!("40 / 24: {word}"),
        ),
        (
            "relay's CPU for a host to come, ms".to_owned(),
            short(idle.cpu_each * 1_000.0),
            "–".to_owned(),
        ),
        (
            format!(
                "{} hosts after the relay was killed: half, 99 of 100, all are back, s",
                back.hosts
            ),
            format!(
                "{}, {}, {}",
                short(back.half),
                short(back.most),
                short(back.all)
            ),
            "3, 15, – with 1,000 hosts".to_owned(),
        ),
        (
            "new relay's CPU until then, s".to_owned(),
            short(back.cpu),
            "–".to_owned(),
        ),
    ];
    for (title, is, must) in rows {
        row(&mut text, &title, [is, must]);
    }
    text
}

/// The slow link.
pub fn slow(laps: &[Lap], visits: &[Visits]) -> String {
    let mut losses: Vec<f64> = laps.iter().map(|lap| lap.loss).collect();
    losses.dedup();
    losses.sort_by(f64::total_cmp);
    losses.dedup();
    let columns = [
        "page: direct, s",
        "Latchkey, s",
        "ratio; must",
        "webcam: direct, pictures/s",
        "Latchkey",
        "small behind bulk: direct, ms",
        "Latchkey",
    ];
    let mut text = head("loss", &columns);
    for loss in losses {
        let of = |tunnel: bool, what: fn(&Lap) -> f64| {
            let laps = laps.iter().filter(|lap| lap.tunnel == tunnel);
            let same = laps.filter(|lap| lap.loss.to_bits() == loss.to_bits());
            same.map(what).collect::<Vec<f64>>()
        };
        let told =
            |values: &[f64]| Spread::of(values).map_or("–".to_owned(), |it| it.to_string());
        let (direct, tunnel) = (of(false, |lap| lap.page), of(true, |lap| lap.page));
        let ratios: Vec<f64> = tunnel
            .iter()
            .zip(&direct)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        let must = if loss > 0.0 { 1.3 } else { 1.05 };
        let kept = Spread::of(&ratios).is_some_and(|ratio| ratio.median <= must);
        let word = if kept { "reached" } else { "**missed**" };
        let cells = [
            told(&direct),
            told(&tunnel),
            format!("{}; ≤ {}: {word}", told(&ratios), short(must)),
            told(&of(false, |lap| lap.pictures)),
            told(&of(true, |lap| lap.pictures)),
            told(&of(false, |lap| lap.behind)),
            told(&of(true, |lap| lap.behind)),
        ];
        row(&mut text, &format!("{} %", short(loss * 100.0)), cells);
    }
    if !visits.is_empty() {
        text.push_str("\nOctoPrint's own page:\n\n");
        let columns = ["first visit", "second visit"];
        text.push_str(&head("loss, way", &columns));
        for visit in visits {
            let way = if visit.tunnel { "Latchkey" } else { "direct" };
            let cells = [visit.first, visit.second].map(|visit| {
                format!(
                    "{} s; {} requests, {} unchanged; {} KB",
                    short(visit.took.as_secs_f64()),
                    visit.asked,
                    visit.unchanged,
                    short(count(visit.bytes) / 1_000.0),
                )
            });
            row(
                &mut text,
                &format!("{} %, {way}", short(visit.loss * 100.0)),
                cells,
            );
        }
    }
    text
}

/// The machine and the versions of what was measured.
pub fn machine(versions: &[(String, String)]) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let find = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("?".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let cpu = find(&read("/proc/cpuinfo"), "model name");
    let memory = find(&read("/proc/meminfo"), "MemTotal");
    let memory: u64 = memory
        .split(' ')
        .next()
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    let versions = versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"));
    format!(
        "{cores} cores of {cpu}, {} GB, Linux {}; load before the run {load}. {}.",
        short(count(memory) / 1e6),
        kernel.trim(),
        versions.collect::<Vec<_>>().join(", ")
    )
}

/// Puts `text` between the marks of `name` in a page.
pub fn write(page: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let old = std::fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let new = between(&old, name, text);
    let new = new.with_context(|| format!("{} has no place for {name}", page.display()))?;
    std::fs::write(page, new)?;
    Ok(())
}

fn between(page: &str, name: &str, text: &str) -> anyhow::Result<String> {
    let (begin, end) = (
        format!("<!-- begin {name} -->"),
        format!("<!-- end {name} -->"),
    );
    let (before, rest) = page.split_once(&begin).context("no beginning")?;
    let (_, after) = rest.split_once(&end).context("no end")?;
    ensure!(!after.contains(&begin), "two places");
    Ok(format!(
        "{before}{begin}\n\n{}\n\n{end}{after}",
        text.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_replace_what_is_between_the_marks() {
        let page = "# A\n<!-- begin x -->\nold\n<!-- end x -->\nrest\n";
        let new = between(page, "x", "| new |\n").unwrap();
        assert_eq!(
            new,
            "# A\n<!-- begin x -->\n\n| new |\n\n<!-- end x -->\nrest\n"
        );
        assert_eq!(between(&new, "x", "| new |\n").unwrap(), new);
        assert!(between(page, "y", "").is_err());
    }

    #[test]
    fn the_slow_link_is_judged_by_its_loss() {
        let lap = |loss, tunnel, page| Lap {
            loss,
            tunnel,
            page,
            pictures: 10.0,
            behind: 100.0,
            passed: crate::shaper::packets::Passed::default(),
        };
        let visit = |tunnel| Visits {
            loss: 0.0,
            tunnel,
            first: crate::load::Visit {
                took: Duration::from_secs(4),
                bytes: 2_000_000,
                asked: 40,
                unchanged: 0,
            },
            second: crate::load::Visit::default(),
        };
        let laps = [
            lap(0.0, false, 5.0),
            lap(0.0, true, 5.5),
            lap(0.01, false, 5.0),
            lap(0.01, true, 6.0),
        ];
        let text = slow(&laps, &[visit(true)]);
        assert!(
            text.contains("| 0.00 % | 5.00 | 5.50 | 1.10; ≤ 1.05: **missed** |"),
            "{text}"
        );
        assert!(
            text.contains("| 1.00 % | 5.00 | 6.00 | 1.20; ≤ 1.30: reached |"),
            "{text}"
        );
        assert!(
            text.contains("| 0.00 %, Latchkey | 4.00 s; 40 requests, 0 unchanged; 2000 KB |"),
            "{text}"
        );
    }
}
