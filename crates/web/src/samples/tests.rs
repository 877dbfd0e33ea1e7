//! Every page, checked the way a browser and a screen reader would mind.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const VOID: [&str; 6] = ["meta", "link", "input", "img", "hr", "br"];

/// The tags of a page in order, with their attributes as written.
fn tags(html: &str) -> Vec<(&str, &str)> {
    let html = html.split_once("<body").map_or(html, |(_, body)| body);
    html.split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag))
        .map(|tag| tag.split_once([' ', '\n']).unwrap_or((tag, "")))
        .collect()
}

fn count(html: &str, tag: &str) -> usize {
    tags(html).iter().filter(|(name, _)| *name == tag).count()
}

#[test]
fn all_pages_are_well_formed() {
    for (name, html) in all() {
        assert!(html.starts_with("<!doctype html>"), "{name}");
        let mut open = vec!["body"];
        for (tag, attributes) in tags(&html) {
            if let Some(closed) = tag.strip_prefix('/') {
                // The `html` element opens before the part that is looked at.
                if closed != "html" {
                    assert_eq!(open.pop(), Some(closed), "{name}");
                }
            } else if !VOID.contains(&tag) && !attributes.ends_with('/') && !tag.ends_with('/') {
                open.push(tag);
            }
        }
        assert!(open.is_empty(), "{name} leaves {open:?} open");
    }
}

#[test]
fn all_pages_have_one_heading_and_one_main_part() {
    for (name, html) in all() {
        for tag in ["h1", "main", "header"] {
            assert_eq!(count(&html, tag), 1, "{name}: {tag}");
        }
        let title = html
            .split_once("<title>")
            .unwrap()
            .1
            .split_once('<')
            .unwrap()
            .0;
        assert!(
            title.ends_with(" · Latchkey") && title.len() > 12,
            "{name}: {title}"
        );
        assert!(html.contains(r#"<html lang="en">"#) && html.contains("width=device-width"));
        let main_buttons = html.matches(r#"class="btn main""#).count();
        assert!(
            main_buttons <= 1 || name == "parts",
            "{name} has {main_buttons} main buttons"
        );
    }
}

#[test]
fn no_page_shows_template_or_debug_text() {
    for (name, html) in all() {
        let html = html.replace(crate::self_contained::style(), "");
        for slip in [
            "{{",
            "}}",
            "{%",
            "Some(",
            "None",
            "assets/missing",
            "%NOTE%",
        ] {
            assert!(!html.contains(slip), "{name} contains {slip}");
        }
    }
}

#[test]
fn no_page_needs_what_its_policy_forbids() {
    for (name, html) in all() {
        for (tag, attributes) in tags(&html) {
            assert!(
                !attributes.contains("style="),
                "{name}: inline style on {tag}"
            );
            let mut names = attributes
                .split([' ', '\n'])
                .filter_map(|a| a.split_once('='));
            assert!(
                !names.any(|(n, _)| n.starts_with("on")),
                "{name}: handler on {tag}"
            );
            assert_ne!(tag, "script", "{name}");
            assert!(
                tag != "img" || attributes.contains("alt="),
                "{name}: img without alt"
            );
            assert!(!attributes.contains("javascript:"), "{name}");
        }
    }
}

#[test]
fn icons_are_hidden_or_named_and_exist() {
    let sprites: BTreeMap<_, _> = assets_by_name();
    for (name, html) in all() {
        for (tag, attributes) in tags(&html) {
            if tag == "svg" {
                let labelled =
                    attributes.contains("aria-hidden") || attributes.contains("aria-label");
                assert!(labelled, "{name}: svg {attributes}");
            }
            if tag == "use" {
                let target = attributes.split('"').nth(1).unwrap();
                let (file, icon) = target.split_once('#').unwrap();
                let sprite = if file.is_empty() {
                    &html
                } else {
                    &sprites[file]
                };
                assert!(
                    sprite.contains(&format!(r#"<symbol id="{icon}""#)),
                    "{name}: {target}"
                );
            }
        }
    }
}

fn assets_by_name() -> BTreeMap<&'static str, String> {
    crate::assets::all()
        .map(|(url, body)| (url, String::from_utf8_lossy(&body).into_owned()))
        .collect()
}

/// A class nobody styles is a slip in a template or a part that was dropped.
#[test]
fn classes_of_pages_are_in_their_style() {
    let sheet = String::from_utf8(crate::assets::style_sheet().to_vec()).unwrap();
    for (name, html) in all() {
        let self_contained = html.contains("<style>");
        let css = if self_contained {
            crate::self_contained::style()
        } else {
            &sheet
        };
        let used: BTreeSet<_> = tags(&html)
            .iter()
            .filter_map(|(_, attributes)| attributes.split_once("class=\""))
            .flat_map(|(_, rest)| rest.split('"').next().unwrap().split_whitespace())
            .collect();
        for class in used {
            assert!(css.contains(&format!(".{class}")), "{name}: {class}");
        }
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

#[test]
fn sprite_and_page_agree_on_every_label() {
    let (_, html) = all().into_iter().find(|(name, _)| name == "parts").unwrap();
    for (_, attributes) in tags(&html).into_iter().filter(|(tag, _)| *tag == "label") {
        if let Some((_, rest)) = attributes.split_once("for=\"") {
            let id = rest.split('"').next().unwrap();
            assert!(html.contains(&format!(r#"id="{id}""#)));
        }
    }
}
