//! A server that misbehaves on request: for exit statuses that a healthy one does not cause.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// What is wrong with it; the default is a server that holds one file of 100 bytes.
#[derive(Clone, Copy)]
pub(crate) struct Fake {
    pub(crate) greeting: &'static str,
    /// Whether a data connection can be had at all.
    pub(crate) data: bool,
    pub(crate) size: &'static str,
    /// Bytes that RETR sends.
    pub(crate) sent: usize,
    /// Said after RETR's data; empty: nothing, and the data connection stays open.
    pub(crate) after_retr: &'static str,
    pub(crate) stor: &'static str,
    pub(crate) after_stor: &'static str,
    /// What LIST sends.
    pub(crate) list: &'static str,
    /// After the data of a transfer the control connection ends instead of a final reply.
    pub(crate) lost: bool,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            greeting: "220 ready",
            data: true,
            size: "213 100",
            sent: 100,
            after_retr: "226 done",
            stor: "150 go on",
            after_stor: "226 done",
            list: "",
            lost: false,
        }
    }
}

impl Fake {
    /// Serves on threads until the test ends; the address of its file.
    pub(crate) fn url(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || self.serve(stream));
            }
        });
        format!("ftp://u:p@{address}/file")
    }

    /// Ends when the client has gone.
    fn serve(self, stream: TcpStream) -> Option<()> {
        let mut out = stream.try_clone().ok()?;
        let mut say = move |line: &str| out.write_all(format!("{line}\r\n").as_bytes()).ok();
        say(self.greeting)?;
        let mut passive: Option<TcpListener> = None;
        let mut held = Vec::new();
        for line in BufReader::new(stream).lines() {
            let line = line.ok()?;
            let verb = line.split(' ').next().unwrap_or_default().to_uppercase();
            match verb.as_str() {
                "USER" => say("331 password")?,
                "PASS" => say("230 in")?,
                "TYPE" => say("200 type")?,
                "SIZE" => say(self.size)?,
                "QUIT" => {
                    say("221 bye")?;
                    return Some(());
                }
                "EPSV" if self.data => {
                    let listener = TcpListener::bind("127.0.0.1:0").ok()?;
                    let port = listener.local_addr().ok()?.port();
                    say(&format!("229 here (|||{port}|)"))?;
                    passive = Some(listener);
                }
                "RETR" => {
                    let (mut data, _) = passive.take()?.accept().ok()?;
                    say("150 here it comes")?;
                    data.write_all(&vec![b'x'; self.sent]).ok()?;
                    if self.after_retr.is_empty() {
                        held.push(data);
                    } else {
                        drop(data);
                        if self.lost {
                            return None;
                        }
                        say(self.after_retr)?;
                    }
                }
                "LIST" => {
                    let (mut data, _) = passive.take()?.accept().ok()?;
                    say("150 here it comes")?;
                    data.write_all(self.list.as_bytes()).ok()?;
                    drop(data);
                    say("226 done")?;
                }
                "STOR" if self.stor.starts_with('1') => {
                    let (mut data, _) = passive.take()?.accept().ok()?;
                    say(self.stor)?;
                    std::io::copy(&mut data, &mut std::io::sink()).ok()?;
                    if self.lost {
                        return None;
                    }
                    say(self.after_stor)?;
                }
                "STOR" => say(self.stor)?,
                _ => say("502 no")?,
            }
        }
        Some(())
    }
}
