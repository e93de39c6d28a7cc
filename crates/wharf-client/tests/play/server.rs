//! The server's part, read from the file.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use wharf_net::tls::{ServerSession, ServerTls};
use wharf_net::{Conn, ListenAt, Listener, Net, Source};
use wharf_proto::{Command, EprtArgument};
use wharf_sim::World;

use super::{fits, time, unescape};

/// The server waits so long for anything of the client; longer than any patience of the client.
const PATIENCE: Duration = Duration::from_mins(10);

pub(crate) struct Server {
    world: World,
    net: std::sync::Arc<dyn Net>,
    door: Box<dyn Listener>,
    talk: Talk,
    /// With the client's scout.
    scout: Talk,
    listener: Option<Box<dyn Listener>>,
    features: Vec<String>,
    tls: ServerTls,
}

/// Control connections and what belongs to them.
#[derive(Default)]
struct Talk {
    /// The last one first.
    control: Option<Control>,
    before: Option<Control>,
    named: Option<SocketAddr>,
    data: Option<Conn>,
    /// The control connection's TLS.
    session: Option<ServerSession>,
}

struct Control {
    conn: Conn,
    unread: Vec<u8>,
}

pub(crate) async fn play(
    world: World,
    script: Vec<(usize, String)>,
    features: Vec<String>,
) -> Result<Server, String> {
    let net = world.host("server");
    let door = net
        .listen(ListenAt::one("192.0.2.1:21".parse().unwrap()))
        .await
        .unwrap();
    let mut server = Server {
        world,
        net,
        door,
        talk: Talk::default(),
        scout: Talk::default(),
        listener: None,
        features,
        tls: super::trust::server_tls(),
    };
    for (number, line) in script {
        let acted = timeout(PATIENCE, server.act(&line)).await;
        let acted = acted.unwrap_or_else(|_| Err("nothing happens".to_owned()));
        acted.map_err(|why| format!("line {number}: {line}\n  {why}"))?;
    }
    // Returned, so that its connections stay open until the client is done, too.
    Ok(server)
}

