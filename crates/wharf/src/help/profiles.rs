//! `wharf help profiles` and `wharf help login`.

use std::fmt::Write as _;

use crate::profile::settings::KEYS;
use crate::secret_program::keyrings;

pub(super) fn text() -> String {
    let mut text = String::from(
        "Bookmarks and profiles

  $XDG_CONFIG_HOME/wharf/profiles.toml, or ~/.config/wharf/profiles.toml

  [bookmark.work]                                 # bookmark:work, bookmark:work/below, bookmark:work//from/root
  address = \"ftpes://me@ftp.example.org/in/\"
  mode = \"passive\"

  [[for]]                                         # all hosts that fit; a network (10.0.0.0/8) fits addresses
  host = [\"*.example.org\", \"ftp.example.net\"]
  proxy = \"socks5h://127.0.0.1:1080\"

What a bookmark says holds for its host and port, however they are written; for what it leaves open the [[for]] sections
are asked in their order. A flag or its variable beats both, unless it says what holds anyway (--mode auto, --tls prefer,
--data-host peer, --ccc=never). A scheme that demands TLS beats all. A file that cannot be read is an error: what it may
demand is not guessed.

",
    );
    for key in KEYS {
        let _ = writeln!(text, "  {:<18} {}", key.name, key.about);
    }
    text
}

pub(super) fn login() -> String {
    let mut text = String::from(
        "Login

The user is the first of
  1. the address: ftp://USER@host/ (a bookmark's address as well)
  2. --user, WHARF_USER
  3. `user` of a profile
  4. `login` of the host in ~/.netrc
  5. anonymous

and the password the first of
  1. the address: ftp://USER:PASSWORD@host/; every user of the machine can see it, and it stays in the shell's history
  2. --password-file, --password-stdin, --password-command
  3. WHARF_PASSWORD
  4. `password_file`, `password_command` of a profile
  5. ~/.netrc ($NETRC, --netrc), which nobody else may read
  6. --keyring, `keyring` of a profile
  7. --askpass, WHARF_ASKPASS: a program that gets the question as its argument
  8. a question on the terminal

A password command is run by sh and finds the host in WHARF_HOST and the user in WHARF_LOGIN.

Keyrings are asked through their own programs; `auto` takes the first that knows the password:

",
    );
    for (word, about) in keyrings() {
        let _ = writeln!(text, "  {word:<12} {about}");
    }
    text.push_str(
        "\nsecret-tool looks for protocol ftp, server HOST, user USER, which is how GNOME's file manager keeps them; pass for
ftp/HOST/USER. `wharf bookmark add|import --keyring KEYRING` puts passwords there.\n",
    );
    text
}
