//! Permissions: the words in which clients of `OctoPrint` are told what a user may do.
//!
//! They tell; what holds is [`Access`](crate::access::Access) and [`Group`]. The keys, needs and
//! default groups are those of `OctoPrint` 1.11.8.

use crate::user::Group;

/// One thing that a user may do, as clients know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// Its key, such as `STATUS`.
    pub key: &'static str,
    /// The role that clients look for in a user's `needs`.
    pub need: &'static str,
    /// Whether it should be given with care.
    pub dangerous: bool,
    /// The least group that has it; every mightier one has it too.
    pub from: Group,
}

/// The key of the permission to decide about apps' requests.
pub const GRANT: &str = "PLUGIN_APPKEYS_GRANT";

impl Permission {
    /// Whether members of `group` have it.
    pub fn is_of(&self, group: Group) -> bool {
        group.access() >= self.from.access()
    }
}

/// All that a group has, in the order in which clients are told.
pub fn of(group: Group) -> impl Iterator<Item = &'static Permission> {
    ALL.iter().filter(move |permission| permission.is_of(group))
}

macro_rules! permissions {
    ($($key:literal, $need:literal, $from:ident $(, $dangerous:ident)?;)*) => {
        /// Every permission.
        pub const ALL: &[Permission] = &[$(Permission {
            key: $key,
            need: $need,
            dangerous: permissions!(@ $($dangerous)?),
            from: Group::$from,
        }),*];
    };
    (@ dangerous) => { true };
    (@) => { false };
}

permissions! {
    "ADMIN", "admin", Admins, dangerous;
    "STATUS", "status", Readonly;
    "CONNECTION", "connection", Users;
    "WEBCAM", "webcam", Readonly;
    "SYSTEM", "system", Admins, dangerous;
    "FILES_LIST", "files_list", Readonly;
    "FILES_UPLOAD", "files_upload", Users;
    "FILES_DOWNLOAD", "files_download", Readonly;
    "FILES_DELETE", "files_delete", Users;
    "FILES_SELECT", "files_select", Users;
    "PRINT", "print", Users;
    "GCODE_VIEWER", "gcodeviewer", Readonly;
    "MONITOR_TERMINAL", "monitor_terminal", Readonly;
    "CONTROL", "control", Users;
    "SLICE", "slice", Users;
    "TIMELAPSE_LIST", "timelapse_list", Readonly;
    "TIMELAPSE_DOWNLOAD", "timelapse_download", Readonly;
    "TIMELAPSE_DELETE", "timelapse_delete", Users;
    "TIMELAPSE_MANAGE_UNRENDERED", "timelapse_manage_unrendered", Users;
    "TIMELAPSE_ADMIN", "timelapse_admin", Users;
    "SETTINGS_READ", "settings_read", Readonly;
    "SETTINGS", "settings", Admins, dangerous;
    "PLUGIN_ACTION_COMMAND_NOTIFICATION_SHOW", "plugin_action_command_notification_show", Readonly;
    "PLUGIN_ACTION_COMMAND_NOTIFICATION_CLEAR", "plugin_action_command_notification_clear", Users;
    "PLUGIN_ACTION_COMMAND_PROMPT_INTERACT", "plugin_action_command_prompt_interact", Users;
    "PLUGIN_APPKEYS_ADMIN", "plugin_appkeys_admin", Admins, dangerous;
    "PLUGIN_APPKEYS_GRANT", "plugin_appkeys_user", Users;
    "PLUGIN_LOGGING_MANAGE", "plugin_logging_manage", Admins;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_what_the_printers_server_gives_them() {
        let has = |group, key| of(group).any(|permission| permission.key == key);
        for (key, groups) in [
            ("ADMIN", [true, false, false]),
            ("STATUS", [true, true, true]),
            ("PRINT", [true, true, false]),
            ("PLUGIN_APPKEYS_GRANT", [true, true, false]),
            ("PLUGIN_APPKEYS_ADMIN", [true, false, false]),
        ] {
            assert_eq!(Group::ALL.map(|group| has(group, key)), groups, "{key}");
        }
        assert_eq!(of(Group::Admins).count(), ALL.len());
    }

    #[test]
    fn what_is_told_agrees_with_what_holds() {
        for group in Group::ALL {
            let has = |key| of(group).any(|permission| permission.key == key);
            assert_eq!(has("PLUGIN_APPKEYS_GRANT"), group.may_grant());
            assert_eq!(has("PLUGIN_APPKEYS_ADMIN"), group.is_admin());
            assert_eq!(has("ADMIN"), group.is_admin());
        }
    }
}