impl Server {
    async fn act(&mut self, line: &str) -> Result<(), String> {
        if let Some(line) = line.strip_prefix("scout ") {
            std::mem::swap(&mut self.talk, &mut self.scout);
            let acted = Box::pin(self.act(line)).await;
            std::mem::swap(&mut self.talk, &mut self.scout);
            return acted;
        }
        if line == "again" || self.talk.control.is_none() && !matches!(line, "hang up" | "back") {
            let conn = self.door.accept().await.map_err(|it| it.to_string())?;
            let unread = Vec::new();
            self.talk.before = self.talk.control.replace(Control { conn, unread });
        }
        match line {
            "again" => return Ok(()),
            "back" => {
                std::mem::swap(&mut self.talk.control, &mut self.talk.before);
                return Ok(());
            }
            "hang up" => {
                self.talk.control = None;
                return Ok(());
            }
            "login" => return self.login(true, false).await,
            "login anew" => return self.login(false, false).await,
            "login tls" => return self.login(true, true).await,
            "login tls anew" => return self.login(false, true).await,
            "tls" => return self.secure_control().await,
            "clear" => {
                let control = self.talk.control.take().ok_or("no control connection")?;
                let conn = control
                    .conn
                    .into_clear()
                    .await
                    .map_err(|it| it.to_string())?;
                let unread = Vec::new();
                self.talk.control = Some(Control { conn, unread });
                return Ok(());
            }
            _ => {}
        }
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            ">" => {
                let seen = self.command().await?;
                if fits(&seen, rest) {
                    Ok(())
                } else {
                    Err(format!("the client sent: {seen}"))
                }
            }
            "<" => self.say(rest).await,
            "@" => {
                tokio::time::sleep(time(rest)).await;
                Ok(())
            }
            _ => self.data(rest).await,
        }
    }

    /// FEAT is asked for again only for the sake of OPTS UTF8.
    async fn login(&mut self, first: bool, tls: bool) -> Result<(), String> {
        const LOGIN: &[(&str, &str)] = &[("USER u", "331 password?"), ("PASS p", "230 welcome")];
        const PROTECT: &[(&str, &str)] = &[("PBSZ 0", "200 PBSZ=0"), ("PROT P", "200 private")];
        self.say("220 ready").await?;
        if tls {
            self.answer(&[("AUTH TLS", "234 go on")]).await?;
            self.secure_control().await?;
        }
        self.answer(LOGIN).await?;
        if tls {
            self.answer(PROTECT).await?;
        }
        if !first && self.features.is_empty() {
            return Ok(());
        }
        let seen = self.command().await?;
        if seen != "FEAT" {
            return Err(format!("the client sent: {seen}"));
        }
        if self.features.is_empty() {
            return self.say("500 FEAT not understood").await;
        }
        self.say("211-Features:").await?;
        for feature in self.features.clone() {
            self.say(&format!(" {feature}")).await?;
        }
        self.say("211 End").await
    }

    async fn answer(&mut self, dialogue: &[(&str, &str)]) -> Result<(), String> {
        for (command, reply) in dialogue {
            let seen = self.command().await?;
            if seen != *command {
                return Err(format!("the client sent: {seen}"));
            }
            self.say(reply).await?;
        }
        Ok(())
    }

    async fn secure_control(&mut self) -> Result<(), String> {
        let control = self.talk.control.take().ok_or("no control connection")?;
        if !control.unread.is_empty() {
            return Err("the client sent more in clear".to_owned());
        }
        let session = self.tls.session().map_err(|it| it.to_string())?;
        let secured = session.secure_control(control.conn, PATIENCE).await;
        let conn = secured.map_err(|it| it.to_string())?;
        let unread = Vec::new();
        self.talk.control = Some(Control { conn, unread });
        self.talk.session = Some(session);
        Ok(())
    }

    /// `! tls`: the control connection's session is resumed. `! tls anew`: it cannot be. `! tls 1.2`: resumed, in that version.
    async fn secure_data(&mut self, how: &str) -> Result<(), String> {
        let data = self.talk.data.take().ok_or("no data connection")?;
        let session = match how {
            "anew" => self.tls.session().map_err(|it| it.to_string())?,
            _ => self.talk.session.clone().ok_or("no TLS")?,
        };
        let data = session.secure_data(data, PATIENCE).await;
        let data = data.map_err(|it| it.to_string())?;
        let handshake = data.handshake().ok_or("no handshake")?;
        let expected = match how {
            "anew" => !handshake.resumed,
            "1.2" => handshake.resumed && handshake.version == "TLS 1.2",
            _ => handshake.resumed,
        };
        if !expected {
            return Err(format!("the handshake came to {handshake}"));
        }
        self.talk.data = Some(data);
        Ok(())
    }

    async fn say(&mut self, text: &str) -> Result<(), String> {
        let mut bytes = unescape(text);
        bytes.extend_from_slice(b"\r\n");
        let control = self.talk.control.as_mut().ok_or("no control connection")?;
        let conn = &mut control.conn;
        conn.write_all(&bytes).await.map_err(|it| it.to_string())?;
        conn.flush().await.map_err(|it| it.to_string())
    }

    async fn command(&mut self) -> Result<String, String> {
        let control = self.talk.control.as_mut().ok_or("no control connection")?;
        loop {
            if let Some(at) = control.unread.windows(2).position(|it| it == b"\r\n") {
                let line: Vec<u8> = control.unread.drain(..at + 2).take(at).collect();
                match Command::parse(&line) {
                    Ok(Command::Port(at)) => self.talk.named = Some(at.into()),
                    Ok(Command::Eprt(EprtArgument::Address(at))) => self.talk.named = Some(at),
                    _ => {}
                }
                return Ok(super::escape(&line));
            }
            match control.conn.read_buf(&mut control.unread).await {
                Ok(0) => return Err("the client closed the control connection".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    async fn data(&mut self, line: &str) -> Result<(), String> {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let text = |error: std::io::Error| error.to_string();
        match what {
            "listen" => {
                let at = format!("192.0.2.1:{rest}").parse().unwrap();
                self.listener = Some(self.net.listen(ListenAt::one(at)).await.map_err(text)?);
                return Ok(());
            }
            "listen-elsewhere" => {
                let at = format!("203.0.113.80:{rest}").parse().unwrap();
                let elsewhere = self.world.host("elsewhere");
                self.listener = Some(elsewhere.listen(ListenAt::one(at)).await.map_err(text)?);
                return Ok(());
            }
            "tls" => return self.secure_data(rest).await,
            "tls-fails" => {
                let control = self.talk.control.take().ok_or("no control connection")?;
                let session = self.tls.session().map_err(|it| it.to_string())?;
                return match session.secure_control(control.conn, PATIENCE).await {
                    Ok(_) => Err("the client trusts the server".to_owned()),
                    Err(_) => Ok(()),
                };
            }
            "unlisten" => {
                self.listener = None;
                return Ok(());
            }
            "accept" => {
                let listener = self.listener.as_mut().ok_or("not listening")?;
                self.talk.data = Some(listener.accept().await.map_err(text)?);
                return Ok(());
            }
            "connect" => {
                let to = self.talk.named.ok_or("no PORT yet")?;
                self.talk.data = Some(self.net.connect(Source::Any, to).await.map_err(text)?);
                return Ok(());
            }
            "stranger" => {
                let to = self.talk.named.ok_or("no PORT yet")?;
                let stranger = self.world.host("stranger");
                let mut conn = stranger.connect(Source::Any, to).await.map_err(text)?;
                let mut byte = [0];
                return match conn.read(&mut byte).await {
                    Ok(0) | Err(_) => Ok(()),
                    Ok(_) => Err("the client talks to a stranger".to_owned()),
                };
            }
            _ => {}
        }
        let data = self.talk.data.as_mut().ok_or("no data connection")?;
        match what {
            "send" => {
                data.write_all(&unescape(rest)).await.map_err(text)?;
                data.flush().await.map_err(text)
            }
            "zeros" => data
                .write_all(&vec![0; rest.parse().unwrap()])
                .await
                .map_err(text),
            "expect" => {
                let wanted = unescape(rest);
                let mut seen = vec![0; wanted.len()];
                data.read_exact(&mut seen).await.map_err(text)?;
                if seen == wanted {
                    Ok(())
                } else {
                    Err(format!("the client sent: {}", super::escape(&seen)))
                }
            }
            "end" | "broken" => {
                let mut more = [0; 32];
                let seen = data.read(&mut more).await;
                match (what, seen) {
                    ("end", Ok(0)) | ("broken", Err(_)) => Ok(()),
                    (_, Ok(n)) => Err(format!("the client sent: {}.", super::escape(&more[..n]))),
                    (_, Err(error)) => Err(error.to_string()),
                }
            }
            "dropped" => {
                let mut more = vec![0; 64 * 1024];
                loop {
                    match data.read(&mut more).await {
                        Ok(0) => return Err("a clean end".to_owned()),
                        Ok(_) => {}
                        Err(_) => return Ok(()),
                    }
                }
            }
            "close" => match self.talk.data.take() {
                Some(mut data) => data.shutdown().await.map_err(text),
                None => Ok(()),
            },
            // Ends the connection below TLS: no close_notify.
            "cut" => {
                self.talk.data = None;
                Ok(())
            }
            "reset" => {
                if let Some(data) = self.talk.data.take() {
                    data.abort();
                }
                Ok(())
            }
            _ => Err("not understood".to_owned()),
        }
    }
}
