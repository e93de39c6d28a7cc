//! `[login]`: who may log in, and what they may do.

use super::Setting;
use super::toml_value::{boolean, integer, path, text};
use crate::args::{user_name, value};

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
    Setting {
        key: "login.auth",
        example: "\"own\"",
        help: "own, system or pam: with `system` users of this system log in, too, with the password of /etc/shadow; a process that is that user touches the files. With `pam` PAM is asked instead, in a build with the feature `pam`. Both take root and a sandbox.",
        set: |s, v, _| text(v, value::auth).map(|auth| s.login.auth = auth),
    },
    Setting {
        key: "login.pam_service",
        example: "\"wharf\"",
        help: "With auth = \"pam\": the service as which PAM is asked, by the file /etc/pam.d/NAME.",
        set: |s, v, _| text(v, value::pam_service).map(|name| s.login.pam_service = Some(name)),
    },
    Setting {
        key: "login.jail",
        example: "\"home\"",
        help: "home or directory: what a user of the system sees as `/`.",
        set: |s, v, _| text(v, value::jail).map(|jail| s.login.jail = jail),
    },
    Setting {
        key: "login.least_uid",
        example: "1000",
        help: "The lowest uid of a user of the system that may log in; root never may.",
        set: |s, v, _| {
            integer(v, 1, u64::from(u32::MAX))
                .map(|uid| s.login.least_uid = u32::try_from(uid).ok())
        },
    },
    Setting {
        key: "login.shells",
        example: "\"listed\"",
        help: "listed or any: whether the shell of a user of the system must be in /etc/shells.",
        set: |s, v, _| text(v, value::shells).map(|shells| s.login.shells = shells),
    },
];
