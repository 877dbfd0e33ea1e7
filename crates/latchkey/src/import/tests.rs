use super::*;
use tempfile::TempDir;

/// Reads a folder with these files.
fn folder(files: &[(&str, &str)]) -> Found {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    read(folder.path()).unwrap()
}

fn assert_left(found: &Found, what: &str, why: &str) {
    let is_it = |left: &Left| left.what.contains(what) && left.why.contains(why);
    assert!(
        found.left.iter().any(is_it),
        "{what}: {why}: {:#?}",
        found.left
    );
}

const HASH: &str = "$argon2id$v=19$m=65536,t=3,p=4$CMGYk/J+z7kXYmzt/b937g$QhrwvEIqPHqcgIXhmu8DL3e6AQgxrIqvwjoNIWnNgvM";
const OLD: &str = "d42d55dd635afa90e0a00ab36fec52f00f0f7b99792da79fbd55f5c031ce3c3ff44504d6d2a605364f20eced7226bb9d00854fc98d1cd9585701869e21d56905";

#[test]
fn users_of_all_times_are_taken() {
    let users = format!(
        "_version: 2
ann: {{active: true, apikey: null, groups: [users, admins], password: '{HASH}', permissions: [], roles: [user, admin], settings: {{}}}}
bob: {{active: false, apikey: 0123456789ABCDEF0123456789ABCDEF, groups: [users], password: '{HASH}', permissions: []}}
# From before 1.4: roles, and SHA-512.
old: {{active: true, apikey: null, password: {OLD}, roles: [user, admin], settings: {{}}}}
older: {{active: true, password: {OLD}, roles: [user]}}
vera: {{active: true, groups: [readonly, guests], password: '{HASH}', permissions: []}}
"
    );
    let found = folder(&[
        (
            "config.yaml",
            "accessControl: {salt: mvBUTvwzBzD3yPwvnJ4E4tXNf3CGJvvW}\n",
        ),
        ("users.yaml", &users),
    ]);
    let people: Vec<_> = found
        .people
        .iter()
        .map(|p| (p.name.as_str(), p.group, p.active, p.password.is_some()))
        .collect();
    assert_eq!(
        people,
        [
            ("ann", Group::Admins, true, true),
            ("bob", Group::Users, false, true),
            ("old", Group::Admins, true, true),
            ("older", Group::Users, true, true),
            ("vera", Group::Readonly, true, true),
        ]
    );
    let keys: Vec<_> = found
        .keys
        .iter()
        .map(|k| (k.user.as_str(), k.app.as_str(), k.key.expose()))
        .collect();
    assert_eq!(
        keys,
        [(
            "bob",
            "OctoPrint API key",
            "0123456789ABCDEF0123456789ABCDEF"
        )]
    );
    assert_eq!(found.left, [], "nothing is lost");
}

#[test]
fn a_role_that_is_left_over_raises_nobody() {
    let users = format!(
        "ann: {{active: true, groups: [users], password: '{HASH}', permissions: [], roles: [user, admin]}}\n"
    );
    let found = folder(&[("users.yaml", &users)]);
    assert_eq!(found.people[0].group, Group::Users);
}

#[test]
fn what_a_user_has_and_cannot_keep_is_said() {
    let users = format!(
        "two words: {{active: true, groups: [users], password: '{HASH}', permissions: []}}
_api: {{active: true, groups: [admins], password: '{HASH}', permissions: []}}
nothing: null
club: {{active: true, groups: [members], password: '{HASH}', permissions: [FILES_UPLOAD]}}
chief: {{active: true, groups: [members, users], password: '{HASH}', permissions: [ADMIN]}}
lost: {{active: true, groups: [users], password: {OLD}, permissions: []}}
plain: {{active: true, groups: [users], password: secret, permissions: [], apikey: short}}
"
    );
    let found = folder(&[("users.yaml", &users)]);
    let people: Vec<_> = found
        .people
        .iter()
        .map(|p| (p.name.as_str(), p.group, p.password.is_some()))
        .collect();
    assert_eq!(
        people,
        [
            ("club", Group::Readonly, true),
            ("chief", Group::Admins, true),
            ("lost", Group::Users, false),
            ("plain", Group::Users, false),
        ]
    );
    for (what, why) in [
        ("two words", "a name here"),
        ("_api", "a name here"),
        ("nothing", "nothing written down"),
        ("club", "\"members\" do not exist"),
        ("club", "FILES_UPLOAD"),
        ("club", "readonly and may only look"),
        ("chief", "\"members\" do not exist"),
        ("lost", "a salt that config.yaml does not have"),
        ("plain", "a form that is not known"),
        ("plain", "own API key"),
    ] {
        assert_left(&found, what, why);
    }
    assert_eq!(found.left.len(), 10, "{:#?}", found.left);
    assert!(!format!("{:?}", found.left).contains("secret"));
}

