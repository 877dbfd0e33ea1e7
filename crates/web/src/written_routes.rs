//! The routes that a crate's source files add, for the tests that want each to be in a table.

use std::collections::BTreeSet;
use std::path::Path;

/// Method and path of each route in the files below `source`, tests left out.
///
/// # Panics
///
/// When a route's path or method is not written where it is added.
pub fn written(source: &Path) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    read(source, &mut found);
    found
}

fn read(folder: &Path, found: &mut BTreeSet<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry of it").path();
        let is_test = path.file_stem().is_some_and(|name| name == "tests");
        if is_test {
            continue;
        }
        if path.is_dir() {
            read(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source file");
        let text = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        // Not what is called so elsewhere.
        let text = text.replace("self.route(", "");
        for call in text.split(".route(").skip(1) {
            let call = call.split("\n}").next().unwrap_or_default();
            let mut quoted = call.split('"');
            let before = quoted.next().unwrap_or_default();
            let literal = quoted.next().unwrap_or_default();
            assert!(
                before.trim().is_empty() && literal.starts_with('/'),
                "a route's path is written where it is added: {}",
                path.display()
            );
            let handlers = quoted.next().unwrap_or_default();
            let methods: Vec<_> = ["get", "post", "put", "patch", "delete", "any", "on"]
                .into_iter()
                .filter(|method| calls(handlers, method))
                .collect();
            assert!(!methods.is_empty(), "{literal} takes no method we know");
            for method in methods {
                found.insert((method.to_uppercase(), literal.to_owned()));
            }
        }
    }
}

fn calls(text: &str, method: &str) -> bool {
    let call = format!("{method}(");
    text.match_indices(&call).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}
