//! `[login]`: who may log in, and what they may do.

use super::Setting;
use super::toml_value::{boolean, path, text};
use crate::args::user_name;

pub(super) const KEYS: &[Setting] = &[
    Setting {
        key: "login.users",
        example: "\"users.toml\"",
        help: "File of users, made with `wharf user add`. It is read again when it changes.",
        set: |s, v, base| path(v, base).map(|path| s.login.users = Some(path)),
    },
    Setting {
        key: "login.user",
        example: "\"alice\"",
        help: "One user without a users file; the password is the first line of `password_file`.",
        set: |s, v, _| text(v, user_name).map(|user| s.login.user = Some(user)),
    },
    Setting {
        key: "login.password_file",
        example: "\"/run/credentials/wharf/password\"",
        help: "File whose first line is the password of `user`.",
        set: |s, v, base| path(v, base).map(|path| s.login.password_file = Some(path)),
    },
    Setting {
        key: "login.anonymous",
        example: "false",
        help: "Let `anonymous` and `ftp` in with any password; they may only read unless `writable` is on.",
        set: |s, v, _| boolean(v).map(|on| s.login.anonymous = on),
    },
    Setting {
        key: "login.writable",
        example: "false",
        help: "Anonymous may write, too.",
        set: |s, v, _| boolean(v).map(|on| s.login.writable = on),
    },
    Setting {
        key: "login.read_only",
        example: "false",
        help: "Nobody may write, whatever the users file says.",
        set: |s, v, _| boolean(v).map(|on| s.login.read_only = on),
    },
    Setting {
        key: "login.home",
        example: "\"/\"",
        help: "Folder inside `directory` in which `user` and anonymous start.",
        set: |s, v, _| text(v, |text| Ok(text.to_owned())).map(|home| s.login.home = Some(home)),
    },
];