#[test]
fn keys_are_taken_in_their_first_spelling_and_for_users_who_are() {
    let users = format!(
        "ann: {{active: true, groups: [users], password: '{HASH}', permissions: []}}
bob: {{active: true, groups: [users], password: '{HASH}', permissions: []}}
"
    );
    let keys = "
ann:
- {api_key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, app_id: OctoPod}
- {api_key: BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB, app_id: octopod}
- {api_key: CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC, app_id: ''}
- {api_key: short, app_id: Mobileraker}
bob:
- {api_key: aB-_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, app_id: OctoPod}
- {api_key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, app_id: Other}
gone:
- {api_key: DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD, app_id: OctoPod}
";
    let found = folder(&[("users.yaml", &users), ("data/appkeys/keys.yaml", keys)]);
    let taken: Vec<_> = found
        .keys
        .iter()
        .map(|k| (k.user.as_str(), k.app.as_str(), &k.key.expose()[..4]))
        .collect();
    assert_eq!(
        taken,
        [("ann", "OctoPod", "AAAA"), ("bob", "OctoPod", "aB-_")]
    );
    for (what, why) in [
        ("\"octopod\" for \"ann\"", "one key for each user"),
        ("\"\" for \"ann\"", "1 to 64 visible characters"),
        ("\"Mobileraker\" for \"ann\"", "16 to 128"),
        ("\"Other\" for \"bob\"", "taken already"),
        ("\"OctoPod\" for \"gone\"", "not taken"),
    ] {
        assert_left(&found, what, why);
    }
    let left = format!("{:?}", found.left);
    assert!(!left.contains("BBBB") && !left.contains("DDDD"), "{left}");
}

#[test]
fn registered_apps_and_the_global_key_are_found_in_the_configuration() {
    let config = "
api:
  key: 0123456789ABCDEF0123456789ABCDEF
  apps:
    com.example.app:1.0: {pubkey: MEgCQQ, enabled: true}
    com.example.app:any: {pubkey: MEgCQQ, enabled: false}
    com.example.other:1: {pubkey: MEgCQQ}
    com.example.none:1: {enabled: true}
";
    let found = folder(&[("config.yaml", config)]);
    let apps: Vec<_> = found
        .apps
        .iter()
        .map(|app| (app.name.as_str(), app.enabled))
        .collect();
    assert_eq!(
        apps,
        [
            ("com.example.app:1.0", true),
            ("com.example.app:any", false),
            ("com.example.other:1", true),
        ]
    );
    assert_left(&found, "global API key", "stands for no user");
    assert_left(&found, "com.example.none:1", "pubkey");
    assert_left(&found, "users.yaml", "not there");
    assert!(!format!("{:?}", found.left).contains("0123456789ABCDEF"));
}

#[test]
fn other_places_are_looked_at_when_the_configuration_names_them() {
    let users =
        format!("ann: {{active: true, groups: [users], password: '{HASH}', permissions: []}}\n");
    let found = folder(&[
        (
            "config.yaml",
            "accessControl: {userfile: people.yaml}\nfolder: {data: elsewhere}\n",
        ),
        ("people.yaml", &users),
        (
            "elsewhere/appkeys/keys.yaml",
            "ann: [{api_key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, app_id: A}]\n",
        ),
    ]);
    assert_eq!((found.people.len(), found.keys.len()), (1, 1));
}

#[test]
fn a_broken_file_is_named_with_the_line_and_the_rest_is_taken() {
    let users =
        format!("ann: {{active: true, groups: [users], password: '{HASH}', permissions: []}}\n");
    let keys = "ann:\n- {api_key: SECRETSECRETSECRETSECRETSECRET12, app_id: A\nbob: [\n";
    let found = folder(&[("users.yaml", &users), ("data/appkeys/keys.yaml", keys)]);
    assert_eq!(found.people.len(), 1);
    assert_left(&found, "keys.yaml", "line");
    assert!(
        !format!("{:?}", found.left).contains("SECRET"),
        "{:?}",
        found.left
    );

    for (text, why) in [
        ("ann: 1\nann: 2\n", "line 2"),
        ("- just\n- a list\n", "does not list users"),
        ("just text\n", "does not list users"),
    ] {
        let found = folder(&[("users.yaml", text)]);
        assert_left(&found, "users.yaml", why);
    }
}

#[test]
fn another_folder_is_refused() {
    let folder = TempDir::new().unwrap();
    let error = read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("~/.octoprint"), "{error}");
}
