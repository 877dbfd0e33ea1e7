//! Every page, checked the way a browser and a screen reader would mind.

use super::*;
use crate::page_check::faults;

#[test]
fn all_pages_are_without_faults() {
    for (name, html) in all() {
        let mut faults = faults(&html);
        // All parts beside each other: several main buttons, and forms that lead nowhere.
        faults.retain(|fault| {
            name != "parts" || !(fault.contains("main buttons") || fault.contains("form"))
        });
        assert_eq!(faults, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn names_from_outside_are_text() {
    let (_, html) = all()
        .into_iter()
        .find(|(name, _)| name == "601-long")
        .unwrap();
    assert!(!html.contains("<script>") && html.contains("Clubhouse&#60;script&#62;"));
}
