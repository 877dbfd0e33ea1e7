//! Files and folders as the API describes them.

use std::path::Path;

use serde_json::{Value, json};

use super::path::LibraryPath;
use super::{Library, Stored};
use crate::gcode::summary::Summary;
use crate::printer::Printer;
use crate::printer::report::{filament_json, wall};

/// Folders deeper than this are not listed; nobody nests so deep on purpose.
const DEEPEST: usize = 12;

/// What a description needs besides the file itself.
pub(crate) struct Describer<'a> {
    pub(crate) library: &'a Library,
    pub(crate) printer: &'a Printer,
    /// `https://printer.example`, as the caller sees it.
    pub(crate) base: String,
}

impl Describer<'_> {
    /// The entries of a folder, folders with their own entries when `recursive`.
    pub(crate) fn list(&self, folder: &LibraryPath, recursive: bool) -> Vec<Value> {
        self.list_to(folder, recursive, 0)
    }

    fn list_to(&self, folder: &LibraryPath, recursive: bool, depth: usize) -> Vec<Value> {
        let mut entries = entries(&self.library.on_disk(folder))
            .into_iter()
            .filter_map(|name| folder.join(&name).ok())
            .filter_map(|path| Some((self.library.find(&path)?, path)))
            .collect::<Vec<_>>();
        entries.sort_by(|(a, one), (b, other)| {
            b.folder
                .cmp(&a.folder)
                .then_with(|| one.as_str().cmp(other.as_str()))
        });
        entries
            .into_iter()
            .map(|(stored, path)| {
                if stored.folder {
                    self.folder(&path, recursive, depth)
                } else {
                    self.file(&path, &stored)
                }
            })
            .collect()
    }

    pub(crate) fn entry(&self, path: &LibraryPath, stored: &Stored, recursive: bool) -> Value {
        if stored.folder {
            self.folder(path, recursive, 0)
        } else {
            self.file(path, stored)
        }
    }

    fn folder(&self, path: &LibraryPath, recursive: bool, depth: usize) -> Value {
        let mut folder = json!({
            "name": path.name(), "display": path.name(), "path": path.as_str(), "origin": "local",
            "type": "folder", "typePath": ["folder"],
            "refs": { "resource": self.resource(path) },
        });
        if recursive && depth < DEEPEST {
            let children = self.list_to(path, true, depth + 1);
            let size: u64 = children
                .iter()
                .filter_map(|child| child["size"].as_u64())
                .sum();
            folder["children"] = Value::from(children);
            folder["size"] = Value::from(size);
        }
        folder
    }

    fn file(&self, path: &LibraryPath, stored: &Stored) -> Value {
        let mut file = json!({
            "name": path.name(), "display": path.name(), "path": path.as_str(), "origin": "local",
            "type": "machinecode", "typePath": ["machinecode", "gcode"],
            "size": stored.size, "date": stored.date,
            "refs": self.refs(path),
        });
        let speed = self.printer.speed();
        if let Some(summary) = self.library.summary(path.as_str(), stored) {
            file["gcodeAnalysis"] = analysis(&summary, speed);
        }
        let outcomes = self.printer.with(|machine| machine.outcomes(path.as_str()));
        if let Some((date, success, seconds)) = outcomes.last {
            file["prints"] = json!({
                "success": outcomes.success, "failure": outcomes.failure,
                "last": { "date": date, "success": success, "printTime": wall(seconds, speed) },
            });
        }
        file
    }

    /// A file that is made up while it is downloaded.
    pub(crate) fn virtual_file(&self, size: u64) -> Value {
        let name = format!("big-{size}.gcode");
        json!({
            "name": name, "display": name, "path": name, "origin": "local",
            "type": "machinecode", "typePath": ["machinecode", "gcode"],
            "size": size, "date": 0,
            "refs": {
                "resource": format!("{}/api/files/local/{name}", self.base),
                "download": format!("{}/downloads/files/local/{name}", self.base),
            },
        })
    }

    pub(crate) fn resource(&self, path: &LibraryPath) -> String {
        format!("{}/api/files/local/{}", self.base, path.encoded())
    }

    pub(crate) fn refs(&self, path: &LibraryPath) -> Value {
        json!({
            "resource": self.resource(path),
            "download": format!("{}/downloads/files/local/{}", self.base, path.encoded()),
        })
    }
}

/// Names in a folder on disk; a folder that cannot be read has none.
fn entries(folder: &Path) -> Vec<String> {
    let Ok(read) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    read.flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

fn analysis(summary: &Summary, speed: f64) -> Value {
    let mut analysis = json!({
        "estimatedPrintTime": wall(summary.seconds, speed),
        "filament": filament_json(summary),
    });
    if summary.has_extent() {
        let (min, max) = (summary.min, summary.max);
        analysis["dimensions"] = json!({ "width": max[0] - min[0], "depth": max[1] - min[1], "height": max[2] - min[2] });
        analysis["printingArea"] = json!({
            "minX": min[0], "minY": min[1], "minZ": min[2], "maxX": max[0], "maxY": max[1], "maxZ": max[2],
        });
    }
    analysis
}
